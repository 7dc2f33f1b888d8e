"""Running statistics per node type and feature, so that they mean the same on every body."""

from __future__ import annotations

import torch
from torch import nn

from morphzoo.morphology import MorphologyGraph
from morphzoo.policies.message_passing import KINDS, GraphTopology
from morphzoo.policies.schema import NodeSchema


class NodeReader(nn.Module):
    """Takes each node's features out of the flat observation, in the topology's order of nodes.

    A node that lacks a feature of its kind reads a zero there. All indices are buffers that follow
    from the body, so none is saved.

    Args:
        graph: the body.
        schema: names and order of the features.
        topology: the order of the nodes.
    """

    column: torch.Tensor
    statistic: torch.Tensor
    present: torch.Tensor
    first_entry: torch.Tensor
    types: torch.Tensor

    def __init__(self, graph: MorphologyGraph, schema: NodeSchema, topology: GraphTopology) -> None:
        super().__init__()
        self.shapes = [(k, topology.kind_sizes[k], schema.widths[k]) for k in KINDS]
        offset, offsets = 0, {}
        for kind, names in schema.features:
            offsets[kind] = offset
            offset += len(schema.types) * len(names)
        self.num_statistics = offset
        names_of = dict(schema.features)
        zero = graph.observation_size  # the index of the zero appended in `forward`
        column, statistic = [], []
        for node in (graph.nodes[i] for i in topology.order):
            owned = dict(zip(node.features, node.columns, strict=True))
            row = schema.types.index(node.type) * len(names_of[node.kind])
            for j, name in enumerate(names_of[node.kind]):
                column.append(owned.get(name, zero))
                statistic.append(offsets[node.kind] + row + j)
        first = {c: entry for entry, c in reversed(list(enumerate(column)))}
        flat = [first.get(c, len(column)) for c in range(graph.observation_size)]
        types = [schema.types.index(graph.nodes[i].type) for i in topology.order]
        for name, index in (
            ("column", column),
            ("statistic", statistic),
            ("first_entry", flat),
            ("types", types),
        ):
            self.register_buffer(name, torch.tensor(index, dtype=torch.long), persistent=False)
        self.register_buffer("present", (self.column != zero).double(), persistent=False)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Gather `float32[B, O]` to entries `float32[B, M]`, node after node."""
        return nn.functional.pad(observations, (0, 1)).index_select(1, self.column)

    def rows(self, entries: torch.Tensor) -> dict[str, torch.Tensor]:
        """Split entries `float32[B, M]` into rows `float32[N_kind * B, F_kind]` of each kind."""
        rows, start = {}, 0
        for kind, nodes, width in self.shapes:
            part = entries[:, start : start + nodes * width]
            start += nodes * width
            if width:
                part = part.reshape(-1, nodes, width).transpose(0, 1).reshape(-1, width)
            else:  # a kind that observes nothing reads one constant zero
                part = entries.new_zeros(nodes * entries.shape[0], 1)
            rows[kind] = part
        return rows

    def flat(self, entries: torch.Tensor) -> torch.Tensor:
        """Back to the flat observation's order, `float32[B, O]`; columns no node reads are zero."""
        return nn.functional.pad(entries, (0, 1)).index_select(1, self.first_entry)


class ColumnReader(nn.Module):
    """Reads a body without a graph: every number of the observation has statistics of its own.

    Args:
        num_statistics: numbers in the observation.
    """

    statistic: torch.Tensor
    present: torch.Tensor

    def __init__(self, num_statistics: int) -> None:
        super().__init__()
        self.num_statistics = num_statistics
        self.register_buffer("statistic", torch.arange(num_statistics), persistent=False)
        self.register_buffer(
            "present", torch.ones(num_statistics, dtype=torch.float64), persistent=False
        )

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """The observation itself."""
        return observations

    def flat(self, entries: torch.Tensor) -> torch.Tensor:
        """The entries themselves."""
        return entries


class NodeNormalizer(nn.Module):
    """Standardises entries by statistics of their (node type, feature), never of their index.

    What is observed while a rollout is collected is only counted (`observe`), and enters the
    statistics when the next rollout begins (`commit`), so that one iteration of PPO sees one fixed
    normalisation, as in the papers' code.

    Source: the papers' normaliser: running mean and variance, variance at least 0.01, clip at 5.
    Differs: one statistic a (type, feature) in place of one an observation index; entries beyond
    the clip bound come out at the bound (the papers' code returns zero for them).

    Args:
        num_statistics: length of the table, the reader's `num_statistics`.
        clip: bound of the standardised entries.
    """

    VARIANCE_FLOOR = 0.01

    mean: torch.Tensor
    std: torch.Tensor
    count: torch.Tensor
    pending_count: torch.Tensor

    def __init__(self, num_statistics: int, clip: float = 5.0) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(num_statistics))
        self.register_buffer("std", torch.ones(num_statistics))
        for name in (
            "count",
            "sum",
            "sum_squares",
            "pending_count",
            "pending_sum",
            "pending_squares",
        ):
            self.register_buffer(name, torch.zeros(num_statistics, dtype=torch.float64))

    def forward(self, entries: torch.Tensor, statistic: torch.Tensor) -> torch.Tensor:
        """Standardise `float32[B, M]`; `statistic`, `int64[M]`, says which statistic is whose."""
        mean, std = self.mean.index_select(0, statistic), self.std.index_select(0, statistic)
        return ((entries - mean) / std).clamp(-self.clip, self.clip)

    @torch.no_grad()
    def observe(self, entries: torch.Tensor, reader: NodeReader | ColumnReader) -> None:
        """Count entries `float32[B, M]` for the next `commit`."""
        values = entries.double()
        self.pending_count.index_add_(0, reader.statistic, reader.present * len(values))
        self.pending_sum.index_add_(0, reader.statistic, values.sum(0))
        self.pending_squares.index_add_(0, reader.statistic, values.square().sum(0))

    @torch.no_grad()
    def withdraw(self) -> torch.Tensor:
        """Take back what was observed since the last commit.

        Returns:
            float64[3, S]: count, sum and sum of squares of every statistic.
        """
        pending = (self.pending_count, self.pending_sum, self.pending_squares)
        observed = torch.stack(pending)
        for table in pending:
            table.zero_()
        return observed

    @torch.no_grad()
    def hand_in(self, observed: torch.Tensor) -> None:
        """Count what `withdraw` gave, here or in another process, for the next `commit`."""
        for table, values in zip(
            (self.pending_count, self.pending_sum, self.pending_squares), observed, strict=True
        ):
            table.add_(values)

    @torch.no_grad()
    def commit(self) -> None:
        """Let what was observed since the last commit enter the statistics."""
        for name, pending in (("count", "count"), ("sum", "sum"), ("sum_squares", "squares")):
            getattr(self, name).add_(getattr(self, f"pending_{pending}"))
            getattr(self, f"pending_{pending}").zero_()
        seen = self.count > 0
        count = self.count.clamp(min=1.0)
        mean = self.sum / count
        variance = (self.sum_squares / count - mean.square()).clamp(min=self.VARIANCE_FLOOR)
        self.mean.copy_(torch.where(seen, mean, torch.zeros_like(mean)))
        self.std.copy_(torch.where(seen, (variance + 1e-6).sqrt(), torch.ones_like(mean)))

    sum: torch.Tensor
    sum_squares: torch.Tensor
    pending_sum: torch.Tensor
    pending_squares: torch.Tensor
