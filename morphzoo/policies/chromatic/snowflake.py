"""ChromaticSnowflakePolicy: a Snowflake whose trained weights share one small pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from morphzoo.policies.chromatic.coloring import Coloring
from morphzoo.policies.chromatic.fitting import kmeans
from morphzoo.policies.chromatic.linear import ChromaticLinear
from morphzoo.policies.message_passing import KINDS, NodeUpdate
from morphzoo.policies.nervenet import NerveNetPolicy
from morphzoo.policies.snowflake import SnowflakePolicy


class ChromaticGRUCell(nn.Module):
    """A `torch.nn.GRUCell` whose two matrices are entries of a pool; biases are its own.

    Args:
        heard: integers[3H, H], colours of the matrix of what is heard.
        states: integers[3H, H], of the matrix of the state.
        pool: float32[m].
    """

    def __init__(self, heard: np.ndarray, states: np.ndarray, pool: nn.Parameter) -> None:
        super().__init__()
        self.ih = ChromaticLinear(heard, len(pool), pool=pool)
        self.hh = ChromaticLinear(states, len(pool), pool=pool)

    def tensors(self) -> list[Any]:
        """The cell's two matrices and two biases, in the order of `torch.nn.GRUCell`."""
        return [self.ih.weight(), self.hh.weight(), self.ih.bias, self.hh.bias]

    def forward(self, heard: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """New states, `float32[R, H]`."""
        return torch.gru_cell(heard, states, *self.tensors())


class ChromaticUpdate(NodeUpdate):
    """`NodeUpdate` with one pool for the matrices of all its cells.

    The coloured matrix is that of both cells' matrices, one under another: 12H rows, H columns.

    Args:
        coloring: of layers (H, 12H).
    """

    def __init__(self, coloring: Coloring) -> None:
        nn.Module.__init__(self)
        size = coloring.sizes[0]
        self.pool = nn.Parameter(torch.randn(coloring.num_colors) / size**0.5)
        rows = iter(np.split(coloring.layers()[0], 2 * len(KINDS)))
        self.kinds = nn.ModuleDict(
            {kind: ChromaticGRUCell(next(rows), next(rows), self.pool) for kind in KINDS}
        )

    def tensors(self) -> list[torch.Tensor]:
        """Each kind's four tensors, of which the matrices are expanded here."""
        return [tensor for cell in self.cells() for tensor in cell.tensors()]

    def cells(self) -> list[Any]:
        """The cells in the order of the kinds."""
        return [self.kinds[kind] for kind in KINDS]

    def matrices(self) -> list[ChromaticLinear]:
        """The coloured matrices, from the top."""
        return [matrix for cell in self.cells() for matrix in (cell.ih, cell.hh)]


class ChromaticSnowflakePolicy(SnowflakePolicy):
    """`SnowflakePolicy` whose update function has few different weights, and any number of joints.

    No tensor's shape depends on the body, so that it acts on other bodies as a Snowflake does. All
    that is trained of the actor are the pool, the cells' biases and the embedding.

    Source: Snowflake (Blake et al., NeurIPS 2021); shared weights: Song et al., "Reinforcement
        Learning with Chromatic Networks for Compact Architecture Search" (2019).
    Differs: colouring the update of a graph network is ours.

    Args:
        observation_space: a `MorphologySpace`.
        action_space: a `Box` with one entry a motor.
        lr_schedule: learning rate by remaining progress.
        use_sde: must be False.
        num_colors: size of the pool.
        coloring_seed: of the first colouring, which is random.
        **kwargs: the keywords of `SnowflakePolicy`.

    Raises:
        ValueError: as `SnowflakePolicy` and `Coloring`.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        use_sde: bool = False,
        *,
        num_colors: int = 64,
        coloring_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        self.colors_wanted = (num_colors, coloring_seed)
        super().__init__(observation_space, action_space, lr_schedule, use_sde, **kwargs)

    def build_actor(self) -> None:
        """Create Snowflake's network with a coloured update."""
        super().build_actor()
        size = self.hidden_size
        coloring = Coloring.make("kmeans", (size, 12 * size), *self.colors_wanted)
        self.network.update = ChromaticUpdate(coloring)

    @property
    def update(self) -> ChromaticUpdate:
        """The coloured part."""
        update = self.network.update
        assert isinstance(update, ChromaticUpdate)
        return update

    @property
    def coloring(self) -> Coloring:
        """The colouring of the matrices under one another, of layers (H, 12H)."""
        index = torch.cat([matrix.positions for matrix in self.update.matrices()])
        sizes = (self.hidden_size, 12 * self.hidden_size)
        return Coloring(sizes, "kmeans", len(self.update.pool), index.cpu().numpy())

    @coloring.setter
    def coloring(self, coloring: Coloring) -> None:
        before = self.coloring
        expected = before.sizes, before.kind, before.num_colors
        found = coloring.sizes, coloring.kind, coloring.num_colors
        if expected != found:
            raise ValueError(f"expected a colouring of (sizes, kind, colours) {expected}, {found=}")
        matrices = self.update.matrices()
        parts = np.split(coloring.layers()[0], len(matrices))
        for matrix, index in zip(matrices, parts, strict=True):
            matrix.recolor(index)


@torch.no_grad()
def kmeans_snowflake(policy: NerveNetPolicy, num_colors: int) -> ChromaticSnowflakePolicy:
    """Let the update function of a trained graph policy have few different weights.

    Args:
        policy: a `SnowflakePolicy` or `NerveNetPolicy`.
        num_colors: size of the pool.

    Returns:
        A policy of the same spaces, which PPO can train further; all but the update is a copy.

    Raises:
        ValueError: as `Coloring`, or if it is another policy.
    """
    if not isinstance(policy, NerveNetPolicy) or isinstance(policy, ChromaticSnowflakePolicy):
        raise ValueError(
            f"expected a trained Snowflake or NerveNet, found a {type(policy).__name__}"
        )
    tensors = policy.network.update.tensors()
    matrices = [tensor for tensor in tensors if tensor.ndim == 2]
    coloring, pool = kmeans([torch.cat(matrices).cpu().numpy()], num_colors)
    kwargs = {**policy.kwargs_received, "num_colors": num_colors}
    made = ChromaticSnowflakePolicy(
        policy.observation_space, policy.action_space, policy._dummy_schedule, **kwargs
    )
    own = {key: value for key, value in made.state_dict().items() if "network.update." in key}
    others = {k: v for k, v in policy.state_dict().items() if k not in own}
    others = {k: v for k, v in others.items() if not k.startswith("network.update.")}
    made.load_state_dict({**own, **others}, strict=True)
    made.coloring = coloring
    made.update.pool.copy_(torch.as_tensor(pool))
    biases = [tensor for tensor in tensors if tensor.ndim == 1]
    for matrix, bias in zip(made.update.matrices(), biases, strict=True):
        assert matrix.bias is not None
        matrix.bias.copy_(bias)
    return made.to(policy.device).train(policy.training)
