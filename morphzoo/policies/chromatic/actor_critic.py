"""ChromaticMlpPolicy: shared weights trained by gradients, for Stable-Baselines3's PPO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from morphzoo.policies.chromatic.coloring import Coloring, implied_colors
from morphzoo.policies.chromatic.linear import ChromaticNetwork
from morphzoo.policies.chromatic.policy import check_first_values
from morphzoo.policies.graph_policy import GraphPolicy


class ChromaticMlpPolicy(GraphPolicy):
    """A multilayer perceptron of tanh units whose weights are entries of one small pool.

    The gradient of a pool entry is the sum of those of its edges, so that the colouring stays and
    the pool is trained. Log standard deviations and the value head are dense, and no part of what
    is deployed.

    Source: the network: Song et al., "Reinforcement Learning with Chromatic Networks for Compact
        Architecture Search" (2019), H41 and its like.
    Differs: trained by gradients; there it is searched for by evolution strategies. The mean action
        has no tanh, as with the other policies of PPO.

    Args:
        observation_space: a `MorphologySpace`.
        action_space: a `Box` with one entry a motor.
        lr_schedule: learning rate by remaining progress.
        use_sde: must be False.
        hidden_sizes: widths of the hidden layers; none makes the policy linear.
        coloring: a row of `COLORINGS`.
        num_colors: size of the pool; by default the larger of observation and action.
        coloring_seed: of a colouring that is random.
        output_bias: whether outputs have biases too.
        layer_scale: whether each layer's weights are over the square root of its inputs.
        init_std: deviation of the pool's first values; see `ChromaticNetwork`.
        init_bias: first biases are uniform in +-init_bias.
        log_std_mode: one log standard deviation a motor by default.
        **kwargs: the keywords of `GraphPolicy`.

    Raises:
        ValueError: as `GraphPolicy` and `Coloring`.
    """

    part_names = ("actor", *GraphPolicy.part_names)

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        use_sde: bool = False,
        *,
        hidden_sizes: Sequence[int] = (41,),
        coloring: str = "chromatic",
        num_colors: int | None = None,
        coloring_seed: int = 0,
        output_bias: bool = False,
        layer_scale: bool = False,
        init_std: float | None = None,
        init_bias: float = 0.0,
        log_std_mode: str = "motor",
        **kwargs: Any,
    ) -> None:
        check_first_values(init_std, init_bias)
        self.hidden_sizes = tuple(hidden_sizes)
        self.colors_wanted = (coloring, num_colors, coloring_seed)
        self.network_keywords = {
            "output_bias": output_bias,
            "layer_scale": layer_scale,
            "init_std": init_std,
            "init_bias": init_bias,
        }
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            use_sde,
            log_std_mode=log_std_mode,
            **kwargs,
        )
        if implied_colors(coloring, self.coloring.sizes) is None:
            # The default follows from the body, and a checkpoint may go to another.
            self.kwargs_received["num_colors"] = len(self.actor.pool)

    def build_actor(self) -> None:
        """Create the network."""
        sizes = (self.graph.observation_size, *self.hidden_sizes, self.graph.action_size)
        kind, num_colors, seed = self.colors_wanted
        coloring = Coloring.make(kind, sizes, num_colors, seed)
        self.actor = ChromaticNetwork(coloring, nn.Tanh, **self.network_keywords)

    def action_means(self, entries: torch.Tensor) -> torch.Tensor:
        """Mean actions `float32[B, A]`."""
        return self.actor(self.reader.flat(entries))

    def actor_parts(self) -> dict[str, nn.Module]:
        """One part."""
        return {"actor": self.actor}

    @property
    def coloring(self) -> Coloring:
        """The colouring; setting one of the same sizes, kind and number of colours recolours."""
        return self.actor.coloring

    @coloring.setter
    def coloring(self, coloring: Coloring) -> None:
        self.actor.recolor(coloring)
