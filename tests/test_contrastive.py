"""Contrastive RL: one step against a plain one, Stable-Baselines3's contract, refusals, depth."""

from __future__ import annotations

import copy
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from goal_envs import PointEnv, PointRows, goal_space, points
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnMaxEpisodes,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from morphzoo import zoo
from morphzoo.actors import policy_actor
from morphzoo.algorithms.contrastive import ContrastiveRL
from morphzoo.algorithms.contrastive_checks import episode_limit
from morphzoo.algorithms.contrastive_step import ContrastiveStep
from morphzoo.algorithms.entropy_coefficient import EntropyCoefficient
from morphzoo.algorithms.future_replay import FutureReplayBuffer, GoalPairs
from morphzoo.policies.contrastive import ContrastivePolicy
from morphzoo.policies.energies import ENERGIES
from morphzoo.policies.goal_policy import bounded_log_std
from morphzoo.policies.residual_cost import StepCost
from morphzoo.sb3 import make_vec_env as make_ours
from morphzoo.training.state import capture, restore

SPACE = PointEnv().observation_space
ACTION = PointEnv().action_space
TINY = {"width": 8, "repr_dim": 4}
SMALL = {
    "policy_kwargs": TINY, "batch_size": 16, "learning_starts": 40, "buffer_size": 400,
    "gradient_steps": 2, "seed": 0, "device": "cpu",
}  # fmt: skip
NON_DEFAULT = {
    "learning_rate": 1e-3, "buffer_size": 800, "learning_starts": 60, "batch_size": 24,
    "gamma": 0.9, "train_freq": [3, "step"], "gradient_steps": -1, "infonce": "symmetric",
    "logsumexp_penalty": 0.2, "ent_coef": "auto_0.1", "target_entropy": -3.0,
    "random_goals": 0.5, "max_grad_norm": 0.5, "uniform_warmup": False, "precision": "bfloat16",
    "compile": False, "memory_budget": 0.5, "stats_window_size": 7,
    "policy_kwargs": {
        **TINY, "actor_depth": 8, "critic_depth": 12, "activation": "relu", "norm": "hypersphere",
        "final_norm": True, "residual": "sqrt", "energy": "l2", "normalize": True,
    },
}  # fmt: skip


def model(env: Any = None, **changes: Any) -> ContrastiveRL:
    return ContrastiveRL("MultiInputPolicy", env or points(), **{**SMALL, **changes})


def policy(seed: int = 0, **changes: Any) -> ContrastivePolicy:
    torch.manual_seed(seed)
    return ContrastivePolicy(SPACE, ACTION, lambda _: 1e-3, **{**TINY, **changes})


