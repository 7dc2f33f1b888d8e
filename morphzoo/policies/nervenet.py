"""NerveNet: a policy of message passing over the body's graph, every part trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from morphzoo.policies.graph_policy import GraphPolicy
from morphzoo.policies.message_passing import GraphNetwork, tanh_mlp


class NerveNetPolicy(GraphPolicy):
    """Encoder and embedding, T rounds of messages through a GRU, one decoder for every motor.

    Source: NerveNet (Wang et al., ICLR 2018) section 3; shapes of its released code: H = 64, T = 4,
    message and decoder of two hidden layers, mean over neighbours.
    Differs: each motor is driven by the node of its own joint. The released code of both papers
    rotates the outputs within each segment; so its checkpoints do not fit.

    Args:
        observation_space: a `MorphologySpace`.
        action_space: a `Box` with one entry a motor.
        lr_schedule: learning rate by remaining progress.
        use_sde: must be False.
        hidden_size: width H of a node's state, even.
        num_layers: rounds of messages T; a node hears others up to T links away.
        root_links: also link the root with every node.
        fused: where it is faster, take all rounds in one step of automatic differentiation, which
            rounds its sums otherwise (`morphzoo.policies.fused`); False: one by one, as they read.
        **kwargs: the keywords of `GraphPolicy`; `freeze` and `part_lr_scale` take `part_names`.

    Raises:
        ValueError: as `GraphPolicy`, or if a size is not positive (H even).
    """

    part_names = ("encoder", "embedding", "message", "update", "decoder", *GraphPolicy.part_names)

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        use_sde: bool = False,
        *,
        hidden_size: int = 64,
        num_layers: int = 4,
        root_links: bool = False,
        fused: bool = True,
        **kwargs: Any,
    ) -> None:
        if hidden_size < 2 or hidden_size % 2:
            raise ValueError(f"hidden_size: expected an even number from 2, found {hidden_size}")
        if num_layers < 1:
            raise ValueError(f"num_layers: expected 1 or more, found {num_layers}")
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.root_links, self.fused = root_links, fused
        super().__init__(observation_space, action_space, lr_schedule, use_sde, **kwargs)

    def build_actor(self) -> None:
        """Create the graph network and the decoder."""
        size = self.hidden_size
        self.network = GraphNetwork(
            self.schema.widths, len(self.schema.types), size, self.num_layers, fused=self.fused
        )
        self.decoder = tanh_mlp([size, size, size, 1], last_tanh=False)

    def action_means(self, entries: torch.Tensor) -> torch.Tensor:
        """Mean actions `float32[B, A]`: the decoder on the state of each motor's node."""
        batch = self.topology.batch(entries.shape[0])
        states = self.network(self.reader.rows(entries), self.reader.types, batch)
        by_node = states.view(-1, batch.size, self.hidden_size)
        driving = by_node.index_select(0, self.topology.action_position)
        return self.decoder(driving).squeeze(-1).T

    def actor_parts(self) -> dict[str, nn.Module]:
        """The modules by part name."""
        network = self.network
        return {
            "encoder": network.encoder,
            "embedding": network.embedding,
            "message": network.message,
            "update": network.update,
            "decoder": self.decoder,
        }
