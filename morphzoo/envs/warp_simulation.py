"""Many simulations of one task on mujoco-warp: physics, observation and reward stay on a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from morphzoo.envs.failures import LARGEST
from morphzoo.envs.task import Task
from morphzoo.envs.warp_worlds import (
    WorldSizes,
    align_contacts,
    check_task,
    check_tensors,
    import_warp,
    world_sizes,
)

# What a step starts from, apart from the controls: put back where a world has failed.
_STATE = ("qpos", "qvel", "act", "qacc_warmstart")


class WarpStep(NamedTuple):
    """What one step of n simulations gave; every tensor is fresh and belongs to the caller.

    Attributes:
        observation: float32[n, O], after the step.
        reward: float[n], the sum of the terms.
        terminated: bool[n], the task has ended, or the physics has failed.
        failed: bool[n], the physics has failed since the episode began.
    """

    observation: torch.Tensor
    reward: torch.Tensor
    terminated: torch.Tensor
    failed: torch.Tensor


class WarpSimulation:
    """Steps `num` simulations of one task on a GPU, without autoreset or infos.

    What `Simulation` is on the CPU, in float32. All worlds are stepped, those that are done too,
    and nothing waits for the device. Results differ from the CPU's by rounding, which contacts
    amplify, and on a GPU from run to run: mujoco-warp adds in no fixed order there. Use it on
    torch's default stream.

    A world whose state, or whose observation, is not finite or huge (as MuJoCo says it) has
    failed: it comes back terminated with a reward of 0 and with its last valid observation, and
    stays so until it is reset. Its state is put back to the start, so that it slows down no other.

    The device "cpu" is mujoco-warp's own, for development: many times as slow as `Simulation`.

    Source: mujoco-warp (Apache-2.0, Google DeepMind and NVIDIA); a graph of the launches of one
        step, as its README has it.
    Differs: the solver stops at a tolerance of 1e-6, mujoco-warp's least, where a model says less.

    Attributes:
        task: what is simulated.
        num: number of simulations.
        device: where they are.
        fields: live views float32[num, ...] of the fields that the task reads.
        variables: tensors [n, ...] that the task keeps of each episode.
        sizes: room for contacts and constraints.
    """

    def __init__(self, task: Task, num: int, device: torch.device | str = "cuda") -> None:
        """Allocate the simulations; `reset` comes before the first step.

        Args:
            task: what is simulated.
            num: number of simulations.
            device: of torch.

        Raises:
            ImportError: mujoco-warp is not installed.
            ValueError: if the number is below 1, for a body that mujoco-warp does not know, or for
                a task that reads more than the state or is not written for tensors.
        """
        if num < 1:
            raise ValueError(f"A simulation needs at least 1 row, found num={num}.")
        check_task(task)
        self._warp, self._mjw = import_warp()
        self.task = task
        self.num = num
        self.device = torch.empty(0, device=device).device  # with its number
        self.sizes = world_sizes(task.model)
        with self._here():
            self._model, self._data = _allocate(self._mjw, task, num, self.sizes)
            arrays = {n: getattr(self._data, n) for n in (*_STATE, "ctrl", *task.fields)}
            self._views = {n: self._warp.to_torch(a) for n, a in arrays.items() if a.size}
            self._overflow = self._warp.to_torch(self._data.overflow)
        self.fields = {name: self._views[name] for name in task.fields}
        self._failures = torch.zeros((), dtype=torch.int64, device=self.device)
        self._launch: Callable[[], None] | None = None
        self.reset([np.random.default_rng(0)] * num)
        check_tensors(task, self.fields, self.variables)

    @property
    def failures(self) -> int:
        """How many episodes have ended because the physics failed; waits for the device."""
        return int(self._failures)

    def reset(self, rngs: Sequence[np.random.Generator]) -> torch.Tensor:
        """Start new episodes in the first rows; the others stand by.

        Args:
            rngs: one generator for each episode, n <= num; the task draws the episode from it.

        Returns:
            float32[n, O], the first observations.

        Raises:
            ValueError: if there are more generators than simulations, or none.
        """
        if not 1 <= len(rngs) <= self.num:
            raise ValueError(f"Expected 1 to {self.num} generators, found {len(rngs)}.")
        drawn = [self.task.initial_state(rng) for rng in rngs]
        everywhere = np.arange(self.num) % len(rngs)  # those that stand by stand like the first
        for name, rows in zip(("qpos", "qvel"), zip(*drawn, strict=True), strict=True):
            start = torch.as_tensor(np.stack(rows)[everywhere], dtype=torch.float32)
            self._views[name].copy_(start)
        for name in {"act", "ctrl", "qacc_warmstart"} & self._views.keys():
            self._views[name].zero_()
        self._overflow.zero_()
        with self._here():
            self._mjw.forward(self._model, self._data)
        self._start = {n: view.clone() for n, view in self._views.items() if n in _STATE}
        fields = {name: view[: len(rngs)] for name, view in self.fields.items()}
        self.variables = _copied(self.task.begin(fields, rngs))
        self._observation = self.task.observe(fields, self.variables)
        self._failed = torch.zeros(len(rngs), dtype=torch.bool, device=self.device)
        self._ended = self._failed
        return self._observation.clone()

    def step(self, actions: torch.Tensor) -> WarpStep:
        """Advance all simulations; the n episodes by one action each, `frame_skip` substeps.

        Args:
            actions: float32[n, A], in the motors' units, one row for each episode that was begun.
                One that is not finite fails its row.

        Returns:
            One row for each episode.

        Raises:
            ValueError: before anything moves, for actions of a wrong shape.
        """
        task, num = self.task, len(self._failed)
        if actions.shape != (num, task.model.nu):
            raise ValueError(
                f"actions must have shape {(num, task.model.nu)}, one row for each episode and one "
                f"column for each motor, found {tuple(actions.shape)}."
            )
        self._views["ctrl"][:num] = task.control(actions)
        self._advance()
        fields = {name: view[:num] for name, view in self.fields.items()}
        reward = task.total(task.reward(fields, actions, self.variables))
        terminated = task.terminated(fields, self.variables)
        self.variables = _copied(task.advance(fields, self.variables))
        observation = task.observe(fields, self.variables)
        failed = self._failed | ~_fine(self._views["qpos"][:num], self._views["qvel"][:num])
        failed |= ~_fine(observation) | ~_fine(actions)
        self._remember(observation, terminated, failed)
        reward = torch.where(failed, torch.zeros_like(reward), reward)
        return WarpStep(self._observation.clone(), reward, terminated | failed, failed.clone())

    def check(self) -> None:
        """Refuse episodes in which contacts found no room; waits for the device.

        Raises:
            RuntimeError: saying how much room there was.
        """
        lost = self._overflow & _room(self._mjw)
        if worlds := int(torch.count_nonzero(lost)):
            raise RuntimeError(
                f"in {worlds} of {self.num} simulations there were more contacts or constraints "
                f"than there is room for on mujoco-warp ({self.sizes.contacts} contacts on "
                f"average, {self.sizes.constraints} constraints each), so their physics is wrong: "
                "use backend='mujoco' for this body"
            )

    def _remember(
        self, observation: torch.Tensor, terminated: torch.Tensor, failed: torch.Tensor
    ) -> None:
        """Keep the last valid observations, count new failures, and put failed worlds back."""
        self._failures += torch.count_nonzero(failed & ~self._ended)
        self._failed, self._ended = failed, self._ended | terminated | failed
        self._observation = torch.where(failed[:, None], self._observation, observation)
        bad = ~_fine(self._views["qpos"], self._views["qvel"])
        bad[: len(failed)] |= failed
        for name, start in self._start.items():
            view = self._views[name]
            view.copy_(torch.where(bad[:, None], start, view))

    def _advance(self) -> None:
        """Step the physics: by a graph of all launches on a GPU, which the first step records."""
        if self._launch is None:
            self._launch = self._recorded() if self.device.type == "cuda" else self._substeps
        with self._here():
            self._launch()

    def _substeps(self) -> None:
        for _ in range(self.task.frame_skip):
            self._mjw.step(self._model, self._data)

    def _recorded(self) -> Callable[[], None]:
        """Record the substeps; where memory cannot be recorded, return them as they are."""
        warp, device = self._warp, self._warp.device_from_torch(self.device)
        if not warp.is_mempool_enabled(device):
            return self._substeps
        # An older driver records all iterations of the solver, not a loop that ends.
        self._model.opt.graph_conditional = warp.is_conditional_graph_supported()
        kept = {name: view.clone() for name, view in self._views.items()}
        with self._here():
            self._substeps()  # compiles the kernels
        for name, view in self._views.items():
            view.copy_(kept[name])
        torch.cuda.synchronize(self.device)
        with self._here(), warp.ScopedCapture() as capture:
            self._substeps()
        return lambda: warp.capture_launch(capture.graph)

    def _here(self) -> Any:
        """Launch on this device; warp's own stream and torch's default one wait for each other."""
        return self._warp.ScopedDevice(self._warp.device_from_torch(self.device))


def _allocate(mjw: Any, task: Task, num: int, sizes: WorldSizes) -> tuple[Any, Any]:
    """Put the model on the device, without what it prints in every step, and make the worlds."""
    try:
        model = mjw.put_model(task.model)
    except NotImplementedError as error:
        raise ValueError(
            f"mujoco-warp cannot simulate this body ({error}): use backend='mujoco'"
        ) from error
    spoken = mjw.OverflowType.ITERATIONS | mjw.OverflowType.LS_ITERATIONS
    model.opt.warn_overflow &= ~int(spoken)
    align_contacts(model)
    return model, mjw.make_data(task.model, nworld=num, **sizes.keywords)


def _room(mjw: Any) -> int:
    """Return the bits of an overflow that are about room, and not about a solver's patience."""
    kinds = mjw.OverflowType
    return int(kinds.ALL & ~(kinds.ITERATIONS | kinds.LS_ITERATIONS))


def _fine(*values: torch.Tensor) -> torch.Tensor:
    """Return bool[n]: whether all numbers of a row are finite and not huge."""
    fine = [(value.abs() <= LARGEST).flatten(1).all(1) for value in values]  # false for NaN
    return torch.stack(fine).all(0)


def _copied(variables: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy what a task returned: it may be views of a field, which a step overwrites."""
    return {name: value.clone() for name, value in variables.items()}