def pairs(batch: int = 16, seed: int = 0) -> GoalPairs:
    """Goals that lie where the action leads to, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    state, noise = (torch.randn(batch, n, generator=generator) for n in (3, 2))
    action = 2 * torch.rand(batch, 2, generator=generator) - 1
    goal = state[:, :2] + action + 0.1 * noise
    return GoalPairs({"observation": state, "desired_goal": goal}, action)


def same_state(ours: Any, theirs: Any) -> bool:
    ours, theirs = ours.state_dict(), theirs.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


# One step.


def plain_step(
    model: ContrastivePolicy, alpha: torch.Tensor, batch: GoalPairs, moved: int = 0
) -> None:
    """The same step written without sharing: every loss computes what it needs, in their order."""
    (obs, action), goal = batch, batch.observations["desired_goal"]
    state = obs["observation"]
    asked = torch.cat([goal[moved - 1 : moved], goal[: moved - 1], goal[moved:]]) if moved else goal
    mean, log_std = model.actor(state, asked)
    x = mean + log_std.exp() * torch.randn_like(mean)
    normal = torch.distributions.Normal(mean, log_std.exp()).log_prob(x)
    log_prob = (normal - torch.log(1 - torch.tanh(x) ** 2)).sum(1)
    phi, psi = model.critic.pairs(state, torch.tanh(x), asked)
    energy = -((phi - psi).square().sum(1) + 1e-6).sqrt()
    loss = (alpha.exp().detach() * log_prob - energy).mean()
    model.actor.optimizer.zero_grad()
    loss.backward()
    model.actor.optimizer.step()
    entropy = alpha.exp() * (-log_prob.detach() + 1.0).mean()
    alpha.grad = torch.autograd.grad(entropy, alpha)[0]
    phi, psi = model.critic.pairs(state, action, goal)
    logits = -((phi[:, None] - psi[None]).square().sum(2) + 1e-6).sqrt()
    cross = torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)))
    loss = cross + 0.1 * torch.logsumexp(logits, 1).square().mean()
    model.critic.optimizer.zero_grad()
    loss.backward()
    model.critic.optimizer.step()


@pytest.mark.parametrize(("share", "moved"), [(0.0, 0), (0.5, 8), (0.7, 11), (1.0, 16)])
def test_a_step_is_a_plain_step(share: float, moved: int) -> None:
    ours, coefficient = policy(), EntropyCoefficient("auto", 1e-3)
    theirs, alpha = policy(), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([alpha], lr=1e-3)
    step = ContrastiveStep("forward", 0.1, target_entropy=-1.0, random_goals=share)
    for i in range(3):
        torch.manual_seed(i)
        logged = step(ours, coefficient, pairs(seed=i))
        torch.manual_seed(i)
        plain_step(theirs, alpha, pairs(seed=i), moved)
        optimizer.step()
    assert all(value.isfinite() and not value.requires_grad for value in logged.values())
    assert coefficient.log_value.item() == pytest.approx(alpha.item(), rel=1e-4)
    first = policy().state_dict()
    for key, value in theirs.state_dict().items():
        assert not torch.equal(value, first[key])
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-3, atol=2e-5)


def test_the_actors_step_moves_no_encoder_and_the_encoders_no_actor() -> None:
    made, coefficient = policy(), EntropyCoefficient(0.1, 1e-3)
    made.critic.optimizer.param_groups[0]["lr"] = 0.0
    before = copy.deepcopy(made.state_dict())
    ContrastiveStep("forward", 0.1, -1.0)(made, coefficient, pairs())
    moved = {key for key, value in made.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {key for key in before if key.startswith("actor.")}


def test_clipped_gradients_are_of_that_norm() -> None:
    made = policy()
    ContrastiveStep("forward", 0.1, -1.0, max_grad_norm=1e-3)(
        made, EntropyCoefficient(1.0, 1e-3), pairs()
    )
    for part in (made.actor, made.critic):
        norms = torch.stack([p.grad.norm() for p in part.parameters() if p.grad is not None])
        assert norms.norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_bfloat16_is_near_and_leaves_the_weights_as_they_are() -> None:
    logged = []
    for precision in ("float32", "bfloat16"):
        made = policy(actor_depth=8, critic_depth=8)
        torch.manual_seed(0)
        step = ContrastiveStep("forward", 0.1, -1.0, precision=precision)
        logged.append(step(made, EntropyCoefficient("auto", 1e-3), pairs()))
        assert all(p.dtype == torch.float32 for p in made.parameters())
    for name in ("actor_loss", "critic_loss", "logsumexp", "entropy"):
        ours, theirs = (one[name].item() for one in logged)
        assert ours == pytest.approx(theirs, rel=0.05, abs=0.1) and ours != theirs, name


def test_log_deviations_are_within_their_bounds() -> None:
    found = bounded_log_std(torch.tensor([-1e9, 0.0, 1e9]))
    assert found.tolist() == [-5.0, -1.5, 2.0]


@pytest.mark.parametrize("energy", ENERGIES)
def test_the_value_is_the_energy_of_what_is_asked(energy: str) -> None:
    made, (obs, action) = policy(energy=energy), pairs()
    value = made.value(obs["observation"], obs["desired_goal"], action)
    phi, psi = made.critic.pairs(obs["observation"], action, obs["desired_goal"])
    assert value.shape == (16,)
    torch.testing.assert_close(value, ENERGIES[energy][1](phi, psi).diagonal())


def test_1024_layers_train_on_both_sides() -> None:
    """What the paper's actor did not: its 1,024 layers diverged, and 512 were kept."""
    made = policy(
        width=16, repr_dim=16, actor_depth=1024, critic_depth=1024, final_norm=True,
        block_init="identity",
    )  # fmt: skip
    step, coefficient = ContrastiveStep("forward", 0.1, -1.0), EntropyCoefficient("auto", 1e-3)
    told = [step(made, coefficient, pairs(32, seed=i % 2)) for i in range(24)]
    assert all(value.isfinite() for logged in told for value in logged.values())
    parts = [torch.stack([t[name] for t in told]) for name in ("accuracy", "infonce", "actor_loss")]
    (first, *_, last), contrast, acting = [p.view(4, 6).mean(1) for p in parts]
    assert last > 2 * first and last > 4 / 32
    assert contrast[-1] < 0.85 * contrast[0] and acting[-1] < acting[0]
    for trunk in (made.actor.trunk, made.critic.trunk):  # layers in the middle learn as well
        assert trunk.scale.grad is not None and trunk.scale.grad[512].abs().max() > 0


