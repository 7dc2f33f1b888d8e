"""Where each weight and bias of an MLP stands among its flat parameters."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch


@dataclass(frozen=True)
class ParameterTensor:
    """One weight matrix or bias vector of an MLP.

    Attributes:
        name: `weight1`, `bias1`, `weight2`, ...
        start: where it begins among the flat parameters.
        shape: as `torch.nn.Linear` has it, (outputs, inputs) or (outputs,).
        layers: the hidden layer, counted from 1, whose units each axis runs over; None for the
            observation and the action, whose entries have a meaning each.
    """

    name: str
    start: int
    shape: tuple[int, ...]
    layers: tuple[int | None, ...]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return prod(self.shape)


class MlpLayout:
    """The order of an MLP's parameters in a flat vector of P numbers.

    It is that of `torch.nn.utils.parameters_to_vector` on a sequence of `torch.nn.Linear`: W1, b1,
    W2, b2, ..., each W row by row with one row an output.

    Args:
        sizes: entries of the observation, units of each hidden layer, entries of the action.

    Attributes:
        sizes: as given.
        tensors: what the flat vector is made of, in its order.
        num_parameters: P.

    Raises:
        ValueError: if there are fewer than two sizes, or one is not a positive integer.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = positive_integers("sizes", sizes)
        last = len(self.sizes) - 1
        if last < 1:
            raise ValueError(f"sizes: expected those of observation and action, found {sizes!r}")
        units = [None, *range(1, last), None]
        start, tensors = 0, []
        for layer in range(1, last + 1):
            shape, layers = (
                self.sizes[layer - 1 : layer + 1][::-1],
                (units[layer], units[layer - 1]),
            )
            for name, axes in (("weight", 2), ("bias", 1)):
                tensor = ParameterTensor(f"{name}{layer}", start, shape[:axes], layers[:axes])
                tensors.append(tensor)
                start += tensor.size
        self.tensors: tuple[ParameterTensor, ...] = tuple(tensors)
        self.num_parameters = start

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return self.sizes[1:-1]

    def check(self, theta: torch.Tensor) -> None:
        """Refuse what is not a batch of these parameters.

        Args:
            theta: flat parameters, floating[B, P].

        Raises:
            ValueError: if its shape or type is another, or a policy has a NaN or infinite weight.
        """
        expected = f"expected floating[B, {self.num_parameters}] for layers of {self.sizes}"
        if not isinstance(theta, torch.Tensor):
            raise ValueError(f"theta: {expected}, found {type(theta).__name__}")
        if theta.ndim != 2 or theta.shape[1] != self.num_parameters:
            hint = "; give one policy as theta[None]" if theta.ndim == 1 else ""
            raise ValueError(f"theta: {expected}, found shape {tuple(theta.shape)}{hint}")
        if not theta.is_floating_point():
            raise ValueError(f"theta: {expected}, found {theta.dtype}; convert it with .float()")
        bad = (~torch.isfinite(theta.detach()).all(1)).nonzero()[:, 0]
        if len(bad):
            raise ValueError(
                f"theta: {len(bad)} of {len(theta)} policies have a NaN or infinite parameter "
                f"(rows {bad[:8].tolist()}); leave them out, and lower the rate or noise that "
                "made them"
            )

    def split(self, theta: torch.Tensor) -> dict[str, torch.Tensor]:
        """View flat parameters `floating[..., P]` as tensors `floating[..., *shape]` by name."""
        parts = theta.split([tensor.size for tensor in self.tensors], dim=-1)
        return {
            tensor.name: part.unflatten(-1, tensor.shape)
            for tensor, part in zip(self.tensors, parts, strict=True)
        }

    def join(self, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        """Undo `split`: tensors `floating[B, *shape]` by name to flat `floating[B, P]`."""
        return torch.cat([tensors[tensor.name].flatten(1) for tensor in self.tensors], dim=1)


def positive_integers(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Return the values as plain integers.

    Raises:
        ValueError: if there is none, or one is not a positive integer.
    """
    try:
        found = tuple(operator.index(value) for value in values)
    except TypeError:
        found = ()
    if not found or min(found) < 1:
        raise ValueError(f"{name}: expected positive integers, found {values!r}")
    return found
