"""V(theta): a network that predicts the return of a policy from the policy itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from morphzoo.algorithms.features import make_features
from morphzoo.policies.deterministic import ACTIVATIONS, DeterministicPolicy, perceptron


class PolicyCritic(nn.Module):
    """Features of a policy, then a multilayer perceptron to one number.

    Args:
        policy: the policies' architecture.
        features: what is read of a policy; see `morphzoo.algorithms.features`.
        features_kwargs: keywords of the features, by name.
        net_arch: widths of the hidden layers; none makes the critic linear in the features.
        activation: between the layers: "relu", "tanh" or "elu".
        skip: add a linear function of the features to the network's.
        zero: begin as V = 0 everywhere: the last layer's first weights are zeros. Otherwise a
            critic's first slopes, which mean nothing, can outweigh what few steps teach it.

    Raises:
        ValueError: if a value is out of range.
    """

    def __init__(
        self,
        policy: DeterministicPolicy,
        features: str = "theta",
        features_kwargs: dict[str, dict[str, Any]] | None = None,
        *,
        net_arch: Sequence[int] = (256, 256),
        activation: str = "relu",
        skip: bool = False,
        zero: bool = False,
    ) -> None:
        super().__init__()
        if any(type(size) is not int or size < 1 for size in net_arch):
            raise ValueError(f"net_arch: expected positive widths, found {net_arch!r}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected one of {list(ACTIVATIONS)}: {activation!r}")
        self.features = make_features(features, policy, features_kwargs or {})
        sizes = [self.features.num_features, *net_arch, 1]
        self.network = perceptron(sizes, activation)
        self.linear = nn.Linear(sizes[0], 1, bias=False) if skip else None
        if zero:
            for layer in (self.network[-1], self.linear):
                for parameter in () if layer is None else layer.parameters():
                    nn.init.zeros_(parameter)

    def forward(self, thetas: torch.Tensor) -> torch.Tensor:
        """Predict `float32[B]` for policies `float32[B, P]`."""
        return self.value(self.features(thetas))

    def value(self, features: torch.Tensor) -> torch.Tensor:
        """Predict `float32[B]` from features `float32[B, F]`."""
        values = self.network(features)
        return (values if self.linear is None else values + self.linear(features)).squeeze(-1)

    def gradient(self, thetas: torch.Tensor) -> torch.Tensor:
        """The gradient of each policy's value by its own parameters, `float32[B, P]`.

        The critic's parameters, probing states included, get none.
        """
        with torch.enable_grad():
            inputs = thetas.detach().requires_grad_()
            return torch.autograd.grad(self(inputs).sum(), inputs)[0]
