"""CONTROLLERS: what proposes colourings and learns from their returns, name -> class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from morphzoo.algorithms.controllers.catcma import CatCMAController
from morphzoo.algorithms.controllers.controller import Controller
from morphzoo.algorithms.controllers.evolution import RegularizedEvolution
from morphzoo.algorithms.controllers.factorised import FactorisedController
from morphzoo.algorithms.controllers.pointer import PointerController
from morphzoo.algorithms.controllers.unlearned import FixedController, ResamplingController
from morphzoo.policies.chromatic import Coloring

#: Name -> class.
CONTROLLERS: dict[str, type[Controller]] = {
    "factorised": FactorisedController,
    "pointer": PointerController,
    "evolution": RegularizedEvolution,
    "resample": ResamplingController,
    "fixed": FixedController,
}

#: The one that proposes weights as well as colourings, and so is none of the table's.
JOINT = "catcma"


def make_controller(name: str, coloring: Coloring, kwargs: Mapping[str, Any]) -> Controller:
    """Make a controller.

    Args:
        name: a row of `CONTROLLERS`.
        coloring: the colouring that the search begins with.
        kwargs: keywords of the controller.

    Raises:
        ValueError: if there is no such row, or a keyword is none of it or out of range.
    """
    if name not in CONTROLLERS:
        known = [*CONTROLLERS, JOINT]
        raise ValueError(f"controller: expected one of {known}, found {name!r}")
    try:
        return CONTROLLERS[name](coloring, **kwargs)
    except TypeError as error:
        raise ValueError(f"controller_kwargs of '{name}': {error}") from error


__all__ = [
    "CONTROLLERS",
    "JOINT",
    "CatCMAController",
    "Controller",
    "FactorisedController",
    "FixedController",
    "PointerController",
    "RegularizedEvolution",
    "ResamplingController",
    "make_controller",
]
