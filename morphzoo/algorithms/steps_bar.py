"""Stable-Baselines3's progress bar for algorithms that step many policies at once."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ProgressBarCallback


class StepsBar(ProgressBarCallback):
    """Moves by the policies that took a step, not by the number of environments."""

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self._start = self.model.num_timesteps

    def _on_step(self) -> bool:
        self.pbar.update(self.model.num_timesteps - self._start - self.pbar.n)
        return True


def with_steps_bar(callback: BaseCallback, model: Any) -> BaseCallback:
    """Return a model's callback and a bar beside it, ready to be called."""
    both = CallbackList([callback, StepsBar()])
    both.init_callback(model)
    return both
