"""Where policies are played on a GPU: a `WarpSimulation` as rows that stay on its device."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium.utils import seeding

from morphzoo.envs.warp_simulation import WarpSimulation


class WarpRows:
    """Rows of a `WarpSimulation`: tensors of its device; all are stepped, those that are done too.

    A row with seed s starts as a single environment that was reset with s, in float32.

    Args:
        simulation: the simulations; what they hold is lost.
        max_steps: length at which an episode is truncated.
    """

    def __init__(self, simulation: WarpSimulation, max_steps: int) -> None:
        self.simulation = simulation
        self.num = simulation.num
        self.device = simulation.device
        self.max_steps = max_steps
        self._length = 0

    def begin(self, seeds: np.ndarray) -> torch.Tensor:
        """Start episodes; see `DeviceRows`."""
        self._length = 0
        return self.simulation.reset([seeding.np_random(int(seed))[0] for seed in seeds])

    def step(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Advance all rows; see `DeviceRows`."""
        result = self.simulation.step(actions)
        self._length += 1
        done = result.terminated | (self._length >= self.max_steps)
        return result.observation, result.reward, done

    def finish(self) -> None:
        """Refuse episodes in which contacts were lost; see `WarpSimulation.check`."""
        self.simulation.check()
