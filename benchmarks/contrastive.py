"""A gradient step of contrastive RL against one that is written plainly, and its buffer's share."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import nn
from torch.nn import functional

from benchmarks.measuring import alternate, ratio, summaries
from morphzoo.actors import torch_threads
from morphzoo.algorithms.contrastive_step import ContrastiveStep
from morphzoo.algorithms.entropy_coefficient import EntropyCoefficient
from morphzoo.algorithms.future_replay import FutureReplayBuffer, GoalPairs
from morphzoo.policies.contrastive import ContrastivePolicy
from morphzoo.policies.goal_policy import bounded_log_std

DEPTHS = (4, 16, 32)
WIDTH, BATCH, THREADS = 256, 512, 2
STATE, GOAL, ACTION = 29, 2, 8  # the Ant in a maze
TRANSITIONS, EPISODE, ROWS = 1_000_000, 1000, 16
_DRAWS = 20


class PlainTrunk(nn.Module):
    """The paper's network as one would write it: a module a layer.

    Args:
        sizes: of input and output.
        depth: layers in residual blocks.
    """

    def __init__(self, sizes: tuple[int, int], depth: int) -> None:
        super().__init__()
        self.first = _layer(sizes[0])
        self.blocks = nn.ModuleList(
            nn.Sequential(*(_layer(WIDTH) for _ in range(4))) for _ in range(depth // 4)
        )
        self.last = nn.Linear(WIDTH, sizes[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute float32[B, outputs]."""
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


def _layer(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, WIDTH), nn.LayerNorm(WIDTH, eps=1e-6), nn.SiLU())


