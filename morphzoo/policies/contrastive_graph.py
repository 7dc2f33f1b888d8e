"""The policy of contrastive RL that knows its body: graph networks that run on any body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from torch.func import functional_call

from morphzoo.morphology import MorphologyGraph
from morphzoo.policies.goal_policy import GoalPolicy, bounded_log_std
from morphzoo.policies.goal_spaces import GoalSizes
from morphzoo.policies.message_passing import (
    KINDS,
    GraphNetwork,
    GraphTopology,
    orthogonal_linear,
    tanh_mlp,
)
from morphzoo.policies.normalization import NodeReader
from morphzoo.policies.received import one_of
from morphzoo.policies.residual import ResidualTrunk, TrunkSettings, dense
from morphzoo.policies.schema import NodeSchema
from morphzoo.spaces import graph_of


class InformedGraph(nn.Module):
    """A graph network whose nodes read more than what they observe.

    Args:
        graph: the body.
        schema: node types and features the weights are for.
        more: numbers that each node reads besides.
        size: width of a state, H.
        num_layers: rounds of messages.
        root_links: also link the root with every node.
        fused: as for `GraphNetwork`.
    """

    def __init__(
        self,
        graph: MorphologyGraph,
        schema: NodeSchema,
        more: int,
        size: int,
        num_layers: int,
        *,
        root_links: bool,
        fused: bool,
    ) -> None:
        super().__init__()
        self.size = size
        self.topology = GraphTopology(graph, root_links=root_links)
        self.reader = NodeReader(graph, schema, self.topology)
        widths = {kind: width + more for kind, width in schema.widths.items()}
        self.network = GraphNetwork(widths, len(schema.types), size, num_layers, fused=fused)

    def forward(self, entries: torch.Tensor, more: torch.Tensor) -> torch.Tensor:
        """States float32[N, B, H] of entries float32[B, M] and float32[N, B, more]."""
        rows, start = self.reader.rows(entries), 0
        for kind, nodes, width in self.reader.shapes:
            told = more[start : start + nodes].reshape(-1, more.shape[-1])
            rows[kind] = torch.cat([rows[kind], told], 1) if width else told
            start += nodes
        batch = self.topology.batch(entries.shape[0])
        states = self.network(rows, self.reader.types, batch)
        return states.view(-1, batch.size, self.size)

    def by_motor(self, states: torch.Tensor) -> torch.Tensor:
        """States float32[A, B, H] of the nodes that motors drive, of float32[N, B, H]."""
        return states.index_select(0, self.topology.action_position)

    def of_motors(self, actions: torch.Tensor) -> torch.Tensor:
        """Actions float32[B, A] as a number of each node, float32[N, B, 1]; 0 without a motor."""
        nodes = sum(self.topology.kind_sizes.values())
        zeros = actions.new_zeros(nodes, actions.shape[0])
        return zeros.index_copy(0, self.topology.action_position, actions.T).unsqueeze(-1)


class GraphActor(nn.Module):
    """Every node reads the goal; the node of each motor gives its mean and log deviation.

    Args:
        body: the graph network.
    """

    optimizer: torch.optim.Optimizer

    def __init__(self, body: InformedGraph) -> None:
        super().__init__()
        self.body = body
        self.decoder = tanh_mlp([body.size, body.size, body.size, 2], last_tanh=False)

    def forward(
        self, observation: torch.Tensor, goal: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and log standard deviations before tanh, float32[B, A] each.

        Args:
            observation: normalised entries, float32[B, M].
            goal: normalised, float32[B, G].
        """
        nodes = sum(self.body.topology.kind_sizes.values())
        states = self.body(observation, goal.expand(nodes, -1, -1))
        mean, raw = self.decoder(self.body.by_motor(states)).unbind(-1)
        return mean.T, bounded_log_std(raw.T)


