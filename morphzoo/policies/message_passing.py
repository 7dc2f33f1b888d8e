"""Message passing over a body: encoder, message, update and decoder, on flat node rows.

Nothing here knows what a robot is, and no parameter's shape depends on how many nodes, edges or
motors there are. Node states are rows `float32[R, H]`; a `GraphBatch` says which rows are of which
kind and who hears whom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from morphzoo.morphology import MorphologyGraph
from morphzoo.policies.compiled import compiled, compiles
from morphzoo.policies.fused import fused_rounds, pays

KINDS = ("root", "joint")


class GraphTopology(nn.Module):
    """The index tensors of one body, as buffers that move with the policy but are never saved.

    Nodes are re-ordered so that the nodes of one kind are neighbours in memory (`order`); with
    rows laid out node by node, `[N, B]`, each kind is then one contiguous block of rows.

    Args:
        graph: the body.
        root_links: also link the root with every node, so that a long body hears its root in one
            step (an option of the papers' code that the published runs leave off).
    """

    order: tuple[int, ...]
    adjacency: torch.Tensor
    action_position: torch.Tensor

    def __init__(self, graph: MorphologyGraph, *, root_links: bool = False) -> None:
        super().__init__()
        by_kind = {kind: [i for i, n in enumerate(graph.nodes) if n.kind == kind] for kind in KINDS}
        self.order = tuple(i for kind in KINDS for i in by_kind[kind])
        self.kind_sizes = {kind: len(by_kind[kind]) for kind in KINDS}
        position = {node: p for p, node in enumerate(self.order)}
        edges = {(position[s], position[r]) for s, r in graph.edges}
        if root_links:
            roots = range(self.kind_sizes["root"])
            edges |= {(a, b) for a in roots for b in range(len(self.order)) if a != b}
            edges |= {(b, a) for a, b in edges}
        adjacency = torch.zeros(graph.num_nodes, graph.num_nodes)
        for sender, receiver in sorted(edges):
            adjacency[receiver, sender] = 1.0
        # A node that hears nobody (a body of one node) gets the zero message.
        adjacency /= adjacency.sum(1, keepdim=True).clamp(min=1.0)
        self.register_buffer("adjacency", adjacency, persistent=False)
        motors = sorted(
            (n.action, position[i]) for i, n in enumerate(graph.nodes) if n.action is not None
        )
        self.register_buffer(
            "action_position",
            torch.tensor([p for _, p in motors], dtype=torch.long),
            persistent=False,
        )

    def batch(self, size: int) -> GraphBatch:
        """The rows of `size` copies of this body: row = node position * size + copy."""
        start, rows = 0, {}
        for kind, count in self.kind_sizes.items():
            rows[kind] = slice(start * size, (start + count) * size)
            start += count
        return GraphBatch(rows, self.adjacency, size)


class GraphBatch:
    """Which rows are of which kind, and the mean over each row's neighbours.

    This one holds one body repeated, whose aggregation is a single matrix product. A batch of
    several bodies needs only another `mean_of_neighbours`; no module below looks further.

    Args:
        rows: rows of each kind.
        adjacency: `float32[N, N]`, row r holds the weights with which node r hears the others.
        size: copies of the body, B.
    """

    def __init__(self, rows: Mapping[str, slice], adjacency: torch.Tensor, size: int) -> None:
        self.rows = rows
        self.adjacency = adjacency
        self.size = size

    def mean_of_neighbours(self, messages: torch.Tensor) -> torch.Tensor:
        """Average the neighbours' messages, `float32[R, H]` to `float32[R, H]`.

        Source: NerveNet (Wang et al., 2018) section 3.2, the text's average; Snowflake's code.
        """
        by_node = messages.view(self.adjacency.shape[0], -1)
        return (self.adjacency @ by_node).view_as(messages)


def orthogonal_linear(inputs: int, outputs: int, bias: float = 0.01) -> nn.Linear:
    """A linear layer with orthogonal weights of gain 1 and a constant bias.

    Source: the papers' code initialises every layer so, the decoder's last one included: where the
    decoder is frozen, a small output gain would bound the actions for ever.
    """
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain=1.0)
    nn.init.constant_(layer.bias, bias)
    return layer


def tanh_mlp(sizes: Sequence[int], *, last_tanh: bool) -> nn.Sequential:
    """Linear layers through `sizes` with tanh between them, and after the last if asked."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [orthogonal_linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*(layers if last_tanh else layers[:-1]))


class NodeEncoder(nn.Module):
    """Observations of a node to half of its first state: one linear layer a kind, tanh.

    Args:
        widths: number of features of each kind; a kind without features reads one constant zero.
        size: width of the encoding, H / 2.
    """

    def __init__(self, widths: Mapping[str, int], size: int) -> None:
        super().__init__()
        self.kinds = nn.ModuleDict(
            {k: orthogonal_linear(max(w, 1), size) for k, w in widths.items()}
        )

    def forward(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Encode `float32[R_kind, F_kind]` of each kind to `float32[R, H / 2]`."""
        encoded = [torch.tanh(self.kinds[kind](observations[kind])) for kind in KINDS]
        return torch.cat(encoded)


class NodeEmbedding(nn.Module):
    """A learned vector for each node type, the other half of a node's first state.

    Source: the papers' code, `noninput_shared`: Gaussian, each column scaled to unit norm.
    """

    def __init__(self, num_types: int, size: int) -> None:
        super().__init__()
        table = torch.randn(num_types, size)
        self.table = nn.Parameter(table / table.norm(dim=0, keepdim=True))

    def forward(self, types: torch.Tensor, copies: int) -> torch.Tensor:
        """Rows of `types`, `int64[N]`, each `copies` times: `float32[N * copies, H / 2]`."""
        rows = self.table.index_select(0, types)
        return rows.unsqueeze(1).expand(-1, copies, -1).reshape(-1, self.table.shape[1])


class NodeUpdate(nn.Module):
    """One gated recurrent cell a kind: what a node makes of the messages it hears.

    Differs: `torch.nn.GRUCell` resets after the matrix and has two biases, where the papers' cell
    resets before it and has one; so 24,960 parameters a cell for 24,768 at H = 64.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.kinds = nn.ModuleDict({kind: orthogonal_gru_cell(size) for kind in KINDS})

    def forward(self, heard: torch.Tensor, states: torch.Tensor, batch: GraphBatch) -> torch.Tensor:
        """New states, `float32[R, H]`, from what was heard and the states before."""
        return torch.cat(
            [self.kinds[k](heard[batch.rows[k]], states[batch.rows[k]]) for k in KINDS]
        )

    def tensors(self) -> list[torch.Tensor]:
        """Two matrices and two biases of each kind's cell, in torch's order."""
        return [tensor for kind in KINDS for tensor in self.kinds[kind].parameters()]


def orthogonal_gru_cell(size: int) -> nn.GRUCell:
    """A GRU cell whose six square matrices are orthogonal with gain 1, biases 0."""
    cell = nn.GRUCell(size, size)
    for stacked in (cell.weight_ih, cell.weight_hh):
        for gate in stacked.data.chunk(3):
            nn.init.orthogonal_(gate, gain=1.0)
    nn.init.zeros_(cell.bias_ih)
    nn.init.zeros_(cell.bias_hh)
    return cell


class GraphNetwork(nn.Module):
    """Encoder, embedding, message and update: observations of nodes to states of nodes.

    Source: NerveNet (Wang et al., 2018) equations 1 to 3; Snowflake (Blake et al., 2021) section 2.

    Args:
        widths: number of features of each kind.
        num_types: rows of the embedding.
        size: width of a state, H (even).
        num_layers: message passing steps, T; a node hears others up to T links away.
        fused: take all steps by `fused_rounds` where it pays, and compiled in training on a GPU;
            else one by one, as they read.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        num_types: int,
        size: int,
        num_layers: int,
        *,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.num_layers, self.fused = num_layers, fused
        self.encoder = NodeEncoder(widths, size - size // 2)
        self.embedding = NodeEmbedding(num_types, size // 2)
        self.message = tanh_mlp([size] * 4, last_tanh=True)
        self.update = NodeUpdate(size)

    def forward(
        self, observations: Mapping[str, torch.Tensor], types: torch.Tensor, batch: GraphBatch
    ) -> torch.Tensor:
        """States `float32[R, H]` after `num_layers` rounds of messages."""
        identity = self.embedding(types, batch.size)
        states = torch.cat([identity, self.encoder(observations)], dim=1)
        if self.fused and pays(states):
            sizes = [(rows.stop - rows.start) // batch.size for rows in batch.rows.values()]
            parameters = [*self.message.parameters(), *self.update.tensors()]
            return fused_rounds(states, batch.adjacency, sizes, self.num_layers, parameters)
        if self.fused and compiles(states):
            return compiled(GraphNetwork.rounds)(self, states, batch)
        return self.rounds(states, batch)

    def rounds(self, states: torch.Tensor, batch: GraphBatch) -> torch.Tensor:
        """Take all message passing steps one by one, `float32[R, H]` to `float32[R, H]`."""
        for _ in range(self.num_layers):
            heard = batch.mean_of_neighbours(self.message(states))
            states = self.update(heard, states, batch)
        return states
