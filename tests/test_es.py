"""Evolution strategies: noise, targets and estimates worked by hand; a linear-quadratic toy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from morphzoo.algorithms.centres import Generation
from morphzoo.algorithms.es import ES
from morphzoo.algorithms.gradients import antithetic, forward_difference, top_directions
from morphzoo.algorithms.perturbations import Perturbation
from morphzoo.algorithms.schedules import ExponentialSchedule
from morphzoo.algorithms.streams import NOISE, Streams
from morphzoo.algorithms.targets import TARGETS

THETA = torch.tensor([0.5, -0.2, 0.0])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# Noise.


def test_widths_by_hand() -> None:
    absolute = Perturbation(scale=0.05)
    torch.testing.assert_close(absolute.width(THETA), torch.full((3,), 0.05))
    relative = Perturbation("uniform", scale=0.3, relative=True)
    torch.testing.assert_close(relative.width(THETA), torch.tensor([0.15, 0.06, 0.0]))
    torch.testing.assert_close(relative.std(THETA), torch.tensor([0.15, 0.06, 0.0]) / math.sqrt(3))
    floored = Perturbation("uniform", scale=0.3, relative=True, floor=0.4)
    torch.testing.assert_close(floored.width(THETA), torch.tensor([0.15, 0.12, 0.12]))


def test_the_width_moves_in_a_straight_line() -> None:
    falling = Perturbation("uniform", scale=0.3, relative=True, scale_end=0.1)
    torch.testing.assert_close(falling.width(THETA), torch.tensor([0.15, 0.06, 0.0]))
    torch.testing.assert_close(falling.at(0.5).width(THETA), torch.tensor([0.1, 0.04, 0.0]))
    torch.testing.assert_close(falling.at(1).std(THETA[:1]), torch.tensor([0.05]) / math.sqrt(3))
    rising = Perturbation(scale=0.1, scale_end=0.2).at(0.25)
    torch.testing.assert_close(rising.width(THETA), torch.full((3,), 0.125))
    assert Perturbation(scale=0.1).at(0.7).scale_now == 0.1
    held = Perturbation(scale=0.1, scale_end=0.02, hold=0.6)
    scales = [held.at(done).scale_now for done in (0, 0.6, 0.8, 1)]
    assert scales == pytest.approx([0.1, 0.1, 0.06, 0.02])


def test_a_training_ends_with_the_noise_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten generations of 400 steps: the k-th (from 0) has passed k tenths."""
    scales, spreads, train = [], [], ES._train

    def watched(self: ES, generation: Generation) -> None:
        scales.append(self.perturbation.scale_now)
        spreads.append(float(generation.noise.std()))
        train(self, generation)

    monkeypatch.setattr(ES, "_train", watched)
    model = toy(population_size=200, noise_scale_end=0.12)
    model.learn(4000)
    np.testing.assert_allclose(scales, 0.02 + 0.01 * np.arange(10))
    np.testing.assert_allclose(spreads, scales, rtol=0.25)
    model.save(tmp_path / "model.zip")
    scales.clear()
    loaded = ES.load(tmp_path / "model.zip", env=model.get_env())
    loaded.learn(4000, reset_num_timesteps=False)  # stands at half of 8,000 steps
    np.testing.assert_allclose(scales, 0.07 + 0.005 * np.arange(10))


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_noise_has_the_deviation_that_is_told_and_zero_weights_stay(kind: str) -> None:
    perturbation = Perturbation(kind, scale=0.3, relative=True)
    noise = perturbation.draw(THETA, 20_000, generator())
    torch.testing.assert_close(noise.std(0), perturbation.std(THETA), rtol=0.02, atol=0)
    torch.testing.assert_close(noise.mean(0), torch.zeros(3), rtol=0, atol=5e-3)
    assert not noise[:, 2].any()
    if kind == "uniform":
        assert bool((noise.abs() <= perturbation.width(THETA)).all())


def test_noise_is_clipped_itself_and_mirrored() -> None:
    clipped = Perturbation(scale=1.0, clip=0.3).draw(THETA, 200, generator())
    assert clipped.max() == 0.3 and clipped.min() == -0.3
    noise = Perturbation(antithetic=True).draw(THETA, 6, generator())
    assert torch.equal(noise[3:], -noise[:3]) and not torch.equal(noise[0], noise[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "pink"}, "gaussian"),
        ({"scale": 0.0}, "above 0"),
        ({"scale": math.nan}, "above 0"),
        ({"scale_end": 0.0}, "noise_scale_end must be above 0"),
        ({"hold": 0.5}, "give noise_scale_end"),
        ({"floor": 0.1}, "give noise_relative=True"),
        ({"hold": 1.0, "scale_end": 0.1}, r"noise_hold must be in \[0, 1\)"),
        ({"floor": -1.0}, "noise_floor"),
        ({"clip": -1.0}, "noise_clip"),
    ],
)
def test_wrong_noise_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Perturbation(**change)


