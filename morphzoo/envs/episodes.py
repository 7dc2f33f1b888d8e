"""Episodes of batched simulations: their generators, lengths, returns, time limit and autoreset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from morphzoo.envs.generators import RowGenerators
from morphzoo.envs.saved_state import check_state
from morphzoo.envs.simulation import Simulation, StepResult


class Transition(NamedTuple):
    """One step of every row, before it is packed for one API or another; all arrays are fresh.

    Attributes:
        observation: float32[num, O], what the next action answers: after an autoreset the first one
            of the new episode.
        truncated: bool[num], the time limit was reached.
        done: bool[num], terminated or truncated.
        result: the step itself; its observation is the last one of an episode that ended.
        episode_return: float64[num], sum of the episode's rewards, this step's included.
        episode_length: int64[num], steps of the episode, this one included.
    """

    observation: np.ndarray
    truncated: np.ndarray
    done: np.ndarray
    result: StepResult
    episode_return: np.ndarray
    episode_length: np.ndarray


class Episodes:
    """Plays one episode after another in every row of a simulation.

    Row i equals, bit for bit, a single environment that was reset with seed + i and then without a
    seed: each row keeps its own generator.

    A row that is done begins the next episode in the same step. Without autoreset it rests: it is
    not simulated, and repeats its last observation and flags with a reward of 0, until it is reset.

    Attributes:
        simulation: the simulations.
        generators: one for each row.
        max_steps: length at which an episode is truncated, None without a limit.
        autoreset: whether a row that is done begins again by itself.
    """

    def __init__(self, simulation: Simulation, max_steps: int | None, autoreset: bool) -> None:
        """Begin no episode yet.

        Raises:
            ValueError: if the limit is no positive number.
        """
        if max_steps is not None and max_steps < 1:
            raise ValueError(
                f"max_episode_steps must be at least 1, or None or -1 for no limit, found "
                f"{max_steps}."
            )
        self.simulation = simulation
        self.max_steps = max_steps
        self.autoreset = autoreset
        self.generators = RowGenerators(simulation.num)
        self._begun = False
        self._length = np.zeros(simulation.num, dtype=np.int64)
        self._return = np.zeros(simulation.num)
        self._terminated = np.zeros(simulation.num, dtype=bool)
        self._truncated = np.zeros(simulation.num, dtype=bool)

    def reset(self, ids: np.ndarray, seed: int | Sequence[int | None] | None = None) -> np.ndarray:
        """Begin new episodes.

        Args:
            ids: int[n], the rows, ascending.
            seed: row i gets seed + i, or the i-th of a list of one a row; None continues each row's
                generator.

        Returns:
            float32[num, O], of all rows.

        Raises:
            ValueError: if a list of seeds has not one entry a row, or the first reset leaves rows
                out.
        """
        if not self._begun and len(ids) < self.simulation.num:
            raise ValueError(
                f"The first reset must be of all {self.simulation.num} rows, found {len(ids)}. "
                "Call reset() without a reset_mask first."
            )
        self.generators.seed(ids, seed)
        self._begin(ids)
        self._begun = True
        return self.simulation.observation

    def advance(self, actions: np.ndarray) -> Transition:
        """Advance every row by one action, autoreset included.

        Args:
            actions: float[num, A].

        Raises:
            ValueError: before anything moves, for actions of a wrong shape or not finite.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if not self._begun:
            raise gym.error.ResetNeeded("Expected a reset before the first step; call reset().")
        resting = self._terminated | self._truncated
        if resting.any():
            result = self._step_awake(actions, np.flatnonzero(~resting))
        else:
            result = self.simulation.step(actions)
        self._length += ~resting
        self._return += result.reward
        truncated = self._truncated.copy()
        if self.max_steps is not None:
            truncated |= ~resting & (self._length >= self.max_steps)
        done = result.terminated | truncated
        observation, lengths, returns = result.observation, self._length.copy(), self._return.copy()
        if not self.autoreset:
            self._terminated, self._truncated = result.terminated.copy(), truncated.copy()
        elif done.any():
            self._begin(np.flatnonzero(done))
            observation = self.simulation.observation
        return Transition(observation, truncated, done, result, returns, lengths)

    def get_state(self) -> dict[str, np.ndarray]:
        """Return all that decides how the rows go on, as copies: plain arrays, never a pickle.

        Returns:
            The simulation's arrays and `begun`, `episode_length`, `episode_return`, `terminated`,
            `truncated` and `generators` uint64[num, 6].
        """
        return self.simulation.get_state() | {
            "begun": np.array(self._begun),
            "episode_length": self._length.copy(),
            "episode_return": self._return.copy(),
            "terminated": self._terminated.copy(),
            "truncated": self._truncated.copy(),
            "generators": self.generators.words(),
        }

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on, bit for bit, from where `get_state` was called, here or in another process.

        Raises:
            ValueError: before anything changes, if an array is missing, unknown, or of another
                shape or type than this task and number of rows give it.
        """
        check_state(state, self.get_state())
        self.generators.restore(state["generators"])
        inner = self.simulation.get_state().keys()
        self.simulation.set_state({name: state[name] for name in inner})
        self._begun = bool(state["begun"])
        self._length = state["episode_length"].copy()
        self._return = state["episode_return"].copy()
        self._terminated = state["terminated"].copy()
        self._truncated = state["truncated"].copy()

    def _begin(self, ids: np.ndarray) -> None:
        self.simulation.reset(ids, self.generators.of(ids))
        self._length[ids] = 0
        self._return[ids] = 0.0
        self._terminated[ids] = False
        self._truncated[ids] = False

    def _step_awake(self, actions: np.ndarray, ids: np.ndarray) -> StepResult:
        """Step some rows; the others repeat what they last showed, with a reward of 0."""
        simulation, num = self.simulation, self.simulation.num
        actions = simulation.checked(actions, num)
        still = StepResult(
            simulation.observation,
            np.zeros(num),
            self._terminated.copy(),
            simulation.failed,
            {name: np.zeros(num) for name in simulation.task.reward_terms},
            simulation.metrics,
        )
        if len(ids):
            moved = simulation.step(actions[ids], ids)
            for whole, part in zip(still[:4], moved[:4], strict=True):
                whole[ids] = part
            for whole, part in ((still.terms, moved.terms), (still.metrics, moved.metrics)):
                for name, values in part.items():
                    whole[name][ids] = values
        return still
