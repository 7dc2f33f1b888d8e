"""Features of a policy that stay when its hidden units change places."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from morphzoo.policies.weight_space.equivariant import EquivariantLinear, unit_means
from morphzoo.policies.weight_space.layout import MlpLayout, positive_integers

LARGEST_ACTIVATION = 2**22
"""Numbers in the largest activation of a default micro-batch: 16 MiB in float32."""


class UniversalNeuralFunctional(nn.Module):
    """Permutation-invariant features of MLP policies, from their flat parameters.

    The units of a hidden layer have no order: moving them, with their incoming weights, biases and
    outgoing weights, leaves the policy as it is. These features stay too, up to rounding::

        x = (theta - mean) / std       one mean and std for each weight matrix and each bias
        x = relu(EquivariantLinear(x))     once for each entry of `channels`
        features = mean of x over units    for each matrix and bias, then joined

    Observation and action have no such symmetry: what belongs to one of their entries is a channel
    of its own (of W1, of the last matrix and of the last bias), so their order matters.

    Memory is that of one micro-batch, whatever the batch: a larger batch is taken in pieces, each
    recomputed when its gradient is due (a third more arithmetic), and gradients add up as usual.
    At its peak that is about four of the largest activation. Beside it stand a standardised copy
    of theta and the gradients of both.

    Source: Massively Scaling EPVFs (Bohlinger and Peters, 2025), section 3, gives a critic such
    features; layer and nonlinearity are of Universal Neural Functionals (Zhou, Finn and Harrison,
    NeurIPS 2024); no symmetry of observation and action as in the HNP layers of Permutation
    Equivariant Neural Functionals (Zhou et al., NeurIPS 2023). Differs: number and width of layers
    are not printed, (16, 16) is ours; so is standardising: weights are small, and features of
    small inputs are little but the biases.

    Args:
        sizes: entries of the observation, units of each hidden layer (one or more of them),
            entries of the action.
        channels: channels of each layer, C.
        micro_batch: policies at once; by default as many as keep the largest activation at 16 MiB
            of float32. Larger ones suit a GPU.

    Attributes:
        layout: the order of the parameters.
        micro_batch: policies at once.
        num_features: F, the number of weight matrices and biases times the last C.

    Raises:
        ValueError: if an argument is not positive integers, or there is no hidden layer.
    """

    count: torch.Tensor
    mean: torch.Tensor
    variance: torch.Tensor
    lengths: torch.Tensor

    STD_FLOOR = 1e-3

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        channels: Sequence[int] = (16, 16),
        micro_batch: int | None = None,
    ) -> None:
        super().__init__()
        self.layout = MlpLayout(sizes)
        if not self.layout.hidden_sizes:
            raise ValueError(
                f"sizes: expected a hidden layer, found {self.layout.sizes}. A linear policy has "
                "no units that could change places; use its parameters themselves as features"
            )
        widths = positive_integers("channels", channels)
        tensors = self.layout.tensors
        self.index_sets = {t.name: tuple(n for n in t.layers if n is not None) for t in tensors}
        units = {
            t.name: prod(self.layout.sizes[n] for n in self.index_sets[t.name]) for t in tensors
        }
        if micro_batch is None:
            micro_batch = max(1, LARGEST_ACTIVATION // (max(units.values()) * max(widths)))
        (self.micro_batch,) = positive_integers("micro_batch", [micro_batch])
        incoming = {t.name: t.size // units[t.name] for t in tensors}
        self.layers = nn.ModuleList()
        for width in widths:
            self.layers.append(EquivariantLinear(self.index_sets, incoming, width))
            incoming = dict.fromkeys(incoming, width)
        self.num_features = len(tensors) * widths[-1]
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(len(tensors), dtype=torch.float64))
        self.register_buffer("variance", torch.ones(len(tensors), dtype=torch.float64))
        lengths = torch.tensor([t.size for t in tensors])
        self.register_buffer("lengths", lengths, persistent=False)

    @torch.no_grad()
    def update_statistics(self, theta: torch.Tensor) -> None:
        """Let policies enter the running mean and variance of each weight matrix and bias.

        All policies ever given count alike. Nothing else changes the statistics; before the first
        call parameters are taken as they are.

        Args:
            theta: flat parameters, floating[B, P].

        Raises:
            ValueError: as `forward`; the statistics are then as they were.
        """
        self.layout.check(theta)
        if not len(theta):
            return
        parts = [part.flatten(1) for part in self.layout.split(theta).values()]
        moments = [torch.var_mean(part, dim=1, correction=0) for part in parts]
        variances, means = (torch.stack(m, dim=1).to(self.mean) for m in zip(*moments, strict=True))
        between, mean = torch.var_mean(means, dim=0, correction=0)
        share = len(theta) / (self.count + len(theta))
        step = mean - self.mean
        self.variance.lerp_(variances.mean(0) + between, share).add_(share * (1 - share) * step**2)
        self.mean.add_(share * step)
        self.count.add_(len(theta))

    def forward(self, theta: torch.Tensor) -> torch.Tensor:
        """Compute features `floating[B, F]` of policies, differentiable in theta and the weights.

        Args:
            theta: flat parameters, floating[B, P], in the type of the module's weights.

        Raises:
            ValueError: if theta is not that, or a parameter is NaN or infinite.
        """
        self.layout.check(theta)
        dtype = next(self.parameters()).dtype
        if theta.dtype != dtype:
            raise ValueError(
                f"theta: expected {dtype}, the type of the module's weights, found {theta.dtype}; "
                "convert one of the two with .to"
            )
        pieces = self._standardised(theta).split(self.micro_batch)
        if len(pieces) == 1 or not torch.is_grad_enabled():
            return torch.cat([self._features(piece) for piece in pieces])
        return torch.cat(
            [
                checkpoint(self._features, piece, use_reentrant=False, preserve_rng_state=False)
                for piece in pieces
            ]
        )

    def _standardised(self, theta: torch.Tensor) -> torch.Tensor:
        """Parameters `floating[B, P]` less their tensor's mean, by its standard deviation."""
        scale = 1 / self.variance.sqrt().clamp(min=self.STD_FLOOR)
        mean, scale = (
            numbers.to(theta.dtype).repeat_interleave(self.lengths, output_size=theta.shape[1])
            for numbers in (self.mean, scale)
        )
        return (theta - mean) * scale

    def _features(self, theta: torch.Tensor) -> torch.Tensor:
        """Features `floating[B, F]` of standardised parameters `floating[B, P]`."""
        features = self._folded(theta)
        for layer in self.layers:
            features = {name: x.relu_() for name, x in layer(features).items()}
        pooled = [unit_means(s, features[name])[()] for name, s in self.index_sets.items()]
        return torch.cat(pooled, dim=1)

    def _folded(self, theta: torch.Tensor) -> dict[str, torch.Tensor]:
        """View parameters as features `[B, *units, C]`; entries of observation or action are C."""
        split, folded = self.layout.split(theta), {}
        for tensor in self.layout.tensors:
            x = split[tensor.name]
            if None in tensor.layers:
                folded[tensor.name] = x.movedim(1 + tensor.layers.index(None), -1)
            else:
                folded[tensor.name] = x.unsqueeze(-1)
        return folded
