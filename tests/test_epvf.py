"""EPVF and PSSVF: critic, features, replay, clips, presets; saved and continued bit for bit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from same_models import same
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from morphzoo import zoo
from morphzoo.algorithms import ALGORITHMS
from morphzoo.algorithms.epvf import EPVF
from morphzoo.algorithms.epvf_presets import PAPER
from morphzoo.algorithms.es import ES
from morphzoo.algorithms.features import (
    FEATURES,
    Probes,
    Visited,
    make_features,
    register_features,
)
from morphzoo.algorithms.memory import container_bytes
from morphzoo.algorithms.players import play_counted
from morphzoo.algorithms.policy_critic import PolicyCritic
from morphzoo.algorithms.policy_replay import PolicyReplay
from morphzoo.algorithms.pssvf import PSSVF
from morphzoo.algorithms.schedules import ExponentialSchedule
from morphzoo.algorithms.targets import ranked
from morphzoo.policies import DeterministicPolicy
from morphzoo.policies.weight_space import MlpLayout, symmetries
from morphzoo.recipe import Recipe, make_recipe
from morphzoo.sb3 import make_vec_env
from morphzoo.training import needed_bytes, train
from morphzoo.training.curve import read_curve
from morphzoo.transfer import evaluate

ANT = "morphzoo/AntVelocity-v0"
SHORT: dict[str, Any] = {"max_episode_steps": 12, "reset_noise_scale": 0.1}
NAMES = ("es", "epvf", "pssvf")
SMALL: dict[str, Any] = {"policy_kwargs": {"hidden_sizes": [4], "normalize": True}, "seed": 3}
#: Keywords that differ from every default, a row for each algorithm.
NON_DEFAULT: dict[str, dict[str, Any]] = {
    "es": {
        "learning_rate": 0.1, "population_size": 12, "num_policies": 2, "noise": "uniform",
        "noise_scale": 0.5, "noise_relative": True, "noise_floor": 0.1, "noise_clip": 0.2,
        "target": "standard", "top": 2, "weight_clip": 0.4, "weight_decay": 0.01,
        "evaluate_every": 2, "evaluate_episodes": 2, "optimizer": "sgd",
    },
    "epvf": {
        "learning_rate": ExponentialSchedule(1e-2, 1e-4), "population_size": 10,
        "batch_size": 12, "buffer_size": 26, "n_critic_steps": 3, "n_policy_steps": 2,
        "target": "log", "target_over": "generation", "features": "probe+theta",
        "features_kwargs": {"probe": {"num_probes": 3}},
        "critic_kwargs": {"net_arch": [8], "activation": "tanh", "skip": True, "zero": True},
        "critic_optimizer": "sgd",
        "critic_learning_rate": 1e-2, "critic_weight_decay": 0.1, "scale_inputs": "clip",
        "weight_clip": 0.2, "held_out": 0.2, "max_shift": 1.0,
    },
    "pssvf": {
        "population_size": 1, "batch_size": 4, "buffer_size": 6, "noise_scale": 0.3,
        "evaluate_every": 1, "evaluate_episodes": 2,
    },
}  # fmt: skip


def ant(rows: int = 4, **kwargs) -> Any:
    return make_vec_env(ANT, rows, seed=0, num_threads=1, **{**SHORT, **kwargs})


def model_of(name: str, rows: int = 4, **changes) -> Any:
    return ALGORITHMS[name]("MlpPolicy", ant(rows), **{**SMALL, **NON_DEFAULT[name], **changes})


def policy_of(hidden=(6, 5), actions: spaces.Space | None = None, **kwargs) -> Any:
    torch.manual_seed(0)
    actions = actions or spaces.Box(-1, 1, (2,))
    return DeterministicPolicy(spaces.Box(-1, 1, (3,)), actions, len, hidden_sizes=hidden, **kwargs)


def some_thetas(policy: Any, num: int = 4) -> torch.Tensor:
    return policy.theta + torch.randn(num, policy.num_parameters)


# Features.


def permuted(policy: Any, theta: torch.Tensor) -> torch.Tensor:
    """The same function with the units of both hidden layers in another order."""
    policy.theta = theta
    first, second, last = (policy.actor[i] for i in (0, 2, 4))
    a, b = torch.randperm(len(first.bias)), torch.randperm(len(second.bias))
    parts = (
        first.weight[a], first.bias[a], second.weight[b][:, a], second.bias[b],
        last.weight[:, b], last.bias,
    )  # fmt: skip
    return torch.cat([part.flatten() for part in parts]).detach()


@pytest.mark.parametrize("actions", [spaces.Box(-1, 1, (2,)), spaces.Discrete(2)], ids=str)
def test_probe_features_do_not_change_when_hidden_units_change_places(actions) -> None:
    policy = policy_of(actions=actions)
    thetas = some_thetas(policy)
    others = torch.stack([permuted(policy, theta) for theta in thetas])
    assert not torch.equal(thetas, others)
    probes = Probes(policy, 7)
    torch.testing.assert_close(probes(others), probes(thetas), atol=1e-6, rtol=0)
    plain = make_features("theta", policy, {})
    assert not torch.allclose(plain(others), plain(thetas))
    # A negative control: the first layer's units moved alone are another function.
    broken = thetas.clone()
    broken[:, :18] = others[:, :18]
    assert (probes(broken) - probes(thetas)).abs().max() > 1e-3


def test_probes_see_the_function_and_not_the_architecture() -> None:
    """A hidden unit more, whose output nobody hears, changes no probe."""
    small, large = policy_of((2,)), policy_of((3,))
    w1, b1, w2, b2 = (p.detach() for p in small.actor.parameters())
    wide = (
        torch.cat([w1, torch.full((1, 3), 9.0)]), torch.cat([b1, torch.ones(1)]),
        torch.cat([w2, torch.zeros(2, 1)], 1), b2,
    )  # fmt: skip
    theta = torch.cat([part.flatten() for part in wide])
    probes = [Probes(policy, 5) for policy in (small, large)]
    probes[1].load_state_dict(probes[0].state_dict())
    torch.testing.assert_close(probes[0](small.theta[None]), probes[1](theta[None]))


def test_probes_learn_with_the_critic_and_rest_while_the_policy_moves() -> None:
    policy = policy_of()
    critic = PolicyCritic(policy, "probe+theta", {"probe": {"num_probes": 5}}, net_arch=[8])
    states, thetas = critic.features.parts["probe"].states, some_thetas(policy)
    gradient = critic.gradient(thetas)
    assert states.grad is None and all(p.grad is None for p in critic.parameters())
    assert gradient.shape == thetas.shape and bool((gradient.abs().sum(1) > 0).all())
    critic(thetas).square().mean().backward()
    assert states.grad.abs().sum() > 0
    assert all(p.grad is None for p in policy.parameters())
    assert not {id(p) for p in policy.parameters()} & {id(p) for p in critic.parameters()}


def test_the_critics_gradient_by_hand() -> None:
    """A linear critic on scaled parameters: V = w ((theta - shift) scale), dV = w scale."""
    policy = policy_of(())
    critic = PolicyCritic(policy, net_arch=())
    part = critic.features.parts["theta"]
    part.shift.fill_(1.0)
    part.scale.copy_(torch.arange(8.0))
    critic.network[0].weight.data.fill_(0.5)
    critic.network[0].bias.data.fill_(2.0)
    thetas = torch.stack([torch.ones(8), torch.full((8,), 2.0)])
    assert critic(thetas).tolist() == [2.0, 2.0 + 0.5 * 28]
    assert critic.gradient(thetas).tolist() == [[0.5 * i for i in range(8)]] * 2


def test_visited_features_by_hand() -> None:
    """Actions in evenly spread states, centred, over one number: variances add up to 1."""
    policy = policy_of((), actions=spaces.Box(-1, 1, (1,)), squash=False)
    visited = Visited(policy, 3)
    met = torch.arange(15.0).view(5, 3)
    thetas = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 7.0]])  # reads the first number; says 7
    visited.visit(met, thetas)
    assert visited.states.tolist() == met[[0, 2, 4]].tolist()
    centred = torch.tensor([[-3.5, -0.5, 2.5], [3.5, 0.5, -2.5]])
    expected = centred / centred.square().mean(0).sum().sqrt()
    torch.testing.assert_close(visited(thetas), expected)
    # States fewer than are wanted come again, and equal policies have nothing to be told by.
    visited.visit(met[:1], thetas[[0, 0]])
    assert visited.states.tolist() == met[[0, 0, 0]].tolist()
    assert visited(thetas[[0, 0]]).tolist() == [[0.0] * 3] * 2


def test_a_critic_of_visited_states_does_not_care_for_what_changes_nothing_there() -> None:
    """Two states span a plane: what a weight does across it is no business of the critic's."""
    policy, met = policy_of(()), torch.tensor([[1.0, 0, 2], [0, 1.0, 1]])
    critic = PolicyCritic(policy, "visited", {"visited": {"num_states": 2}}, net_arch=[])
    thetas = some_thetas(policy)
    critic.features.visit(met, thetas)
    across = torch.tensor([-2.0, -1, 1])
    gradient = critic.gradient(thetas)[:, :6].view(-1, 2, 3)
    assert (gradient @ across).abs().max() < 1e-5 < gradient.abs().max()