class GraphPhi(nn.Module):
    """Encodes a state and an action: the root's state and the mean joint's, after messages.

    Args:
        body: the graph network; each node reads the action of its motor.
        repr_dim: numbers in an embedding, R.
    """

    def __init__(self, body: InformedGraph, repr_dim: int) -> None:
        super().__init__()
        self.body = body
        self.readout = nn.Sequential(
            tanh_mlp([2 * body.size, body.size, body.size], last_tanh=True),
            orthogonal_linear(body.size, repr_dim, 0.0),
        )

    def forward(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Embeddings float32[B, R] of entries float32[B, M] and actions float32[B, A]."""
        states = self.body(observation, self.body.of_motors(action))
        sizes = [self.body.topology.kind_sizes[kind] for kind in KINDS]
        means = [part.mean(0) for part in states.split(sizes) if len(part)]
        means += [torch.zeros_like(means[0])] * (len(KINDS) - len(means))
        return self.readout(torch.cat(means, 1))


class GraphCritic(nn.Module):
    """A graph network for phi, a residual trunk for psi.

    Args:
        body: of phi.
        goal: numbers in a goal, G.
        settings: of psi's trunk.
        repr_dim: numbers in an embedding, R.
    """

    optimizer: torch.optim.Optimizer

    def __init__(
        self, body: InformedGraph, goal: int, settings: TrunkSettings, repr_dim: int
    ) -> None:
        super().__init__()
        self.phi = GraphPhi(body, repr_dim)
        self.trunk = ResidualTrunk([goal], settings)
        self.head = dense(settings.width, repr_dim)

    def pairs(
        self, observation: torch.Tensor, action: torch.Tensor, goal: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings phi and psi, float32[B, R] each."""
        return self.phi(observation, action), self.head(self.trunk(goal))

    def frozen_phi(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Embeddings phi, float32[B, R]; the gradient reaches the actions alone."""
        still = {name: weight.detach() for name, weight in self.phi.named_parameters()}
        return functional_call(self.phi, still, (observation, action))


class ContrastiveSnowflakePolicy(GoalPolicy):
    """Snowflake's graph networks as actor and as state-action encoder: its weights fit any body.

    Each node of the actor reads the goal besides what it observes, each node of the encoder the
    action of its motor. Observations are standardised per node type and feature, goals per number,
    by what was seen while steps were collected.

    Source: Snowflake (Blake et al., NeurIPS 2021) section 3 for the networks and what is frozen;
        Wang et al., "1000 Layer Networks for Self-Supervised RL" (NeurIPS 2025) for what is learned
        with them. Putting both together is ours.

    Args:
        observation_space: a `Dict` whose `observation` is a `MorphologySpace`.
        action_space: a bounded `Box` with one entry a motor.
        lr_schedule: learning rate by remaining progress.
        use_sde: must be False.
        hidden_size: width H of a node's state, even.
        num_layers: rounds of messages.
        root_links: also link the root with every node.
        fused: take all rounds in one step of automatic differentiation where that is faster.
        freeze: parts of both networks that keep their first values, any of `part_names`.
        normalize: standardise observations and goals.
        goal_depth: layers of psi's trunk, a multiple of 4.
        goal_width: units of each.
        **kwargs: the keywords of `GoalPolicy`.

    Raises:
        ValueError: as `GoalPolicy`, or if the body has no graph or a keyword is off.
    """

    #: Parts of the networks; the actor alone has a decoder.
    part_names = ("encoder", "embedding", "message", "update", "decoder")
    #: Keyword -> the tensor and its axis whose size it is.
    sizes_in: ClassVar[dict[str, tuple[str, int]]] = {
        "goal_depth": ("critic.trunk.weight", 0),
        "goal_width": ("critic.trunk.weight", 2),
    }

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        hidden_size: int = 64,
        num_layers: int = 4,
        root_links: bool = False,
        fused: bool = True,
        freeze: Sequence[str] = ("encoder", "message", "decoder"),
        normalize: bool = True,
        goal_depth: int = 4,
        goal_width: int = 64,
        **kwargs: Any,
    ) -> None:
        graph = graph_of(observation_space)
        if hidden_size < 2 or hidden_size % 2:
            raise ValueError(f"hidden_size: expected an even number from 2, found {hidden_size}")
        if num_layers < 1:
            raise ValueError(f"num_layers: expected 1 or more, found {num_layers}")
        if action_space.shape != (graph.action_size,):
            raise ValueError(
                f"expected one action for each of the body's {graph.action_size} motors, found "
                f"{action_space}"
            )
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.root_links, self.fused = root_links, fused
        self.freeze = tuple(one_of("freeze", part, self.part_names) for part in freeze)
        self.goal_settings = TrunkSettings(goal_depth, goal_width)
        kwargs["normalize"] = normalize
        super().__init__(observation_space, action_space, lr_schedule, use_sde, **kwargs)

    def build(self, sizes: GoalSizes) -> tuple[nn.Module, nn.Module]:
        """Make the actor and the critic."""
        actor = GraphActor(self._body(sizes.goal))
        critic = GraphCritic(self._body(1), sizes.goal, self.goal_settings, self.repr_dim)
        for network in (actor.body.network, critic.phi.body.network):
            for part in self.freeze:
                frozen = actor.decoder if part == "decoder" else getattr(network, part)
                frozen.requires_grad_(False)
        return actor, critic

    def _body(self, more: int) -> InformedGraph:
        """Make a graph network whose nodes read so many numbers besides."""
        graph, how = graph_of(self.observation_space), (self.hidden_size, self.num_layers)
        links: dict[str, bool] = {"root_links": self.root_links, "fused": self.fused}
        return InformedGraph(graph, self.schema, more, *how, **links)

    @property
    def reader(self) -> NodeReader:
        """What takes the nodes' features out of an observation."""
        return self.actor.body.reader
