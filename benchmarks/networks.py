"""The networks that ours is compared with, all with the papers' sizes: H = 64, T = 4."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn

from morphzoo.policies.message_passing import GraphNetwork
from morphzoo.policies.mlp import MlpPolicy
from morphzoo.policies.snowflake import SnowflakePolicy


class EdgeNetwork(GraphNetwork):
    """A graph network as PyTorch Geometric's users write it: one message an edge, a batched graph.

    Encoder, embedding and cells are those of ours; each kind's cell runs on the rows of its kind.
    """

    def __init__(self, like: GraphNetwork) -> None:
        """Take the modules of a network of ours, so that both compute the same."""
        nn.Module.__init__(self)
        message_passing = importlib.import_module("torch_geometric.nn").MessagePassing

        class Messages(message_passing):  # its base is imported only where it is asked for
            """The mean over a node's neighbours of the message function of each."""

            def __init__(self, function: nn.Module) -> None:
                super().__init__(aggr="mean", node_dim=0)
                self.function = function

            def forward(self, states: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
                return self.propagate(edges, x=states)

            def message(self, x_j: torch.Tensor) -> torch.Tensor:
                return self.function(x_j)

        self.num_layers = like.num_layers
        self.encoder, self.embedding = like.encoder, like.embedding
        self.message, self.update = like.message, like.update
        self.messages = Messages(like.message)
        self.edges: dict[int, torch.Tensor] = {}

    def forward(self, observations: Any, types: torch.Tensor, batch: Any) -> torch.Tensor:
        """States after all rounds, as `GraphNetwork`."""
        if batch.size not in self.edges:
            self.edges[batch.size] = _batched_edges(batch)
        identity = self.embedding(types, batch.size)
        states = torch.cat([identity, self.encoder(observations)], dim=1)
        for _ in range(self.num_layers):
            heard = self.messages(states, self.edges[batch.size])
            states = self.update(heard, states, batch)
        return states


def _batched_edges(batch: Any) -> torch.Tensor:
    """Senders and receivers of all copies of a body, `int64[2, E]`, in our order of rows."""
    receivers, senders = batch.adjacency.nonzero().T
    copies = torch.arange(batch.size)
    flat = [(end[:, None] * batch.size + copies).flatten() for end in (senders, receivers)]
    return torch.stack(flat)


class EdgeSnowflakePolicy(SnowflakePolicy):
    """Snowflake on `EdgeNetwork`."""

    def build_actor(self) -> None:
        """Create the graph network and the decoder."""
        super().build_actor()
        self.network = EdgeNetwork(self.network)


class PlainSnowflakePolicy(SnowflakePolicy):
    """Snowflake round by round: a message a node, a dense adjacency, torch's own gradients."""

    def __init__(self, *args: Any, fused: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, fused=fused, **kwargs)


POLICIES = {
    "fused": SnowflakePolicy,
    "plain": PlainSnowflakePolicy,
    "geometric": EdgeSnowflakePolicy,
    "mlp": MlpPolicy,
}
