"""Where a Centipede begins: near its reference pose, and healthy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import mujoco
import numpy as np

from morphzoo.envs.bodies import num_torsos

_MAX_DRAWS = 1000  # of a start; even with 100 legs more than half are healthy at once


class CentipedeStart:
    """Draws starts of one Centipede, again and again until one is healthy."""

    def __init__(
        self,
        model: mujoco.MjModel,
        num_legs: int,
        scale: float,
        is_healthy: Callable[[np.ndarray], Any],
        limits: str,
    ) -> None:
        """Keep what describes the starts.

        Args:
            model: the compiled body.
            num_legs: number of legs.
            scale: `reset_noise_scale`.
            is_healthy: from body positions float64[n, nbody, 3] (m) to bool[n].
            limits: what is asked of a healthy start, for a message.
        """
        self.model = model
        self._torsos = num_torsos(num_legs)
        self._scale = scale
        self._is_healthy = is_healthy
        self._limits = limits

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a start near the reference pose.

        Returns:
            `(qpos float64[nq], qvel float64[nv])`, in metres, radians and their rates.

        Raises:
            RuntimeError: if no healthy start was drawn in 1000 attempts.
        """
        model, data, scale = self.model, self._scratch, self._scale
        pitch = scale / (self._torsos - 1)
        for _ in range(_MAX_DRAWS):
            qpos = model.qpos0 + rng.uniform(-scale, scale, model.nq)
            qpos[self._pitch_qpos] = rng.uniform(-pitch, pitch, len(self._pitch_qpos))
            qpos[3:7] /= np.sqrt(np.sum(np.square(qpos[3:7])))
            qvel = scale * rng.standard_normal(model.nv)
            data.qpos[:] = qpos
            mujoco.mj_kinematics(model, data)
            if self._is_healthy(data.xpos[None])[0]:
                return qpos, qvel
        raise RuntimeError(
            f"No healthy start in {_MAX_DRAWS} draws: expected torsos within {self._limits}. Widen "
            f"these, or lower reset_noise_scale={scale}."
        )

    @cached_property
    def _scratch(self) -> mujoco.MjData:
        """Data on which starts are tried: no simulation's."""
        return mujoco.MjData(self.model)

    @cached_property
    def _pitch_qpos(self) -> np.ndarray:
        """The qpos addresses that start almost level: torso pitches and the quaternion's y."""
        joints = [f"bodyupdown_{k}" for k in range(1, self._torsos)]
        return np.array([self.model.joint(name).qposadr[0] for name in joints] + [5])
