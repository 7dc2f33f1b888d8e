"""The policy of deep contrastive RL: residual networks of up to 1,024 layers and more."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from morphzoo.policies.goal_policy import GoalPolicy, bounded_log_std
from morphzoo.policies.goal_spaces import GoalSizes
from morphzoo.policies.normalization import ColumnReader
from morphzoo.policies.residual import ResidualTrunk, TrunkSettings, dense
from morphzoo.policies.residual_cost import StepCost

PAPERS_ACTOR = 512  # layers of the deepest actor that trained there


class ResidualActor(nn.Module):
    """A trunk on state and goal, and a layer that gives means and log standard deviations.

    Source: as `ResidualTrunk`. Its two output layers are one matrix here.

    Args:
        sizes: of observation, goal and action.
        settings: of the trunk.
    """

    optimizer: torch.optim.Optimizer

    def __init__(self, sizes: GoalSizes, settings: TrunkSettings) -> None:
        super().__init__()
        self.trunk = ResidualTrunk([sizes.observation + sizes.goal], settings)
        self.head = dense(settings.width, 2 * sizes.action)

    def forward(
        self, observation: torch.Tensor, goal: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and log standard deviations before tanh, float32[B, A] each."""
        mean, raw = self.head(self.trunk(torch.cat([observation, goal], 1))).chunk(2, dim=1)
        return mean, bounded_log_std(raw)


class ResidualCritic(nn.Module):
    """Two trunks of one shape, computed together: of state and action, and of the goal.

    Args:
        sizes: of observation, goal and action.
        settings: of both trunks.
        repr_dim: numbers in an embedding, R.
    """

    optimizer: torch.optim.Optimizer

    def __init__(self, sizes: GoalSizes, settings: TrunkSettings, repr_dim: int) -> None:
        super().__init__()
        self.trunk = ResidualTrunk([sizes.observation + sizes.action, sizes.goal], settings)
        self.heads = nn.ModuleList([dense(settings.width, repr_dim) for _ in range(2)])

    def pairs(
        self, observation: torch.Tensor, action: torch.Tensor, goal: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings phi and psi, float32[B, R] each, of as many rows each."""
        states, goals = self.trunk(torch.cat([observation, action], 1), goal)
        return self.heads[0](states), self.heads[1](goals)

    def frozen_phi(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Embeddings phi, float32[B, R]; the gradient reaches the actions alone."""
        head = self.heads[0]
        assert isinstance(head, nn.Linear)
        states = self.trunk.frozen(0, torch.cat([observation, action], 1))
        return functional.linear(states, head.weight.detach(), head.bias.detach())


class ContrastivePolicy(GoalPolicy):
    """Residual networks for the actor and both encoders, as deep as asked for.

    Defaults are the paper's. Very deep networks want `final_norm=True`: what leaves the last block
    of the paper's network grows with its depth, and the first losses with it (docs/contrastive.md).

    Source: Wang et al., "1000 Layer Networks for Self-Supervised RL" (NeurIPS 2025), section 3 and
        table 7, and its released code.

    Args:
        observation_space: a `Dict` of `observation`, `achieved_goal` and `desired_goal`.
        action_space: a bounded `Box`.
        lr_schedule: learning rate by remaining progress.
        use_sde: must be False.
        actor_depth: layers in the actor's blocks, a multiple of 4.
        critic_depth: likewise of each encoder.
        width: units of a layer, in all three.
        activation: this and the next are those of `TrunkSettings`.
        norm: likewise.
        final_norm: likewise.
        residual: likewise.
        block_init: likewise.
        **kwargs: the keywords of `GoalPolicy`.

    Raises:
        ValueError: as `GoalPolicy` and `TrunkSettings`.
    """

    #: Keyword -> the tensor and its axis whose size it is.
    sizes_in: ClassVar[dict[str, tuple[str, int]]] = {
        "actor_depth": ("actor.trunk.weight", 0),
        "critic_depth": ("critic.trunk.weight", 0),
        "width": ("actor.trunk.weight", 2),
    }

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        use_sde: bool = False,
        *,
        actor_depth: int = 4,
        critic_depth: int = 4,
        width: int = 256,
        activation: str = "swish",
        norm: str = "layer",
        final_norm: bool = False,
        residual: str = "one",
        block_init: str = "paper",
        **kwargs: Any,
    ) -> None:
        shape = (width, activation, norm, final_norm, residual, block_init)
        settings = []
        for name, depth in (("actor", actor_depth), ("critic", critic_depth)):
            try:
                settings.append(TrunkSettings(depth, *shape))
            except ValueError as error:
                raise ValueError(f"{name}_{error}" if "depth:" in str(error) else error) from error
        self.actor_settings, self.critic_settings = settings
        if actor_depth > PAPERS_ACTOR and norm != "none" and not final_norm:
            warnings.warn(
                f"an actor of {actor_depth} layers without final_norm: the paper's diverged from "
                f"1,024 on, and {PAPERS_ACTOR} were kept. final_norm=True with "
                "block_init='identity' trains (docs/contrastive.md)",
                stacklevel=2,
            )
        super().__init__(observation_space, action_space, lr_schedule, use_sde, **kwargs)

    def build(self, sizes: GoalSizes) -> tuple[nn.Module, nn.Module]:
        """Make the actor and the critic."""
        actor = ResidualActor(sizes, self.actor_settings)
        self.columns = ColumnReader(sizes.observation)
        return actor, ResidualCritic(sizes, self.critic_settings, self.repr_dim)

    @property
    def reader(self) -> ColumnReader:
        """Each number of an observation has statistics of its own."""
        return self.columns

    def keep_within(self, budget: float, batch: int) -> None:
        """Let the first blocks of each trunk keep their inputs alone; see `GoalPolicy`."""
        settings = (self.actor_settings, self.critic_settings)
        cost = StepCost(*settings, *self.sizes, batch=batch, repr_dim=self.repr_dim)
        chosen = cost.checkpoints(budget)
        self.actor.trunk.checkpoint_blocks, self.critic.trunk.checkpoint_blocks = chosen

    def compile_blocks(self) -> None:
        """Run each block as compiled by `torch.compile`: once, whatever their number."""
        for trunk in (self.actor.trunk, self.critic.trunk):
            trunk.compile_blocks = True
