"""A replay buffer that pairs each state and action with a goal reached later in its episode."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from morphzoo.envs.generators import generator_from_words, generator_words

_KEPT = ("states", "goals", "actions", "ends")
_OPEN = 0  # end of an episode that goes on: memory that is never touched is never taken


class GoalPairs(NamedTuple):
    """States and actions, and what was reached after them.

    Attributes:
        observations: `observation` float32[B, O] and `desired_goal` float32[B, G]: the goal that
            was reached, not the one that was asked for.
        actions: float32[B, A], in -1..1.
    """

    observations: dict[str, torch.Tensor]
    actions: torch.Tensor


class FutureReplayBuffer(ReplayBuffer):
    """Keeps states, actions and the goals achieved by them; draws geometric futures.

    An anchor is drawn uniformly over all that is stored. With L steps of its episode stored from it
    on, itself included, its goal is what the step d - 1 later achieved, where

        P(d) = gamma^(d - 1) (1 - gamma) / (1 - gamma^L),  d = 1, ..., L.

    So the goal is reached strictly after the anchor's state, at its episode's true last state at
    the latest, and never in another episode. Episodes that go on, and those whose beginning has
    been overwritten, are drawn from like any other.

    Source: Eysenbach et al., "Contrastive Learning as Goal-Conditioned RL" (2022), section 4, with
        the truncation of the code of deep contrastive RL.
    Differs: its last state of an episode is never a goal, and an anchor without a future is paired
        with itself.

    Args:
        buffer_size: transitions, over all environments.
        observation_space: a `Dict` of `observation`, `achieved_goal` and `desired_goal`.
        action_space: a `Box`.
        device: of what is drawn.
        n_envs: environments.
        optimize_memory_usage: must be False: each state is stored once as it is.
        gamma: discount, in (0, 1).
        seed: of what is drawn; None takes one from entropy.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        *,
        gamma: float = 0.99,
        seed: int | None = None,
    ) -> None:
        if optimize_memory_usage:
            raise ValueError("optimize_memory_usage=True: this buffer stores no state twice anyway")
        # The parent would allocate every observation twice.
        super(ReplayBuffer, self).__init__(
            buffer_size, observation_space, action_space, device, n_envs
        )
        self.buffer_size = max(buffer_size // n_envs, 1)
        self.optimize_memory_usage = False
        self.handle_timeout_termination = False
        self.gamma = gamma
        self.rng = np.random.default_rng(seed)
        space = cast(spaces.Dict, observation_space)
        rows = (self.buffer_size, n_envs)
        self.states = np.zeros((*rows, *_shape(space["observation"])), dtype=np.float32)
        self.goals = np.zeros((*rows, *_shape(space["achieved_goal"])), dtype=np.float32)
        self.actions = np.zeros((*rows, self.action_dim), dtype=np.float32)
        self.ends = np.zeros(rows, dtype=np.int64)  # step after the last of the episode
        self.starts = np.zeros(n_envs, dtype=np.int64)  # first step of the episode that goes on
        self.steps = 0  # of each environment since the beginning

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store one step of every environment.

        Args:
            obs: the Dict observation before, a row an environment.
            next_obs: the one after; an episode's last, not the next one's first.
            action: float32[n_envs, A], in -1..1.
            reward: not used.
            done: bool[n_envs], whether an episode ended.
            infos: not used.
        """
        self.states[self.pos] = obs["observation"]
        self.goals[self.pos] = next_obs["achieved_goal"]
        self.actions[self.pos] = action.reshape(self.n_envs, self.action_dim)
        self.ends[self.pos] = _OPEN
        self.steps += 1
        self.pos = self.steps % self.buffer_size
        self.full = self.steps >= self.buffer_size
        for env in np.flatnonzero(done):
            self._close(int(env))

    def close_episodes(self) -> None:
        """End the episodes that go on: what is stored next belongs to others."""
        for env in range(self.n_envs):
            self._close(env)

    def _close(self, env: int) -> None:
        """End an environment's episode with the newest step."""
        oldest = max(int(self.starts[env]), self.steps - self.buffer_size)
        slots = np.arange(oldest, self.steps) % self.buffer_size
        self.ends[slots, env] = self.steps
        self.starts[env] = self.steps

    def draw(self, batch_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw anchors and how much later their goals are.

        Returns:
            Steps of the anchors since the beginning, their environments, and offsets d of 1 or
            more; int64[B] each.

        Raises:
            ValueError: if nothing is stored yet.
        """
        if not self.steps:
            raise ValueError("nothing is stored yet: collect steps before learning from them")
        steps = self.rng.integers(self.steps - self.size(), self.steps, size=batch_size)
        envs = self.rng.integers(0, self.n_envs, size=batch_size)
        ends = self.ends[steps % self.buffer_size, envs]
        ends = np.where(ends == _OPEN, self.steps, ends)
        return steps, envs, self._offsets(ends - steps)

    def _offsets(self, left: np.ndarray) -> np.ndarray:
        """Draw from the geometric distribution truncated at `left`, int64[B], by its inverse."""
        rate = np.log(self.gamma)
        uniform = self.rng.random(len(left))
        offsets = 1 + np.floor(np.log1p(uniform * np.expm1(left * rate)) / rate).astype(np.int64)
        return np.clip(offsets, 1, left)

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> Any:
        """Draw pairs.

        Args:
            batch_size: how many, B.
            env: what normalises observations; the reached goals as `desired_goal`, by which the
                actor is asked.

        Returns:
            `GoalPairs`.
        """
        steps, envs, offsets = self.draw(batch_size)
        slots = steps % self.buffer_size
        goals = self.goals[(steps + offsets - 1) % self.buffer_size, envs]
        seen: Any = {"observation": self.states[slots, envs], "desired_goal": goals}
        if env is not None:
            seen = self._normalize_obs({**seen, "achieved_goal": goals}, env)
        observations = {
            key: self.to_torch(np.asarray(seen[key], dtype=np.float32), copy=False)
            for key in ("observation", "desired_goal")
        }
        return GoalPairs(observations, self.to_torch(self.actions[slots, envs], copy=False))

    @property
    def nbytes(self) -> int:
        """Memory that all of it takes once it is full (bytes)."""
        return sum(getattr(self, name).nbytes for name in _KEPT)

    def get_state(self) -> dict[str, np.ndarray]:
        """Return all that decides what is drawn and stored next, as plain arrays."""
        kept = self.size()
        arrays = {name: getattr(self, name)[:kept].copy() for name in _KEPT}
        counters = {"starts": self.starts.copy(), "steps": np.array([self.steps])}
        return {**arrays, **counters, "rng": generator_words(self.rng)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `get_state` returned.

        Raises:
            ValueError: if it is of a buffer of another size, or of other environments.
        """
        steps = int(state["steps"][0])
        kept = min(steps, self.buffer_size)
        for name in _KEPT:
            wanted = (kept, *getattr(self, name).shape[1:])
            if state[name].shape != wanted:
                raise ValueError(
                    f"the replay buffer's {name} are of shape {state[name].shape}, expected "
                    f"{wanted}: give buffer_size and environments of the training that saved it"
                )
        for name in _KEPT:
            getattr(self, name)[:kept] = state[name]
            getattr(self, name)[kept:] = 0
        self.starts[:] = state["starts"]
        self.steps, self.pos = steps, steps % self.buffer_size
        self.full = steps >= self.buffer_size
        self.rng = generator_from_words(state["rng"])

    def reset(self) -> None:
        """Forget everything that is stored."""
        super().reset()
        self.steps = 0
        self.ends.fill(_OPEN)
        self.starts.fill(0)


def check_replay(loaded: Any, fresh: FutureReplayBuffer) -> FutureReplayBuffer:
    """Return a buffer that was loaded.

    Args:
        loaded: what a file held.
        fresh: the buffer whose place it takes.

    Raises:
        ValueError: if it is of another kind, or of other environments.
    """
    if not isinstance(loaded, FutureReplayBuffer):
        raise ValueError(f"expected a FutureReplayBuffer, found a {type(loaded).__name__}")
    wanted, found = (
        {"environments": b.n_envs, "observations": b.obs_shape, "actions": b.action_dim}
        for b in (fresh, loaded)
    )
    if wanted != found:
        raise ValueError(
            f"the replay buffer is of {found}, and the model's environment of {wanted}: give the "
            "model an environment like the one that filled it"
        )
    return loaded


def _shape(space: spaces.Space) -> tuple[int, ...]:
    assert space.shape is not None
    return space.shape
