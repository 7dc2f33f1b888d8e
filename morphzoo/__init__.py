"""Train a policy on one robot body, run it on any body.

Importing morphzoo registers its environments with Gymnasium and loads neither torch nor MuJoCo.
`morphzoo.with_graph`, `morphzoo.policies`, `morphzoo.sb3` and `morphzoo.zoo` are loaded on first
use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from morphzoo.envs import register_envs

if TYPE_CHECKING:
    from morphzoo import policies, sb3, zoo
    from morphzoo.envs.existing import with_graph

__version__ = "0.1.0"
__all__ = ["__version__", "policies", "sb3", "with_graph", "zoo"]

_MODULES = ("policies", "sb3", "zoo")

register_envs()


def __getattr__(name: str) -> Any:
    """Load a part of morphzoo when it is first asked for."""
    if name in _MODULES:
        return import_module(f"morphzoo.{name}")
    if name == "with_graph":
        return import_module("morphzoo.envs.existing").with_graph
    raise AttributeError(f"module 'morphzoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what a user may ask for, loaded or not."""
    return sorted({*globals(), *__all__})
