"""Where policies are looked for: noise around parameters, its size, its clips, its pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

NOISES = ("gaussian", "uniform")


@dataclass(frozen=True)
class Perturbation:
    """Random differences between the policies that are tried and the one they are tried around.

    Parameter i of a policy theta gets noise of the width ::

        s_i = scale                                if not relative
        s_i = scale * max(|theta_i|, floor)        if relative

    where scale is `scale` for the share `hold` of a training, and then moves to `scale_end` in a
    straight line. Gaussian noise is s_i times a standard normal number, uniform noise lies in
    +-s_i. Relative noise never moves a parameter that is zero, unless there is a floor.

    Source: Gaussian noise of 1: "Parameter-based Value Functions" (Faccio et al., 2021). Uniform
        relative noise of 0.3: "Massively Scaling Explicit Policy-conditioned Value Functions"
        (Bohlinger and Peters, 2025), section 3; its ablation clips the noise to +-0.3.
    Differs: the floor, the pairs and the second scale are ours.

    Attributes:
        kind: "gaussian" or "uniform".
        scale: the width, absolute or as a share of the parameter's size.
        relative: whether it is a share.
        floor: size that a parameter counts for at least, if it is.
        clip: largest noise of a parameter; 0 for any.
        antithetic: whether the second half of the noise is the first with its sign turned.
        scale_end: the width at the end of a training; None for `scale` all along.
        hold: share of the training before the width begins to move, below 1.
        done: share of the training that has passed, 0 to 1.

    Raises:
        ValueError: if a value is out of range.
    """

    kind: str = "gaussian"
    scale: float = 0.05
    relative: bool = False
    floor: float = 0.0
    clip: float = 0.0
    antithetic: bool = False
    scale_end: float | None = None
    hold: float = 0.0
    done: float = 0.0

    def __post_init__(self) -> None:
        """Check."""
        if self.kind not in NOISES:
            raise ValueError(f"noise: expected one of {list(NOISES)}, found {self.kind!r}")
        for name, value in (("noise_scale", self.scale), ("noise_scale_end", self.scale_end)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, found {value}: nothing would move")
        if self.hold and self.scale_end is None:
            raise ValueError("noise_hold is for noise that moves afterwards: give noise_scale_end")
        if self.floor and not self.relative:
            raise ValueError("noise_floor is for relative noise: give noise_relative=True")
        if not 0 <= self.hold < 1:
            raise ValueError(f"noise_hold must be in [0, 1), found {self.hold}")
        for name, value in (("noise_floor", self.floor), ("noise_clip", self.clip)):
            if not value >= 0:
                raise ValueError(f"{name} must be at least 0, found {value}")

    def at(self, done: float) -> Perturbation:
        """Return the noise after a share of the training, 0 to 1."""
        return replace(self, done=done)

    @property
    def scale_now(self) -> float:
        """The scale at this time of the training."""
        end = self.scale if self.scale_end is None else self.scale_end
        moved = max(self.done - self.hold, 0.0) / (1 - self.hold)
        return self.scale + (end - self.scale) * moved

    def width(self, theta: torch.Tensor) -> torch.Tensor:
        """Return s of every parameter, the shape of `theta`."""
        if not self.relative:
            return torch.full_like(theta, self.scale_now)
        return self.scale_now * theta.abs().clamp(min=self.floor)

    def std(self, theta: torch.Tensor) -> torch.Tensor:
        """Return the noise's standard deviation for every parameter, before any clip."""
        width = self.width(theta)
        return width if self.kind == "gaussian" else width / 3**0.5

    def draw(self, theta: torch.Tensor, num: int, generator: torch.Generator) -> torch.Tensor:
        """Draw noise around one policy.

        Args:
            theta: float32[P].
            num: how many; even if antithetic.
            generator: on the device of `theta`.

        Returns:
            float32[num, P]. Antithetic: row i + num / 2 is minus row i.
        """
        drawn = num // 2 if self.antithetic else num
        noise = torch.empty(drawn, len(theta), dtype=theta.dtype, device=theta.device)
        if self.kind == "gaussian":
            noise.normal_(generator=generator)
        else:
            noise.uniform_(-1.0, 1.0, generator=generator)
        noise *= self.width(theta)
        if self.clip:
            noise.clamp_(-self.clip, self.clip)
        return torch.cat([noise, -noise]) if self.antithetic else noise
