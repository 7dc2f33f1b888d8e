"""Whether two models are the same."""

from __future__ import annotations

from typing import Any

import torch


def same(ours: Any, theirs: Any) -> bool:
    """Whether every tensor of two models is the same, bit for bit."""
    pairs = [(ours.get_parameters(), theirs.get_parameters())]
    while pairs:
        first, second = pairs.pop()
        if isinstance(first, dict):
            assert first.keys() == second.keys()
            pairs += [(first[key], second[key]) for key in first]
        elif isinstance(first, list | tuple):
            assert len(first) == len(second)
            pairs += list(zip(first, second, strict=True))
        elif isinstance(first, torch.Tensor):
            if not torch.equal(first, second):
                return False
        elif first != second:
            return False
    return True