# Stable-Baselines3's contract.


def test_it_learns_logs_and_draws_the_same_with_the_same_seed() -> None:
    logged: dict[str, float] = {}
    trained = []
    for seed in (0, 0, 1):
        one = model(seed=seed)
        one.learn(160, log_interval=None)
        logged = dict(one.logger.name_to_value)
        trained.append(one.policy)
    assert same_state(trained[0], trained[1]) and not same_state(trained[0], trained[2])
    assert one.num_timesteps == 160 and one._n_updates == 2 * (160 - 40) // 4
    for name in (*one.curve_columns.values(), "train/actor_loss", "train/critic_loss"):
        assert math.isfinite(logged[name]), name
    assert logged["train/n_updates"] == one._n_updates


def test_rows_of_a_vector_environment_and_steps_and_warm_up() -> None:
    one = model(points(8), train_freq=(5, "step"), gradient_steps=-1)
    one.learn(400)
    assert isinstance(one.replay_buffer, FutureReplayBuffer)
    assert one.replay_buffer.n_envs == 8 and one.replay_buffer.steps == 50
    assert one._n_updates == 400 - 40  # as many as steps, from the second rollout on
    assert one.replay_buffer.actions[:50].min() >= -1
    scaled = model(points(2, low=3.0, high=7.0))
    scaled.learn(120)
    assert isinstance(scaled.replay_buffer, FutureReplayBuffer)
    stored = scaled.replay_buffer.actions[:60]
    assert stored.min() < -0.5 and stored.max() > 0.5 and np.abs(stored).max() <= 1
    actions, _ = scaled.predict(scaled.env.reset())  # type: ignore[union-attr, arg-type]
    assert actions.min() >= 3 and actions.max() <= 7


def test_the_fresh_actor_can_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    acted = []
    original = ContrastiveRL.predict

    def predict(self: Any, *args: Any, **kwargs: Any) -> Any:
        acted.append(self.num_timesteps)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(ContrastiveRL, "predict", predict)
    for uniform in (True, False):
        acted.clear()
        model(uniform_warmup=uniform).learn(48)
        assert (0 in acted) is not uniform and 44 in acted


def test_round_trip_with_nothing_left_at_its_default(tmp_path: Path) -> None:
    assert model().policy_kwargs == TINY
    one = model(**NON_DEFAULT)
    assert one.policy.critic.trunk.checkpoint_blocks == 0  # half a GiB is plenty
    one.learn(160)
    one.save(tmp_path / "model.zip")
    seen = one.env.reset()  # type: ignore[union-attr]
    for env in (None, points()):
        again = ContrastiveRL.load(tmp_path / "model.zip", env=env, device="cpu")
        for name, value in NON_DEFAULT.items():
            if name not in ("train_freq", "learning_rate"):
                own = f"_{name}" if name == "stats_window_size" else name
                assert getattr(again, own) == value, name
        assert again.num_timesteps == one.num_timesteps and again._n_updates == one._n_updates
        assert same_state(again.policy, one.policy)
        assert same_state(again.coefficient, one.coefficient)
        ours, theirs = (m.predict(seen, deterministic=True)[0] for m in (one, again))
        np.testing.assert_array_equal(ours, theirs)
        for name in ("actor", "critic", "coefficient"):
            states = [getattr(m, name).optimizer.state_dict()["state"] for m in (one, again)]
            assert states[0].keys() == states[1].keys() != set()
            assert all(
                torch.equal(states[0][i]["exp_avg"], states[1][i]["exp_avg"]) for i in states[0]
            )
    again.learn(60, reset_num_timesteps=False)
    assert again.num_timesteps == 168 + 60 and not same_state(again.policy, one.policy)
    with pytest.raises((AssertionError, ValueError)):
        ContrastiveRL.load(tmp_path / "model.zip").learn(10)


