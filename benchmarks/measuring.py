"""Alternate measurements, their spread, and the machine they were made on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = (
    "mujoco",
    "gymnasium",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "torch-geometric",
    "envpool",
    "numpy",
)
_BUSY = 0.3  # load of a machine that does something else, in cores
_PATIENCE = 180  # seconds to wait for it


def alternate(
    contenders: Mapping[str, Callable[[], float]],
    rounds: int,
    prepare: Callable[[], None] = lambda: None,
    *,
    warm_up: bool = True,
) -> dict[str, list[float]]:
    """Measure every contender once a round, so that what else the machine does touches all alike.

    Args:
        contenders: Each does its work once and returns what it measured.
        rounds: Measurements of each.
        prepare: Called before every round.
        warm_up: Make one more round before them.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders.items())
    for index in range(-1 if warm_up else 0, rounds):
        prepare()
        turn = index % len(order)  # nobody always goes first
        for name, measure in order[turn:] + order[:turn]:
            value = measure()
            if index >= 0:
                found[name].append(value)
    return found


def summary(values: list[float]) -> dict[str, float]:
    """Return the median, the quartiles and the extremes."""
    names = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")
    return dict(zip(names, np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist(), strict=True))


def summaries(found: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return the summary of each contender."""
    return {name: summary(values) for name, values in found.items()}


def ratio(above: list[float], below: list[float]) -> dict[str, float]:
    """Return the summary of a ratio that is taken round by round."""
    return summary([one / other for one, other in zip(above, below, strict=True)])


def machine() -> dict[str, Any]:
    """Describe the machine; before anything else runs, for the load."""
    load = _load()
    cores = len(os.sched_getaffinity(0))
    quiet = "" if load < _BUSY else ": something else is running, so the spread will be wide"
    print(f"{cores} cores, load {load:.2f} over the last minute{quiet}")
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": load,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _load() -> float:
    """Return the load of the last minute, once that of what was measured before has faded."""
    for _ in range(_PATIENCE):
        if os.getloadavg()[0] < _BUSY:
            break
        time.sleep(1.0)
    return os.getloadavg()[0]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
