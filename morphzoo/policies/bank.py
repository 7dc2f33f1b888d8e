"""PolicyBank: many different small policies, one a row, computed together."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from gymnasium import spaces

from morphzoo.policies.deterministic import ACTIVATIONS, DeterministicPolicy
from morphzoo.policies.weight_space import MlpLayout

#: Arrays, or tensors on a device: actions come as what the observations are.
Arrays = TypeVar("Arrays", np.ndarray, torch.Tensor)


class PolicyBank:
    """M policies of one architecture that differ in their parameters, each for a row of its own.

    One batched matrix product a layer stands for M small ones. The parameters stay in one flat
    tensor, of which the layers' matrices are views; acting makes a copy of them, once.

    The observations are standardised by the architecture's statistics, the same for every row.

    Attributes:
        policy: the architecture and its statistics; its own parameters play no part.
        thetas: float32[M, P], one flat vector a policy, in the order that `DeterministicPolicy`
            says.
    """

    def __init__(self, policy: DeterministicPolicy, thetas: torch.Tensor) -> None:
        """View the parameters as layers.

        Raises:
            ValueError: if they are not rows of as many parameters as the architecture has.
        """
        if thetas.ndim != 2 or thetas.shape[1] != policy.num_parameters:
            raise ValueError(
                f"expected thetas of shape [M, {policy.num_parameters}] for layers of "
                f"{policy.sizes}, found {tuple(thetas.shape)}"
            )
        self.policy = policy
        self.thetas = thetas
        self._activation = ACTIVATIONS[policy.activation]()
        parts = list(MlpLayout(policy.sizes).split(self._dense()).values())
        self._layers = list(zip(parts[::2], parts[1::2], strict=True))  # weights, biases
        self._turned: list[tuple[torch.Tensor, torch.Tensor]] = []

    def _dense(self) -> torch.Tensor:
        """Return the parameters as those of dense layers, `float32[M, ...]`."""
        return self.policy.expand(self.thetas)

    @property
    def numbers(self) -> tuple[torch.Tensor, ...]:
        """What tells the policies apart, a row each: `type(self)(policy, *numbers)` is the bank."""
        return (self.thetas,)

    def __len__(self) -> int:
        """Return M."""
        return len(self.thetas)

    def take(self, rows: slice | torch.Tensor | np.ndarray) -> PolicyBank:
        """Return some of the policies: views for a slice, copies for row numbers or a mask."""
        return PolicyBank(self.policy, self.thetas[rows])

    def outputs(self, observations: torch.Tensor) -> torch.Tensor:
        """Compute the last layer's values; differentiable, by parameters and observations alike.

        Args:
            observations: standardised, float32[M, T, O]: T for each policy; or float32[T, O], the
                same T for all.

        Returns:
            float32[M, T, outputs].
        """
        turned = [(weight.transpose(1, 2), bias.unsqueeze(1)) for weight, bias in self._layers]
        return self._through(turned, observations.expand(len(self), *observations.shape[-2:]))

    @torch.no_grad()
    def act(self, observations: Arrays) -> Arrays:
        """Act in M rows.

        Args:
            observations: float32[M, O], one for each policy; tensors are on the parameters' device.

        Returns:
            int64[M], or float32[M, A] within the bounds of the action space: arrays for arrays,
            and for tensors tensors, which never leave their device.
        """
        if not self._turned:  # a copy, once for all steps: the product is a third faster for it
            self._turned = [
                (weight.transpose(1, 2).contiguous(), bias.unsqueeze(1).contiguous())
                for weight, bias in self._layers
            ]
        seen = torch.as_tensor(observations, device=self.thetas.device)
        seen = self.policy.standardized(seen).unsqueeze(1)
        actions = self.policy.decide(self._through(self._turned, seen).squeeze(1))
        if isinstance(observations, np.ndarray):
            return self.policy.in_bounds(actions.cpu().numpy())
        return self.policy.in_bounds(actions)

    def _through(
        self, layers: list[tuple[torch.Tensor, torch.Tensor]], hidden: torch.Tensor
    ) -> torch.Tensor:
        """Send float32[M, T, O] through layers of weights [M, inputs, outputs] and biases."""
        for weight, bias in layers[:-1]:
            hidden = self._activation(torch.baddbmm(bias, hidden, weight))
        weight, bias = layers[-1]
        return torch.baddbmm(bias, hidden, weight)

    def responses(self, states: torch.Tensor) -> torch.Tensor:
        """What the policies do at given states, as numbers that gradients flow through.

        Args:
            states: float32[T, O], standardised already.

        Returns:
            float32[M, T, A]: actions in -1..1, plain outputs where they are not squashed,
            probabilities (a softmax of the outputs) where actions are discrete.
        """
        outputs = self.outputs(states)
        if isinstance(self.policy.action_space, spaces.Discrete):
            return outputs.softmax(-1)
        return outputs.tanh() if self.policy.squash_output else outputs
