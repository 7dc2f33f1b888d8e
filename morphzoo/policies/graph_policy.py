"""GraphPolicy: a Stable-Baselines3 actor-critic that reads its body off the observation space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import DiagGaussianDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn

from morphzoo.policies.message_passing import GraphTopology
from morphzoo.policies.normalization import NodeNormalizer, NodeReader
from morphzoo.policies.optimizer import PartAdam
from morphzoo.policies.received import ReceivedKeywords, one_of
from morphzoo.policies.schema import NodeSchema, motor_nodes
from morphzoo.policies.value_heads import make_value_head
from morphzoo.spaces import graph_of

LOG_STD_MODES = ("type", "motor")


class GraphPolicy(ReceivedKeywords, ActorCriticPolicy):
    """Graph in, one Gaussian a motor out, a value head, and a normaliser: what all policies share.

    A subclass writes `build_actor`, `action_means` and `actor_parts`. The body comes from the
    observation space (`MorphologySpace`), so the class plugs into SB3's unchanged PPO:
    `PPO(SnowflakePolicy, env)`. All keywords are plain JSON values; those received are kept in
    `kwargs_received`, and everything that saves a policy saves those.

    Args:
        observation_space: a `MorphologySpace`.
        action_space: a `Box` with one entry a motor.
        lr_schedule: learning rate by remaining progress.
        use_sde: must be False; SB3 passes it always.
        log_std_init: first log standard deviation of the actions (of the control range's unit).
        log_std_mode: `"type"`, one log standard deviation a node type (transfers); `"motor"`, one a
            motor as in the papers (transferred by joint name, then type).
        value_head: `"mlp"`, 64-64 tanh on the flat observation as in the papers (fits one body
            only: dropped on transfer); `"graph"`, a graph network of its own that transfers.
        freeze: parts that keep their first values: any of the policy's `part_names`.
        part_lr_scale: factor on the learning rate for each part named.
        normalize: standardise observations by running statistics per node type and feature.
        schema: node types and features the weights are for (`NodeSchema.to_json`); by default those
            of the body.

    Raises:
        ValueError: if the observation space carries no graph, a keyword is off, or the body has
            node types or features that `schema` lacks; before anything is built.
    """

    #: Parts every policy has; a subclass adds its own in front.
    part_names: tuple[str, ...] = ("log_std", "value")
    #: Whether the root is linked with every node; a subclass may offer it as a keyword.
    root_links: bool = False
    #: Whether a graph network takes all its rounds in one step; a subclass may offer it as keyword.
    fused: bool = True

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        log_std_init: float = -0.5,
        log_std_mode: str = "type",
        value_head: str = "mlp",
        freeze: Sequence[str] = (),
        part_lr_scale: Mapping[str, float] | None = None,
        normalize: bool = True,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.graph = graph_of(observation_space)
        if isinstance(observation_space, spaces.Dict):
            raise ValueError(
                f"{type(self).__name__} reads one flat observation and would not see the goal, "
                f"found {observation_space}; in an environment with goals take a policy that does, "
                "such as Stable-Baselines3's 'MultiInputPolicy'"
            )
        self.schema = NodeSchema.from_json(schema) if schema else NodeSchema.from_graph(self.graph)
        self.schema.check(self.graph)
        self.log_std_mode = one_of("log_std_mode", log_std_mode, LOG_STD_MODES)
        self.value_head = value_head
        self.freeze = tuple(one_of("freeze", part, self.part_names) for part in freeze)
        self.part_lr_scale = dict(part_lr_scale or {})
        for part in self.part_lr_scale:
            one_of("part_lr_scale", part, self.part_names)
        self.normalize = normalize
        self._seen_training = False
        if use_sde:
            raise ValueError(
                "use_sde=True is not supported: these policies act by a plain Gaussian"
            )
        if not isinstance(action_space, spaces.Box) or action_space.shape != (
            self.graph.action_size,
        ):
            raise ValueError(
                f"expected a Box action space with one entry for each of the body's "
                f"{self.graph.action_size} motors, found {action_space}"
            )
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            log_std_init=log_std_init,
            optimizer_class=PartAdam,
        )

    # What a subclass writes.

    def build_actor(self) -> None:
        """Create the modules that `action_means` uses."""
        raise NotImplementedError

    def action_means(self, entries: torch.Tensor) -> torch.Tensor:
        """Mean actions `float32[B, A]` from normalised entries `float32[B, M]`."""
        raise NotImplementedError

    def actor_parts(self) -> dict[str, nn.Module]:
        """The actor's modules by part name, in the order of `part_names`."""
        raise NotImplementedError

    # Construction.

    def _build(self, lr_schedule: Schedule) -> None:
        self.topology = GraphTopology(self.graph, root_links=self.root_links)
        self.reader = NodeReader(self.graph, self.schema, self.topology)
        self.normalizer = NodeNormalizer(self.reader.num_statistics)
        self.build_actor()
        self.value = make_value_head(self.value_head, self.graph, self.schema, fused=self.fused)
        motors = [self.graph.nodes[i] for i in motor_nodes(self.graph)]
        rows = [self.schema.types.index(node.type) for node in motors]
        if self.log_std_mode == "motor":
            rows = list(range(len(motors)))
        size = len(self.schema.types) if self.log_std_mode == "type" else len(motors)
        self.log_std = nn.Parameter(torch.full((size,), float(self.log_std_init)))
        self.register_buffer("log_std_row", torch.tensor(rows, dtype=torch.long), persistent=False)
        for part in self.freeze:
            for parameter in self.part_parameters(part):
                parameter.requires_grad_(False)
        # Frozen parts stay in the optimizer, so that its state has one shape for every `freeze`.
        groups = [
            {
                "params": list(self.part_parameters(p)),
                "lr_scale": float(self.part_lr_scale.get(p, 1.0)),
            }
            for p in self.part_names
        ]
        self.optimizer = PartAdam(groups, lr=lr_schedule(1), **self.optimizer_kwargs)

    def part_parameters(self, part: str) -> Iterator[nn.Parameter]:
        """The parameters of one part of `part_names`."""
        if part == "log_std":
            yield self.log_std
        else:
            module = self.value if part == "value" else self.actor_parts()[part]
            yield from module.parameters()

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.kwargs_received,
        }

    # What SB3 calls.

    def forward(
        self, obs: torch.Tensor, deterministic: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Act while collecting a rollout; the only call that feeds the normaliser.

        Args:
            obs: `float32[B, O]`.
            deterministic: take the means.

        Returns:
            Actions `float32[B, A]`, values `float32[B, 1]`, log probabilities `float32[B]`.
        """
        observed = self.reader(obs.float())
        if self.normalize:
            if self._seen_training:
                self.normalizer.commit()
                self._seen_training = False
            self.normalizer.observe(observed, self.reader)
        entries = self._normalized(observed)
        distribution = self._distribution(entries)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self._values(entries), distribution.log_prob(actions)

    def evaluate_actions(
        self, obs: PyTorchObs, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Values `float32[B, 1]`, log probabilities `float32[B]` and entropies `float32[B]`."""
        self._seen_training = True
        entries = self._entries(obs)
        distribution = self._distribution(entries)
        return self._values(entries), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: PyTorchObs) -> Distribution:
        """The Gaussian over actions for observations `float32[B, O]`."""
        return self._distribution(self._entries(obs))

    def predict_values(self, obs: PyTorchObs) -> torch.Tensor:
        """Values `float32[B, 1]` of observations `float32[B, O]`."""
        return self._values(self._entries(obs))

    # Private.

    def _entries(self, obs: PyTorchObs) -> torch.Tensor:
        assert isinstance(obs, torch.Tensor)  # graph_of found a Box, so SB3 hands over one tensor
        return self._normalized(self.reader(obs.float()))

    def _normalized(self, observed: torch.Tensor) -> torch.Tensor:
        return self.normalizer(observed, self.reader.statistic) if self.normalize else observed

    def _distribution(self, entries: torch.Tensor) -> Distribution:
        assert isinstance(self.action_dist, DiagGaussianDistribution)
        log_std = self.log_std.index_select(0, self.log_std_row)
        return self.action_dist.proba_distribution(self.action_means(entries), log_std)

    def _values(self, entries: torch.Tensor) -> torch.Tensor:
        return self.value(entries, self.reader, self.topology)

    log_std: nn.Parameter
    log_std_row: torch.Tensor