def test_a_critic_that_begins_as_zero_knows_nothing() -> None:
    policy = policy_of()
    critic = PolicyCritic(policy, net_arch=[8], skip=True, zero=True)
    thetas = some_thetas(policy)
    assert not critic(thetas).any() and not critic.gradient(thetas).any()
    critic(thetas).sum().backward()
    assert critic.network[-1].weight.grad.abs().sum() > 0


def test_one_step_of_a_linear_critic_from_zero_is_an_evolution_strategy() -> None:
    """Two paths to one direction: the critic's gradient, and the ES estimate that is logged."""
    model = EPVF("MlpPolicy", ant(), target="standard", scale_inputs="none", **SMALL).learn(1)
    assert model.logger.name_to_value["train/gradient_cosine"] == pytest.approx(1, abs=1e-5)


def test_targets_over_a_generation_do_not_say_which_one_was_better() -> None:
    found = {}
    for over in ("generation", "buffer"):
        model = EPVF("MlpPolicy", ant(8), target="rank", target_over=over, buffer_size=16, **SMALL)
        model.learn(8 * SHORT["max_episode_steps"] + 1)
        assert model._n_updates == 2
        found[over] = model.replay.returns
    expected = [ranked(part).tolist() for part in found["buffer"].split(8)]
    assert [part.tolist() for part in found["generation"].split(8)] == expected


