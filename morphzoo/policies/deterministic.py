"""A small policy that has one action for an observation: a point in a space of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from morphzoo.policies.message_passing import GraphTopology
from morphzoo.policies.normalization import ColumnReader, NodeNormalizer, NodeReader
from morphzoo.policies.received import ReceivedKeywords, one_of
from morphzoo.policies.schema import NodeSchema
from morphzoo.spaces import MorphologySpace

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}


class DeterministicPolicy(ReceivedKeywords, BasePolicy):
    """A multilayer perceptron without noise, a value head or an optimizer of its own.

    What `ES`, `EPVF` and `PSSVF` search over: its weights and biases as one flat vector of P
    numbers, in the order W1, b1, W2, b2, ... of `torch.nn.utils.parameters_to_vector`, each W row
    by row with one row an output. `PolicyBank` acts by many such vectors at once.

    A `Box` of actions gets tanh of the last layer, stretched to the box's bounds; a `Discrete` one
    the index of the largest output. On another body the first layer's columns and the last
    layer's rows are placed by joint name, as those of `MlpPolicy`.

    Source: Faccio, Kirsch and Schmidhuber, "Parameter-based Value Functions" (ICLR 2021), and its
        code: tanh layers, torch's own first values, tanh times the action's limit.
    Differs: observations are standardised with the floor and the bound of `NodeNormalizer`, and
        only where `normalize` asks for it.

    Args:
        observation_space: a one-dimensional `Box`; a `MorphologySpace` if it is to be saved in the
            zoo or to run on other bodies.
        action_space: a one-dimensional `Box`, bounded if `squash`, or a `Discrete`.
        lr_schedule: not used; Stable-Baselines3's algorithms and loaders pass it.
        use_sde: must be False.
        hidden_sizes: widths of the hidden layers; none makes the policy linear.
        activation: between the layers: "tanh", "relu" or "elu".
        squash: whether a `Box` gets tanh of the last layer; otherwise its plain values, clipped.
        normalize: standardise observations by running statistics, per node type and feature where
            the body has a graph. They change only between generations.
        schema: node types and features the weights are for; by default those of the body.

    Attributes:
        graph: the body, None without one.
        sizes: entries of the observation, units of each hidden layer, outputs.
        num_parameters: P.

    Raises:
        ValueError: if a space or a keyword is of another kind, before anything is built.
    """

    #: Its sampled action is its one action.
    has_noise: bool = False
    action_low: torch.Tensor
    action_high: torch.Tensor

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "tanh",
        squash: bool = True,
        normalize: bool = False,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.activation = one_of("activation", activation, ACTIVATIONS)
        self.hidden_sizes = tuple(hidden_sizes)
        if any(type(size) is not int or size < 1 for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes: expected positive widths, found {hidden_sizes!r}")
        if use_sde:
            raise ValueError("use_sde=True is not supported: this policy has no noise")
        inputs, outputs = _size_of(observation_space), _outputs_of(action_space, squash)
        boxed = isinstance(action_space, spaces.Box)
        super().__init__(observation_space, action_space, squash_output=squash and boxed)
        self.sizes = (inputs, *self.hidden_sizes, outputs)
        self.normalize = normalize
        self.actor = self.make_actor()
        self.num_parameters = sum(parameter.numel() for parameter in self.actor.parameters())
        self.graph = None
        self.reader: NodeReader | ColumnReader = ColumnReader(inputs)
        if isinstance(observation_space, MorphologySpace):
            self.graph = observation_space.graph
            own = NodeSchema.from_graph(self.graph)
            self.schema = NodeSchema.from_json(schema) if schema else own
            self.schema.check(self.graph)
            self.reader = NodeReader(self.graph, self.schema, GraphTopology(self.graph))
        self.normalizer = NodeNormalizer(self.reader.num_statistics)
        if isinstance(action_space, spaces.Box):
            for name in ("low", "high"):
                bound = torch.as_tensor(getattr(action_space, name), dtype=torch.float32)
                self.register_buffer(f"action_{name}", bound, persistent=False)

    def make_actor(self) -> Any:
        """Build what maps observations to the last layer's values."""
        return perceptron(self.sizes, self.activation)

    def expand(self, thetas: torch.Tensor) -> torch.Tensor:
        """Write flat vectors `float32[M, P]` as dense layers, in the order of `MlpLayout`."""
        return thetas

    @property
    def theta(self) -> torch.Tensor:
        """The parameters as one flat vector `float32[P]`, a copy."""
        return parameters_to_vector(self.actor.parameters()).detach().clone()

    @theta.setter
    def theta(self, values: torch.Tensor) -> None:
        with torch.no_grad():
            for parameter in self.actor.parameters():
                parameter.grad = None
            vector_to_parameters(values.detach().clone(), self.actor.parameters())

    def standardized(self, observations: torch.Tensor) -> torch.Tensor:
        """What the first layer reads, `float32[B, O]`, of observations `float32[B, O]`."""
        if not self.normalize:
            return observations
        entries = self.normalizer(self.reader(observations), self.reader.statistic)
        return self.reader.flat(entries)

    def observe(self, observations: torch.Tensor) -> None:
        """Count observations `float32[B, O]`; they enter the statistics at the next `commit`."""
        if self.normalize and len(observations):
            self.normalizer.observe(self.reader(observations), self.reader)

    def commit(self) -> None:
        """Let what was observed enter the statistics."""
        if self.normalize:
            self.normalizer.commit()

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """The last layer's values `float32[B, outputs]` of observations `float32[B, O]`."""
        return self.actor(self.standardized(obs.float()))

    def decide(self, outputs: torch.Tensor) -> torch.Tensor:
        """Actions of the last layer's values: int64[B], or float32[B, A] in -1..1 if squashed."""
        if isinstance(self.action_space, spaces.Discrete):
            return outputs.argmax(-1) + int(self.action_space.start)
        return outputs.tanh() if self.squash_output else outputs

    def in_bounds(self, actions: Any) -> Any:
        """Actions as an environment takes them, of what `decide` gave; tensors stay on a device."""
        if isinstance(self.action_space, spaces.Discrete):
            return actions
        if isinstance(actions, torch.Tensor):
            low, high = self.action_low, self.action_high
            if self.squash_output:
                return low + 0.5 * (actions + 1.0) * (high - low)
            return actions.clamp(low, high)
        if self.squash_output:
            return self.unscale_action(actions)
        return np.clip(actions, self.action_space.low, self.action_space.high)  # pyright: ignore

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        assert isinstance(observation, torch.Tensor)  # the space is a Box
        return self.decide(self(observation))

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.kwargs_received,
        }


def perceptron(sizes: Sequence[int], activation: str) -> nn.Sequential:
    """Make linear layers of these widths, input and output included, an activation between two."""
    layers: list[nn.Module] = []
    for before, after in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def _size_of(space: spaces.Space) -> int:
    """Return how many numbers an observation has."""
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise ValueError(
            f"expected observations of a one-dimensional Box, found {space}; put "
            "gymnasium.wrappers.FlattenObservation around the environment"
        )
    return space.shape[0]


def _outputs_of(space: spaces.Space, squash: bool) -> int:
    """Return how many outputs decide on an action."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise ValueError(
            f"expected actions of a one-dimensional Box or a Discrete space, found {space}"
        )
    if squash and not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise ValueError(
            f"squash=True stretches tanh to the action's bounds, found {space}; give squash=False"
        )
    return space.shape[0]
