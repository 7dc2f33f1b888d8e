"""One gradient step of contrastive RL: the actor, the entropy coefficient, both encoders."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from typing import Any

import torch

from morphzoo.algorithms.contrastive_losses import actor_loss, critic_loss
from morphzoo.algorithms.entropy_coefficient import EntropyCoefficient
from morphzoo.algorithms.future_replay import GoalPairs
from morphzoo.policies.energies import ENERGIES
from morphzoo.policies.goal_policy import GoalPolicy
from morphzoo.policies.squashed import squashed

#: Name -> what the networks' products are computed in; None as they are, which is float32.
PRECISIONS: dict[str, torch.dtype | None] = {"float32": None, "bfloat16": torch.bfloat16}


@dataclasses.dataclass(frozen=True)
class ContrastiveStep:
    """How a gradient step is taken.

    Attributes:
        infonce: a row of `contrastive_losses.INFONCE`.
        penalty: weight of the logsumexp penalty.
        target_entropy: of an action.
        random_goals: share of the pairs whose actor is asked for the goal of another pair.
        max_grad_norm: to which gradients of the actor and of the encoders are shortened; 0: never.
        precision: a row of `PRECISIONS`. Losses and energies are float32 always.
    """

    infonce: str
    penalty: float
    target_entropy: float
    random_goals: float = 0.0
    max_grad_norm: float = 0.0
    precision: str = "float32"

    def __call__(
        self, policy: GoalPolicy, coefficient: EntropyCoefficient, pairs: GoalPairs
    ) -> dict[str, torch.Tensor]:
        """Improve the actor, the coefficient and the encoders once, in this order.

        All gradients are of the encoders as they are before the step, so that psi of the goals is
        computed once for both losses.

        Args:
            policy: actor, encoders and their optimizers.
            coefficient: alpha.
            pairs: what to learn from.

        Returns:
            Name -> scalar without gradient, for the log.
        """
        obs, actions = pairs
        state, goal = policy.read(obs)
        each, every = ENERGIES[policy.energy]
        with self._autocast(state.device):
            phi, psi = policy.critic.pairs(state, actions, goal)
            mean, log_std = policy.actor(state, self._asked(goal))
        mean, log_std, phi, psi = (x.float() for x in (mean, log_std, phi, psi))
        new, log_prob = squashed(mean, log_std, torch.randn_like(mean))
        with self._autocast(state.device):
            near = policy.critic.frozen_phi(state, new)
        energy, alpha = each(near.float(), self._asked(psi.detach())), coefficient()
        acting = actor_loss(log_prob, energy, alpha)
        self._descend(policy.actor.optimizer, acting, policy.actor.parameters())
        coefficient.step(log_prob, self.target_entropy)
        loss, told = critic_loss(every(phi, psi), self.infonce, self.penalty)
        self._descend(policy.critic.optimizer, loss, policy.critic.parameters())
        return {
            "actor_loss": acting.detach(),
            "critic_loss": loss.detach(),
            "entropy": -log_prob.detach().mean(),
            "energy": energy.detach().mean(),
            "ent_coef": alpha,
            **told,
        }

    def _asked(self, goals: torch.Tensor) -> torch.Tensor:
        """Goals, or embeddings of goals, as the actor is asked for them, float32[B, ...].

        Pairs come in no order, so the first of them may be those that exchange their goals.
        """
        moved = int(self.random_goals * len(goals))
        return torch.cat([goals[:moved].roll(1, 0), goals[moved:]]) if moved > 1 else goals

    def _autocast(self, device: torch.device) -> Any:
        dtype = PRECISIONS[self.precision]
        if dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=dtype)

    def _descend(
        self,
        optimizer: torch.optim.Optimizer,
        loss: torch.Tensor,
        parameters: Iterable[torch.Tensor],
    ) -> None:
        """Take one step down a loss, its gradient shortened if that is asked for."""
        optimizer.zero_grad()
        loss.backward()
        if self.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        optimizer.step()