class PlainStep:
    """The same step as Stable-Baselines3's SAC is written: each loss computes what it needs.

    Args:
        depth: of actor and both encoders.
        distances: whether energies are of `torch.cdist`, or of all differences as the papers' code
            has them.
    """

    def __init__(self, depth: int, *, distances: bool = False) -> None:
        self.distances = distances
        self.actor = PlainTrunk((STATE + GOAL, 2 * ACTION), depth)
        self.phi = PlainTrunk((STATE + ACTION, 64), depth)
        self.psi = PlainTrunk((GOAL, 64), depth)
        critics = [*self.phi.parameters(), *self.psi.parameters()]
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=3e-4)
        self.critic_optimizer = torch.optim.Adam(critics, lr=3e-4)
        self.log_alpha = torch.zeros((), requires_grad=True)
        self.alpha_optimizer = torch.optim.Adam([self.log_alpha], lr=3e-4)

    def like(self, policy: ContrastivePolicy) -> PlainStep:
        """Take the weights of a policy of ours."""
        actor, critic = policy.actor, policy.critic
        for trunk, ours, member, head in (
            (self.actor, actor.trunk, 0, actor.head),
            (self.phi, critic.trunk, 0, critic.heads[0]),
            (self.psi, critic.trunk, 1, critic.heads[1]),
        ):
            dense = [m for m in trunk.modules() if isinstance(m, nn.Linear)]
            dense[0].load_state_dict(ours.first[member].state_dict())
            for i, layer in enumerate(dense[1:-1]):
                layer.weight.data.copy_(ours.weight[i, member])
                layer.bias.data.copy_(ours.bias[i, member])
            dense[-1].load_state_dict(head.state_dict())
        return self

    def __call__(self, pairs: GoalPairs) -> None:
        """Improve the actor, the coefficient and the encoders once."""
        obs, action = pairs
        state, goal = obs["observation"], obs["desired_goal"]
        mean, raw = self.actor(torch.cat([state, goal], 1)).chunk(2, 1)
        log_std = bounded_log_std(raw)
        x = mean + log_std.exp() * torch.randn_like(mean)
        normal = torch.distributions.Normal(mean, log_std.exp()).log_prob(x)
        log_prob = (normal - 2 * (math.log(2) - x - functional.softplus(-2 * x))).sum(1)
        near = self._phi(state, torch.tanh(x)) - self.psi(goal)
        energy = -(near.square().sum(1) + 1e-6).sqrt()
        alpha = self.log_alpha.exp()
        _descend(self.actor_optimizer, (alpha.detach() * log_prob - energy).mean())
        aim = -0.5 * ACTION
        _descend(self.alpha_optimizer, (alpha * (-log_prob.detach() - aim)).mean())
        phi, psi = self._phi(state, action), self.psi(goal)
        if self.distances:
            logits = -torch.cdist(phi, psi)
        else:
            logits = -((phi[:, None] - psi[None]).square().sum(2) + 1e-6).sqrt()
        cross = functional.cross_entropy(logits, torch.arange(len(logits)))
        _descend(self.critic_optimizer, cross + 0.1 * logits.logsumexp(1).square().mean())

    def _phi(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return self.phi(torch.cat([state, action], 1))


def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


class Contenders:
    """Our step, the plain one and the buffer, on the same sizes.

    Args:
        depth: of actor and encoders.
        buffer: a full one.
        seed: of weights.
    """

    def __init__(self, depth: int, buffer: FutureReplayBuffer, seed: int) -> None:
        torch.manual_seed(seed)
        kwargs: Any = {"actor_depth": depth, "critic_depth": depth, "width": WIDTH}
        self.policy = ContrastivePolicy(
            buffer.observation_space, buffer.action_space, lambda _: 3e-4, **kwargs
        )
        self.plain = PlainStep(depth).like(self.policy)
        self.shorter = PlainStep(depth, distances=True).like(self.policy)
        self.step = ContrastiveStep("forward", 0.1, -0.5 * ACTION)
        self.coefficient = EntropyCoefficient("auto", 3e-4)
        self.buffer = buffer
        self.pairs: GoalPairs = buffer.sample(BATCH)

    def ours(self) -> float:
        """Our step: seconds."""
        start = time.perf_counter()
        self.step(self.policy, self.coefficient, self.pairs)
        return time.perf_counter() - start

    def theirs(self) -> float:
        """The plain step: seconds."""
        start = time.perf_counter()
        self.plain(self.pairs)
        return time.perf_counter() - start

    def shorter_theirs(self) -> float:
        """The plain step with `torch.cdist`: seconds."""
        start = time.perf_counter()
        self.shorter(self.pairs)
        return time.perf_counter() - start

    def sampled(self) -> float:
        """Pairs of a step, drawn from the full buffer: seconds."""
        start = time.perf_counter()
        for _ in range(_DRAWS):
            self.buffer.sample(BATCH)
        return (time.perf_counter() - start) / _DRAWS


def full_buffer(seed: int, transitions: int = TRANSITIONS) -> FutureReplayBuffer:
    """Return a buffer that episodes have filled."""
    sizes = {"observation": STATE, "achieved_goal": GOAL, "desired_goal": GOAL}
    boxes: dict[str, spaces.Space] = {
        name: spaces.Box(-np.inf, np.inf, (n,), np.float32) for name, n in sizes.items()
    }
    space = spaces.Dict(boxes)
    action = spaces.Box(-1, 1, (ACTION,), np.float32)
    buffer = FutureReplayBuffer(transitions, space, action, "cpu", ROWS, seed=seed)
    rng = np.random.default_rng(seed)
    obs = {name: rng.standard_normal((ROWS, n)).astype(np.float32) for name, n in sizes.items()}
    acts = rng.uniform(-1, 1, (ROWS, ACTION)).astype(np.float32)
    for step in range(1, transitions // ROWS + 1):
        done = np.full(ROWS, step % EPISODE == 0)
        buffer.add(obs, obs, acts, np.zeros(ROWS), done, [])
    return buffer


def run(rounds: int, seed: int) -> list[dict[str, Any]]:
    """Measure every depth on two threads; seconds of one step."""
    rows = []
    buffer = full_buffer(seed)
    with torch_threads(THREADS):
        for depth in DEPTHS:
            contenders = Contenders(depth, buffer, seed)
            seconds = alternate(
                {
                    "ours": contenders.ours,
                    "plain": contenders.theirs,
                    "cdist": contenders.shorter_theirs,
                    "sampling": contenders.sampled,
                },
                rounds,
            )
            ratios = {
                "plain / ours": ratio(seconds["plain"], seconds["ours"]),
                "cdist / ours": ratio(seconds["cdist"], seconds["ours"]),
                "sampling / ours": ratio(seconds["sampling"], seconds["ours"]),
            }
            shown = {name: round(found["median"], 3) for name, found in ratios.items()}
            print(f"depth {depth}: {shown}", flush=True)
            rows.append({"depth": depth, "seconds": summaries(seconds), "ratios": ratios})
    return rows