def test_streams_follow_from_seed_and_generation_and_pairs_share_their_start() -> None:
    streams = Streams(3)
    assert torch.equal(*(torch.rand(4, generator=streams.generator(5, NOISE)) for _ in range(2)))
    others = [streams.words(6, NOISE, 4), streams.words(5, 1, 4), Streams(4).words(5, NOISE, 4)]
    assert not any(np.array_equal(streams.words(5, NOISE, 4), other) for other in others)
    seeds = streams.episode_seeds(0, 12, num_policies=2, antithetic=True)
    assert len(set(seeds)) == 6
    assert (seeds[:3] == seeds[3:6]).all() and (seeds[6:9] == seeds[9:]).all()
    assert len(set(streams.episode_seeds(0, 12, 2, antithetic=False))) == 12
    assert Streams(None).seed != Streams(None).seed


# Targets and schedules.


@pytest.mark.parametrize(
    ("name", "returns", "expected"),
    [
        ("none", [3.0, 1.0], [3.0, 1.0]),
        ("standard", [1.0, 2.0, 3.0, 4.0], [-1.5, -0.5, 0.5, 1.5]),  # over sqrt(1.25), below
        ("rank", [10.0, -5.0, 1e9, 0.0, 2.0], [0.25, -0.5, 0.5, -0.25, 0.0]),
        ("rank", [7.0, 7.0, 1.0], [0.25, 0.25, -0.5]),  # ranks 1 and 2 of 0..2 are shared: 1.5
        ("rank", [4.0], [0.0]),
        ("standard", [2.0, 2.0], [0.0, 0.0]),
        ("log", [0.0, 0.001, 0.003, 0.007], [-1.5, -0.5, 0.5, 1.5]),  # log 1, 2, 4, 8
        ("log", [-0.003, 0.003], [-1.0, 1.0]),
    ],
)
def test_targets_by_hand(name: str, returns: list[float], expected: list[float]) -> None:
    wanted = torch.tensor(expected, dtype=torch.float64)
    if len(expected) == 4:
        wanted = wanted / math.sqrt(1.25)
    found = TARGETS[name](torch.tensor(returns, dtype=torch.float64))
    torch.testing.assert_close(found, wanted)


def test_the_papers_rate_in_closed_form() -> None:
    rate = ExponentialSchedule(1e-3, 1e-7)
    # Progress 0, 1/4, 1/2, 1: a factor of ten for each quarter. Beyond the end it stays.
    for remaining, expected in ((1.0, 1e-3), (0.75, 1e-4), (0.5, 1e-5), (0.0, 1e-7), (-0.2, 1e-7)):
        assert rate(remaining) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="above 0"):
        ExponentialSchedule(1e-3, 0.0)
    assert rate == ExponentialSchedule(1e-3, 1e-7) != ExponentialSchedule(1e-3, 1e-6)


# Estimates.


def test_estimates_by_hand() -> None:
    noise = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    plus, minus = torch.tensor([3.0, 10.0]), torch.tensor([1.0, 4.0])
    variance = torch.tensor([0.5, 4.0])
    # Half differences 1 and 3; (1 * 1) / (2 * 0.5) = 1 and (3 * 2) / (2 * 4) = 0.75.
    assert antithetic(noise, plus, minus, variance).tolist() == [1.0, 0.75]
    # (3 * 1) / (2 * 0.5) = 3; (10 * 2) / (2 * 4) = 2.5; no variance, no gradient.
    assert forward_difference(noise, plus, variance).tolist() == [3.0, 2.5]
    assert forward_difference(noise, plus, torch.tensor([0.0, 4.0])).tolist() == [0.0, 2.5]
    # The better pair is the second: returns 10 and 4 deviate by 3; 6 * 2 / (1 * 3 * 2) = 2.
    assert top_directions(noise, plus, minus, torch.tensor([1.0, 2.0]), 1).tolist() == [0.0, 2.0]
    equal = torch.ones(2)
    assert not top_directions(noise, equal, equal, torch.tensor([1.0, 2.0]), 2).any()


