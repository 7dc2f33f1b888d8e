"""ENAS: pairs of weights and colouring, its steps by hand; saved and continued bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from same_models import same
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv

from morphzoo import zoo
from morphzoo.algorithms import ALGORITHMS
from morphzoo.algorithms.centres import Generation
from morphzoo.algorithms.controllers import CONTROLLERS, FactorisedController, PointerController
from morphzoo.algorithms.enas import ENAS, PAPER
from morphzoo.algorithms.es import ES
from morphzoo.algorithms.rollouts import play
from morphzoo.policies import ChromaticPolicy, PolicyBank
from morphzoo.policies.chromatic import Coloring
from morphzoo.policies.chromatic.compactness import compactness_report
from morphzoo.recipe import Recipe
from morphzoo.sb3 import make_vec_env
from morphzoo.training import train
from morphzoo.training.curve import read_curve
from morphzoo.transfer import evaluate

SWIMMER = "morphzoo/Swimmer-v5"
SMALL: dict[str, Any] = {"hidden_sizes": [5], "num_colors": 4, "normalize": True}
CONTROLLER: dict[str, dict[str, Any]] = {
    "factorised": {"learning_rate": 0.5},
    "pointer": {"size": 4, "learning_rate": 0.1, "chunk": 3},
    "evolution": {"population": 6},
    "resample": {},
    "fixed": {},
}


def swimmer(rows: int = 4):
    return make_vec_env(SWIMMER, rows, seed=0, num_threads=1, max_episode_steps=6)


def model_of(controller: str = "factorised", rows: int = 4, **changes: Any) -> ENAS:
    keywords = {
        "controller": controller, "controller_kwargs": CONTROLLER[controller], "seed": 3,
        "population_size": 6, "exact_evaluations": 2, "policy_kwargs": SMALL, "top": 2,
        "learning_rate": 0.1, "noise_scale": 0.3, "evaluate_episodes": 2,
    }  # fmt: skip
    return ENAS("MlpPolicy", swimmer(rows), **{**keywords, **changes})


def collected(model: ENAS) -> Generation:
    """A generation that is played and not learned from."""

    class Nothing(BaseCallback):
        def _on_step(self) -> bool:
            return True

    _, callback = model._setup_learn(10, Nothing(), True, "x", False)
    callback.on_training_start({}, {})
    generation = model._collect(callback)
    assert generation is not None
    return generation


# A generation.


@pytest.mark.parametrize("pair_colors", [True, False])
def test_a_generation_is_pairs_of_weights_and_colouring_each_for_an_episode(
    pair_colors: bool,
) -> None:
    """Each pair is played again alone, by a policy that was given both."""
    model = model_of(pair_colors=pair_colors)
    first = model.policy.theta
    generation = collected(model)
    assert generation.thetas.shape == (8, model.policy.num_parameters)
    torch.testing.assert_close(generation.thetas[:6] - generation.noise, first.expand(6, -1))
    assert torch.equal(generation.noise[:3], -generation.noise[3:])
    assert torch.equal(generation.thetas[6:], first.expand(2, -1))
    colors, own = model._colors, model._seeds()
    assert len(colors) == (5 if pair_colors else 8)
    if pair_colors:
        colors = torch.cat([colors[:3], colors])
        assert torch.equal(colors[:3], colors[3:6])
    assert (own[:3] == own[3:6]).all() and len(set(own)) == 5
    alone = ChromaticPolicy(model.observation_space, model.action_space, **SMALL)
    assert model.rows is not None
    for row in range(8):
        alone.coloring = alone.coloring.with_index(colors[row].numpy())
        bank = PolicyBank(alone, generation.thetas[row : row + 1])
        played = play(model.rows, bank, own[row : row + 1])
        assert played is not None
        assert played.returns[0] == pytest.approx(float(generation.returns[row]), rel=1e-4)
    assert len(set(generation.returns.tolist())) == 8


def test_statistics_are_of_all_rollouts_and_frozen_in_a_generation() -> None:
    model = model_of()
    collected(model)
    normalizer = model.policy.normalizer
    assert not normalizer.count.any() and normalizer.pending_count.max() >= 8 * 6
    model.policy.commit()
    assert normalizer.count.max() >= 8 * 6


def test_a_fixed_start_is_one_seed_for_ever_and_others_are_apart() -> None:
    model = model_of(fixed_start=True)
    first = model._seeds()
    model._n_updates = 7
    assert set(first) == set(model._seeds()) and len(set(first)) == 1
    other = model_of()
    seeds = set(other._seeds())
    other._n_updates = 7
    assert not seeds & set(other._seeds())


@pytest.mark.parametrize(("antithetic", "exact"), [(True, 2), (False, 2), (False, 0)])
def test_the_gradient_by_hand(antithetic: bool, exact: int) -> None:
    """Noise 2 in place of 0.5 along two parameters; returns (8, 4), (2, 6), exact 1 and 3.

    Pairs: half differences (8 - 2) / 2 = 3 and (4 - 6) / 2 = -1, times 2, over 2 pairs and a
    variance of 0.25: 12 and -4. Forward, noise (2, 0), (0, 2), (-2, 0), (0, -2) and R(w) = 2:
    gains 6, 2, 0, 4: 2 (6 - 0) / (4 * 0.25) = 12 and 2 (2 - 4) = -4.
    Without exact ones R(w) is 5, their mean: gains 3, -1, -3, 1: 2 (3 + 3) = 12, 2 (-1 - 1) = -4.
    """
    model = model_of(
        population_size=4, exact_evaluations=exact, antithetic=antithetic, target="none", top=0,
        noise_scale=0.5,
    )  # fmt: skip
    size = model.policy.num_parameters
    noise = torch.zeros(4, size)
    noise[0, 0] = noise[1, 1] = 2.0
    noise[2:] = -noise[:2]
    returns = torch.tensor([8.0, 4.0, 2.0, 6.0, 1.0, 3.0][: 4 + exact], dtype=torch.float64)
    thetas = torch.zeros(4 + exact, size)
    found = model._gradient(Generation(thetas, noise, returns))
    assert found[:2].tolist() == [12.0, -4.0] and not found[2:].any()


def test_the_papers_step_is_a_tenth_of_the_mean_of_z_times_g() -> None:
    """W += 0.01 / 0.1 * mean(z g), z standardised with the mean of the exact returns among them."""
    model = model_of(paper=True, learning_rate=None, noise_scale=0.1, top=0)
    assert model.learning_rate == 0.01 and model.optimizer_name == "sgd"
    before = model.policy.theta
    generation = collected(model)
    model._train(generation)
    returns = generation.returns
    values = torch.cat([returns[:6], returns[6:].mean().unsqueeze(0)])
    z = (values - values.mean()) / values.std(correction=0)
    g = generation.noise / 0.1
    step = 0.1 * (z[:6].unsqueeze(1) * g).mean(0)
    after = model.centres.thetas.detach()[0]
    torch.testing.assert_close(after - before, step.float(), atol=1e-6, rtol=1e-4)


def test_the_controller_learns_from_what_a_pair_returned_on_average() -> None:
    model = model_of()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    learn = model.controller.learn
    model.controller.learn = lambda c, r: seen.append((c, r)) or learn(c, r)  # pyright: ignore
    generation = collected(model)
    model._train(generation)
    ((colors, returns),) = seen
    plus, minus, exact = generation.returns.split([3, 3, 2])
    assert torch.equal(returns, torch.cat([(plus + minus) / 2, exact])) and len(colors) == 5
    assert torch.equal(
        torch.from_numpy(model.policy.coloring.index.copy()), model.controller.choice()
    )


def test_with_a_fixed_colouring_it_is_es() -> None:
    """Two algorithms, one search: the same weights, bit for bit, after three generations."""
    shared: dict[str, Any] = {
        "population_size": 4, "target": "none", "seed": 5, "noise_scale": 0.2,
        "learning_rate": 0.05, "policy_kwargs": SMALL,
    }  # fmt: skip
    ours = ENAS("MlpPolicy", swimmer(), controller="fixed", **shared).learn(72)
    theirs = ES(ChromaticPolicy, swimmer(), **shared).learn(72)
    assert ours._n_updates == theirs._n_updates == 3
    assert torch.equal(ours.policy.theta, theirs.policy.theta)
    assert ours.policy.coloring == theirs.policy.coloring


# Construction.


def test_the_papers_preset_is_what_the_reference_says() -> None:
    model = ENAS("MlpPolicy", swimmer(), paper=True, policy_kwargs={"hidden_sizes": []})
    assert (model.population_size, model.exact_evaluations) == (300, 150)  # 150 pairs
    noise = model.perturbation
    assert (noise.kind, noise.scale, noise.relative, noise.antithetic) == ("gaussian", 0.1, 0, True)
    assert (model.learning_rate, model.optimizer_name, model.weight_decay) == (0.01, "sgd", 0.0)
    assert (model.target, model.top, model.weight_clip) == ("standard", 0, 0.0)
    assert not model.pair_colors and model.fixed_start
    assert isinstance(model.controller, PointerController)
    pointer = model.controller
    assert (pointer.lstm.hidden_size, pointer.attention, pointer.temperature) == (64, "additive", 1)
    assert (pointer.entropy_weight, pointer.advantages.decay) == (0.3, 0.99)
    assert model.policy.normalize and model.policy.coloring.num_colors == 8
    assert model.policy.kwargs_received["init_std"] == 1.0
    change = ENAS("MlpPolicy", swimmer(), paper=True, controller="factorised", noise_scale=0.2)
    assert isinstance(change.controller, FactorisedController)
    assert change.perturbation.scale == 0.2 and change.exact_evaluations == 150
    assert PAPER["policy_kwargs"]["normalize"], "a preset is not changed by what is made of it"
    forward = ENAS("MlpPolicy", swimmer(), paper=True, antithetic=False, population_size=150)
    assert not forward.perturbation.antithetic and forward.exact_evaluations == 150


def test_what_is_none_leaves_the_preset() -> None:
    assert ENAS("MlpPolicy", swimmer(), paper=True, population_size=None).population_size == 300


def test_what_a_loaded_search_cannot_change_is_refused(tmp_path: Path) -> None:
    ENAS("MlpPolicy", swimmer(), policy_kwargs=SMALL).save(tmp_path / "model.zip")
    for name in ("controller", "controller_kwargs", "antithetic", "pair_colors"):
        with pytest.raises(ValueError, match=f"'{name}' cannot be changed"):
            ENAS.load(tmp_path / "model.zip", env=swimmer(), **{name: None})


@pytest.mark.parametrize("controller", ["fixed", "evolution"])
def test_a_search_begins_with_the_colouring_that_its_policy_has(controller: str) -> None:
    model = ENAS("MlpPolicy", swimmer(), seed=1, controller=controller, policy_kwargs=SMALL)
    other = Coloring.make(
        "chromatic", model.policy.coloring.sizes, model.policy.coloring.num_colors, 9
    )
    assert other != model.policy.coloring
    model.policy.coloring = other
    bank, _, _ = model._draw()
    np.testing.assert_array_equal(bank.colors[0].numpy(), other.index)
    if controller == "fixed":
        model.learn(1)
        assert model.policy.coloring == other


def test_defaults_share_colouring_and_start_between_two_of_a_pair() -> None:
    model = ENAS("MlpPolicy", swimmer())
    assert model.pair_colors and model.perturbation.antithetic and not model.fixed_start
    assert isinstance(model.controller, FactorisedController) and model.population_size == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"controller": "oracle"}, "controller: expected one of"),
        ({"controller_kwargs": {"sise": 3}}, "controller_kwargs of 'factorised'"),
        ({"exact_evaluations": -1}, "exact_evaluations must be at least 0"),
        ({"exact_evaluations": 1.0}, "exact_evaluations must be a whole number"),
        ({"top": 1.0}, "top must be a whole number"),
        ({"pair_colors": True, "antithetic": False, "top": 0}, "pairs of antithetic=True"),
        ({"num_policies": 2, "population_size": 8}, "one pool is shared"),
        ({"population_size": 1, "antithetic": False, "top": 0}, "at least 2, found 1"),
        ({"population_size": 5}, "even, found 5"),
        ({"top": 4}, "top must be 0 to 3"),
        ({"target": "best"}, "target"),
        ({"policy": "CnnPolicy"}, "CnnPolicy"),
        ({"policy_kwargs": {"num_colors": 0}}, "num_colors"),
        ({"policy_kwargs": {"num_colors": 10**4}}, "the number of edges"),
        ({"policy_kwargs": {"coloring": "toeplitz"}}, "a toeplitz colouring is what it is"),
        ({"policy_kwargs": {"coloring": "masked"}}, "a masked colouring is what it is"),
        ({"population_size": 2**38}, "GiB on cpu .*colourings of"),
    ],
)
def test_what_cannot_be_is_refused_at_construction(change: dict[str, Any], message: str) -> None:
    change = {"controller_kwargs": {}, **change}
    policy = change.pop("policy", "MlpPolicy")
    keywords = {"policy_kwargs": SMALL, "population_size": 6, **change}
    with pytest.raises(ValueError, match=message):
        ENAS(policy, swimmer(), **keywords)


class Toy(gym.Env):
    """Acts on what it observes by a planted matrix; the reward is the squared error's negative."""

    observation_space: spaces.Space = spaces.Box(-9, 9, (4,), np.float32)
    action_space: spaces.Space = spaces.Box(-9, 9, (3,), np.float32)
    weights = np.array([1.0, -1.0])
    matrix = weights[np.array([[0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1]])]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = self.np_random.normal(size=4).astype(np.float32)
        return self.seen, {}

    def step(self, action):
        reward = -float(np.square(action - self.matrix @ self.seen).mean())
        self.seen = self.np_random.normal(size=4).astype(np.float32)
        return self.seen, reward, False, False, {}