@pytest.mark.parametrize("features", ["visited+theta", "probe"])
def test_features_that_stay_are_computed_once_to_the_same_end(features: str, monkeypatch) -> None:
    def trained() -> Any:
        return model_of(
            "epvf", features=features, features_kwargs={}, batch_size=26, held_out=0.0
        ).learn(300)  # fmt: skip

    ours = trained()
    assert ours._same_features == (features != "probe")
    monkeypatch.setattr(EPVF, "_same_features", False)
    assert same(ours, trained())


def test_states_that_a_generation_met_are_each_of_another_policy() -> None:
    """Rows tell themselves apart by their heights, which noise in the start makes different."""
    model = EPVF("MlpPolicy", ant(4), features="visited", **SMALL)
    seen: list[np.ndarray] = []
    rows, step = model.rows, model.rows.step

    def watched(ids: np.ndarray, actions: np.ndarray) -> Any:
        result = step(ids, actions)
        seen.append(result[0].copy())
        return result

    rows.step = watched
    bank, _, seeds = model._draw()
    played = play_counted(rows, bank, seeds)
    assert played is not None and played.states.shape == (played.lengths.max(), 34)
    whole = [number for number in seen if len(number) == 4]
    assert len(whole) > 4
    for number, observations in enumerate(whole[:-1], 1):
        np.testing.assert_array_equal(played.states[number], observations[number % 4])


def test_a_row_of_features_plugs_in_by_name() -> None:
    class Norms(torch.nn.Module):
        num_features = 1

        def __init__(self, policy: Any, order: int = 2) -> None:
            super().__init__()
            self.order = order

        def forward(self, thetas: torch.Tensor) -> torch.Tensor:
            return thetas.norm(self.order, dim=1, keepdim=True)

    register_features("norms", Norms)
    try:
        policy = policy_of(())
        joined = make_features("norms+theta", policy, {"norms": {"order": 1}})
        assert joined.num_features == 9
        assert joined(torch.ones(1, 8))[0].tolist() == [8.0] + [1.0] * 8
        with pytest.raises(ValueError, match="word of their own"):
            register_features("norms", Norms)
    finally:
        del FEATURES["norms"]


def test_weight_space_features_are_those_of_the_policys_layers() -> None:
    """They stay when hidden units change places, through the whole critic; theta's do not."""
    policy = policy_of()
    thetas = some_thetas(policy)
    layout = MlpLayout(policy.sizes)
    others = symmetries(layout, thetas, torch.Generator().manual_seed(1), flip=False)
    assert (others - thetas).abs().max() > 0.1
    critic = PolicyCritic(policy, "unf", {"unf": {"channels": [4, 3]}}, net_arch=[8])
    critic.features.update_statistics(thetas)
    assert critic.features.num_features == 6 * 3
    torch.testing.assert_close(critic(others), critic(thetas), atol=1e-5, rtol=0)
    bare = PolicyCritic(policy, "theta", net_arch=[8])
    assert (bare(others) - bare(thetas)).abs().max() > 1e-3


