"""What a study's file may hold; every refusal names the file and the key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_KINDS: dict[str, tuple[type, ...]] = {
    "title": (str,),
    "base": (str, dict),
    "settings": (dict,),
    "variants": (dict,),
    "seeds": (list,),
    "columns": (dict,),
    "every": (int,),
    "axes": (list,),
    "minutes": (int, float),
}


def check_study(path: Path, values: Any, known_axes: Iterable[str]) -> None:
    """Refuse what is no study.

    Args:
        path: of the file, for the message.
        values: what it holds.
        known_axes: what a figure can be drawn against.

    Raises:
        ValueError: naming the key, what was expected and what was found.
    """
    wanted = _KINDS.keys() - {"axes", "minutes"}
    if not isinstance(values, dict) or values.keys() - {"axes", "minutes"} != wanted:
        found = sorted(values) if isinstance(values, dict) else type(values).__name__
        raise ValueError(
            f"study '{path}': expected the keys {sorted(wanted)}, and axes and minutes where "
            f"wanted, found {found}"
        )
    for key, value in values.items():
        if not isinstance(value, _KINDS[key]) or isinstance(value, bool):
            names = " or ".join(kind.__name__ for kind in _KINDS[key])
            raise ValueError(f"study '{path}': {key} must be {names}, found {value!r}")
    axes, minutes = values.get("axes", ["step"]), values.get("minutes", 0)
    if not axes or not set(axes) <= set(known_axes) or set(axes) & values["columns"].keys():
        raise ValueError(
            f"study '{path}': axes are of {', '.join(known_axes)}, and no column is called as one, "
            f"found {axes}"
        )
    if minutes < 0:
        raise ValueError(f"study '{path}': minutes must be 0 or more, found {minutes}")
    if not values["variants"] or not values["columns"] or values["every"] < 1:
        raise ValueError(
            f"study '{path}': expected a variant and a column at least, and every >= 1"
        )
    for shown, names in values["columns"].items():
        several = isinstance(names, list) and names and all(isinstance(one, str) for one in names)
        if not isinstance(names, str) and not several:
            raise ValueError(
                f"study '{path}': column '{shown}' must name a curve's column, or several to "
                f"choose the first from, found {names!r}"
            )
    _check_seeds(path, "seeds", values["seeds"])
    for name, changes in values["variants"].items():
        _check_variant(path, name, changes)


def _check_variant(path: Path, name: str, changes: Any) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"study '{path}': variant '{name}' names a folder: small letters, digits, '.', '-'"
        )
    if not isinstance(changes, dict):
        raise ValueError(f"study '{path}', variant '{name}': expected changes, found {changes!r}")
    if "seeds" in changes:
        _check_seeds(path, f"variant '{name}': seeds", changes["seeds"])
    if "baseline" not in changes:
        return
    if stray := sorted(changes.keys() - {"baseline", "seeds"}):
        raise ValueError(
            f"study '{path}', variant '{name}': {', '.join(stray)} beside 'baseline' would change "
            "nothing: put it into the baseline"
        )
    if "seed" in changes["baseline"]:
        raise ValueError(f"study '{path}', variant '{name}': a baseline's seeds are the study's")


def _check_seeds(path: Path, what: str, seeds: Any) -> None:
    whole = isinstance(seeds, list) and all(type(seed) is int for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"study '{path}': {what} must be different whole numbers, one at least, found {seeds}"
        )
