"""What a saved search holds, and how it goes on from there."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Self

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from morphzoo.policies.deterministic import DeterministicPolicy

#: Keyword of a search -> field of its `Perturbation`.
NOISE_FIELDS = {
    "noise": "kind",
    "noise_scale": "scale",
    "noise_scale_end": "scale_end",
    "noise_hold": "hold",
    "noise_relative": "relative",
    "noise_floor": "floor",
    "noise_clip": "clip",
    "antithetic": "antithetic",
}


class SavedSearch(BaseAlgorithm):
    """The part of `PopulationAlgorithm` that saving and loading are about.

    Attributes:
        unfinished: steps of a generation that is under way. It is played anew when a training goes
            on, so they are taken off `num_timesteps` first.
    """

    #: Keywords whose effect is in what was saved, so that another value cannot take its place.
    settled: ClassVar[set[str]] = {"paper", "optimizer", "weight_decay"}
    unfinished: int
    policy: DeterministicPolicy

    @classmethod
    def load(
        cls,
        path: Any,
        env: Any = None,
        device: torch.device | str = "cpu",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Load what `save` wrote; see `BaseAlgorithm.load`.

        Args:
            path: file, or an open one.
            env: environment to go on in; None to act alone.
            device: of parameters and critic; as when a model is made, not the one saved on.
            custom_objects: name -> what takes the place of what was saved under it.
            print_system_info: print the versions it was saved with.
            force_reset: begin the environment anew.
            **kwargs: keywords of the algorithm that are to have another value from here on.

        Raises:
            ValueError: a keyword is unknown, or cannot be changed any more.
        """
        known = {name for base in cls.__mro__ for name in inspect.signature(base).parameters}
        for name in kwargs:
            if name in cls.settled:
                raise ValueError(
                    f"load: '{name}' cannot be changed, its effect is part of what was saved; make "
                    "a new model, and give it the parameters: model.policy.theta = ..."
                )
            if name not in known:
                raise ValueError(f"load: {cls.__name__} has no keyword '{name}'")
        noise = {NOISE_FIELDS[name]: kwargs.pop(name) for name in NOISE_FIELDS if name in kwargs}
        if "stats_window_size" in kwargs:
            kwargs["_stats_window_size"] = kwargs.pop("stats_window_size")
        model = super().load(
            path,
            env,
            device,
            custom_objects,
            print_system_info,
            force_reset,
            noise_changes=noise,
            **kwargs,
        )
        model.rewind()
        return model

    def rewind(self) -> None:
        """Forget a generation that was not finished: its steps, and what its policies have met."""
        if self.unfinished:
            self.policy.normalizer.withdraw()
        self.num_timesteps -= self.unfinished
        self.unfinished = 0

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "rows", "players", "centres", "optimizer"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "centres", "optimizer"], []
