"""Value heads: a flat MLP that fits one body, and a graph network that transfers."""

from __future__ import annotations

import torch
from torch import nn

from morphzoo.morphology import MorphologyGraph
from morphzoo.policies.message_passing import (
    KINDS,
    GraphNetwork,
    GraphTopology,
    orthogonal_linear,
    tanh_mlp,
)
from morphzoo.policies.normalization import NodeReader
from morphzoo.policies.schema import NodeSchema


class FlatValueHead(nn.Module):
    """64-64 tanh on the flat normalised observation, as in the papers. Fits one body only.

    Differs: orthogonal initialisation in place of the papers' column-normalised Gaussian.
    """

    transfers = False

    def __init__(self, graph: MorphologyGraph, hidden: int = 64) -> None:
        super().__init__()
        self.network = nn.Sequential(
            tanh_mlp([graph.observation_size, hidden, hidden], last_tanh=True),
            orthogonal_linear(hidden, 1, 0.0),
        )

    def forward(
        self, entries: torch.Tensor, reader: NodeReader, topology: GraphTopology
    ) -> torch.Tensor:
        """Values `float32[B, 1]` of normalised entries `float32[B, M]`."""
        del topology
        return self.network(reader.flat(entries))


class GraphValueHead(nn.Module):
    """A graph network of its own; its readout sees the root's state and the mean joint's.

    Source: NerveNet (Wang et al., 2018) section 3.3, the variant with a second network.
    Differs: they read the root alone, which on a long body hears only `num_layers` links far.
    """

    transfers = True

    def __init__(
        self, schema: NodeSchema, size: int = 64, num_layers: int = 4, *, fused: bool = True
    ) -> None:
        super().__init__()
        self.network = GraphNetwork(schema.widths, len(schema.types), size, num_layers, fused=fused)
        self.readout = nn.Sequential(
            tanh_mlp([2 * size, size, size], last_tanh=True), orthogonal_linear(size, 1, 0.0)
        )

    def forward(
        self, entries: torch.Tensor, reader: NodeReader, topology: GraphTopology
    ) -> torch.Tensor:
        """Values `float32[B, 1]` of normalised entries `float32[B, M]`."""
        batch = topology.batch(entries.shape[0])
        states = self.network(reader.rows(entries), reader.types, batch)
        means = []
        for kind in KINDS:
            rows = states[batch.rows[kind]]
            nodes = rows.view(topology.kind_sizes[kind], batch.size, -1)
            means.append(
                nodes.mean(0) if len(nodes) else states.new_zeros(batch.size, states.shape[1])
            )
        return self.readout(torch.cat(means, dim=1))


def make_value_head(
    name: str, graph: MorphologyGraph, schema: NodeSchema, *, fused: bool = True
) -> nn.Module:
    """The value head of that name; `fused` is `GraphNetwork`'s.

    Raises:
        ValueError: if there is none.
    """
    if name == "mlp":
        return FlatValueHead(graph)
    if name == "graph":
        return GraphValueHead(schema, fused=fused)
    raise ValueError(f"value_head: expected 'mlp' or 'graph', found {name!r}")