class Broken(Toy):
    def step(self, action):
        seen, _, *rest = super().step(action)
        return seen, float("nan"), *rest


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("action_space", spaces.Discrete(3)),
        ("action_space", spaces.MultiDiscrete([2, 2])),
        ("observation_space", spaces.Box(0, 255, (8, 8, 3), np.uint8)),
        ("observation_space", spaces.Dict({"a": spaces.Box(-1, 1, (2,))})),
    ],
)
def test_other_spaces_are_refused(name: str, space: spaces.Space) -> None:
    env = TimeLimit(type("Other", (Toy,), {name: space})(), 2)
    with pytest.raises((ValueError, AssertionError), match="Box|action space|Discrete"):
        ENAS("ChromaticPolicy", env, population_size=2)


@pytest.mark.parametrize("algorithm", [ENAS, ES])
def test_returns_that_are_no_numbers_are_said_and_nothing_is_learned(algorithm: Any) -> None:
    kwargs = {"hidden_sizes": []}
    model = algorithm("MlpPolicy", TimeLimit(Broken(), 2), population_size=2, policy_kwargs=kwargs)
    before = model.policy.theta
    with pytest.raises(ValueError, match="2 of 2 episodes returned NaN"):
        model.learn(10)
    assert torch.equal(model.policy.theta, before)


