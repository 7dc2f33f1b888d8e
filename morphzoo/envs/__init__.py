"""The environments' ids: one row each, registered with Gymnasium."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium as gym


class Row(NamedTuple):
    """What Gymnasium's registry needs to know of one id.

    Attributes:
        id: the whole id, with its version. Gymnasium finds it without the version too.
        entry_point: class of the single environment, as a string: nothing is imported before use.
        vector_entry_point: class of the batched environment, for `gymnasium.make_vec`.
        kwargs: arguments of the class that the id stands for.
        max_episode_steps: length at which an episode is truncated.
        reward_threshold: return from which the task counts as solved, if there is one.
    """

    id: str
    entry_point: str
    vector_entry_point: str
    kwargs: Mapping[str, Any]
    max_episode_steps: int
    reward_threshold: float | None


_CENTIPEDE = (
    "morphzoo.envs.centipede:CentipedeEnv",
    "morphzoo.envs.centipede:CentipedeVectorEnv",
)

_ANT_VELOCITY = (
    "morphzoo.envs.velocity:AntVelocityEnv",
    "morphzoo.envs.velocity:AntVelocityVectorEnv",
)
_COMMANDS = {"command_range": ((0.5, 2.5), (-0.5, 0.5))}  # forward and to the left (m/s)


def _twin(body: str, module: str, reward_threshold: float | None) -> Row:
    """Return the row of a twin of Gymnasium's; the version is Gymnasium's own."""
    place = f"morphzoo.envs.gymnasium_bodies.{module}:{body}"
    names = (f"morphzoo/{body}-v5", f"{place}Env", f"{place}VectorEnv")
    return Row(*names, {}, 1000, reward_threshold)


def _goal(body: str, place: str, steps: int = 1000, **kwargs: Any) -> Row:
    """Return the row of an environment with goals; its return is the time at the goal."""
    point = f"morphzoo.envs.goals.{place}"
    return Row(f"morphzoo/{body}-v0", f"{point}Env", f"{point}VectorEnv", kwargs, steps, None)


_GOALS = (
    _goal("PointUMaze", "point:PointMaze", 200, maze="u"),
    _goal("PointBigMaze", "point:PointMaze", 200, maze="big"),
    _goal("PointHardestMaze", "point:PointMaze", 400, maze="hardest"),
    _goal("PointUMazeEval", "point:PointMaze", 200, maze="u-eval"),
    _goal("PointBigMazeEval", "point:PointMaze", 200, maze="big-eval"),
    *(_goal(f"Reacher-{n}", "reacher:Reacher", 50, num_links=n) for n in range(1, 8)),
    _goal("AntReach", "ant:AntReach"),
    _goal("AntU4Maze", "ant:AntMaze", maze="u4"),
    _goal("AntU5Maze", "ant:AntMaze", maze="u5"),
    _goal("AntBigMaze", "ant:AntMaze", maze="big"),
    _goal("AntHardestMaze", "ant:AntMaze", maze="hardest"),
    _goal("AntU4MazeEval", "ant:AntMaze", maze="u4-eval"),
    _goal("AntU5MazeEval", "ant:AntMaze", maze="u5-eval"),
    _goal("AntBigMazeEval", "ant:AntMaze", maze="big-eval"),
    _goal("AntPush", "ant_push:AntPush"),
    _goal("HumanoidReach", "humanoid:HumanoidReach"),
    _goal("HumanoidUMaze", "humanoid:HumanoidMaze", maze="u"),
    _goal("HumanoidBigMaze", "humanoid:HumanoidMaze", maze="big"),
    _goal("CentipedeReach", "centipede:CentipedeReach"),
    *(_goal(f"CentipedeReach-{n}", "centipede:CentipedeReach", num_legs=n) for n in range(3, 101)),
)

TABLE: tuple[Row, ...] = (
    Row("morphzoo/Centipede-v0", *_CENTIPEDE, {}, 1000, 6000.0),
    *(
        Row(f"morphzoo/Centipede-{n}-v0", *_CENTIPEDE, {"num_legs": n}, 1000, 6000.0)
        for n in range(3, 101)
    ),
    _twin("Swimmer", "swimmer", 360.0),
    _twin("Hopper", "hopper", 3800.0),
    _twin("HalfCheetah", "half_cheetah", 4800.0),
    _twin("Walker2d", "walker2d", None),
    _twin("Ant", "ant", 6000.0),
    _twin("Humanoid", "humanoid", None),
    Row("morphzoo/AntVelocity-v0", *_ANT_VELOCITY, {}, 1000, None),
    Row("morphzoo/AntVelocityPD-v0", *_ANT_VELOCITY, {"actuators": "position"}, 1000, None),
    Row("morphzoo/AntVelocityCommand-v0", *_ANT_VELOCITY, _COMMANDS, 1000, None),
    *_GOALS,
)


def register_envs() -> None:
    """Register every row of the table that is not registered yet."""
    for row in TABLE:
        if row.id not in gym.registry:
            gym.register(
                row.id,
                entry_point=row.entry_point,
                vector_entry_point=row.vector_entry_point,
                kwargs=dict(row.kwargs),
                max_episode_steps=row.max_episode_steps,
                reward_threshold=row.reward_threshold,
            )