@pytest.mark.parametrize("reset", [False, True])
def test_a_critic_sees_scaled_parameters_however_fresh_it_is(reset: bool) -> None:
    """Also one that was made anew: its scale and statistics are those of the policies in D."""
    model = EPVF(
        "MlpPolicy", ant(), features="unf+theta", reset_critic=reset, buffer_size=24,
        features_kwargs={"unf": {"channels": [2]}}, **{**SMALL, "population_size": 8},
    )  # fmt: skip
    model.learn(3 * 8 * SHORT["max_episode_steps"])
    assert model._n_updates > 2
    thetas, parts = model.replay.thetas, model.critic.features.parts
    torch.testing.assert_close(parts["theta"].shift, thetas.mean(0))
    torch.testing.assert_close(parts["theta"].scale, 1 / thetas.std(0))
    seen = len(thetas) if reset else 8 * model._n_updates
    assert parts["unf"].count == seen
    first = MlpLayout(model.policy.sizes).split(thetas)["weight1"]
    if reset:
        torch.testing.assert_close(parts["unf"].mean[0].float(), first.mean())


# Replay.


def rows(*numbers: float) -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.tensor(numbers, dtype=torch.float64)
    return values[:, None].float(), values


def test_the_newest_stay_in_order_whatever_comes() -> None:
    """Held against a list, through growth and around the ring."""
    rng, replay, expected = np.random.default_rng(0), PolicyReplay(150, 1, 1), []
    for _ in range(60):
        new = list(rng.normal(size=rng.integers(1, 12)))
        expected = (expected + new)[-150:]
        replay.add(*rows(*new))
        assert replay.returns.tolist() == expected and len(replay) == len(expected)
        assert torch.equal(replay.thetas[:, 0], torch.tensor(expected, dtype=torch.float32))
    replay.add(*rows(*range(400)))
    assert replay.returns.tolist() == list(range(250, 400))


def test_samples_are_without_replacement_and_all_if_there_are_fewer() -> None:
    replay = PolicyReplay(10, 1, 3)
    replay.add(*rows(*range(8)))
    replay.add(*rows(8, 9, 10, 11))  # 2..11, around the end
    thetas, which = replay.sample(6, torch.Generator().manual_seed(0))
    assert len(set(which.tolist())) == 6 and which.tolist() != sorted(which.tolist())
    assert torch.equal(replay.returns[which].float(), thetas[:, 0])
    assert replay.newest(4)[:, 0].tolist() == [8, 9, 10, 11] and len(replay.newest(99)) == 10
    thetas, which = replay.sample(16, torch.Generator())
    assert thetas[:, 0].tolist() == list(range(2, 12)) == replay.returns[which].tolist()


@pytest.mark.parametrize(("capacity", "kept"), [(4, 0), (6, 2), (100, 8)])
def test_what_is_saved_of_a_buffer_is_what_can_still_be_drawn(capacity: int, kept: int) -> None:
    ours, theirs = (PolicyReplay(capacity, 1, 4) for _ in range(2))
    for start in (0, 4):
        ours.add(*rows(*range(start, start + 4)))
    state = ours.state_dict()
    assert len(state["returns"]) == kept
    theirs.load_state_dict(state)
    for replay in (ours, theirs):
        replay.add(*rows(8, 9, 10, 11))
    assert torch.equal(ours.returns, theirs.returns) and torch.equal(ours.thetas, theirs.thetas)


# Construction.


def test_the_papers_preset_is_what_the_paper_prints() -> None:
    model = EPVF("MlpPolicy", ant(6), paper=True, policy_kwargs={"hidden_sizes": [4]})
    assert model.batch_size == model.buffer_size == model.population_size == 6
    noise = model.perturbation
    assert (noise.kind, noise.scale, noise.relative) == ("uniform", 0.3, True)
    assert (noise.floor, noise.clip, noise.antithetic) == (0.0, 0.0, False)
    assert (model.weight_clip, model.target, model.scale_inputs) == (0.1, "none", "none")
    assert model.learning_rate == ExponentialSchedule(1e-3, 1e-7)
    assert model.policy.theta.abs().max() == 0.1, "the first values are clipped"
    assert not model.policy.normalize and model.features == "theta"
    # One change at a time is what its ablations are.
    ablation = EPVF("MlpPolicy", ant(6), 1e-5, paper=True, noise="gaussian", weight_clip=0.0)
    assert (ablation.perturbation.kind, ablation.weight_clip) == ("gaussian", 0.0)
    assert ablation.learning_rate == 1e-5 and ablation.perturbation.relative
    assert PAPER["noise"] == "uniform", "a preset is not changed by what is made of it"


