"""What a goal environment's spaces must be, said before anything is built."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

KEYS = ("observation", "achieved_goal", "desired_goal")


class GoalSizes(NamedTuple):
    """Numbers in an observation, O, a goal, G, and an action, A."""

    observation: int
    goal: int
    action: int


def goal_sizes(observation_space: spaces.Space, action_space: spaces.Space) -> GoalSizes:
    """Return the sizes of a goal environment.

    Args:
        observation_space: a `Dict` with the keys of Gymnasium's goal environments.
        action_space: a bounded one-dimensional `Box`.

    Raises:
        ValueError: if a space is of another kind, or the goals do not fit each other.
    """
    if not isinstance(observation_space, spaces.Dict) or not set(KEYS) <= set(
        observation_space.spaces
    ):
        raise ValueError(
            f"expected a goal environment, whose observations are a Dict with the keys "
            f"{', '.join(KEYS)}, found {observation_space}. Rewards are not read: what is to be "
            "reached must be said as a goal"
        )
    extra = sorted(set(observation_space.spaces) - set(KEYS))
    if extra:
        raise ValueError(
            f"expected observations of {', '.join(KEYS)} alone, found {extra} beside them: put "
            "them into observation, else no network would read them"
        )
    sizes = [_size(observation_space[key], key) for key in KEYS]
    if sizes[1] != sizes[2]:
        raise ValueError(
            f"a goal that was reached takes the place of the one that was asked for, so that both "
            f"must be alike: achieved_goal has {sizes[1]} numbers, desired_goal {sizes[2]}"
        )
    actions = _size(action_space, "action")
    assert isinstance(action_space, spaces.Box)
    if not (np.isfinite(action_space.low).all() and np.isfinite(action_space.high).all()):
        raise ValueError(
            f"actions are tanh stretched to their bounds, found {action_space} without finite "
            "ones: wrap the environment in gymnasium.wrappers.ClipAction or RescaleAction"
        )
    return GoalSizes(sizes[0], sizes[1], actions)


def _size(space: spaces.Space, name: str) -> int:
    """Return how many numbers a space has, or refuse what is not a row of numbers."""
    numbers = isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
    if not numbers or len(space.shape or ()) != 1 or not (space.shape or (0,))[0]:
        raise ValueError(
            f"{name}: expected a one-dimensional Box of floating-point numbers, found {space}; "
            "flatten it in the environment"
        )
    assert space.shape is not None
    return space.shape[0]
