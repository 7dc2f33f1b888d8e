"""What contrastive RL may be asked for; every refusal says what was found and what to do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from stable_baselines3.common.type_aliases import TrainFreq
from stable_baselines3.common.vec_env import VecEnv

from morphzoo.algorithms.contrastive_losses import INFONCE
from morphzoo.algorithms.contrastive_step import PRECISIONS
from morphzoo.algorithms.entropy_coefficient import first_coefficient
from morphzoo.algorithms.population_checks import at_least, whole
from morphzoo.algorithms.stages import time_limits
from morphzoo.policies.goal_spaces import goal_sizes


def check_contrastive(model: Any) -> None:
    """Refuse values that do not fit each other, before anything is built.

    Args:
        model: a `ContrastiveRL`.

    Raises:
        ValueError: naming what was expected, what was found and the remedy.
    """
    goal_sizes(model.observation_space, model.action_space)
    if not 0 < model.gamma < 1:
        raise ValueError(
            f"gamma is the chance that the future goes on another step, in (0, 1), found "
            f"{model.gamma}"
        )
    for name, table in (("infonce", INFONCE), ("precision", PRECISIONS)):
        if (found := getattr(model, name)) not in table:
            raise ValueError(f"{name}: expected one of {list(table)}, found {found!r}")
    at_least(model, 0, "learning_starts", "logsumexp_penalty", "max_grad_norm")
    if not 0 <= model.random_goals <= 1:
        raise ValueError(f"random_goals is a share, in 0..1, found {model.random_goals}")
    at_least(model, 1, "buffer_size")
    at_least(model, 2, "batch_size")  # one pair has nothing to be told apart from
    _check_frequency(model)
    first_coefficient(model.ent_coef)
    if model.target_entropy != "auto":
        _number("target_entropy", model.target_entropy)
    if model.env is not None:
        _check_buffer(model.buffer_size, model.env)


def _check_frequency(model: Any) -> None:
    """Refuse what is no number of steps; SB3 would find it at the first training, or never."""
    whole(model, "batch_size", "gradient_steps", "buffer_size", "learning_starts")
    if model.gradient_steps < 1 and model.gradient_steps != -1:
        raise ValueError(
            f"gradient_steps: expected 1 or more, or -1 for as many as steps were collected, found "
            f"{model.gradient_steps}"
        )
    given = model.train_freq
    if isinstance(given, TrainFreq):  # of a model that was loaded
        return
    steps, unit = given if isinstance(given, (tuple, list)) and len(given) == 2 else (given, "step")
    if not isinstance(steps, (int, np.integer)) or steps < 1 or unit not in ("step", "episode"):
        raise ValueError(
            f"train_freq: expected a number of steps from 1 on, or (number, 'step' or 'episode'), "
            f"found {given!r}"
        )
    if unit == "episode" and model.env is not None and model.env.num_envs > 1:
        raise ValueError(
            f"train_freq: with {model.env.num_envs} environments episodes end at different times; "
            "give steps"
        )


def _number(name: str, value: Any) -> float:
    """Return a finite number, or say that it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected 'auto' or a number, found {value!r}")
    return number


def _check_buffer(buffer_size: int, env: VecEnv) -> None:
    """Refuse a buffer that cannot hold an episode of every environment."""
    limit = episode_limit(env)
    share = buffer_size // env.num_envs
    if limit is not None and share < limit:
        raise ValueError(
            f"a buffer of {buffer_size:,} transitions keeps {share:,} steps of each of "
            f"{env.num_envs} environments, less than one episode of {limit:,}: goals late in an "
            f"episode could never be drawn. Give buffer_size={limit * env.num_envs:,} or more"
        )


def episode_limit(env: VecEnv) -> int | None:
    """Return the longest time limit of an environment's episodes, None where none is known."""
    vector = getattr(env.unwrapped, "vector_env", None)
    if vector is not None:
        return vector.episodes.max_steps
    limits = [limit for limit in time_limits(env) if limit is not None]
    return max(limits, default=None)