def test_a_fixed_coefficient_is_saved_and_loaded(tmp_path: Path) -> None:
    one = model(ent_coef=0.0)
    one.learn(60)
    one.save(tmp_path / "model.zip")
    again = ContrastiveRL.load(tmp_path / "model.zip", device="cpu")
    assert again.coefficient().item() == 0.0 and again.ent_coef == 0.0
    assert same_state(again.policy, one.policy)


def test_going_on_is_bit_for_bit_the_same(tmp_path: Path) -> None:
    whole = model()
    whole.learn(100)
    whole.learn(80, reset_num_timesteps=False)
    part = model()
    part.learn(100)
    part.save(tmp_path / "model.zip")
    part.save_replay_buffer(tmp_path / "buffer.pkl")
    random = torch.get_rng_state()
    again = ContrastiveRL.load(
        tmp_path / "model.zip", env=part.env, device="cpu", force_reset=False
    )
    again.load_replay_buffer(tmp_path / "buffer.pkl", truncate_last_traj=False)
    torch.set_rng_state(random)
    again.learn(80, reset_num_timesteps=False)
    assert again.num_timesteps == whole.num_timesteps == 180
    assert same_state(again.policy, whole.policy) and not same_state(part.policy, whole.policy)


def test_episodes_end_where_environments_begin_anew(tmp_path: Path) -> None:
    one = model()
    one.learn(48)  # 12 of 20 steps
    kept: Any = one.replay_buffer
    assert not kept.ends.any()
    one.save_replay_buffer(tmp_path / "buffer.pkl")
    one.learn(8, reset_num_timesteps=False)
    assert not kept.ends.any(), "the same episodes go on"
    one.learn(8)
    assert (kept.ends[:14] == 14).all() and not kept.ends[14:].any()
    other = model(gamma=0.5)
    other.load_replay_buffer(tmp_path / "buffer.pkl")
    kept = other.replay_buffer
    assert (kept.ends[:12] == 12).all() and kept.gamma == 0.5


def test_a_training_that_a_callback_ended_goes_on_in_new_episodes() -> None:
    one = model(points(1))
    one.learn(1000, callback=StopTrainingOnMaxEpisodes(1))
    kept: Any = one.replay_buffer
    assert one.num_timesteps == 20 and kept.size() == 19  # that step has been made, and is lost
    one.learn(18, reset_num_timesteps=False)
    assert kept.size() == 37 and (kept.ends[:19] == 19).all() and not kept.ends[19:].any()


def test_a_replay_buffer_of_something_else_is_refused(tmp_path: Path) -> None:
    model(points(2)).save_replay_buffer(tmp_path / "two.pkl")
    one = model()
    kept = one.replay_buffer
    with pytest.raises(ValueError, match="'environments': 2.*'environments': 4"):
        one.load_replay_buffer(tmp_path / "two.pkl")
    one.replay_buffer = DictReplayBuffer(40, SPACE, ACTION, "cpu", 4)
    one.save_replay_buffer(tmp_path / "dict.pkl")
    one.replay_buffer = kept
    with pytest.raises(ValueError, match="found a DictReplayBuffer"):
        one.load_replay_buffer(tmp_path / "dict.pkl")
    assert one.replay_buffer is kept


@pytest.mark.filterwarnings("ignore:rich is experimental")  # of tqdm, which SB3 asks
def test_callbacks_and_progress_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saving = CheckpointCallback(20, str(tmp_path), save_replay_buffer=True, save_vecnormalize=True)
    shown = {"norm_reward": False, "norm_obs_keys": ["observation"]}
    judged = VecNormalize(points(1), training=False, **shown)
    judging = EvalCallback(judged, n_eval_episodes=1, eval_freq=25, verbose=0)
    env = VecNormalize(points(), **shown)
    model(env).learn(120, callback=[saving, judging], progress_bar=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"rl_model_80_steps.zip", "rl_model_replay_buffer_80_steps.pkl"} <= names
    assert judging.best_mean_reward >= 0


