"""ALGORITHMS: name -> class, imported when first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any


class _Algorithms(Mapping[str, type]):
    """A read-only table whose classes are imported at look-up, so that listing it is cheap."""

    _rows = {
        "ppo": ("stable_baselines3", "PPO"),
        "sac": ("stable_baselines3", "SAC"),
        "es": ("morphzoo.algorithms.es", "ES"),
        "epvf": ("morphzoo.algorithms.epvf", "EPVF"),
        "pssvf": ("morphzoo.algorithms.pssvf", "PSSVF"),
        "contrastive": ("morphzoo.algorithms.contrastive", "ContrastiveRL"),
        "enas": ("morphzoo.algorithms.enas", "ENAS"),
    }

    def __getitem__(self, name: str) -> Any:
        """Return the class of this name; KeyError if there is none."""
        module, attribute = self._rows[name]
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._rows)

    def __len__(self) -> int:
        """Return how many algorithms there are."""
        return len(self._rows)


ALGORITHMS: Mapping[str, Any] = _Algorithms()

__all__ = ["ALGORITHMS"]
