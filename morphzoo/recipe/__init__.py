"""Recipe: everything that produced a checkpoint, in one flat JSON file."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from morphzoo.recipe.checks import (
    check_log_std_bound,
    check_numbers,
    check_score,
    choice,
    did_you_mean,
    typed,
)

RECIPES = Path(__file__).parents[1] / "zoo" / "recipes"

# What an algorithm's keyword is when neither the recipe nor the command line says it. They are
# filled in when the recipe is made, so that a run's recipe.json is complete by itself.
DEFAULTS: dict[str, dict[str, Any]] = {
    "ppo": {
        "learning_rate": 3e-4,
        "n_steps": 128,
        "batch_size": 256,
        "n_epochs": 10,
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "clip_range": 0.2,
        "ent_coef": 0.0,
        "vf_coef": 0.5,
        "max_grad_norm": 0.5,
    },
    "sac": {},
    # Those that search for policies have their defaults in one place, their classes.
    "es": {},
    "epvf": {},
    "pssvf": {},
    "contrastive": {},
    "enas": {},
}

# Keys that may differ between a run and its continuation: they say where and why, not what.
FREE_ON_RESUME = ("device", "description", "fingerprint_10000")
# Keywords of algorithms of which the same is true.
FREE_KEYWORDS = ("ray", "workers", "ray_kwargs")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All settings of one training run; plain JSON values, checked when it is made.

    Attributes:
        env: Id of the body to train on, such as `morphzoo/Centipede-6-v0`.
        policy: A name in `morphzoo.policies.POLICIES`.
        steps: Environment steps, summed over the environments. The run ends with the first whole
            rollout (n_envs * n_steps) or generation that reaches it.
        seed: Seed of the weights, the environments and the sampling.
        n_envs: Environments simulated at once.
        algorithm: A name in `morphzoo.algorithms.ALGORITHMS`.
        schedule: "linear": the learning rate falls to 0 over `steps`; "constant": it stays;
            "exponential": it falls to a ten-thousandth. Of a learning rate that is not given it
            says nothing: then the algorithm's own holds.
        log_std_bound: Knots [share of `steps`, log standard deviation] between which an upper bound
            of the actions' log standard deviations is interpolated; they are learned below it, and
            clamped to it before each rollout. Empty: no bound.
        device: Device of the policy: "cpu", "cuda" or "cuda:1".
        env_kwargs: Keywords of the environment.
        policy_kwargs: Keywords of the policy.
        algorithm_kwargs: Keywords of the algorithm; the missing ones are filled from `DEFAULTS`.
        checkpoint_every: Steps between two training states; a killed run loses at most these.
        evaluate_every: Steps between two evaluations; 0 evaluates at the end only.
        evaluate_on: Bodies to evaluate on, arguments behind commas (they go before `env_kwargs`);
            empty: the body trained on. They pick the best checkpoint, so bodies that a result is
            reported for as unseen do not belong here.
        evaluate_episodes: Episodes for each body, once with sampled and once with mean actions.
        evaluate_seed: Seed of the first evaluation episode, the next has the next; the same each
            time, and below the seeds that are reserved for final scores.
        score_actions: "sampled", "mean" or "both": which evaluation returns the score is made of.
        score_weights: Weight for each body of `evaluate_on`; empty: 1 each. The score is the
            weighted mean of the bodies' mean returns; the best checkpoint is the highest score's.
        start: Checkpoint whose weights the policy begins with: a bundled name, a folder, or an
            address on the Hub, which stays there until the run has ended; empty: none.
        description: A sentence for people.
        fingerprint_10000: Platform -> sha256 of the first 10,000 steps' weights and curve, the
            curve's rows and the opening steps; see `morphzoo.training.fingerprint`.

    Raises:
        ValueError: A value has the wrong type or is out of range, or the values do not fit each
            other.
    """

    env: str
    policy: str
    steps: int = 1_000_000
    seed: int = 0
    n_envs: int = 16
    algorithm: str = "ppo"
    schedule: str = "linear"
    log_std_bound: list[list[float]] = dataclasses.field(default_factory=list)
    device: str = "cpu"
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    policy_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    algorithm_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    checkpoint_every: int = 50_000
    evaluate_every: int = 100_000
    evaluate_on: list[str] = dataclasses.field(default_factory=list)
    evaluate_episodes: int = 10
    evaluate_seed: int = 1000
    score_actions: str = "sampled"
    score_weights: dict[str, float] = dataclasses.field(default_factory=dict)
    start: str = ""
    description: str = ""
    fingerprint_10000: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Coerce whole floats to integers, fill in the defaults, check."""
        for field in dataclasses.fields(self):
            value = typed(field.name, getattr(self, field.name), str(field.type))
            object.__setattr__(self, field.name, value)
        choice("algorithm", self.algorithm, DEFAULTS)
        kwargs = {**DEFAULTS[self.algorithm], **self.algorithm_kwargs}
        object.__setattr__(self, "algorithm_kwargs", kwargs)
        object.__setattr__(self, "evaluate_on", self.evaluate_on or [self.env])
        check_numbers(self)
        check_log_std_bound(self.log_std_bound)
        check_score(self)

    def log_std_bound_at(self, step: int) -> float | None:
        """Upper bound of the log standard deviations at a step; None: no bound."""
        if not self.log_std_bound:
            return None
        shares, values = zip(*self.log_std_bound, strict=True)
        return float(np.interp(step / self.steps, shares, values))

    @property
    def rollout(self) -> int:
        """Steps of one rollout over all environments."""
        return self.n_envs * int(self.algorithm_kwargs.get("n_steps", 1))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain JSON values."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Return the recipe as the text of a recipe file."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "recipe") -> Recipe:
        """Make a recipe, refusing keys that it does not have.

        Args:
            values: The fields; `env` and `policy` at least.
            source: Name of their origin, for the message.

        Raises:
            ValueError: A key is unknown or missing, or a value has the wrong type or range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise ValueError(f"{source}: unknown key '{key}'.{did_you_mean(key, known)}")
        for key in ("env", "policy"):
            if key not in values:
                raise ValueError(f"{source}: '{key}' is missing; a run needs 'env' and 'policy'")
        return cls(**values)

    def override(self, changes: Mapping[str, Any]) -> Recipe:
        """Return a copy with some values changed.

        Args:
            changes: Field name, or `group.key` for a key of one of the `..._kwargs`, or an
                algorithm's keyword by itself, to the new value.

        Raises:
            ValueError: A key is unknown or a value is of the wrong type or out of range.
        """
        values = self.to_dict()
        if "env" in changes and values["evaluate_on"] == [self.env]:
            values["evaluate_on"] = []
        for key, value in changes.items():
            group, _, inner = key.partition(".")
            if inner and isinstance(values.get(group), dict):
                values[group][inner] = value
            elif key not in values and key in values["algorithm_kwargs"]:
                values["algorithm_kwargs"][key] = value
            elif key not in values:
                known = [
                    *values,
                    *values["algorithm_kwargs"],
                    "policy_kwargs.KEY",
                    "env_kwargs.KEY",
                ]
                raise ValueError(f"unknown setting '{key}'.{did_you_mean(key, known)}")
            else:
                values[key] = value
        return Recipe.from_dict(values)


