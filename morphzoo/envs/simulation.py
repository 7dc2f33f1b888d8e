"""Many simulations of one task on ``mujoco.batch``: reset, step, and the state to go on from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError

from morphzoo.envs.failures import WARNINGS, install_warning_handler, physics_failed
from morphzoo.envs.rows import ascending, chosen, copied, scatter, taken
from morphzoo.envs.saved_state import check_state
from morphzoo.envs.task import Task

_STAGE_NONE = int(mujoco.mjtStage.mjSTAGE_NONE)
_STAGE_ACC = int(mujoco.mjtStage.mjSTAGE_ACC)


class StepResult(NamedTuple):
    """What one step of n simulations gave; every array is fresh and belongs to the caller.

    Attributes:
        observation: float32[n, O], after the step.
        reward: float64[n], the sum of the terms.
        terminated: bool[n], the task has ended, or MuJoCo failed.
        failed: bool[n], MuJoCo failed the simulation.
        terms: float64[n] each, the signed terms of the reward by name.
        metrics: float64[n, ...] each, further numbers by name.
    """

    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    failed: np.ndarray
    terms: dict[str, np.ndarray]
    metrics: dict[str, np.ndarray]


class Simulation:
    """Steps `num` simulations of one task on native threads, without autoreset or infos.

    Results are bit-identical to a loop over single simulations, at any number of threads. A
    simulation that MuJoCo fails (see ``failures.py``) disturbs no other: it comes back terminated
    and failed, with a reward of 0 and with its last valid observation and metrics, and stays so
    until it is reset.

    Attributes:
        task: what is simulated.
        num: number of simulations.
        batch: the ``mujoco.batch.Batch``. Do not step it behind this class's back.
        fields: live views float64[num, ...] of the `MjData` fields that the task reads. After a
            `set_state` those that MuJoCo computes are current again from the next step on.
        variables: arrays [num, ...] that the task keeps of each episode.
        failures: how many episodes MuJoCo has failed so far.
    """

    def __init__(self, task: Task, num: int, *, num_threads: int = 0) -> None:
        """Allocate the simulations; each stands in the model's default state until it is reset.

        Args:
            task: what is simulated.
            num: number of simulations.
            num_threads: native threads that step them; 0 means one a core.

        Raises:
            ValueError: if a number is out of range, or if the task's observation is not a
                float32 array of the graph's size.
        """
        if num < 1:
            raise ValueError(f"A simulation needs at least 1 row, found num={num}.")
        if num_threads < 0:
            raise ValueError(
                f"num_threads must be 0 (one thread a core) or more, found {num_threads}."
            )
        install_warning_handler()
        self.task = task
        self.num = num
        self._num_threads = num_threads
        self.batch = Batch(task.model, num, num_threads)
        self.fields = {name: self.batch.bind(name) for name in task.fields}
        self.failures = 0
        self._action_shape = (task.model.nu,)
        self._stage = _STAGE_ACC if task.needs_forward else _STAGE_NONE
        self._failed = np.zeros(num, dtype=bool)
        self.batch.forward()
        self.variables = copied(task.begin(self.fields, [np.random.default_rng(0)] * num))
        self._observation = task.observe(self.fields, self.variables)
        self._metrics = copied(task.metrics(self.fields, self.variables))
        expected = (num, task.row_size)
        if self._observation.shape != expected or self._observation.dtype != np.float32:
            raise ValueError(
                f"The task must observe float32{list(expected)}, found "
                f"{self._observation.dtype}{list(self._observation.shape)}; correct its observe()."
            )

    @property
    def observation(self) -> np.ndarray:
        """Copy of the last valid observation of every simulation, float32[num, O]."""
        return self._observation.copy()

    @property
    def failed(self) -> np.ndarray:
        """Which simulations MuJoCo has failed since their reset, bool[num], a copy."""
        return self._failed.copy()

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """Copies of the last valid metrics of every simulation, float64[num, ...] each."""
        return copied(self._metrics)

    def reset(
        self, ids: Sequence[int] | np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Start new episodes.

        Args:
            ids: int[n], the simulations, ascending and different.
            rngs: one generator for each of them; the task draws the episode from it.

        Returns:
            float32[n, O], the first observations.

        Raises:
            ValueError: if the ids are not ascending indices, or not one generator comes with each.
            SimulationError: if MuJoCo cannot compute the start that the task drew.
        """
        ids = ascending(ids, self.num)
        if len(rngs) != len(ids):
            raise ValueError(f"Expected {len(ids)} generators, one for each id, found {len(rngs)}.")
        self.batch.reset(ids, stage=_STAGE_NONE)
        qpos, qvel = self.batch.bind("qpos"), self.batch.bind("qvel")
        for row, rng in zip(ids, rngs, strict=True):
            qpos[row], qvel[row] = self.task.initial_state(rng)
        self.batch.forward(ids)
        fields = taken(self.fields, ids)
        variables = self.task.begin(fields, rngs)
        observation = self.task.observe(fields, variables)
        self._failed[ids] = False
        self._observation[ids] = observation
        scatter(self.variables, ids, variables)
        scatter(self._metrics, ids, self.task.metrics(fields, variables))
        return observation

    def step(
        self, actions: np.ndarray, ids: Sequence[int] | np.ndarray | None = None
    ) -> StepResult:
        """Advance the simulations by one action each: `frame_skip` substeps.

        A forward pass follows where the task needs one: it changes no number of the state.

        Args:
            actions: float[n, A], in the motors' units; MuJoCo clamps to their control range.
            ids: int[n], the simulations, ascending and different; None for all.

        Returns:
            One row for each id.

        Raises:
            ValueError: before anything moves, if the actions have a wrong shape or are not
                finite, or if the ids are not ascending indices.
        """
        if ids is not None:
            ids = ascending(ids, self.num)
        actions = self.checked(actions, self.num if ids is None else len(ids))
        rows = slice(None) if ids is None else ids
        self.batch.bind("ctrl")[rows] = self.task.control(actions)
        broken = np.zeros(self.num, dtype=bool)
        try:
            self.batch.step(ids, nstep=self.task.frame_skip, stage=self._stage)
        except SimulationError as error:
            broken[error.ids] = True
        fields = self.fields if ids is None else taken(self.fields, ids)
        variables = self.variables if ids is None else taken(self.variables, ids)
        # A failed row may compute with bad numbers here, which are then thrown away.
        with np.errstate(all="ignore"):
            result, variables = self._evaluate(fields, actions, variables)
        failed = self._failures(rows, broken[rows], result.observation)
        if failed.any():
            result = self._mask(result, failed, rows)
        self._remember(result, variables, ids)
        return result

    def checked(self, actions: np.ndarray, num: int) -> np.ndarray:
        """Return actions of `num` simulations as float64[num, A].

        Raises:
            ValueError: if they have another shape or are not finite numbers.
        """
        expected = (num, *self._action_shape)
        actions = np.asarray(actions, dtype=np.float64)
        if actions.shape != expected:
            raise ValueError(
                f"actions must have shape {expected}, one row for each simulation and one column "
                f"for each motor, found {actions.shape}."
            )
        finite = np.isfinite(actions)
        if not finite.all():
            row, motor = np.argwhere(~finite)[0]
            raise ValueError(
                f"actions must be finite, found {actions[row, motor]} in row {row} for motor "
                f"{motor}. Nothing was simulated. Look for a diverged policy."
            )
        return actions

    def get_state(self) -> dict[str, np.ndarray]:
        """Return all that decides how the simulations go on, as copies.

        Returns:
            Plain arrays by name: `physics` float64[num, ...] (MuJoCo's integration state),
            `warnings`, `observation`, `failed`, `failures`, and the task's variables and metrics.
        """
        state = {
            "physics": self.batch.state,
            "warnings": self.batch.warning,
            "observation": self._observation,
            "failed": self._failed,
            "failures": np.array(self.failures, dtype=np.int64),
        }
        state |= {f"variables.{name}": values for name, values in self.variables.items()}
        state |= {f"metrics.{name}": values for name, values in self._metrics.items()}
        return {name: np.array(values) for name, values in state.items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on, bit for bit, from where `get_state` was called, here or in another process.

        Raises:
            ValueError: before anything changes, if an array is missing, unknown, or of another
                shape or type than this task and number of simulations give it.
        """
        check_state(state, self.get_state())
        self.batch.state[:] = state["physics"]
        self.batch.warning[:] = state["warnings"]
        self._observation = state["observation"].copy()
        self._failed = state["failed"].copy()
        self.failures = int(state["failures"])
        self.variables = {name: state[f"variables.{name}"].copy() for name in self.variables}
        self._metrics = {name: state[f"metrics.{name}"].copy() for name in self._metrics}

    def __getstate__(self) -> dict:
        """Return what a copy needs: a `Batch` itself can be neither pickled nor copied."""
        return {
            "task": self.task,
            "num": self.num,
            "num_threads": self._num_threads,
            "state": self.get_state(),
        }

    def __setstate__(self, kept: dict) -> None:
        """Allocate simulations of their own, which go on from where the original stands."""
        self.__init__(kept["task"], kept["num"], num_threads=kept["num_threads"])
        self.set_state(kept["state"])

    def _evaluate(self, fields, actions, variables) -> tuple[StepResult, dict[str, np.ndarray]]:
        task = self.task
        terms = task.reward(fields, actions, variables)
        terms = {name: np.array(terms[name]) for name in task.reward_terms}
        terminated = task.terminated(fields, variables)
        metrics = copied(task.metrics(fields, variables))
        variables = copied(task.advance(fields, variables))
        observation = task.observe(fields, variables)
        reward = np.array(task.total(terms))
        failed = np.zeros(len(actions), dtype=bool)
        return StepResult(observation, reward, terminated, failed, terms, metrics), variables

    def _failures(self, rows, broken: np.ndarray, observation: np.ndarray) -> np.ndarray:
        """Find the failed rows, bool[n], and count those that had not failed already."""
        batch = self.batch
        warnings = batch.warning[rows][:, WARNINGS, 1]
        qpos, qvel = batch.bind("qpos")[rows], batch.bind("qvel")[rows]
        failed = broken | self._failed[rows] | physics_failed(warnings, qpos, qvel, observation)
        self.failures += int(np.count_nonzero(failed & ~self._failed[rows]))
        self._failed[rows] = failed
        return failed

    def _mask(self, result: StepResult, failed: np.ndarray, rows) -> StepResult:
        """Put the last valid numbers, and a reward of 0, where MuJoCo failed."""
        return StepResult(
            observation=chosen(failed, self._observation[rows], result.observation),
            reward=np.where(failed, 0.0, result.reward),
            terminated=result.terminated | failed,
            failed=failed,
            terms={name: np.where(failed, 0.0, term) for name, term in result.terms.items()},
            metrics={
                name: chosen(failed, self._metrics[name][rows], values)
                for name, values in result.metrics.items()
            },
        )

    def _remember(self, result: StepResult, variables: dict[str, np.ndarray], ids) -> None:
        if ids is None:
            self._observation = result.observation.copy()
            self._metrics = copied(result.metrics)
            self.variables = variables
        else:
            self._observation[ids] = result.observation
            scatter(self._metrics, ids, result.metrics)
            scatter(self.variables, ids, variables)
