"""One environment around a task: Gymnasium's MujocoEnv, with a graph."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium import spaces
from gymnasium.envs.mujoco import MujocoEnv, MujocoRenderer
from gymnasium.error import ResetNeeded

from morphzoo.envs.bodies import xml_folder
from morphzoo.envs.failures import install_warning_handler, physics_failed, warning_counts
from morphzoo.envs.rendering import REMEDY, RenderingError, choose_backend
from morphzoo.envs.rows import copied
from morphzoo.envs.task import Fields, Task
from morphzoo.morphology import MorphologyGraph

RENDER_MODES = ("human", "rgb_array", "depth_array", "rgbd_tuple")


class MorphologyEnv(MujocoEnv):
    """A single simulation of a task: the same numbers, bit for bit, as a row of a batched one.

    A step runs MuJoCo `frame_skip` times and then computes every field once for the state that
    was reached, so an observation is never a substep old.

    `info` holds the reward's terms (signed; they sum to the reward), the task's metrics, and
    `simulation_failed`: true once MuJoCo has given up on the simulation (a state that is not
    finite, or huge). Such an episode ends at once, with reward 0 and the last valid observation.

    Copies (`copy.deepcopy`, `pickle`) go on bit for bit from where the original stands.

    Attributes:
        task: what is observed, rewarded and terminal.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES)}

    def __init__(
        self,
        task: Task,
        *,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
        camera_id: int | None = None,
        camera_name: str | None = None,
        default_camera_config: dict[str, Any] | None = None,
        max_geom: int = 1000,
        visual_options: dict[int, bool] | None = None,
    ) -> None:
        """Allocate the simulation; no graphics library is loaded before `render`.

        Args:
            task: what is simulated.
            render_mode: None, or one of `human`, `rgb_array`, `depth_array` and `rgbd_tuple`.
            width: of a frame (pixels).
            height: of a frame (pixels).
            camera_id: a camera of the model. Without any choice of a camera, the model's `overview`
                of an arena, else its `track`, which follows the robot.
            camera_name: likewise, by name.
            default_camera_config: attributes of a free camera, instead of one of the model's.
            max_geom: most geoms in a frame.
            visual_options: flags of what to draw, by `mujoco.mjtVisFlag`.

        Raises:
            ValueError: if the render mode is unknown, or the frame has no pixels.
        """
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(
                f"render_mode: expected None or one of {', '.join(RENDER_MODES)}, found "
                f"{render_mode!r}."
            )
        if width < 1 or height < 1:
            raise ValueError(f"width and height must be at least 1, found {width} and {height}.")
        install_warning_handler()
        self.task = task
        if camera_id is None and camera_name is None and default_camera_config is None:
            camera_name = _default_camera(task.model)
        super().__init__(
            str(xml_folder()),  # must exist, and is not read: see _initialize_simulation
            task.frame_skip,
            task.observation_space,
            render_mode,
            width,
            height,
            camera_id,
            camera_name,
            default_camera_config,
            max_geom,
            visual_options,
        )
        self.metadata = {**self.metadata, "render_fps": round(1.0 / self.dt)}
        self._renderer_arguments = (
            default_camera_config,
            width,
            height,
            max_geom,
            camera_id,
            camera_name,
            visual_options,
        )
        self._variables: dict[str, np.ndarray] | None = None
        self._failed = False

    @property
    def graph(self) -> MorphologyGraph:
        """The robot's body, and which columns of the observation each part of it reads."""
        return self.task.graph

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Apply an action for `frame_skip` physics steps.

        Args:
            action: float[A]; MuJoCo clamps it to the motors' control ranges, the reward does not.

        Returns:
            Observation (float32[O], or what the task unpacks it to), reward, terminated, False
            (truncation belongs to registration) and info.

        Raises:
            ValueError: before anything moves, if the action has a wrong shape or is not finite.
            ResetNeeded: before the first reset.
        """
        if self._variables is None:
            raise ResetNeeded("Expected a reset before the first step; call reset() first.")
        control = self._checked(action)
        broken = self._simulate(control)
        # A failed simulation may compute with bad numbers here, which are then thrown away
        with np.errstate(all="ignore"):
            reward, terminated, terms, metrics = self._evaluate(control)
            observation = self.task.observe(self._fields(), self._variables)
        self._failed |= broken or self._physics_failed(observation)
        if self._failed:
            reward, terminated, terms = 0.0, True, dict.fromkeys(self.task.reward_terms, 0.0)
        else:
            self._metrics, self._observation = metrics, observation[0]
        info = {**terms, **_first(self._metrics), "simulation_failed": self._failed}
        if self.render_mode == "human":
            self.render()
        return self._unpacked(), reward, terminated, False, info

    def reset_model(self) -> Any:
        """Draw a new start from `np_random` and return its observation, as `step` does."""
        self.set_state(*self.task.initial_state(self.np_random))
        fields = self._fields()
        self._variables = self.task.begin(fields, [self.np_random])
        self._metrics = copied(self.task.metrics(fields, self._variables))
        self._observation = self.task.observe(fields, self._variables)[0]
        self._failed = False
        return self._unpacked()

    def render(self) -> Any:
        """Draw the present state as `render_mode` says.

        Returns:
            uint8[height, width, 3], float32[height, width], both, or None for a window and
            without a render mode.

        Raises:
            RenderingError: if no graphics library can be used.
        """
        if self.render_mode is None:
            gym.logger.warn(
                f"render() draws nothing: make the environment with a render_mode, one of "
                f"{', '.join(RENDER_MODES)}."
            )
            return None
        if self.render_mode != "human":
            choose_backend()
        if self._variables is not None:
            self.task.show(self.data, self._variables)
        try:
            return super().render()
        except (AttributeError, ImportError, RuntimeError, mujoco.FatalError) as error:
            raise RenderingError(f"No frame could be drawn: {error}. {REMEDY}") from error

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the renderer, whose graphics context no copy can share."""
        state = dict(self.__dict__)
        del state["mujoco_renderer"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy, with a renderer of its own."""
        self.__dict__.update(state)
        self.mujoco_renderer = MujocoRenderer(self.model, self.data, *self._renderer_arguments)

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model = self.task.model
        buffer = model.vis.global_
        buffer.offwidth = max(buffer.offwidth, self.width)
        buffer.offheight = max(buffer.offheight, self.height)
        return model, mujoco.MjData(model)

    def _set_action_space(self) -> spaces.Box:
        self.action_space = self.task.action_space
        return self.action_space

    def _get_reset_info(self) -> dict[str, Any]:
        return _first(self._metrics)

    def _unpacked(self) -> Any:
        """Return the last observation; the caller's arrays are the caller's."""
        return self.task.unpack(self._observation.copy())

    def _fields(self) -> Fields:
        """Return the fields that the task reads, as views with a batch axis of one."""
        return {name: getattr(self.data, name)[None] for name in self.task.fields}

    def _checked(self, action: np.ndarray) -> np.ndarray:
        control = np.array(action, dtype=np.float64)
        if control.shape != (self.model.nu,):
            raise ValueError(
                f"The action must have shape ({self.model.nu},), one number for each motor, found "
                f"{control.shape}."
            )
        if not np.isfinite(control).all():
            motor = int(np.flatnonzero(~np.isfinite(control))[0])
            raise ValueError(
                f"The action must be finite, found {control[motor]} for motor {motor}. Nothing was "
                "simulated. Look for a diverged policy."
            )
        return control

    def _simulate(self, control: np.ndarray) -> bool:
        """Advance the physics and compute every field for the new state; true if MuJoCo raised."""
        self.data.ctrl[:] = self.task.control(control[None])[0]
        try:
            mujoco.mj_step(self.model, self.data, nstep=self.frame_skip)
            mujoco.mj_forward(self.model, self.data)
        except mujoco.FatalError:
            return True
        return False

    def _evaluate(
        self, control: np.ndarray
    ) -> tuple[float, bool, dict[str, float], dict[str, np.ndarray]]:
        """Return reward, termination, terms and metrics, and advance the episode's variables."""
        task, fields = self.task, self._fields()
        assert self._variables is not None
        terms = task.reward(fields, control[None], self._variables)
        terminated = task.terminated(fields, self._variables)
        metrics = copied(task.metrics(fields, self._variables))
        self._variables = task.advance(fields, self._variables)
        return float(task.total(terms)[0]), bool(terminated[0]), _first(terms), metrics

    def _physics_failed(self, observation: np.ndarray) -> bool:
        data = self.data
        counts = warning_counts(data)[None]
        return bool(physics_failed(counts, data.qpos[None], data.qvel[None], observation)[0])


def _first(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the numbers of the only row, and copies of its vectors."""
    rows = {name: values[0] for name, values in arrays.items()}
    return {name: row.copy() if row.ndim else float(row) for name, row in rows.items()}


def _default_camera(model: mujoco.MjModel) -> str | None:
    """Return the camera that shows a whole arena, else the one that follows the robot, if any."""
    names = [model.camera(i).name for i in range(model.ncam)]
    return next((name for name in ("overview", "track") if name in names), None)