def test_pssvf_has_the_settings_of_cartpole() -> None:
    model = PSSVF("MlpPolicy", "CartPole-v1")
    assert (model.population_size, model.batch_size, model.buffer_size) == (1, 16, 100_000)
    assert (model.n_critic_steps, model.n_policy_steps, model.learning_rate) == (10, 10, 1e-3)
    assert (model.perturbation.kind, model.perturbation.scale) == ("gaussian", 1.0)
    assert not model.perturbation.relative and model.target == "none"
    assert model.policy.sizes == (4, 64, 64, 2) and model.policy.normalize
    widths = [layer.out_features for layer in model.critic.network[::2]]
    assert widths == [64, 64, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 33, "buffer_size": 32}, "batch of 33 .* buffer of 32"),
        ({"buffer_size": 2**40, "batch_size": 4}, r"GiB on cpu .*a buffer of 1,099,511,627,776"),
        ({"target": "median"}, "target"),
        ({"features": "theta+theta"}, "different names"),
        ({"features": "soul"}, r"\['probe', 'theta', 'unf', 'visited'\].*found 'soul'"),
        ({"features_kwargs": {"probe": {}}}, "features_kwargs"),
        ({"features": "probe", "features_kwargs": {"probe": {"num_probes": 0}}}, "num_probes"),
        (
            {"features": "visited", "features_kwargs": {"visited": {"num_states": 0}}},
            "num_states",
        ),
        ({"features": "theta+visited", "reset_critic": False}, "reset_critic=True"),
        ({"target_over": "life"}, "target_over"),
        ({"critic_optimizer": "newton"}, "critic_optimizer"),
        ({"critic_kwargs": {"net_arch": [0]}}, "net_arch"),
        ({"critic_kwargs": {"activation": "step"}}, "activation"),
        ({"scale_inputs": "clip"}, "weight_clip, which is 0"),
        ({"scale_inputs": "twice"}, "scale_inputs"),
        ({"n_critic_steps": 0}, "n_critic_steps"),
        ({"n_policy_steps": -1}, "n_policy_steps"),
        ({"held_out": 1.0}, "held_out"),
        ({"num_policies": 2}, "the same slope everywhere"),
        ({"population_size": 0}, "at least 1, found 0"),
        ({"population_size": 8.0}, "population_size must be a whole number, found 8.0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"buffer_size": 0}, "buffer_size: |buffer of 0"),
        ({"n_critic_steps": 1.5}, "n_critic_steps must be a whole number"),
        ({"policy": "ChromaticPolicy", "features": "unf"}, "whole matrices and biases"),
        ({"population_size": 3}, "even, found 3"),
        ({"policy": "CnnPolicy"}, "CnnPolicy"),
    ],
)
def test_what_cannot_be_is_refused_at_construction(change: dict[str, Any], message: str) -> None:
    change = dict(change)
    policy = change.pop("policy", "MlpPolicy")
    with pytest.raises(ValueError, match=message):
        EPVF(policy, ant(), **change)


@pytest.mark.parametrize(
    ("limit", "used", "cache"),
    [
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ],
)
def test_files_read_lately_count_as_free_memory(limit, used, cache, tmp_path: Path) -> None:
    (tmp_path / limit).parent.mkdir(exist_ok=True)
    assert container_bytes(tmp_path) is None
    (tmp_path / limit).write_text("1000\n")
    (tmp_path / used).write_text("900\n")
    assert container_bytes(tmp_path) == 100
    (tmp_path / limit).with_name("memory.stat").write_text(f"anon 300\n{cache} 600\n")
    assert container_bytes(tmp_path) == 700
    if limit == "memory.max":
        (tmp_path / limit).write_text("max\n")
        assert container_bytes(tmp_path) is None


def test_the_room_on_disk_is_that_of_full_states() -> None:
    weights = sum(t.numel() * t.element_size() for t in model_of("es").policy.state_dict().values())
    few, many = (
        needed_bytes(model_of("epvf", buffer_size=size, batch_size=10)) for size in (20, 1000)
    )
    row = 4 * model_of("es").policy.num_parameters + 8
    assert many - few == 2 * 980 * row
    assert needed_bytes(model_of("es")) > 12 * weights + 20_000_000


def test_only_flat_policies_are_searched() -> None:
    from morphzoo.policies import MlpPolicy

    with pytest.raises(ValueError, match="DeterministicPolicy, found MlpPolicy"):
        ES(MlpPolicy, ant())


# Training.