def test_normalised_observations_are_what_the_networks_see() -> None:
    env = VecNormalize(points(), norm_reward=False)
    one = model(env)
    one.learn(80)
    kept: Any = one.replay_buffer
    rng = copy.deepcopy(kept.rng)
    plain, kept.rng = kept.sample(32), rng
    seen = kept.sample(32, env=env).observations
    for key, ours in seen.items():
        rms = env.obs_rms[key]  # type: ignore[index]
        wanted = (plain.observations[key].numpy() - rms.mean) / np.sqrt(rms.var + env.epsilon)
        np.testing.assert_allclose(ours.numpy(), np.clip(wanted, -10, 10), rtol=1e-4, atol=1e-5)


def test_what_was_asked_for_outlives_another_action_space() -> None:
    """A number resolved once and saved would be the old body's."""
    buffer = io.BytesIO()
    one = model()
    assert one.entropy_aim == -1.0 and one.target_entropy == "auto"
    one.save(buffer)
    again = ContrastiveRL.load(buffer, device="cpu")
    again.action_space = spaces.Box(-1, 1, (8,), np.float32)
    assert again.entropy_aim == -4.0


def test_a_memory_budget_becomes_blocks_computed_once_more() -> None:
    settings = {"policy_kwargs": {**TINY, "actor_depth": 32, "critic_depth": 64}, "batch_size": 64}
    made = model(**settings).policy
    assert made.critic.trunk.checkpoint_blocks == 0
    cost = StepCost(made.actor_settings, made.critic_settings, 3, 2, 2, 64, repr_dim=4)
    assert cost.weights() == sum(p.numel() for p in made.parameters())
    whole, least = (sum(cost.memory(*n).values()) for n in ((0, 0), (8, 16)))
    tight = model(**settings, memory_budget=(whole + least) / 2**31)
    blocks = [trunk.checkpoint_blocks for trunk in (tight.actor.trunk, tight.critic.trunk)]
    assert tuple(blocks) == cost.checkpoints((whole + least) / 2) and min(blocks) > 0
    tight.learn(48)
    with pytest.raises(ValueError, match="memory_budget is 0.000 GiB"):
        model(**settings, memory_budget=1e-6)


def test_standardised_observations_and_goals_by_hand() -> None:
    made, plain = policy(normalize=True), policy()
    obs = pairs(batch=40).observations
    reached = 3 * obs["desired_goal"] - 7
    for one in (made, plain):
        one.observe({**obs, "achieved_goal": reached})
    assert torch.equal(made.read(obs)[0], obs["observation"]), "nothing changes before a training"
    for one in (made, plain):
        one.commit()
    assert torch.equal(plain.read(obs)[1], obs["desired_goal"])
    assert plain.state_dict().keys() < made.state_dict().keys()
    goals = torch.cat([obs["desired_goal"], reached])
    for found, values, counted in zip(
        made.read(obs), (obs["observation"], obs["desired_goal"]), (obs["observation"], goals),
        strict=True,
    ):  # fmt: skip
        wanted = (values - counted.mean(0)) / (counted.var(0, correction=0) + 1e-6).sqrt()
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("body", ["morphzoo/PointUMaze-v0", "morphzoo/AntReach-v0"])
def test_it_comes_back_from_the_zoos_format(body: str, normalize: bool, tmp_path: Path) -> None:
    env = make_ours(body, 2, seed=0)
    kwargs = {**TINY, "normalize": normalize}
    one = ContrastiveRL("MultiInputPolicy", env, seed=0, policy_kwargs=kwargs, device="cpu")
    seen = env.reset()
    one.policy.observe(seen)  # type: ignore[arg-type]
    one.policy.commit()
    again = zoo.load(zoo.save(one, tmp_path / "policy"), env)
    assert same_state(one.policy, again)
    ours, theirs = (m.predict(seen, deterministic=True)[0] for m in (one, again))
    np.testing.assert_array_equal(ours, theirs)


# Refusals.


def test_the_papers_deepest_actor_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="an actor of 516 layers without final_norm"):
        policy(width=1, actor_depth=516)
    policy(width=1, actor_depth=512, critic_depth=1024)
    policy(width=1, actor_depth=516, final_norm=True)


