"""Rounds of messages compiled for a GPU, where starting many small kernels is what costs."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import torch


def compiles(states: torch.Tensor) -> bool:
    """Return whether compiling pays for these states: in training, on CUDA, where torch can.

    Rollouts stay as they read: they would be compiled once more, for a few small batches.

    Args:
        states: Node states, `float32[R, H]`.
    """
    return (
        states.device.type == "cuda"
        and torch.is_grad_enabled()
        and importlib.util.find_spec("triton") is not None
    )


@functools.cache
def compiled(function: Callable[..., Any], backend: str = "inductor") -> Callable[..., Any]:
    """Return the function compiled for every shape it meets, by `torch.compile`.

    What it computes differs from the function's own result by float32 rounding at most.

    Args:
        function: Of tensors, modules and plain values; compiled at its first call.
        backend: Of `torch.compile`.
    """
    return torch.compile(function, dynamic=False, backend=backend)
