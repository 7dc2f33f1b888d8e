"""ChromaticLinear: a linear layer whose weights are entries of a pool that others may share."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from morphzoo.policies.chromatic.coloring import STORED, Coloring, index_dtype


class ChromaticLinear(nn.Module):
    """y = scale * pool[index] x + b, with the index fixed and the pool trained.

    A pool entry's gradient is the sum of those of its edges. In evaluation mode, and where no
    gradient is asked for, the expanded matrix is kept until pool or index change; to write into
    ``pool.data`` itself is the one change that goes unseen until `train` or `eval` is called.

    Args:
        index: integers[outputs, inputs] in 0..num_colors; ``num_colors`` is a weight of zero.
        num_colors: numbers in the pool.
        pool: of a layer that was made before, to share; by default one of this layer's own.
        bias: whether each output has a bias of its own.
        scale: fixed factor of all weights.
        stored: whether the index is part of the state dict, as uint8 where that will do, else
            uint16.

    Attributes:
        pool: float32[num_colors]; of this layer's parameters only if none was given.
        bias: float32[outputs] or None.
        index: the index as it is stored, unsigned[outputs, inputs].
    """

    pool: nn.Parameter
    bias: nn.Parameter | None
    index: torch.Tensor

    def __init__(
        self,
        index: np.ndarray,
        num_colors: int,
        *,
        pool: nn.Parameter | None = None,
        bias: bool = True,
        scale: float = 1.0,
        stored: bool = True,
    ) -> None:
        super().__init__()
        self.num_colors, self.scale = num_colors, scale
        if pool is None:
            self.pool = nn.Parameter(torch.randn(num_colors) / index.shape[1] ** 0.5)
        else:  # seen by attribute, and not a parameter of this module: its owner has it
            object.__setattr__(self, "pool", pool)
        self.register_parameter("bias", nn.Parameter(torch.zeros(len(index))) if bias else None)
        self.register_buffer(
            "index",
            torch.from_numpy(index.astype(index_dtype(num_colors))),
            persistent=stored,
        )
        self._positions: tuple[Any, torch.Tensor] | None = None
        self._kept: tuple[Any, torch.Tensor, torch.Tensor] | None = None

    @property
    def positions(self) -> torch.Tensor:
        """The index as memory is indexed, int64[outputs * inputs]."""
        key = self.index.data_ptr(), self.index._version
        if self._positions is None or self._positions[0] != key:
            self._positions = key, self.index.long().reshape(-1)
        return self._positions[1]

    def weight(self) -> torch.Tensor:
        """Expand to float32[outputs, inputs]."""
        if self.training or torch.is_grad_enabled():
            self._kept = None
            return self._expand()
        tensors = self.pool, self.index
        key = [(tensor.data_ptr(), tensor._version) for tensor in tensors]
        if self._kept is None or self._kept[0] != key:
            # The pool is held, so that no other can come to lie at its address.
            self._kept = key, self.pool.detach(), self._expand()
        return self._kept[2]

    def _expand(self) -> torch.Tensor:
        padded = functional.pad(self.pool, (0, 1))
        weight = padded.index_select(0, self.positions).view(self.index.shape)
        return weight if self.scale == 1.0 else weight * self.scale

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute float32[B, outputs] of float32[B, inputs]."""
        return functional.linear(inputs, self.weight(), self.bias)

    @torch.no_grad()
    def recolor(self, index: np.ndarray | torch.Tensor) -> None:
        """Take another index, integers[outputs, inputs].

        Raises:
            ValueError: if its shape or a colour is none of this layer's.
        """
        colors = torch.as_tensor(np.array(index, dtype=np.int64)).to(self.index.device)
        if colors.shape != self.index.shape:
            expected = list(self.index.shape)
            raise ValueError(f"index: expected shape {expected}, found {list(colors.shape)}")
        self._check(colors)
        self.index.copy_(colors)

    def _check(self, colors: torch.Tensor) -> None:
        low, high = int(colors.min()), int(colors.max())
        if low < 0 or high > self.num_colors:
            raise ValueError(
                f"index: expected colours 0 to {self.num_colors - 1}, or {self.num_colors} for no "
                f"weight, found {low} to {high}"
            )

    def _load_from_state_dict(self, *arguments: Any, **keywords: Any) -> None:
        """Read what is stored, and check the colours, which index memory."""
        before = self.index.clone()
        super()._load_from_state_dict(*arguments, **keywords)
        try:
            self._check(self.index.long())
        except ValueError as error:
            self.index.copy_(before)
            errors: list[str] = arguments[6] if len(arguments) > 6 else keywords["error_msgs"]
            errors.append(str(error))

    def train(self, mode: bool = True) -> ChromaticLinear:
        """Forget the expanded matrix; see `torch.nn.Module.train`."""
        self._kept = None
        return super().train(mode)

    def _apply(self, *arguments: Any, **keywords: Any) -> Any:
        self._kept = self._positions = None
        return super()._apply(*arguments, **keywords)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: torch cannot read pickles of unsigned 16-bit tensors."""
        state = {**self.__dict__, "_kept": None, "_positions": None}
        return {**state, "_buffers": {**self._buffers, "index": self.index.int()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Undo `__getstate__`."""
        super().__setstate__(state)
        stored = torch.from_numpy(np.zeros(0, index_dtype(self.num_colors)))
        self.index = self.index.to(stored.dtype)