def test_the_longest_episode_is_found_where_there_is_one() -> None:
    assert episode_limit(points(3, steps=20)) == 20
    assert episode_limit(VecNormalize(points(2, steps=9))) == 9
    assert episode_limit(DummyVecEnv([PointEnv])) is None and episode_limit(PointRows()) is None
    ours = make_ours("morphzoo/Centipede-4-v0", 2, max_episode_steps=30, num_threads=1)
    assert episode_limit(ours) == 30
    ours.close()


class Elsewhere(PointEnv):
    """A goal environment whose space is replaced."""

    def __init__(self, space: Any = SPACE, action: Any = ACTION) -> None:
        super().__init__()
        self.observation_space, self.action_space = space, action


BOX = spaces.Box(-1, 1, (3,), np.float32)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (BOX, "expected a goal environment"),
        (spaces.Dict({"observation": BOX, "desired_goal": BOX}), "expected a goal environment"),
        (
            spaces.Dict({**goal_space(BOX), "desired_goal": BOX}),
            "goal has 2 numbers, desired_goal 3",
        ),
        (spaces.Dict({**goal_space(BOX), "speed": BOX}), r"\['speed'\] beside them"),
        (goal_space(spaces.Box(-1, 1, (3, 3), np.float32)), "observation: expected a one-dim"),
        (goal_space(spaces.Box(0, 9, (3,), np.int64)), "observation: .* floating-point"),
        (spaces.Dict({**goal_space(BOX), "achieved_goal": spaces.Discrete(4)}), "achieved_goal"),
    ],
)
def test_spaces_that_do_not_fit_are_refused_when_it_is_made(space: Any, message: str) -> None:
    env = make_vec_env(lambda: TimeLimit(Elsewhere(space), 20), n_envs=1)
    for name in ("MultiInputPolicy", "MlpPolicy")[: 1 + (space is BOX)]:
        with pytest.raises(ValueError, match=message):
            ContrastiveRL(name, env, **SMALL)
    with pytest.raises(ValueError, match=message):
        ContrastivePolicy(space, ACTION, lambda _: 0.0)


