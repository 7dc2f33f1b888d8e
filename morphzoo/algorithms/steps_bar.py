"""Stable-Baselines3's progress bar for algorithms that step many policies at once."""

from __future__ import annotations

from stable_baselines3.common.callbacks import ProgressBarCallback


class StepsBar(ProgressBarCallback):
    """Moves by the policies that took a step, not by the number of environments."""

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self._start = self.model.num_timesteps

    def _on_step(self) -> bool:
        self.pbar.update(self.model.num_timesteps - self._start - self.pbar.n)
        return True