class Watch(BaseCallback):
    """Counts calls and keeps what was logged of each generation."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = self.starts = self.ends = 0
        self.logged: list[dict[str, float]] = []

    def _on_rollout_start(self) -> None:
        self.starts += 1
        self.logged.append(dict(self.model.logger.name_to_value))

    def _on_step(self) -> bool:
        self.steps += 1
        return True

    def _on_rollout_end(self) -> None:
        self.ends += 1


@pytest.mark.parametrize("name", NAMES)
def test_learning_has_stable_baselines_face(name: str, tmp_path: Path) -> None:
    model, watch = model_of(name), Watch()
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(300, callback=watch, log_interval=2)
    generations = model._n_updates
    assert watch.starts == watch.ends == generations and watch.steps > generations
    assert model.num_timesteps >= 300
    last = watch.logged[-1]
    everywhere = {
        "train/learning_rate", "train/n_updates", "train/weight_mean_abs", "eval/mean_reward",
    }  # fmt: skip
    assert everywhere <= last.keys()
    critic = {"train/value_loss", "train/explained_variance", "train/shift"}
    assert (critic <= last.keys()) == (name != "es")
    if name == "epvf":
        assert -1 <= last["train/gradient_cosine"] <= 1
        held = {"train/explained_variance_held_out", "train/explained_variance_ahead"}
        assert held | {"train/weight_clip_share"} <= last.keys()
    header = (tmp_path / "progress.csv").read_text().splitlines()[0]
    assert {"rollout/ep_rew_mean", "rollout/ep_len_mean", "time/fps"} <= set(header.split(","))
    model.logger.close()
    observation = model.env.reset()
    actions, _ = model.predict(observation)
    np.testing.assert_array_equal(actions, model.predict(observation, deterministic=True)[0])
    assert model.action_space.contains(actions[0])


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_continued_at_tolerance_zero(name: str, tmp_path: Path) -> None:
    """Half, saved, loaded into another process's worth of objects, the other half."""
    constant = {} if name != "epvf" else {"learning_rate": 1e-2}  # a schedule knows the total
    whole, half = model_of(name, **constant), model_of(name, **constant)
    half.learn(240)
    half.save(tmp_path / "model.zip")
    torch.rand(3)  # generators of the process play no part
    loaded = type(half).load(tmp_path / "model.zip", env=ant(), device="cpu")
    assert same(half, loaded) and loaded.policy.kwargs_received == half.policy.kwargs_received
    whole.learn(240)
    for model in (whole, loaded):
        model.learn(240, reset_num_timesteps=False)
    assert whole.num_timesteps == loaded.num_timesteps >= 480
    assert same(whole, loaded)
    alone = type(half).load(tmp_path / "model.zip", device="cpu")
    with pytest.raises(ValueError, match=r"load\(path, env=env\)|env"):
        alone._collect(BaseCallbackOfNothing())
    seen = np.zeros(alone.observation_space.shape, dtype=np.float32)
    np.testing.assert_array_equal(alone.predict(seen)[0], half.predict(seen)[0])


class BaseCallbackOfNothing(BaseCallback):
    def _on_step(self) -> bool:
        return True


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_weights_another_seed_others(name: str) -> None:
    models = [model_of(name, seed=seed).learn(150) for seed in (1, 1, 2)]
    assert same(models[0], models[1]) and not same(models[0], models[2])


def test_a_larger_population_is_played_in_batches_to_the_same_end() -> None:
    """With constant actions a network's rounding plays no part: rows equal bit for bit."""
    returns = []
    for num in (2, 3, 8):
        model = model_of("es", rows=num, population_size=8, num_policies=1, evaluate_every=0)
        model.centres.thetas.data.zero_()
        model.policy.theta = model.centres.thetas[0]
        model.learn(1)
        returns.append([info["r"] for info in model.ep_info_buffer])
    assert len(returns[0]) == 8
    np.testing.assert_allclose(returns[0], returns[1], rtol=1e-5)
    np.testing.assert_allclose(returns[0], returns[2], rtol=1e-5)


def test_a_callback_stops_in_the_middle_and_nothing_is_learned() -> None:
    class Stop(Watch):
        def _on_step(self) -> bool:
            super()._on_step()
            return self.steps < 5

    model = model_of("epvf")
    before = model.policy.theta
    model.learn(1000, callback=Stop())
    assert model._n_updates == 0 and torch.equal(model.policy.theta, before)


def test_weights_stay_within_the_clip_and_shifts_within_their_bound() -> None:
    model = model_of(
        "epvf", learning_rate=1.0, max_shift=0.5, weight_clip=0.15, scale_inputs="none"
    )
    before = model.policy.theta
    assert before.abs().max() <= np.float32(0.15)
    model.learn(100)
    after = model.policy.theta
    assert after.abs().max() <= np.float32(0.15)
    shift = (after - before).abs()
    reach = model._n_updates * 0.5 * 0.05
    assert 0.5 * 0.05 * 0.99 <= shift.max() <= reach + 1e-6


