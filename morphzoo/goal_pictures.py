"""What a contrastive critic has learned of a maze: energies over it, and a way in the embedding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch

from morphzoo import zoo
from morphzoo.envs.goals.arena import Maze
from morphzoo.envs.goals.shortest_path import path_length, shortest_path
from morphzoo.files import PathLike
from morphzoo.plots import GREY, INK, save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = "viridis"
_SEEDS = 300  # of episodes among which different goals are looked for


@dataclasses.dataclass(frozen=True)
class Journey:
    """One episode of a policy by mean actions, and how its critic sees it.

    Attributes:
        goal: float64[G] (m).
        path: float64[T, 2], x and y at each step (m).
        phi: float32[T, R], embeddings of states and actions.
        psi: float32[R], embedding of the goal.
        time_at_goal: steps.
    """

    goal: np.ndarray
    path: np.ndarray
    phi: np.ndarray
    psi: np.ndarray
    time_at_goal: int


def maze_of(env: gym.Env) -> Maze:
    """Return the maze that an environment is in.

    Raises:
        ValueError: it is in none.
    """
    arena = getattr(getattr(env.unwrapped, "task", None), "arena", None)
    if not isinstance(arena, Maze):
        raise ValueError(f"energies are drawn over a maze, and {env} has none: give a ...Maze id")
    return arena


@torch.no_grad()
def journey(policy: Any, env: gym.Env, seed: int) -> Journey:
    """Play one episode.

    Args:
        policy: a `GoalPolicy`.
        env: its environment, a maze with a time limit.
        seed: of the episode.
    """
    obs, _ = env.reset(seed=seed)
    steps, time_at_goal, over = [], 0, False
    while not over:
        action, _ = policy.predict(obs, deterministic=True)
        steps.append((obs["observation"], policy.scale_action(action)))
        obs, reward, terminated, truncated, _ = env.step(action)
        time_at_goal += int(float(reward) > 0)
        over = terminated or truncated
    states, actions = (torch.as_tensor(np.stack(part)).float() for part in zip(*steps, strict=True))
    goals = torch.as_tensor(obs["desired_goal"]).float().expand(len(states), -1)
    state, known = policy.read({"observation": states, "desired_goal": goals})
    phi, psi = policy.critic.pairs(state, actions, known)
    path = states[:, :2].double().numpy()
    return Journey(goals[0].double().numpy(), path, phi.numpy(), psi[0].numpy(), time_at_goal)


def journeys(policy: Any, env: gym.Env, num: int) -> list[Journey]:
    """Play episodes to so many goals, from near to as far as the maze has them, or to all."""
    maze = maze_of(env)
    ways = [path_length(shortest_path(maze, maze.start, tuple(goal))) for goal in maze.goals]
    chosen = np.linspace(len(ways) - 1, 0, min(num, len(ways))).round().astype(int)[::-1]
    wanted = maze.goals[np.argsort(ways, kind="stable")[chosen]]
    seeds: dict[tuple[float, ...], int] = {}
    for seed in range(_SEEDS):
        obs, _ = env.reset(seed=seed)
        seeds.setdefault(tuple(obs["desired_goal"][:2].tolist()), seed)
        if all(tuple(goal) in seeds for goal in wanted.tolist()):
            break
    drawn = np.array(list(seeds))  # some mazes draw goals around their cells, not at the centres
    nearest = [drawn[np.linalg.norm(drawn - goal, axis=1).argmin()] for goal in wanted]
    return [journey(policy, env, seeds[tuple(goal.tolist())]) for goal in nearest]


@torch.no_grad()
def energies(policy: Any, env: gym.Env, goal: np.ndarray, per_cell: int = 10) -> np.ndarray:
    """Return how good the mean action is on the way to a goal, from everywhere in a maze.

    The robot is put there as it starts, but for x and y, the first two numbers of its state.

    Args:
        policy: a `GoalPolicy`.
        env: its environment, a maze.
        goal: float64[G] (m).
        per_cell: points along a cell's side.

    Returns:
        float32[rows * per_cell, columns * per_cell], x along the first axis; NaN in walls.
    """
    maze = maze_of(env)
    (left, bottom), (right, top) = maze.corners
    step = maze.cell / per_cell
    x = np.arange(left + step / 2, right, step)
    y = np.arange(bottom + step / 2, top, step)
    places = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    obs, _ = env.reset(seed=0)
    states = np.tile(obs["observation"], (len(places), 1))
    states[:, :2] = places
    goals = torch.as_tensor(goal).float().expand(len(places), -1)
    given = {"observation": torch.as_tensor(states), "desired_goal": goals}
    actions = policy(given, deterministic=True)
    values = policy.value(given["observation"], goals, actions).numpy()
    walls = maze.walls()[:, None]
    inside = ((places > walls[:, :, 0]) & (places < walls[:, :, 1])).all(2).any(0)
    return np.where(inside, np.nan, values).reshape(len(x), len(y))


def maze_figure(policy: Any, env: gym.Env, num: int = 3) -> Figure:
    """Draw, for some goals: energies over the maze with a way to the goal, and the embedding of it.

    Mazes lie as they are printed: x runs down, y to the right. Embeddings are shown in the plane in
    which those of the way and its goal differ most.

    Args:
        policy: a `GoalPolicy` for the environment.
        env: a maze.
        num: goals.

    Returns:
        The figure; `plots.save_png` writes it.
    """
    from matplotlib.figure import Figure

    found = journeys(policy, env, num)
    figure = Figure(figsize=(0.8 + 3.6 * len(found), 7.2), layout="constrained")
    panels = figure.subplots(2, len(found), squeeze=False)
    drawn = None
    for one, above, below in zip(found, *panels, strict=True):
        drawn = _draw_energies(above, maze_of(env), energies(policy, env, one.goal), one)
        _draw_embedding(below, one)
    assert drawn is not None
    figure.colorbar(drawn, ax=list(panels[0]), label="energy, from least to most", ticks=[])
    return figure


def draw(name: str, out: PathLike, env_id: str | None = None, num: int = 3) -> None:
    """Draw `maze_figure` of a checkpoint.

    Args:
        name: bundled name, folder, or hf:// address.
        out: PNG file to write.
        env_id: maze; by default the one trained in.
        num: goals.

    Raises:
        ValueError: if there is no such checkpoint, or nothing to draw on.
    """
    config = zoo.read_config(name)
    if not (env_id or config["env_id"]):
        raise ValueError(f"'{name}' does not say what it was trained in: give a maze's id as --env")
    with gym.make(env_id or config["env_id"], **({} if env_id else config["env_kwargs"])) as env:
        save_png(maze_figure(zoo.load(name, env), env, num), out)


def _draw_energies(axes: Axes, maze: Maze, values: np.ndarray, one: Journey) -> Any:
    """Draw energies by rank, so that those near the goal do not leave one colour to the rest."""
    known = np.isfinite(values)
    ranks = np.full_like(values, np.nan)
    ranks[known] = values[known].argsort().argsort() / max(known.sum() - 1, 1)
    (left, bottom), (right, top) = maze.corners
    axes.set_facecolor(GREY)
    drawn = axes.imshow(ranks, cmap=_COLOURS, extent=(bottom, top, right, left))
    axes.plot(one.path[:, 1], one.path[:, 0], color="white", lw=1.6)
    axes.plot(one.path[0, 1], one.path[0, 0], "o", color="white", ms=6, mec=INK)
    axes.plot(one.goal[1], one.goal[0], "*", color="#d1495b", ms=15, mec="white")
    axes.set_xticks([])
    axes.set_yticks([])
    steps = f"{one.time_at_goal} of {len(one.path)} steps at the goal"
    axes.set_title(steps, fontsize=10, color=INK)
    return drawn


def _draw_embedding(axes: Axes, one: Journey) -> None:
    """Draw the way and its goal in the plane of their first two principal components."""
    points = planar(np.concatenate([one.phi, one.psi[None]]))
    way, goal = points[:-1], points[-1]
    axes.plot(*way.T, color=GREY, lw=0.6, zorder=1)
    axes.scatter(*way.T, c=np.arange(len(way)), cmap="cividis", s=10, zorder=2)
    axes.plot(*way[0], "o", color="white", ms=7, mec=INK)
    axes.plot(*goal, "*", color="#d1495b", ms=15, mec="white", zorder=3)
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelsize=8, colors=GREY)
    axes.set_title("embeddings of its states and actions, and of the goal", fontsize=9, color=INK)


def planar(points: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Return points, float[n, R], in the plane of their first two principal components."""
    centred = np.asarray(points, dtype=np.float64)
    centred = centred - centred.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    return centred @ axes.T
