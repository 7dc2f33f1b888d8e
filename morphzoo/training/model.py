"""From a recipe to an SB3 model; what does not fit is said before training starts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import gymnasium
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from morphzoo.algorithms import ALGORITHMS
from morphzoo.algorithms.contrastive import ContrastiveRL
from morphzoo.algorithms.population import PopulationAlgorithm
from morphzoo.algorithms.schedules import ExponentialSchedule
from morphzoo.envs.ids import id_families, own_ids
from morphzoo.policies import POLICIES, DeterministicPolicy
from morphzoo.policies.goal_policy import GoalPolicy
from morphzoo.policies.graph_policy import GraphPolicy
from morphzoo.recipe import Recipe, did_you_mean
from morphzoo.sb3 import make_vec_env
from morphzoo.training.start import start_from
from morphzoo.zoo.keywords import policy_keywords

# Keywords of the algorithms that the recipe says elsewhere, or that are not plain values.
_TAKEN = {
    "self",
    "policy",
    "env",
    "seed",
    "device",
    "policy_kwargs",
    "tensorboard_log",
    "verbose",
    "monitor_wrapper",
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    "use_sde",
    "sde_sample_freq",
    "_init_setup_model",
}


def build_model(recipe: Recipe, threads: int = 1) -> Any:
    """Make the recipe's environments, policy and algorithm, all seeded.

    Args:
        recipe: What to train.
        threads: CPU threads of the simulation.

    Returns:
        A model that has not learned yet, with SB3's face.

    Raises:
        ValueError: A name is unknown; a keyword, body, policy and algorithm do not fit each other;
            or the device is missing.
    """
    algorithm = ALGORITHMS[recipe.algorithm]
    _check_algorithm(recipe, algorithm)
    check_device(recipe.device)
    policy_class = _policy_class(recipe)
    _check_policy(policy_class, algorithm, recipe)
    env = _make_env(recipe, threads)
    kwargs = dict(recipe.algorithm_kwargs)
    if "learning_rate" in kwargs:
        kwargs["learning_rate"] = _schedule(float(kwargs["learning_rate"]), recipe.schedule)
    try:
        model = algorithm(
            policy_class,
            env,
            policy_kwargs=dict(recipe.policy_kwargs),
            seed=recipe.seed,
            device=recipe.device,
            **kwargs,
        )
    except (ValueError, TypeError, AssertionError) as error:
        env.close()
        raise ValueError(
            f"policy '{recipe.policy}' with {recipe.policy_kwargs or 'its defaults'} does not fit "
            f"'{recipe.env}' and '{recipe.algorithm}': {error}"
        ) from error
    if recipe.start:
        try:
            start_from(model.policy, recipe.start)
        except ValueError:
            env.close()
            raise
    return model


def _schedule(rate: float, kind: str) -> Callable[[float], float]:
    """Return SB3's kind of schedule: remaining progress (1 to 0) to learning rate.

    The last rollout may end beyond the recipe's steps, where SB3's progress is below 0.
    """
    if kind == "constant":
        return lambda remaining: rate
    if kind == "exponential":
        return ExponentialSchedule(rate, 1e-4 * rate)
    return lambda remaining: rate * max(remaining, 0.0)


def _check_algorithm(recipe: Recipe, algorithm: type) -> None:
    """Raise ValueError where a keyword is unknown or the algorithm cannot be continued."""
    if not issubclass(algorithm, OnPolicyAlgorithm | PopulationAlgorithm | ContrastiveRL):
        raise ValueError(
            f"algorithm '{recipe.algorithm}' cannot be trained from a recipe, whose runs go on bit "
            "for bit: its replay buffer is not part of their state. Use 'ppo', or 'contrastive' "
            "where there is a goal"
        )
    if issubclass(algorithm, PopulationAlgorithm):
        known = ["learning_rate", *policy_keywords(algorithm)]
    else:
        known = list(inspect.signature(algorithm).parameters)
    known = [name for name in known if name not in _TAKEN]
    for name in recipe.algorithm_kwargs:
        if name not in known:
            raise ValueError(
                f"algorithm '{recipe.algorithm}' has no keyword '{name}' that a recipe can set."
                f"{did_you_mean(name, known)}"
            )


def _check_policy(policy: type, algorithm: type, recipe: Recipe) -> None:
    """Raise ValueError where an algorithm cannot train policies of this kind."""
    kinds = {PopulationAlgorithm: DeterministicPolicy, ContrastiveRL: GoalPolicy}
    fits = [kind for base, kind in kinds.items() if issubclass(algorithm, base)]
    kind: type = fits[0] if fits else GraphPolicy
    if not issubclass(policy, kind):
        fitting = [name for name, other in POLICIES.items() if issubclass(other, kind)]
        raise ValueError(
            f"algorithm '{recipe.algorithm}' trains policies of {', '.join(fitting)}, found "
            f"'{recipe.policy}'"
        )
    if kind is not GraphPolicy and recipe.log_std_bound:
        raise ValueError(
            f"'log_std_bound' bounds a policy's log_std, and '{recipe.policy}' has none: leave it "
            "out"
        )


def check_device(device: str) -> None:
    """Raise ValueError if the device's name is unknown or the machine lacks it."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device '{device}' cannot be used here ({reason}); use 'cpu' or another --device"
        ) from error


def _policy_class(recipe: Recipe) -> Any:
    """Return the recipe's policy class."""
    if recipe.policy not in POLICIES:
        raise ValueError(
            f"unknown policy '{recipe.policy}'.{did_you_mean(recipe.policy, POLICIES)}"
        )
    return POLICIES[recipe.policy]


def _make_env(recipe: Recipe, threads: int) -> Any:
    """Return the recipe's batched environment."""
    try:
        return make_vec_env(
            recipe.env, recipe.n_envs, recipe.seed, num_threads=threads, **recipe.env_kwargs
        )
    except (gymnasium.error.Error, TypeError, ValueError) as error:
        known = own_ids()
        hint = "" if recipe.env in known else did_you_mean(recipe.env, known, id_families())
        raise ValueError(
            f"cannot make '{recipe.env}' with {recipe.env_kwargs or 'its defaults'}: {error}{hint}"
        ) from error