def test_a_critic_step_by_hand() -> None:
    """One step of AdamW moves the linear critic by its rate against the gradient's sign."""
    model = model_of(
        "epvf", features="theta", features_kwargs={}, critic_kwargs={"net_arch": [], "zero": False},
        critic_weight_decay=0.0, n_critic_steps=1, n_policy_steps=0, target="none", held_out=0.0,
        batch_size=10, buffer_size=10, scale_inputs="none", critic_learning_rate=1e-3,
        critic_optimizer="adam",
    )  # fmt: skip
    layer = model.critic.network[0]
    weight, bias = layer.weight.detach().clone()[0], layer.bias.detach().clone()
    model.learn(1)
    thetas, returns = model.replay.thetas, model.replay.returns.float()
    error = thetas @ weight + bias - returns
    slope = 2 * (error[:, None] * thetas).mean(0)
    moved = layer.weight.detach()[0] - weight
    clear = slope.abs() > 1e-4 * slope.abs().max()
    torch.testing.assert_close(moved[clear], -1e-3 * slope.sign()[clear], rtol=1e-2, atol=0)
    assert float(layer.bias.detach() - bias) == pytest.approx(
        -1e-3 * math.copysign(1, float(error.mean())), rel=1e-2
    )


def test_held_out_policies_are_whole_pairs_that_the_critic_never_meets() -> None:
    model = model_of("epvf", population_size=20, antithetic=True, held_out=0.25, num_policies=2)
    learned, kept = model._split((10, 10))
    assert int(kept.sum()) == model._kept_out == 4 and not bool((learned & kept).any())
    pairs = kept.view(2, 2, 5)  # policy, sign, pair
    assert torch.equal(pairs[:, 0], pairs[:, 1])
    assert pairs[:, 0].sum(1).tolist() == [1, 1], "of each policy as many"
    model.learn(1)
    assert len(model.replay) == 16