class ChromaticNetwork(nn.Module):
    """A multilayer perceptron whose layers share one pool; every hidden unit has its own bias.

    Its parameters are, in this order, the pool and the biases, layer after layer.

    Source: Song et al. (2019) and its successor's released code: one pool for all layers, biases
        apart and not coloured. The poster's bits count the hidden units' biases and no others.
    Differs: the released code leaves the first hidden unit without bias and tanh by an index that
        is off by one; ours has both.

    Args:
        coloring: of its edges.
        activation: makes what stands between two layers.
        output_bias: whether the outputs have biases too.
        layer_scale: whether each layer's weights are divided by the square root of its inputs, so
            that one pool suits layers of different widths.
        init_std: deviation of the pool's first values; by default one over the square root of the
            mean number of inputs of an edge's unit, and 1 with `layer_scale`.
        init_bias: first biases are uniform in +-init_bias.

    Attributes:
        layers: a `ModuleList` of `ChromaticLinear`.
    """

    layers: Any

    def __init__(
        self,
        coloring: Coloring,
        activation: type[nn.Module],
        *,
        output_bias: bool = False,
        layer_scale: bool = False,
        init_std: float | None = None,
        init_bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.kind, self.sizes, self.output_bias = coloring.kind, coloring.sizes, output_bias
        inputs = coloring.sizes[:-1]
        std = _first_std(coloring, layer_scale) if init_std is None else init_std
        self.pool = nn.Parameter(torch.randn(coloring.num_colors) * std)
        self.activation = activation()
        last = len(inputs) - 1
        self.layers = nn.ModuleList(
            ChromaticLinear(
                index,
                coloring.num_colors,
                pool=self.pool,
                bias=output_bias or number < last,
                scale=inputs[number] ** -0.5 if layer_scale else 1.0,
                stored=coloring.kind in STORED,
            )
            for number, index in enumerate(coloring.layers())
        )
        for layer in self.layers:
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -init_bias, init_bias)

    def __len__(self) -> int:
        """Return how many layers there are."""
        return len(self.layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute float32[B, outputs] of float32[B, inputs]."""
        for layer in self.layers[:-1]:
            inputs = self.activation(layer(inputs))
        return self.layers[-1](inputs)

    @property
    def num_biases(self) -> int:
        """How many biases there are."""
        return sum(layer.bias.numel() for layer in self.layers if layer.bias is not None)

    @property
    def coloring(self) -> Coloring:
        """The colouring as it is now."""
        index = torch.cat([layer.positions for layer in self.layers]).cpu().numpy()
        return Coloring(self.sizes, self.kind, len(self.pool), index)

    def recolor(self, coloring: Coloring) -> None:
        """Take another colouring of the same sizes, kind and number of colours.

        Raises:
            ValueError: if it is not.
        """
        expected = self.sizes, self.kind, len(self.pool)
        found = coloring.sizes, coloring.kind, coloring.num_colors
        if expected != found:
            raise ValueError(f"expected a colouring of (sizes, kind, colours) {expected}, {found=}")
        if self.kind not in STORED and not np.array_equal(coloring.index, self.coloring.index):
            raise ValueError(
                f"a {self.kind} colouring follows from sizes and seed and is not saved, so no "
                "other can take its place: make a policy with another coloring_seed"
            )
        for layer, index in zip(self.layers, coloring.layers(), strict=True):
            layer.recolor(index)

    def edge_scales(self) -> torch.Tensor:
        """The fixed factor of each edge's weight, float32[E]."""
        return torch.cat(
            [torch.full((layer.positions.numel(),), layer.scale) for layer in self.layers]
        ).to(self.pool.device)

    def dense_order(self) -> torch.Tensor:
        """Where the numbers of a dense network come from, int64[P of `MlpLayout`].

        They are entries of (edge weights, biases, one zero), E + num_biases + 1 numbers.
        """
        edges = sum(layer.positions.numel() for layer in self.layers)
        weight, bias, zero = 0, edges, edges + self.num_biases
        parts = []
        for layer, outputs in zip(self.layers, itertools.islice(self.sizes, 1, None), strict=True):
            count = layer.positions.numel()
            parts.append(torch.arange(weight, weight + count))
            weight += count
            if layer.bias is None:
                parts.append(torch.full((outputs,), zero))
            else:
                parts.append(torch.arange(bias, bias + outputs))
                bias += outputs
        return torch.cat(parts)


def _first_std(coloring: Coloring, layer_scale: bool) -> float:
    """Return the deviation that keeps the size of what flows through, as far as one pool can."""
    if layer_scale:
        return 1.0
    inputs = np.array(coloring.sizes[:-1])
    edges = inputs * np.array(coloring.sizes[1:])
    return float((edges * inputs).sum() / edges.sum()) ** -0.5
