"""What a search over colourings may be asked for; every refusal says what was found."""

from __future__ import annotations

from typing import Any

from morphzoo.algorithms.controllers import JOINT
from morphzoo.algorithms.perturbations import Perturbation
from morphzoo.algorithms.population_checks import at_least, whole
from morphzoo.algorithms.targets import TARGETS


def check_enas(model: Any) -> None:
    """Refuse an `ENAS` whose values do not fit each other.

    Raises:
        ValueError: naming what was found.
    """
    if model.target not in TARGETS:
        raise ValueError(f"target: expected one of {list(TARGETS)}, found {model.target!r}")
    if model.num_policies != 1:
        raise ValueError(f"num_policies: one pool is shared by all, found {model.num_policies}")
    whole(model, "exact_evaluations", "top")
    at_least(model, 0, "exact_evaluations")
    if model.controller_name == JOINT:
        _check_joint(model)
    if model.population_size < 2:
        raise ValueError(
            "one perturbation has nothing to be compared with: population_size must be at least 2, "
            f"found {model.population_size}"
        )
    pairs = model.population_size // 2 if model.perturbation.antithetic else 0
    if not 0 <= model.top <= pairs:
        raise ValueError(f"top must be 0 to {pairs}, the number of pairs, found {model.top}")


def _check_joint(model: Any) -> None:
    """Refuse what CatCMA has no use for."""
    noise = model.perturbation
    plain = Perturbation(scale=noise.scale, antithetic=noise.antithetic, done=noise.done)
    given = model.exact_evaluations or model.controller_kwargs or noise != plain
    if given or model.weight_clip or model.weight_decay:
        raise ValueError(
            "controller 'catcma' draws weights and colouring of every episode, sets the noise "
            "itself and has no keywords: give exact_evaluations=0, no controller_kwargs, of the "
            "noise its noise_scale alone, and neither weight_clip nor weight_decay"
        )