def test_pairs_give_a_quadratics_gradient_exactly_by_hand() -> None:
    """J = -(x^2 + 3 y^2) / 2 + x y + 2 x at (1, -2): gradient (-1 - 2 + 2, 6 + 1) = (-1, 7).

    The two of a pair cancel the even terms, so noise sqrt(2) sigma along each axis, of variance
    sigma^2 a parameter, gives it exactly, whatever sigma is.
    """

    def value(point: torch.Tensor) -> torch.Tensor:
        x, y = point.unbind(-1)
        return -(x**2 + 3 * y**2) / 2 + x * y + 2 * x

    point, sigma = torch.tensor([1.0, -2.0], dtype=torch.float64), 0.7
    noise = math.sqrt(2) * sigma * torch.eye(2, dtype=torch.float64)
    found = antithetic(noise, value(point + noise), value(point - noise), torch.tensor(sigma**2))
    torch.testing.assert_close(found, torch.tensor([-1.0, 7.0], dtype=torch.float64))


class Regulator(gym.Env):
    """x' = x + u, reward -(x'^2 + u^2), from x = 1: with u = k x over 2 steps worked out below."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = np.ones(1)
        return self.x.copy(), {}

    def step(self, action):
        action = np.asarray(action, dtype=np.float64)
        self.x = self.x + action
        reward = -float(self.x[0] ** 2 + action[0] ** 2)
        return self.x.copy(), reward, False, False, {}


class Bounded(Regulator):
    """The same with the bounds that Stable-Baselines3 asks for."""

    action_space = spaces.Box(-100, 100, (1,), np.float32)


LINEAR: dict[str, Any] = {"hidden_sizes": [], "squash": False}


def toy(**kwargs) -> ES:
    env = TimeLimit(Bounded(), 2)
    settings = {"population_size": 2000, "noise_scale": 0.02, "target": "none", "optimizer": "sgd"}
    keywords: dict[str, Any] = {**settings, "evaluate_every": 0, "seed": 0, **kwargs}
    return ES("MlpPolicy", env, 0.01, policy_kwargs=LINEAR, **keywords)


@pytest.mark.parametrize("antithetic", [True, False])
def test_a_step_on_a_linear_quadratic_toy_follows_the_gradient_worked_by_hand(
    antithetic: bool,
) -> None:
    """With u = k x + b from x0 = 1 at k = -0.5, b = 0: x1 = 0.5, x2 = 0.25, u0 = -0.5, u1 = -0.25.

    J = -(x1^2 + u0^2 + x2^2 + u1^2). By k: dx1 = x0 = 1 = du0, du1 = x1 + k dx1 = 0,
    dx2 = dx1 + du1 = 1, so dJ = -2 (0.5 * 1 - 0.5 * 1 + 0.25 * 1 - 0.25 * 0) = -0.5.
    By b: dx1 = 1 = du0, du1 = k dx1 + 1 = 0.5, dx2 = 1.5,
    so dJ = -2 (0.5 - 0.5 + 0.25 * 1.5 - 0.25 * 0.5) = -0.5.
    """
    model = toy(antithetic=antithetic)
    model.policy.theta = torch.tensor([-0.5, 0.0])
    model.learn(4000)
    assert model.num_timesteps == 4000 and model._n_updates == 1
    gradient = (model.policy.theta - torch.tensor([-0.5, 0.0])) / 0.01
    torch.testing.assert_close(gradient, torch.tensor([-0.5, -0.5]), atol=0.06, rtol=0)


def test_the_toy_is_solved() -> None:
    """Best of two steps: u0 = -0.6, u1 = -0.2, J = -0.6 (completing squares backwards)."""
    model = toy(population_size=64, optimizer="adam", top=8, evaluate_every=1)
    model.learning_rate = 0.05
    model._setup_lr_schedule()
    model.learn(128 * 60)
    assert model.logger.name_to_value["eval/mean_reward"] == pytest.approx(-0.6, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"population_size": 7}, "even, found 7"),
        ({"population_size": 8, "num_policies": 3}, "multiple of num_policies"),
        ({"population_size": 8, "num_policies": 4, "top": 2}, "top must be 0 to 1"),
        ({"population_size": 1, "antithetic": False}, "at least 2, found 1"),
        ({"population_size": -2}, "population_size"),
        ({"target": "best"}, "target"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"noise": "pink"}, "noise"),
        ({"weight_clip": -0.1}, "weight_clip"),
        ({"evaluate_episodes": 0}, "evaluate_episodes"),
        ({"population_size": 2**40}, "GiB on cpu .*1,099,511,627,776 policies of 2 parameters"),
    ],
)
def test_what_cannot_be_is_refused_at_construction(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        toy(**change)


def test_an_environment_without_a_time_limit_is_refused_at_construction() -> None:
    with pytest.raises(ValueError, match="no time limit"):
        ES("MlpPolicy", Bounded(), population_size=2)