def test_actions_without_bounds_are_refused() -> None:
    endless = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    with pytest.raises(ValueError, match="without finite"):
        ContrastivePolicy(SPACE, endless, lambda _: 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"policy_kwargs": {"actor_depth": 6}},
            "actor_depth: .* found 6; take 4 or 8",
        ),
        ({"policy_kwargs": {"critic_depth": 1023}}, "critic_depth: .* take 1020 or 1024"),
        ({"policy_kwargs": {"width": 0}}, "width"),
        (
            {"policy_kwargs": {"activation": "relu", "block_init": "identity"}},
            "begins at zero, where relu has no slope",
        ),
        ({"batch_size": 16.0}, "batch_size must be a whole number, found 16.0"),
        ({"gradient_steps": 1.5}, "gradient_steps must be a whole number, found 1.5"),
        ({"gradient_steps": 0}, "expected 1 or more, or -1"),
        ({"gradient_steps": -7}, "expected 1 or more, or -1"),
        ({"train_freq": 0}, "train_freq: expected a number of steps from 1 on"),
        ({"train_freq": [50, "stop"]}, "train_freq: expected .* found"),
        ({"train_freq": (1, "episode")}, "with 4 environments episodes end at different times"),
        ({"policy_kwargs": {"repr_dim": 0}}, "repr_dim"),
        ({"policy_kwargs": {"energy": "far"}}, "energy: expected one of"),
        ({"buffer_size": 79}, "keeps 19 steps of each of 4 .* one episode of 20.*buffer_size=80"),
        ({"buffer_size": 0}, "buffer_size must be at least 1"),
        ({"gamma": 1.0}, "gamma is the chance"),
        ({"gamma": 0.0}, "gamma is the chance"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"infonce": "both"}, "infonce: expected one of .*symmetric"),
        ({"precision": "float16"}, "precision: expected one of"),
        ({"logsumexp_penalty": -0.1}, "logsumexp_penalty"),
        ({"max_grad_norm": math.nan}, "max_grad_norm"),
        ({"random_goals": 1.5}, "random_goals is a share, in 0..1, found 1.5"),
        ({"random_goals": math.nan}, "random_goals is a share"),
        ({"ent_coef": "automatic"}, "ent_coef: expected 'auto'"),
        ({"target_entropy": "half"}, "target_entropy: expected 'auto' or a number"),
        ({"learning_starts": -1}, "learning_starts"),
    ],
)
def test_values_that_do_not_fit_are_refused_when_it_is_made(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(**changes)


def test_policies_without_encoders_are_refused() -> None:
    from stable_baselines3.sac import MultiInputPolicy

    with pytest.raises(ValueError, match="found MultiInputPolicy; give 'MultiInputPolicy'"):
        ContrastiveRL(MultiInputPolicy, points(), **{**SMALL, "policy_kwargs": {}})
    with pytest.raises(ValueError, match="use_sde"):
        policy(use_sde=True)


# Training state and evaluation.


def stated(**changes: Any) -> ContrastiveRL:
    known = {"buffer_size": 60, "learning_starts": 30, "policy_kwargs": TINY, "batch_size": 8}
    return ContrastiveRL("MultiInputPolicy", PointRows(), seed=3, device="cpu", **known | changes)


class Stop(BaseCallback):
    """Ends a training before a rollout, where the state is taken."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at
        self.taken: Any = None

    def _on_rollout_start(self) -> None:
        if self.num_timesteps == self.at:
            arrays, counters = capture(self.model)
            self.taken = {k: v.copy() for k, v in arrays.items()}, json.loads(json.dumps(counters))

    def _on_step(self) -> bool:
        return self.taken is None


@pytest.mark.parametrize("at", [9, 48, 99], ids=["random actions", "learning", "overwriting"])
@pytest.mark.parametrize("changes", [{}, {"ent_coef": 0.2}], ids=["auto", "fixed"])
def test_training_goes_on_from_its_state_bit_for_bit(at: int, changes: dict) -> None:
    whole, half, again = stated(**changes), stated(**changes), stated(**changes)
    stop = Stop(at)
    half.set_random_seed(3)
    half.learn(120, callback=stop)
    again.learn(12)  # a state of its own, all of which must go
    restore(again, *stop.taken)
    again.learn(120 - at, reset_num_timesteps=False)
    whole.set_random_seed(3)
    whole.learn(120)
    assert again.num_timesteps == whole.num_timesteps and again._n_updates == whole._n_updates
    assert same_state(again.policy, whole.policy) and again._n_updates > 0
    ours, theirs = capture(again)[0], capture(whole)[0]
    assert ours.keys() == theirs.keys()
    assert {"last_obs/desired_goal", "replay/states", "action_space"} < ours.keys()
    assert [key for key in ours if not np.array_equal(ours[key], theirs[key])] == []


def test_a_state_of_another_buffer_is_refused() -> None:
    one = stated()
    one.learn(90)
    state = capture(one)
    for other in (stated(buffer_size=30), stated(buffer_size=90)):
        other.learn(30)
        with pytest.raises(ValueError, match="give buffer_size and environments of the training"):
            restore(other, *state)


def test_given_noise_acts_as_the_policy_draws() -> None:
    made, obs = policy(), points(2).reset()
    assert isinstance(obs, dict)
    torch.manual_seed(4)
    drawn = made.predict(obs)[0]
    torch.manual_seed(4)
    noise = torch.randn(2, 2).numpy()
    np.testing.assert_array_equal(made.predict_with(obs, noise), drawn)
    act = policy_actor(made, deterministic=False)
    ours, theirs = (act(obs, [np.random.default_rng(s) for s in (1, 2)]) for _ in range(2))
    assert np.array_equal(ours, theirs) and not np.array_equal(ours[0], ours[1])
    still = policy_actor(made, deterministic=True)(obs, [])
    np.testing.assert_array_equal(still, made.predict(obs, deterministic=True)[0])


@pytest.mark.slow
def test_a_point_learns_to_reach_its_goals() -> None:
    one = ContrastiveRL(
        "MultiInputPolicy", points(8, steps=30), learning_rate=1e-3, buffer_size=40_000,
        learning_starts=800, batch_size=128, gamma=0.9, gradient_steps=2, seed=0, device="cpu",
        policy_kwargs={"width": 64, "repr_dim": 16},
    )  # fmt: skip
    one.learn(12_000)
    from stable_baselines3.common.evaluation import evaluate_policy

    reached, _ = evaluate_policy(one, points(8, steps=30), n_eval_episodes=40)
    # A straight way takes 3 steps on average; standing still at the start reaches one in 80 goals.
    assert reached > 20