# Learning.


def toy_return(controller: str) -> float:
    """Mean reward a step, at last, of the best of the planted matrix's 2^12 colourings or less."""
    kwargs = {"hidden_sizes": [], "num_colors": 2, "squash": False}
    env = DummyVecEnv([lambda: TimeLimit(Toy(), 6)] * 40)
    model = ENAS(
        "MlpPolicy", env, 0.05, population_size=40, seed=1, policy_kwargs=kwargs,
        noise_scale=0.1, controller=controller, evaluate_every=60, evaluate_episodes=20,
    )  # fmt: skip
    model.learn(40 * 6 * 60)
    return model.logger.name_to_value["eval/mean_reward"] / 6


def test_weights_and_colouring_of_a_planted_policy_are_found_together() -> None:
    """No policy at all returns -4 a step: the variance of four terms of weight 1."""
    assert toy_return("factorised") > -0.2
    assert toy_return("fixed") < -1


class Watch(BaseCallback):
    """Keeps what was logged of each generation."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[dict[str, float]] = []

    def _on_rollout_start(self) -> None:
        self.logged.append(dict(self.model.logger.name_to_value))

    def _on_step(self) -> bool:
        return len(self.logged) < 40


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_learning_has_stable_baselines_face(controller: str, tmp_path: Path) -> None:
    assert CONTROLLER.keys() == CONTROLLERS.keys()
    model, watch = model_of(controller), Watch()
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(150, callback=watch, log_interval=2)
    assert model._n_updates == len(watch.logged) == 4 and model.num_timesteps == 4 * 8 * 6
    logged = watch.logged[-1]
    everywhere = {
        "train/learning_rate",
        "train/n_updates",
        "train/gradient_norm",
        "train/colors_used",
    }
    everywhere |= {"train/exact_return", "train/colors_changed", "eval/mean_reward"}
    assert everywhere <= logged.keys()
    learned = controller in ("factorised", "pointer")
    assert ("train/controller_entropy" in logged) == learned
    changed = [row["train/colors_changed"] for row in watch.logged[1:]]
    assert any(changed) == (controller != "fixed")
    assert "rollout/ep_rew_mean" in (tmp_path / "progress.csv").read_text()
    model.logger.close()
    observation = model.env.reset()
    actions, _ = model.predict(observation)
    np.testing.assert_array_equal(actions, model.predict(observation, deterministic=True)[0])


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_saved_and_continued_at_tolerance_zero(controller: str, tmp_path: Path) -> None:
    whole, half = model_of(controller), model_of(controller)
    half.learn(96)
    half.save(tmp_path / "model.zip")
    torch.rand(3)  # generators of the process play no part
    loaded = ENAS.load(tmp_path / "model.zip", env=swimmer(), device="cpu")
    assert same(half, loaded) and loaded.policy.coloring == half.policy.coloring
    whole.learn(96)
    for model in (whole, loaded):
        model.learn(96, reset_num_timesteps=False)
    assert whole.num_timesteps == loaded.num_timesteps == 192
    assert same(whole, loaded) and whole.policy.coloring == loaded.policy.coloring
    assert "controller" in whole.get_parameters()


def test_same_seed_same_search_another_seed_another() -> None:
    models = [model_of(seed=seed).learn(96) for seed in (1, 1, 2)]
    assert same(models[0], models[1]) and not same(models[0], models[2])


def test_as_many_pairs_as_there_are_play_side_by_side_to_about_the_same_end() -> None:
    """Rows are batches of another size, whose matrix products round otherwise."""
    returns = [collected(model_of(rows=rows)).returns for rows in (3, 8)]
    torch.testing.assert_close(returns[0], returns[1], rtol=1e-3, atol=1e-4)


def test_the_zoo_takes_what_was_found(tmp_path: Path) -> None:
    model = model_of().learn(96)
    folder = zoo.save(model, tmp_path / "mine", env_id=SWIMMER)
    config = zoo.read_config(folder)
    assert (config["algorithm"], config["policy"]) == ("enas", "chromatic")
    with gym.make(SWIMMER) as env:
        loaded = zoo.load(folder, env)
    assert loaded.coloring == model.policy.coloring
    assert compactness_report(loaded) == compactness_report(model)
    table = evaluate(
        loaded, SWIMMER, 2, 0, True, num_threads=1, env_kwargs={"max_episode_steps": 4}
    )
    assert np.isfinite(table.returns).all()


RUN: dict[str, Any] = {
    "env": SWIMMER, "policy": "chromatic", "steps": 240, "seed": 3, "n_envs": 4,
    "policy_kwargs": SMALL, "checkpoint_every": 40, "evaluate_every": 100, "evaluate_episodes": 2,
    "env_kwargs": {"max_episode_steps": 6}, "algorithm": "enas", "schedule": "constant",
}  # fmt: skip


@pytest.mark.parametrize("controller", ["factorised", "evolution"])
def test_a_recipe_paused_and_resumed_gives_the_uninterrupted_runs_files(
    controller: str, tmp_path: Path
) -> None:
    kwargs = {
        "controller": controller, "controller_kwargs": CONTROLLER[controller],
        "population_size": 6, "exact_evaluations": 2,
    }  # fmt: skip
    recipe = Recipe.from_dict({**RUN, "algorithm_kwargs": kwargs})
    train(recipe, tmp_path / "a", progress=False)
    train(recipe, tmp_path / "b", progress=False, pause_at=100)
    assert not (tmp_path / "b" / "final").exists()
    torch.rand(1)
    train(recipe, tmp_path / "b", progress=False, resume=True)
    for file in ("curve.csv", "final/model.safetensors", "best/model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    curve = read_curve(tmp_path / "a" / "curve.csv")
    assert np.isfinite(curve["colors_used"]).all() and np.isfinite(curve["exact_return"]).all()


def test_every_search_of_ours_trains_it_from_a_recipe() -> None:
    assert ALGORITHMS["enas"] is ENAS
    with pytest.raises(ValueError, match="Did you mean 'controller'"):
        train(Recipe.from_dict({**RUN, "algorithm_kwargs": {"controler": "fixed"}}), Path("unused"))


# CatCMA, of the extra "search".


def test_without_its_package_the_joint_controller_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(ValueError, match=r"pip install 'morphzoo\[search\]'"):
        ENAS("MlpPolicy", swimmer(), controller="catcma", policy_kwargs=SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exact_evaluations": 2}, "exact_evaluations=0"),
        ({"controller_kwargs": {"size": 3}}, "no controller_kwargs"),
        ({"noise_scale_end": 0.01}, "of the noise its noise_scale alone"),
        ({"noise": "uniform"}, "of the noise its noise_scale alone"),
        ({"weight_clip": 0.1}, "neither weight_clip"),
        ({"weight_decay": 0.1}, "nor weight_decay"),
        ({"pair_colors": True}, "without catcma"),
        ({"policy_kwargs": {**SMALL, "num_colors": 1}, "population_size": 4}, "2 colours"),
    ],
)
def test_what_the_joint_controller_has_not_is_refused(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ENAS("MlpPolicy", swimmer(), controller="catcma", **{"policy_kwargs": SMALL, **change})


def test_the_joint_controller_begins_with_the_weights_that_its_policy_has() -> None:
    keywords = {"controller": "catcma", "population_size": 64, "policy_kwargs": SMALL}
    model = ENAS("MlpPolicy", swimmer(), seed=2, noise_scale=1e-3, **keywords)
    model.policy.theta = torch.full_like(model.policy.theta, 3.0)
    model.learn(1)
    assert (model.policy.theta - 3.0).abs().max() < 0.1


def test_the_joint_controller_moves_weights_and_colours_and_is_continued(tmp_path: Path) -> None:
    def joint() -> ENAS:
        return ENAS(
            "MlpPolicy", swimmer(), seed=2, controller="catcma", population_size=8,
            policy_kwargs=SMALL, noise_scale=0.2,
        )  # fmt: skip

    whole, half = joint(), joint()
    first, colors = half.policy.theta, half.policy.coloring
    half.learn(144)
    assert half._n_updates == 3
    assert bool((half.policy.theta != first).all()) and half.policy.coloring != colors
    torch.testing.assert_close(half.controller.theta(), half.policy.theta)
    half.save(tmp_path / "model.zip")
    loaded = ENAS.load(tmp_path / "model.zip", env=swimmer(), device="cpu")
    assert same(half, loaded)
    whole.learn(144)
    for model in (whole, loaded):
        model.learn(144, reset_num_timesteps=False)
    assert same(whole, loaded) and whole.policy.coloring == loaded.policy.coloring
    with pytest.raises(ValueError, match="population_size of at least 4"):
        ENAS("MlpPolicy", swimmer(3), controller="catcma", policy_kwargs=SMALL)
