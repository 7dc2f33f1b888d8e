"""What a task is: observation, reward terms, termination and reset, once, over arrays."""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import mujoco
import numpy as np
from gymnasium import spaces

from morphzoo.columns import Column
from morphzoo.morphology import MorphologyGraph
from morphzoo.spaces import MorphologySpace

Array = Any  # numpy.ndarray, or torch.Tensor where a back end simulates on a GPU
Fields = Mapping[str, Array]  # MjData field name -> [n, ...]; views, never written to by a task

# Fields that MuJoCo computes only in mj_rnePostConstraint, which runs only for a sensor that
# needs it: without one they read zero.
_POST_CONSTRAINT_FIELDS = frozenset({"cacc", "cfrc_int", "cfrc_ext"})

# Fields that a step leaves as the state after it has them.
_STATE_FIELDS = frozenset({"time", "qpos", "qvel", "act", "ctrl"})


def array_namespace(array: Array) -> Any:
    """Return the module (numpy or torch) whose functions work on `array`."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def as_like(numbers: np.ndarray, array: Array) -> Array:
    """Return numbers as an array of the library, the type and the device of another."""
    return array_namespace(array).asarray(numbers, dtype=array.dtype, device=array.device)


def sum_of_squares(rows: Array) -> Array:
    """Return `[n]` from `[n, m]`; made contiguous first, so that n cannot change the order."""
    flat = rows.reshape(-1)
    return (flat * flat).reshape(rows.shape).sum(-1)


def check_ranges(**ranges: tuple[float, float]) -> None:
    """Check arguments that are a lower and an upper limit.

    Raises:
        ValueError: naming the first range whose lower limit is not below its upper one.
    """
    for name, (low, high) in ranges.items():
        if not low < high:
            raise ValueError(f"{name}: expected low < high, found ({low}, {high}).")


class Task(ABC):
    """One implementation of a task, used by the single and by the batched environment alike.

    Every method takes arrays with a leading batch axis of `n` episodes and returns arrays with
    the same axis; a task holds no state of any episode. What an episode must remember (a goal,
    the position before a step) lives in `variables`, a dict of arrays `[n, ...]` that the
    environment keeps and hands to every method. The order of calls is

    * reset: `initial_state`, MuJoCo's `mj_forward`, `begin`, `observe`;
    * step: `control`, physics and, unless the task reads the state alone, one `mj_forward`, so that
      every field describes the state *after* the step; `reward`, `terminated`, `metrics`,
      `advance`, `observe` (with the new variables).

    The result of a row must not depend on `n`, bit for bit: reduce along the last, contiguous
    axis only, and use no matrix product.

    Attributes:
        model: the compiled body, with everything around it.
        frame_skip: physics steps per environment step.
        columns: where each number of the observation comes from, in order.
        fields: names of the `MjData` fields that the methods read.
        reward_terms: names of the reward's terms, in the order in which they are summed.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        columns: Sequence[Column],
        *,
        fields: Sequence[str],
        reward_terms: Sequence[str],
        frame_skip: int = 5,
    ) -> None:
        """Keep what describes the task.

        Raises:
            ValueError: if `frame_skip` is below 1, or if a field is one that MuJoCo leaves zero
                because the model has no sensor of the acceleration stage.
        """
        if frame_skip < 1:
            raise ValueError(f"frame_skip must be at least 1, found {frame_skip}.")
        late = sorted(_POST_CONSTRAINT_FIELDS.intersection(fields))
        if late and not _has_acceleration_sensor(model):
            raise ValueError(
                f"The task reads {', '.join(late)}, which MuJoCo computes only for a model with a "
                "sensor of the acceleration stage, and this model has none. Put a site and an "
                "<accelerometer> on the robot's root body."
            )
        self.model = model
        self.columns = tuple(columns)
        self.fields = tuple(fields)
        self.reward_terms = tuple(reward_terms)
        self.frame_skip = frame_skip

    @classmethod
    def split(cls, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Part keyword arguments into this task's own and the rest, which is the environment's."""
        own = inspect.signature(cls).parameters
        task = {name: value for name, value in arguments.items() if name in own}
        return task, {name: value for name, value in arguments.items() if name not in own}

    @property
    def dt(self) -> float:
        """Time between two actions (s)."""
        return float(self.model.opt.timestep) * self.frame_skip

    @cached_property
    def graph(self) -> MorphologyGraph:
        """The robot's body and who reads which column: built once."""
        return MorphologyGraph.from_model(self.model, self.columns)

    @property
    def observation_space(self) -> spaces.Space:
        """The space of one observation as `unpack` hands it out; it carries the graph."""
        return MorphologySpace(self.graph)

    @property
    def row_size(self) -> int:
        """How many numbers `observe` gives of an episode, O."""
        return self.graph.observation_size

    @property
    def action_space(self) -> spaces.Box:
        """The space of one action, `float32[A]`, bounded by the motors' control ranges."""
        low, high = self.model.actuator_ctrlrange.T.astype(np.float32)
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def needs_forward(self) -> bool:
        """Whether a field must be computed anew for the state that a step has reached."""
        return not _STATE_FIELDS.issuperset(self.fields)

    def control(self, action: Array) -> Array:
        """Return what the motors are told, `float64[n, A]`; by default the action itself."""
        return action

    @abstractmethod
    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw one start, `(qpos float64[nq], qvel float64[nv])`, from one row's generator."""

    def begin(self, fields: Fields, rngs: Sequence[np.random.Generator]) -> dict[str, Array]:
        """Return the variables of `n` new episodes; `fields` describe their first state."""
        return {}

    @abstractmethod
    def observe(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `float32[n, O]`, always a fresh array, O = `row_size`."""

    def unpack(self, rows: np.ndarray) -> Any:
        """Return the observation that rows of `observe` stand for: here the rows themselves.

        Args:
            rows: `float32[O]` of one episode, or `float32[n, O]`.
        """
        return rows

    @abstractmethod
    def reward(
        self, fields: Fields, action: Array, variables: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return the signed terms, `float64[n]` each; the reward is their sum, in order.

        Args:
            fields: state after the step.
            action: `float64[n, A]`, C-contiguous, exactly as the environment received it:
                MuJoCo clamps what it applies, the reward does not.
            variables: of the episodes, from before the step.
        """

    def total(self, terms: Mapping[str, Array]) -> Array:
        """Return the reward `float64[n]`: the sum of the terms, in the order of `reward_terms`."""
        first, *rest = (terms[name] for name in self.reward_terms)
        for term in rest:
            first = first + term
        return first

    @abstractmethod
    def terminated(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `bool[n]`: has the task ended (fallen, arrived)? A time limit is no end."""

    def advance(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return all variables as the next step needs them, the same keys and shapes."""
        return dict(variables)

    def metrics(self, fields: Fields, variables: Mapping[str, Array]) -> dict[str, Array]:
        """Return further numbers for `info`, before the variables advance.

        Returns:
            `float64[n]` each, or `float64[n, k]` for what is a vector of k numbers in `info`.
        """
        return {}

    def show(self, data: mujoco.MjData, variables: Mapping[str, Array]) -> None:  # noqa: B027
        """Put into `data` what only a picture shows of an episode, before it is drawn.

        Args:
            data: of one simulation; only numbers that MuJoCo computes anew may be written to.
            variables: of its episode, with a batch axis of one.
        """


def _has_acceleration_sensor(model: mujoco.MjModel) -> bool:
    stage = int(mujoco.mjtStage.mjSTAGE_ACC)
    return any(int(needed) == stage for needed in model.sensor_needstage)
