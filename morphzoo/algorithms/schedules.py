"""Learning rates by remaining progress, in the form that Stable-Baselines3 takes and pickles."""

from __future__ import annotations


class ExponentialSchedule:
    """A rate that falls by the same factor in equal stretches of training.

    With p = 1 - remaining progress in [0, 1]: rate(p) = start * (end / start)^p.

    Source: "from 1e-3 to 1e-7 over the course of training": Bohlinger and Peters (2025), section 3;
        the closed form is ours.

    Args:
        start: the first rate.
        end: the last.

    Raises:
        ValueError: if one is not above 0.
    """

    def __init__(self, start: float, end: float) -> None:
        if not (start > 0 and end > 0):
            raise ValueError(f"both rates must be above 0, found {start} and {end}")
        self.start = start
        self.end = end

    def __call__(self, progress_remaining: float) -> float:
        """Return the rate; the last generation may end beyond the training's steps."""
        done = 1.0 - min(max(progress_remaining, 0.0), 1.0)
        return self.start * (self.end / self.start) ** done

    def __repr__(self) -> str:
        """Shows both rates."""
        return f"ExponentialSchedule({self.start}, {self.end})"

    def __eq__(self, other: object) -> bool:
        """Whether both rates are the same."""
        return isinstance(other, ExponentialSchedule) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]
