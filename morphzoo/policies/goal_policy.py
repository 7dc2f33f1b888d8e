"""GoalPolicy: an actor and two encoders that meet in an embedding, for contrastive RL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn

from morphzoo.policies.energies import ENERGIES
from morphzoo.policies.goal_spaces import GoalSizes, goal_sizes
from morphzoo.policies.normalization import ColumnReader, NodeNormalizer, NodeReader
from morphzoo.policies.received import ReceivedKeywords, one_of
from morphzoo.policies.schema import NodeSchema
from morphzoo.policies.squashed import squashed
from morphzoo.spaces import MorphologySpace

LOG_STD_LOW, LOG_STD_HIGH = -5.0, 2.0


class Actor(Protocol):
    """What `GoalPolicy.read` gives, to means and log deviations, float32[B, A] each."""

    optimizer: torch.optim.Optimizer

    def __call__(
        self, observation: torch.Tensor, goal: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Act; both before tanh."""
        ...


class Critic(Protocol):
    """The encoders: phi of states and actions, psi of goals, float32[B, R] each.

    States and goals are what `GoalPolicy.read` gives.
    """

    optimizer: torch.optim.Optimizer

    def pairs(
        self, observation: torch.Tensor, action: torch.Tensor, goal: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode both, of as many rows each."""
        ...

    def frozen_phi(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Encode observations and actions; the gradient reaches the actions, no parameter."""
        ...


class GoalPolicy(ReceivedKeywords, BasePolicy):
    """What all policies of contrastive RL share; a subclass writes `build`.

    Actions are tanh of a Gaussian, stretched to the action space's bounds. How good an action is on
    the way to a goal is the energy of phi(s, a) and psi(g).

    Args:
        observation_space: a `Dict` of `observation`, `achieved_goal` and `desired_goal`.
        action_space: a bounded `Box`.
        lr_schedule: learning rate by remaining progress.
        use_sde: must be False.
        repr_dim: numbers in an embedding, R.
        energy: a row of `morphzoo.policies.energies.ENERGIES`.
        normalize: standardise observations, and goals by those asked for and those reached, as they
            were seen while steps were collected.
        schema: node types and features the weights are for, where the body has a graph.

    Attributes:
        sizes: numbers in an observation, a goal and an action.
        graph: the body, None without one.

    Raises:
        ValueError: if a space or a keyword does not fit, before anything is built.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        repr_dim: int = 64,
        energy: str = "norm",
        normalize: bool = False,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        if use_sde:
            raise ValueError("use_sde=True is not supported: these policies act by a Gaussian")
        self.sizes = goal_sizes(observation_space, action_space)
        one_of("energy", energy, ENERGIES)
        if repr_dim < 1:
            raise ValueError(f"repr_dim: expected 1 or more, found {repr_dim}")
        inner = cast(spaces.Dict, observation_space)["observation"]
        self.graph = inner.graph if isinstance(inner, MorphologySpace) else None
        if self.graph is not None:
            self.schema = (
                NodeSchema.from_json(schema) if schema else NodeSchema.from_graph(self.graph)
            )
            self.schema.check(self.graph)
        super().__init__(observation_space, action_space, squash_output=True)
        self.repr_dim, self.energy = repr_dim, energy
        self.actor, self.critic = self.build(self.sizes)
        self.normalize = normalize
        self.goal_reader = ColumnReader(self.sizes.goal)
        if normalize:
            self.normalizer = NodeNormalizer(self.reader.num_statistics)
            self.goal_normalizer = NodeNormalizer(self.sizes.goal)
        for part in (self.actor, self.critic):
            # One step over few large tensors.
            part.optimizer = torch.optim.Adam(part.parameters(), lr=lr_schedule(1), fused=True)

    def build(self, sizes: GoalSizes) -> tuple[nn.Module, nn.Module]:
        """Return the actor and the critic; see `Actor` and `Critic`."""
        raise NotImplementedError

    @property
    def reader(self) -> NodeReader | ColumnReader:
        """What says which numbers of an observation share their statistics."""
        raise NotImplementedError

    actor: Any  # an `Actor` that is a module
    critic: Any  # a `Critic` that is a module

    # Acting.

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        """Actions in -1..1, float32[B, A]."""
        return self._predict(obs, deterministic)

    def read(self, obs: PyTorchObs) -> tuple[torch.Tensor, torch.Tensor]:
        """What the networks read of states, float32[B, M], and of goals, float32[B, G]."""
        assert isinstance(obs, dict)
        state, goal = self.reader(obs["observation"].float()), obs["desired_goal"].float()
        if not self.normalize:
            return state, goal
        known = self.goal_normalizer(goal, self.goal_reader.statistic)
        return self.normalizer(state, self.reader.statistic), known

    def gaussian(self, obs: PyTorchObs) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log standard deviation before tanh, float32[B, A] each."""
        return self.actor(*self.read(obs))

    def act(self, obs: PyTorchObs, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Actions in -1..1, float32[B, A], and their log probabilities, float32[B].

        Args:
            obs: observations; the goal is `desired_goal`.
            noise: standard normal, float32[B, A].
        """
        return squashed(*self.gaussian(obs), noise)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        mean, log_std = self.gaussian(observation)
        if deterministic:
            return torch.tanh(mean)
        return torch.tanh(mean + log_std.exp() * torch.randn_like(mean))

    def predict_with(self, observation: Mapping[str, np.ndarray], noise: np.ndarray) -> np.ndarray:
        """Actions of observations, stretched to the action space's bounds.

        Args:
            observation: a row an environment.
            noise: standard normal, float32[B, A].

        Returns:
            float32[B, A].
        """
        self.set_training_mode(False)
        obs, _ = self.obs_to_tensor(dict(observation))
        with torch.no_grad():
            actions, _ = self.act(obs, torch.as_tensor(noise, device=self.device))
        return self.unscale_action(actions.cpu().numpy())

    def value(
        self, observation: torch.Tensor, goal: torch.Tensor, action: torch.Tensor
    ) -> torch.Tensor:
        """How good actions are on the way to goals: energies, float32[B].

        Args:
            observation: float32[B, O].
            goal: float32[B, G].
            action: in -1..1, float32[B, A].
        """
        state, known = self.read({"observation": observation, "desired_goal": goal})
        return ENERGIES[self.energy][0](*self.critic.pairs(state, action, known))

    # What is learned from.

    def observe(self, obs: Mapping[str, Any]) -> None:
        """Count observations, and goals both asked for and reached, if the policy normalises."""
        if not self.normalize:
            return
        seen = {key: torch.as_tensor(x, device=self.device).float() for key, x in obs.items()}
        self.normalizer.observe(self.reader(seen["observation"]), self.reader)
        for key in ("achieved_goal", "desired_goal"):
            self.goal_normalizer.observe(seen[key], self.goal_reader)

    def commit(self) -> None:
        """Let what was counted enter the statistics."""
        if self.normalize:
            self.normalizer.commit()
            self.goal_normalizer.commit()

    def keep_within(self, budget: float, batch: int) -> None:
        """Let blocks compute what the gradient needs once more, so that a step fits into memory.

        Args:
            budget: memory of a gradient step (bytes).
            batch: pairs of it.

        Raises:
            ValueError: if no choice of blocks fits, or the policy has no residual blocks.
        """
        raise ValueError(f"memory_budget is for residual blocks, {type(self).__name__} has none")

    def compile_blocks(self) -> None:
        """Run the networks compiled.

        Raises:
            ValueError: if the policy has no residual blocks.
        """
        raise ValueError(f"compile is for residual blocks, {type(self).__name__} has none")

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.kwargs_received,
        }


def bounded_log_std(raw: torch.Tensor) -> torch.Tensor:
    """Map any number to a log standard deviation in -5..2, by tanh.

    Source: the released code of deep contrastive RL.
    """
    middle, half = (LOG_STD_HIGH + LOG_STD_LOW) / 2, (LOG_STD_HIGH - LOG_STD_LOW) / 2
    return middle + half * torch.tanh(raw)