def test_critic_keywords_that_are_not_given_stay() -> None:
    assert EPVF("MlpPolicy", ant(), critic_kwargs={"zero": False}).critic_kwargs == {
        "net_arch": [],
        "zero": False,
    }
    with pytest.raises(ValueError, match="the keyword is EPVF's"):
        PSSVF("MlpPolicy", ant(), paper=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_saved_in_the_middle_of_a_generation_counts_it_once(name, tmp_path: Path) -> None:
    class Save(BaseCallback):
        def _on_step(self) -> bool:
            if self.model._n_updates == 1 and not (tmp_path / "part.zip").exists():
                self.model.save(tmp_path / "part.zip")
            return True

    whole = model_of(name)
    whole.learn(300, callback=Save())
    again: Any = ALGORITHMS[name].load(tmp_path / "part.zip", env=ant())
    assert again._n_updates == 1 and 0 < again.num_timesteps < 300
    again.learn(300 - again.num_timesteps, reset_num_timesteps=False)
    assert again.num_timesteps == whole.num_timesteps
    assert torch.equal(again.policy.theta, whole.policy.theta)


def test_what_a_loaded_model_is_given_counts_or_is_refused(tmp_path: Path) -> None:
    model_of("es").save(tmp_path / "es.zip")
    given = {"noise_scale": 0.7, "noise_floor": 0.2, "antithetic": False, "top": 0}
    again = ES.load(tmp_path / "es.zip", env=ant(), stats_window_size=9, **given)
    noise = again.perturbation
    assert (noise.scale, noise.floor, noise.antithetic, noise.relative) == (0.7, 0.2, False, True)
    assert again._stats_window_size == 9 and again.device.type == "cpu"
    for name, message in (("optimizer", "cannot be changed"), ("noise_size", "no keyword")):
        with pytest.raises(ValueError, match=f"'{name}' {message}|{message} '{name}'"):
            ES.load(tmp_path / "es.zip", env=ant(), **{name: "adam"})
    with pytest.raises(ValueError, match="noise_scale must be above 0"):
        ES.load(tmp_path / "es.zip", env=ant(), noise_scale=-1.0)


def test_several_policies_go_their_own_ways_and_the_best_is_shown() -> None:
    model = model_of("epvf", num_policies=5, held_out=0.0)
    first = model.centres.thetas.detach().clone()
    assert len(first.unique(dim=0)) == 5
    model.learn(1)
    moved = (model.centres.thetas.detach() - first).abs().sum(1)
    assert bool((moved > 0).all())
    means = np.array([info["r"] for info in model.ep_info_buffer]).reshape(5, 2).mean(1)
    assert model.current == means.argmax()
    assert torch.equal(model.policy.theta, model.centres.thetas[model.current])


@pytest.mark.parametrize("name", NAMES)
def test_the_zoo_takes_what_was_learned(name: str, tmp_path: Path) -> None:
    model = model_of(name).learn(100)
    folder = zoo.save(model, tmp_path / "mine", env_id=ANT)
    config = zoo.read_config(folder)
    assert (config["algorithm"], config["policy"]) == (name, "deterministic")
    with gym.make(ANT) as env:
        loaded = zoo.load(folder, env)
    model.policy.commit()
    seen = np.random.default_rng(0).normal(size=(4, 34)).astype(np.float32)
    again = zoo.load(zoo.save(model, tmp_path / "again"), model.env)
    np.testing.assert_array_equal(again.predict(seen)[0], model.predict(seen)[0])
    for deterministic in (True, False):  # it has one action either way
        table = evaluate(loaded, ANT, 2, 0, deterministic, num_threads=1, env_kwargs=SHORT)
        assert np.isfinite(table.returns).all()


# Recipes.

RUN: dict[str, Any] = {
    "env": ANT, "policy": "deterministic", "steps": 700, "seed": 3, "n_envs": 4,
    "policy_kwargs": {"hidden_sizes": [4], "normalize": True}, "checkpoint_every": 100,
    "evaluate_every": 300, "evaluate_episodes": 2, "env_kwargs": SHORT,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_paused_and_resumed_gives_the_uninterrupted_runs_files(
    name: str, tmp_path: Path
) -> None:
    kwargs = {key: value for key, value in NON_DEFAULT[name].items() if key != "learning_rate"}
    rate = {"learning_rate": 1e-2} if name == "epvf" else {}
    recipe = Recipe.from_dict(
        {**RUN, "algorithm": name, "schedule": "exponential", "algorithm_kwargs": kwargs | rate}
    )
    train(recipe, tmp_path / "a", progress=False)
    train(recipe, tmp_path / "b", progress=False, pause_at=250)
    assert not (tmp_path / "b" / "final").exists()
    torch.rand(1)
    train(recipe, tmp_path / "b", progress=False, resume=True)
    for file in ("curve.csv", "final/model.safetensors", "best/model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    curve = read_curve(tmp_path / "a" / "curve.csv")
    assert curve["step"][-1] >= 700 and np.isfinite(curve["return_mean"]).all()
    extra = "gradient_norm" if name == "es" else "shift"
    assert np.isfinite(curve[extra]).all() and np.isfinite(curve["unperturbed_return"]).any()
    if rate:  # a ten-thousandth at the end, in closed form
        done = np.minimum(curve["step"] / 700, 1.0)
        np.testing.assert_allclose(curve["learning_rate"], 1e-2 * 1e-4**done, rtol=1e-9)
    assert zoo.read_config(tmp_path / "a" / "final")["algorithm"] == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_critic_step": 3}, "Did you mean 'n_critic_steps'"),
        ({"seed": 3}, "no keyword 'seed'"),
        ({"batch_size": 9, "buffer_size": 8}, "batch of 9"),
    ],
)
def test_wrong_keywords_of_a_recipe_are_refused(changes, message: str, tmp_path: Path) -> None:
    recipe = Recipe.from_dict({**RUN, "algorithm": "epvf", "algorithm_kwargs": changes})
    with pytest.raises(ValueError, match=message):
        train(recipe, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_options_alone_make_a_recipe_of_another_algorithm() -> None:
    recipe = make_recipe(None, {"env": ANT, "policy": "deterministic", "algorithm": "es"})
    assert recipe.algorithm == "es" and recipe.algorithm_kwargs == {}


# Learning.


@pytest.mark.slow
def test_pssvf_solves_cartpole_with_a_linear_policy() -> None:
    """About 10 s of one core; Faccio et al. reach 500 within 25,000 steps."""
    model = PSSVF(
        "MlpPolicy", "CartPole-v1", seed=0,
        policy_kwargs={"hidden_sizes": [], "normalize": True},
    ).learn(30_000)  # fmt: skip
    env, returns = gym.make("CartPole-v1"), []
    for seed in range(10):
        observation, _ = env.reset(seed=seed)
        total, done = 0.0, False
        while not done:
            action, _ = model.predict(observation)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, done = total + float(reward), terminated or truncated
        returns.append(total)
    assert np.mean(returns) >= 400


def test_pssvf_keeps_its_defaults_beside_keywords_of_the_same_group() -> None:
    model = PSSVF(
        "MlpPolicy", ant(1), policy_kwargs={"hidden_sizes": [3]}, critic_kwargs={"skip": True}
    )
    assert model.policy.normalize and model.policy.sizes[1:-1] == (3,)
    assert model.critic.linear is not None and model.critic.network[0].out_features == 64
    plain = PSSVF("MlpPolicy", ant(1), policy_kwargs={"normalize": False})
    assert not plain.policy.normalize
