"""What is to be saved: the policy of a model, and the facts of its training for config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import gymnasium as gym

import morphzoo
from morphzoo.algorithms import ALGORITHMS
from morphzoo.envs.ids import canonical_id
from morphzoo.policies import POLICIES
from morphzoo.policies.transferring import policy_schema
from morphzoo.results import versions
from morphzoo.zoo.schema import FORMAT_VERSION, check_env_id
from morphzoo.zoo.untrusted import check_plain

# Keywords of how an environment is run or watched, not of the body.
_NOT_OF_THE_BODY = (
    "autoreset_mode",
    "max_episode_steps",
    "num_envs",
    "num_threads",
    "render_mode",
    "vector_kwargs",
    "vectorization_mode",
    "wrappers",
)


def describe(
    model_or_policy: Any,
    recipe: Mapping[str, Any] | None,
    given: Mapping[str, Any],
    command: str | None,
) -> tuple[Any, dict[str, Any]]:
    """Return the policy to save and its configuration without a score.

    Args:
        model_or_policy: A Stable-Baselines3 model, or its policy.
        recipe: The recipe that it was trained by.
        given: env_id, env_kwargs, seed and steps, where the caller knows better; else None.
        command: The command line that trained it.

    Returns:
        The policy, and plain JSON values.

    Raises:
        ValueError: The policy or the environment cannot be named in a checkpoint, or something
            beside the policy would be lost.
    """
    policy = getattr(model_or_policy, "policy", model_or_policy)
    model = None if policy is model_or_policy else model_or_policy
    name = _name_of(policy)
    if model is not None and model.get_vec_normalize_env() is not None:
        raise ValueError(
            "the model's environment is wrapped in VecNormalize, whose statistics belong to one "
            "body and are not part of a checkpoint: train without it, the policy has its own"
        )
    facts = {**_facts_of_model(model), **_facts_of_recipe(recipe)}
    facts |= {key: value for key, value in given.items() if value is not None}
    if facts["env_id"] is not None:
        facts["env_id"] = _known_id(facts["env_id"])
    kwargs = {key: value for key, value in policy.kwargs_received.items() if key != "schema"}
    check_plain(kwargs, "keywords of the policy")
    config = {
        **facts,
        "command": command,
        "format_version": FORMAT_VERSION,
        "policy": name,
        "policy_kwargs": kwargs,
        "policy_schema": policy_schema(policy),
        "score": None,
        "versions": {**versions(), "morphzoo": morphzoo.__version__},
    }
    check_plain(config, "the checkpoint")
    return policy, json.loads(json.dumps(config))


def _name_of(policy: Any) -> str:
    """Return the name of a policy's class in POLICIES."""
    for name, policy_class in POLICIES.items():
        if type(policy) is policy_class:
            return name
    listed = ", ".join(policy_class.__name__ for policy_class in POLICIES.values())
    raise ValueError(
        f"expected a model or policy of {listed}; found a {type(policy).__name__}, which a "
        "checkpoint cannot name: train one of these, or add a row to morphzoo.policies.POLICIES"
    )


def _facts_of_model(model: Any) -> dict[str, Any]:
    """Return what a model knows of its training."""
    if model is None:
        return dict.fromkeys(("algorithm", "env_id", "seed", "steps")) | {"env_kwargs": {}}
    names = [name for name in ALGORITHMS if type(model) is ALGORITHMS[name]]
    env_id, env_kwargs = _env_of(model.get_env())
    return {
        "algorithm": names[0] if names else None,
        "env_id": env_id,
        "env_kwargs": env_kwargs,
        "seed": model.seed,
        "steps": int(model.num_timesteps),
    }


def _facts_of_recipe(recipe: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a recipe says of a training."""
    names = {"env": "env_id", "env_kwargs": "env_kwargs", "seed": "seed", "algorithm": "algorithm"}
    return {ours: recipe[key] for key, ours in names.items() if recipe and key in recipe}


def _env_of(env: Any) -> tuple[str | None, dict[str, Any]]:
    """Return id and keywords of a model's environment, where it is one of ours."""
    try:
        spec = None if env is None else env.get_attr("spec")[0]
    except AttributeError:
        spec = None
    if spec is None or not spec.id.startswith("morphzoo/") or spec.id not in gym.registry:
        return None, {}
    implied = gym.spec(spec.id).kwargs
    kwargs = {
        key: value
        for key, value in spec.kwargs.items()
        if key not in _NOT_OF_THE_BODY and (key not in implied or implied[key] != value)
    }
    return spec.id, kwargs


def _known_id(env_id: str) -> str:
    """Return an id of ours as registered."""
    try:
        known = canonical_id(env_id)
    except gym.error.Error as error:
        raise ValueError(f"env_id: {error}") from error
    check_env_id(known, "env_id (None for a body from outside morphzoo)")
    return known
