"""Energies over a maze and ways in the embedding: the numbers that the pictures show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from morphzoo import zoo
from morphzoo.goal_pictures import draw, energies, journey, journeys, maze_figure, maze_of, planar
from morphzoo.policies.contrastive import ContrastivePolicy
from morphzoo.policies.energies import ENERGIES

ROOT = Path(__file__).parents[1]
MAZE = ("#####", "#G.R#", "###G#", "#####")  # a corridor with a corner: 3 + 1 free cells


@pytest.fixture
def env():
    with gym.make("morphzoo/PointUMaze-v0", maze=MAZE, max_episode_steps=30) as made:
        yield made


@pytest.fixture
def policy(env) -> ContrastivePolicy:
    torch.manual_seed(0)
    made = ContrastivePolicy(
        env.observation_space, env.action_space, lambda _: 1e-3, width=16, repr_dim=4
    )
    made.set_training_mode(False)
    return made


def test_energies_are_the_critics_at_every_place_outside_of_walls(env, policy) -> None:
    goal = np.array([1.0, 1.0])
    found = energies(policy, env, goal, per_cell=4)
    assert found.shape == (16, 20)
    free = np.isfinite(found).reshape(4, 4, 5, 4)
    cells = np.array([[mark != "#" for mark in row] for row in MAZE])
    assert (free.all((1, 3)) == cells).all() and (free.any((1, 3)) == cells).all()
    # The third point of four along x, the first along y, in the cell of row 2 and column 3.
    obs, _ = env.reset(seed=0)
    state = torch.tensor([[2.125, 2.625, *obs["observation"][2:].tolist()]])
    wanted = torch.as_tensor(goal[None]).float()
    with torch.no_grad():
        action = policy({"observation": state, "desired_goal": wanted}, deterministic=True)
        value = policy.value(state, wanted, action)
    assert found[2 * 4 + 2, 3 * 4] == pytest.approx(float(value), abs=1e-6)


def test_a_journey_is_the_episode_and_its_embedding(env, policy) -> None:
    one = journey(policy, env, 3)
    obs, _ = env.reset(seed=3)
    places, actions, rewards, states = [], [], [], []
    for _ in range(30):
        states.append(obs["observation"])
        action, _ = policy.predict(obs, deterministic=True)
        actions.append(action)
        places.append(obs["achieved_goal"])
        obs, reward, *_ = env.step(action)
        rewards.append(reward)
    np.testing.assert_array_equal(one.path, np.array(places))
    np.testing.assert_array_equal(one.goal, obs["desired_goal"])
    assert one.time_at_goal == sum(rewards)
    phi, psi = torch.as_tensor(one.phi), torch.as_tensor(one.psi)
    goals = torch.as_tensor(obs["desired_goal"]).expand(30, -1)
    values = policy.value(torch.tensor(np.array(states)), goals, torch.tensor(np.array(actions)))
    again = ENERGIES[policy.energy][0](phi, psi.expand(30, -1))
    torch.testing.assert_close(again, values.detach(), rtol=0, atol=1e-5)


def test_goals_are_from_near_to_far_and_no_more_than_there_are(env, policy) -> None:
    goals = [tuple(one.goal) for one in journeys(policy, env, 5)]
    assert goals == [(2.0, 3.0), (1.0, 1.0)]
    (furthest,) = journeys(policy, env, 1)
    assert tuple(furthest.goal) == (1.0, 1.0)


def test_points_that_lie_in_a_plane_keep_their_distances() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(9, 2))
    axes = np.linalg.qr(rng.normal(size=(7, 2)))[0]
    shown = planar(flat @ axes.T + 3.0)
    apart = [np.linalg.norm(p[:, None] - p, axis=2) for p in (flat, shown)]
    np.testing.assert_allclose(apart[0], apart[1], atol=1e-12)


def test_the_figure_shows_both_for_each_goal(env, policy) -> None:
    figure = maze_figure(policy, env, 2)
    maps, ways = figure.axes[:2], figure.axes[2:4]
    for axes in maps:
        assert "of 30 steps at the goal" in axes.get_title() and len(axes.get_images()) == 1
        assert list(axes.get_images()[0].get_extent()) == [-0.5, 4.5, 3.5, -0.5]  # x down, y right
    assert all(len(axes.collections[0].get_offsets()) == 30 for axes in ways)


def test_goals_around_a_cell_are_taken_for_it() -> None:
    with gym.make("morphzoo/AntPush-v0", max_episode_steps=3) as env:
        one = ContrastivePolicy(env.observation_space, env.action_space, lambda _: 0.0, width=8)
        found = journeys(one, env, 2)
        for way, cell in zip(found, maze_of(env).goals, strict=True):
            assert (way.goal[:2] >= cell).all() and (way.goal[:2] <= cell + 2.0).all()


def test_a_policy_of_an_unknown_maze_asks_for_one(policy, tmp_path: Path) -> None:
    folder = zoo.save(policy, tmp_path / "policy")
    with pytest.raises(ValueError, match="give a maze's id as --env"):
        draw(str(folder), tmp_path / "maze.png")


def test_without_a_maze_there_is_nothing_to_draw_on(policy) -> None:
    with gym.make("morphzoo/AntReach-v0") as env, pytest.raises(ValueError, match="over a maze"):
        energies(policy, env, np.zeros(2))


def test_the_script_draws_a_saved_policy(env, policy, tmp_path: Path) -> None:
    folder = zoo.save(policy, tmp_path / "policy", env_id="morphzoo/PointUMaze-v0")
    script = [sys.executable, "zoo_scripts/goal_pictures.py", str(folder), "--goals", "1"]
    out = tmp_path / "maze.png"
    subprocess.run([*script, "--out", str(out)], cwd=ROOT, check=True, capture_output=True)
    assert out.read_bytes().startswith(b"\x89PNG")
