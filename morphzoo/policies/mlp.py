"""The flat baseline: a multilayer perceptron that knows the body only as a list of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from morphzoo.policies.graph_policy import GraphPolicy


class MlpPolicy(GraphPolicy):
    """64-64 tanh on the flat normalised observation. Transfers by names only (MLPAA).

    On another body the first layer's columns and the last layer's rows are placed by joint name,
    NerveNet's baseline "MLP activation assigning"; see `morphzoo.policies.transferring`.

    Source: NerveNet (Wang et al., ICLR 2018) section 4.2. Differs: orthogonal initialisation
    (gain sqrt 2, last layer 0.01) in place of column-normalised Gaussians (last layer 0.01).

    Args:
        observation_space: a `MorphologySpace`.
        action_space: a `Box` with one entry a motor.
        lr_schedule: learning rate by remaining progress.
        use_sde: must be False.
        hidden_sizes: widths of the hidden layers.
        log_std_mode: one log standard deviation a motor, as in the papers, by default.
        **kwargs: the keywords of `GraphPolicy`.

    Raises:
        ValueError: as `GraphPolicy`, or if there is no hidden layer.
    """

    part_names = ("actor", *GraphPolicy.part_names)

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        use_sde: bool = False,
        *,
        hidden_sizes: Sequence[int] = (64, 64),
        log_std_mode: str = "motor",
        **kwargs: Any,
    ) -> None:
        self.hidden_sizes = tuple(hidden_sizes)
        if not self.hidden_sizes or min(self.hidden_sizes) < 1:
            raise ValueError(
                f"hidden_sizes: expected one or more positive widths, found {hidden_sizes}"
            )
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            use_sde,
            log_std_mode=log_std_mode,
            **kwargs,
        )

    def build_actor(self) -> None:
        """Create the hidden layers and the output layer."""
        sizes = [self.graph.observation_size, *self.hidden_sizes, self.graph.action_size]
        layers: list[nn.Module] = []
        for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(inputs, outputs), nn.Tanh()]
        self.actor = nn.Sequential(*layers[:-1])
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        for layer in linear:
            last = layer is linear[-1]
            nn.init.orthogonal_(layer.weight, gain=0.01 if last else 2**0.5)
            nn.init.zeros_(layer.bias)

    def action_means(self, entries: torch.Tensor) -> torch.Tensor:
        """Mean actions `float32[B, A]`."""
        return self.actor(self.reader.flat(entries))

    def actor_parts(self) -> dict[str, nn.Module]:
        """One part."""
        return {"actor": self.actor}
