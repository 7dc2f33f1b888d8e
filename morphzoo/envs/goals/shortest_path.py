"""The shortest way through a maze, and the time at a goal that no robot can exceed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np

from morphzoo.envs.goals.arena import Maze, Point
from morphzoo.envs.goals.layouts import WALL

_LEAST = 1e-6  # clearance (m) that closes the gap between walls that touch at an edge
_SLACK = 1e-9  # a path may lie in the boundary of a wall grown by the clearance (m)


def shortest_path(maze: Maze, start: Point, goal: Point, clearance: float = 0.0) -> np.ndarray:
    """Return the shortest way between two points, around the corners of the walls.

    The shortest way among walls bends at their convex corners alone, so it is searched for among
    the straight lines between start, corners and goal that cross no wall (Dijkstra's algorithm).

    Args:
        maze: where.
        start: x, y (m, world frame).
        goal: likewise.
        clearance: distance (m) along x and y that is kept from every wall, such as a robot's
            radius. With 0 the length is that for a point, which no robot goes below. Else corners
            are passed at their square distance, a little wider than a round robot must.

    Returns:
        float64[k, 2]: start, corners, goal.

    Raises:
        ValueError: if a point lies in a wall, or no way is as wide as that.
    """
    import networkx

    clearance = max(float(clearance), _LEAST)
    boxes, corners, graph = _visibility(maze, clearance)
    ends = np.array([start, goal], dtype=np.float64)
    for name, end in zip(("start", "goal"), ends, strict=True):
        (low, high), inside = maze.corners, _inside(end[None], boxes)[0]
        if inside or not ((end > low) & (end < high)).all():
            raise ValueError(
                f"{name}: expected a point at least {clearance:g} m from every wall, found "
                f"{tuple(end.tolist())}."
            )
    points = np.concatenate([corners, ends])
    first, last = len(corners), len(corners) + 1
    graph = graph.copy()
    graph.add_nodes_from((first, last))
    _link(graph, points, boxes, [(i, j) for j in (first, last) for i in range(j)])
    try:
        nodes = networkx.dijkstra_path(graph, first, last)
    except networkx.NetworkXNoPath:
        raise ValueError(
            f"No way from {start} to {goal} keeps {clearance:g} m from every wall."
        ) from None
    return points[nodes]


def path_length(path: np.ndarray) -> float:
    """Return the length (m) of a way, float64[k, 2]."""
    steps = np.diff(path, axis=0)
    return float(np.sqrt((steps * steps).sum(axis=1)).sum())


def optimal_time_at_goal(
    length: float, top_speed: float, *, dt: float, steps: int, threshold: float
) -> int:
    """Return how many steps of an episode a robot of a top speed can be at its goal.

    It is the length of the episode less the time that the shortest way takes. A step counts if it
    *ends* at the goal. Speeding up is left out, so it is a bound and not always within reach.

    Args:
        length: of the shortest way (m).
        top_speed: (m/s).
        dt: time of a step (s).
        steps: length of an episode.
        threshold: the goal is reached where its distance is below this (m).

    Returns:
        0 to `steps`.

    Raises:
        ValueError: if a speed, a time or a length is negative, or speed or time is 0.
    """
    if not (top_speed > 0 and dt > 0 and steps >= 0 and length >= 0 and threshold >= 0):
        raise ValueError(
            "expected a positive top_speed and dt, and no negative length, steps or threshold, "
            f"found top_speed={top_speed}, dt={dt}, length={length}, steps={steps}, "
            f"threshold={threshold}."
        )
    before = math.floor((length - threshold) / (top_speed * dt)) if length >= threshold else 0
    return max(steps - before, 0)


def optimal_times(env: gym.Env, seeds: Sequence[int]) -> np.ndarray:
    """Return the optimal time at goal of an environment's own episodes.

    Args:
        env: a maze whose robot has a top speed, made with its time limit.
        seeds: of the episodes.

    Returns:
        int64[len(seeds)], steps.

    Raises:
        ValueError: if there is no maze, no top speed or no time limit.
    """
    task: Any = getattr(env.unwrapped, "task", None)
    steps = env.spec.max_episode_steps if env.spec else None
    if not isinstance(getattr(task, "arena", None), Maze) or not hasattr(task, "top_speed"):
        raise ValueError(f"an optimum needs a maze and a robot of a known top speed, found {env}")
    if steps is None:
        raise ValueError(f"an optimum needs a time limit: make {env} with max_episode_steps")
    times = []
    for seed in seeds:
        obs, _ = env.reset(seed=int(seed))
        start, goal = obs["achieved_goal"][:2], obs["desired_goal"][:2]
        length = path_length(shortest_path(task.arena, tuple(start), tuple(goal)))
        limits = {"dt": task.dt, "steps": steps, "threshold": task.threshold}
        times.append(optimal_time_at_goal(length, task.top_speed, **limits))
    return np.array(times, dtype=np.int64)


@lru_cache(maxsize=64)
def _visibility(maze: Maze, clearance: float):  # networkx is imported where it is needed
    """Return the grown walls float64[m, 2, 2], their corners float64[k, 2], and who sees whom."""
    import networkx

    grown = np.array([[-1.0], [1.0]]) * (clearance - _SLACK)
    boxes = maze.walls() + grown
    corners = _corners(maze, clearance)
    corners = corners[~_inside(corners, boxes)]
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(corners)))
    pairs = [(i, j) for j in range(len(corners)) for i in range(j)]
    _link(graph, corners, boxes, pairs)
    return boxes, corners, graph


def _corners(maze: Maze, clearance: float) -> np.ndarray:
    """Return the convex corners of the walls, moved away from them, float64[k, 2]."""
    found = []
    for i in range(len(maze.layout) - 1):
        for j in range(len(maze.layout[0]) - 1):
            around = [(a, b) for a in (0, 1) for b in (0, 1)]
            walls = [(a, b) for a, b in around if maze.layout[i + a][j + b] == WALL]
            if len(walls) == 1:
                a, b = walls[0]
                corner = np.array([i + 0.5, j + 0.5]) * maze.cell + maze.origin
                found.append(corner + clearance * np.array([1 - 2 * a, 1 - 2 * b]))
    return np.array(found).reshape(-1, 2)


def _inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Say which points float64[k, 2] lie within a box, its boundary left out: bool[k]."""
    above = points[:, None] > boxes[None, :, 0]
    below = points[:, None] < boxes[None, :, 1]
    return np.any(np.all(above & below, axis=-1), axis=-1)


def _link(graph, points: np.ndarray, boxes: np.ndarray, pairs: list[tuple[int, int]]) -> None:
    """Add an edge, as heavy as it is long, for every pair of points that see each other."""
    if not pairs:
        return
    first, second = (points[[pair[k] for pair in pairs]] for k in (0, 1))
    lengths = np.sqrt(((second - first) ** 2).sum(axis=1))
    clear = ~_crosses(first, second, boxes)
    for (i, j), length, seen in zip(pairs, lengths, clear, strict=True):
        if seen:
            graph.add_edge(i, j, weight=float(length))


def _crosses(first: np.ndarray, second: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Say which lines float64[k, 2] to float64[k, 2] go through the inside of a box: bool[k]."""
    begin, way = first[:, None], (second - first)[:, None]
    low, high = boxes[None, :, 0], boxes[None, :, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (low - begin) / way, (high - begin) / way
    within = (begin > low) & (begin < high)  # for a line along the other axis: always or never
    enters = np.where(way == 0, np.where(within, -np.inf, np.inf), np.minimum(one, other))
    leaves = np.where(way == 0, np.where(within, np.inf, -np.inf), np.maximum(one, other))
    overlap = np.minimum(leaves.min(-1), 1.0) - np.maximum(enters.max(-1), 0.0)
    return np.any(overlap > 0, axis=-1)