def read_recipe(name: str | os.PathLike[str]) -> Recipe:
    """Read a recipe file, or a bundled recipe by its name.

    Args:
        name: `snowflake-centipede-6`, or the path of a JSON file.

    Raises:
        ValueError: There is no such recipe, the file is not JSON, or its contents are refused.
    """
    path = Path(name)
    bundled = sorted(file.stem for file in RECIPES.glob("*.json"))
    if not path.is_file():
        if str(name) not in bundled:
            raise ValueError(
                f"no recipe '{name}': neither a file nor one of the bundled recipes "
                f"{', '.join(bundled)}.{did_you_mean(str(name), bundled)}"
            )
        path = RECIPES / f"{name}.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"recipe '{path}' is not a JSON file: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"recipe '{path}' holds a {type(values).__name__}, not one JSON object")
    return Recipe.from_dict(values, source=f"recipe '{path}'")


def make_recipe(known: str | os.PathLike[str] | None, changes: Mapping[str, Any]) -> Recipe:
    """Make a recipe from a known one with some values changed, or from a body and a policy.

    Args:
        known: Bundled recipe or recipe file; None: `changes` must have "env" and "policy".
        changes: As for `Recipe.override`.

    Raises:
        ValueError: As `read_recipe` and `Recipe.override`, or the body or the policy is missing.
    """
    if known is not None:
        return read_recipe(known).override(changes)
    needed = {key: value for key, value in changes.items() if key in ("env", "policy", "algorithm")}
    recipe = Recipe.from_dict(needed, source="options")
    return recipe.override({key: value for key, value in changes.items() if key not in needed})


def parse_setting(text: str) -> tuple[str, Any]:
    """Split `key=value`; the value is JSON where it can be read as such, else a string.

    Raises:
        ValueError: There is no `=` or no key.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"expected key=value, found '{text}'")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
