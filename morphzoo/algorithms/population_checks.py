"""What a population may be asked for; every refusal says what was found."""

from __future__ import annotations

from typing import Any

import numpy as np

from morphzoo.algorithms.centres import OPTIMIZERS
from morphzoo.algorithms.stages import BACKENDS


def check_population(model: Any) -> None:
    """Refuse sizes that do not fit each other and values out of range.

    Raises:
        ValueError: naming what was found.
    """
    whole(model, "population_size", "num_policies", "evaluate_every", "evaluate_episodes")
    if model.num_policies < 1 or model.population_size < 1:
        raise ValueError(
            f"population_size and num_policies must be at least 1, found {model.population_size} "
            f"and {model.num_policies}"
        )
    share, rest = divmod(model.population_size, model.num_policies)
    if rest:
        raise ValueError(
            f"each of {model.num_policies} policies needs an equal share: population_size must be "
            f"a multiple of num_policies, found {model.population_size}"
        )
    if model.perturbation.antithetic and share % 2:
        raise ValueError(
            f"antithetic=True needs pairs: population_size / num_policies must be even, found "
            f"{share}"
        )
    at_least(model, 0, "weight_clip", "weight_decay", "evaluate_every")
    at_least(model, 1, "evaluate_episodes")
    if model.optimizer_name not in OPTIMIZERS:
        found = model.optimizer_name
        raise ValueError(f"optimizer: expected one of {list(OPTIMIZERS)}, found {found!r}")
    if model.backend not in BACKENDS:
        raise ValueError(f"backend: expected one of {BACKENDS}, found {model.backend!r}")


def at_least(model: Any, least: float, *names: str) -> None:
    """Refuse attributes below a bound.

    Raises:
        ValueError: naming the first that is.
    """
    for name in names:
        if not getattr(model, name) >= least:
            raise ValueError(f"{name} must be at least {least}, found {getattr(model, name)}")


def whole(model: Any, *names: str) -> None:
    """Refuse attributes that are no whole numbers.

    Raises:
        ValueError: naming the first that is none.
    """
    for name in names:
        if not isinstance(found := getattr(model, name), (int, np.integer)):
            raise ValueError(f"{name} must be a whole number, found {found!r}")


def check_returns(returns: np.ndarray) -> None:
    """Refuse returns that nothing can be learned from.

    Args:
        returns: float64[M].

    Raises:
        ValueError: saying how many are NaN or infinite.
    """
    if bad := int(np.count_nonzero(~np.isfinite(returns))):
        raise ValueError(
            f"{bad} of {len(returns)} episodes returned NaN or infinity, so no policy can be "
            "compared: look at the environment's rewards, or make noise_scale or the learning rate "
            "smaller where policies have grown out of bounds"
        )
