"""ChromaticPolicy: a deterministic policy of shared weights, to be searched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch.nn import functional

from morphzoo.policies.chromatic.coloring import Coloring, implied_colors
from morphzoo.policies.chromatic.linear import ChromaticNetwork
from morphzoo.policies.deterministic import ACTIVATIONS, DeterministicPolicy


class ChromaticPolicy(DeterministicPolicy):
    """A `DeterministicPolicy` whose weights are entries of one small pool.

    Its flat vector of P numbers, `theta`, is the pool and then the biases. `ES`, `EPVF`, `PSSVF`
    and sb3-contrib's `ARS` search over it with the colouring fixed; `ENAS` searches for both.

    Source: Song et al., "Reinforcement Learning with Chromatic Networks for Compact Architecture
        Search" (2019): the poster's networks have none, one or two hidden layers of 41 tanh units,
        and tanh on the actions.

    Args:
        observation_space: a one-dimensional `Box`; a `MorphologySpace` if it is to be saved in the
            zoo.
        action_space: a one-dimensional `Box`, bounded if `squash`.
        lr_schedule: not used; Stable-Baselines3's algorithms and loaders pass it.
        use_sde: must be False.
        hidden_sizes: widths of the hidden layers; none makes the policy linear.
        coloring: a row of `COLORINGS`.
        num_colors: size of the pool; by default the larger of observation and action.
        coloring_seed: of a colouring that is random.
        output_bias: whether outputs have biases too.
        layer_scale: whether each layer's weights are over the square root of its inputs.
        init_std: deviation of the pool's first values; see `ChromaticNetwork`.
        init_bias: first biases are uniform in +-init_bias.
        **kwargs: those of `DeterministicPolicy`: `activation`, `squash`, `normalize`, `schema`.

    Raises:
        ValueError: as `DeterministicPolicy` and `Coloring`, or if actions are discrete.
    """

    actor: ChromaticNetwork
    dense_order: torch.Tensor
    edge_scales: torch.Tensor

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule | None = None,
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
        **kwargs: Any,
    ) -> None:
        self.colors_wanted = (coloring, num_colors, coloring_seed)
        self.network_keywords = {
            "output_bias": output_bias,
            "layer_scale": layer_scale,
            "init_std": init_std,
            "init_bias": init_bias,
        }
        check_first_values(init_std, init_bias)
        if not isinstance(action_space, spaces.Box):
            raise ValueError(
                f"a chromatic policy acts in a one-dimensional Box, found {action_space}: use "
                "DeterministicPolicy for discrete actions"
            )
        super().__init__(
            observation_space,
            action_space,
            lr_schedule or (lambda _: 0.0),
            use_sde,
            hidden_sizes=hidden_sizes,
            **kwargs,
        )
        if implied_colors(coloring, self.coloring.sizes) is None:
            # The default follows from the body, and a checkpoint may go to another.
            self.kwargs_received["num_colors"] = len(self.actor.pool)
        order, scales = self.actor.dense_order(), self.actor.edge_scales()
        self.register_buffer("dense_order", order, persistent=False)
        self.register_buffer("edge_scales", scales, persistent=False)

    def make_actor(self) -> ChromaticNetwork:
        """Build the network; see `DeterministicPolicy`."""
        kind, num_colors, seed = self.colors_wanted
        coloring = Coloring.make(kind, self.sizes, num_colors, seed)
        return ChromaticNetwork(coloring, ACTIVATIONS[self.activation], **self.network_keywords)

    @property
    def coloring(self) -> Coloring:
        """The colouring; setting one of the same sizes, kind and number of colours recolours."""
        return self.actor.coloring

    @coloring.setter
    def coloring(self, coloring: Coloring) -> None:
        self.actor.recolor(coloring)

    def expand(self, thetas: torch.Tensor, colors: torch.Tensor | None = None) -> torch.Tensor:
        """Write many of these policies as dense networks; differentiable by their parameters.

        Args:
            thetas: float32[M, P], pool and biases of each.
            colors: int64[M, E], a colouring of its own for each; by default this policy's for all.

        Returns:
            float32[M, parameters of `MlpLayout(sizes)`].
        """
        num_colors = len(self.actor.pool)
        padded = functional.pad(thetas[:, :num_colors], (0, 1))
        if colors is None:
            own = torch.cat([layer.positions for layer in self.actor.layers])
            edges = padded.index_select(1, own)
        else:
            edges = padded.gather(1, colors)
        numbers = torch.cat([edges * self.edge_scales, thetas[:, num_colors:]], dim=1)
        return functional.pad(numbers, (0, 1)).index_select(1, self.dense_order)


def check_first_values(init_std: float | None, init_bias: float) -> None:
    """Refuse first values of a negative spread.

    Raises:
        ValueError: naming it.
    """
    if init_std is not None and not init_std >= 0:
        raise ValueError(f"init_std: expected at least 0, or None, found {init_std}")
    if not init_bias >= 0:
        raise ValueError(f"init_bias: expected at least 0, found {init_bias}")


def colored_like(
    policy: DeterministicPolicy, coloring: Coloring, keywords: Mapping[str, Any] | None = None
) -> ChromaticPolicy:
    """Make a chromatic policy for the spaces and with the statistics of another policy.

    Args:
        policy: a `DeterministicPolicy`, chromatic or not.
        coloring: of the new policy's edges.
        keywords: further keywords of `ChromaticPolicy`, in front of those of `policy`.

    Returns:
        The policy, with first values of its own.
    """
    shared = {
        key: policy.kwargs_received[key]
        for key in ("hidden_sizes", "activation", "squash", "normalize", "schema")
    }
    made = ChromaticPolicy(
        policy.observation_space,
        policy.action_space,
        **{
            **shared,
            "coloring": coloring.kind,
            "num_colors": coloring.num_colors,
            **(keywords or {}),
        },
    )
    made.coloring = coloring
    made.normalizer.load_state_dict(policy.normalizer.state_dict())
    return made.to(policy.device).train(policy.training)
