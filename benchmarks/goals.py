"""Goals: the figures that were asked for, and whether they are reached."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from morphzoo.tables import ruled

Spread = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Goal:
    """A figure and what it was to reach.

    Attributes:
        what: What is measured.
        value: Median, and quartiles where it was measured in rounds.
        bound: What it was to reach.
        at_least: Whether more is better.
    """

    what: str
    value: Spread
    bound: float
    at_least: bool = True

    @property
    def reached(self) -> bool:
        """Whether the median reaches the bound."""
        median = self.value["median"]
        return median >= self.bound if self.at_least else median <= self.bound

    def line(self, elsewhere: Goal | None = None) -> tuple[str, ...]:
        """The goal as the cells of a table's row, with what was measured on another machine."""
        sign = "&ge;" if self.at_least else "&le;"
        verdict = "reached" if self.reached else "**missed**"
        other = spread(elsewhere.value) if elsewhere else ""
        return (self.what, spread(self.value), f"{sign} {self.bound:g}", verdict, other)


def goals(document: dict[str, Any]) -> list[Goal]:
    """Return the goals of the parts that have been measured."""
    found: list[Goal] = []
    if "stepping" in document:
        found += _stepping_goals(document["stepping"]["found"])
    if "updates" in document:
        rows = {(r["legs"], r["work"]): r["ratios"] for r in document["updates"]["found"]}
        for legs, bound in ((6, 2.0), (20, 2.5)):
            value = rows[legs, "update"]["geometric / fused"]
            found.append(
                Goal(f"Snowflake update over PyTorch Geometric's, {legs} legs", value, bound)
            )
        floor = rows[20, "update"]["fused / floor"]
        found.append(Goal("Snowflake update over the arithmetic floor, 20 legs", floor, 1.4, False))
    if "training" in document:
        for row in document["training"]["found"]:
            if row["num_envs"] == 16:
                what = f"training over plain network and `SubprocVecEnv`, {row['legs']} legs"
                found.append(Goal(what, row["ratios"]["snowflake / plain"], 2.0))
            else:
                peak = {"median": row["peak_gib"]["snowflake"]}
                what = f"peak memory (GiB), {row['legs']} legs, {row['num_envs']} environments"
                found.append(Goal(what, peak, 1.2, False))
    if "growth" in document:
        value = document["growth"]["found"]["update"]["exponent"]
        found.append(Goal("growth of the update with legs, exponent, 4 to 100", value, 1.1, False))
    if "populations" in document:
        part = document["populations"]["found"]
        share, rate = part["physics"]["4096"], part["ratios"]["ours / ars"]
        found.append(Goal("physics, share of playing 4,096 policies", share, 0.5))
        found.append(Goal("policies a second over sb3-contrib's ARS, HalfCheetah", rate, 4.0))
    if "contrastive" in document:
        rows = {row["depth"]: row["ratios"] for row in document["contrastive"]["found"]}
        what = "contrastive gradient step, depth 16, over a plain one with `torch.cdist`"
        found.append(Goal(what, rows[16]["cdist / ours"], 1.2))
        drawn = rows[16]["sampling / ours"]
        found.append(Goal("sampling, share of such a step", drawn, 0.05, False))
    if "cartpole" in document:
        found.append(_cartpole_goal(document["cartpole"]["found"]))
    return found


def _cartpole_goal(found: list[dict[str, Any]]) -> Goal:
    """Return how many trainings with one environment have solved CartPole in time."""
    runs = [run for run in found if run["environments"] == 1]
    solved = sum(run["return"] >= 475 and run["seconds_to_475"] is not None for run in runs)
    what = f"PSSVF on CartPole, seeds of {len(runs)} at 475 within 180 s"
    return Goal(what, {"median": solved}, 4)


def _stepping_goals(rows: list[dict[str, Any]]) -> Iterator[Goal]:
    """Return the goals of stepping 64 bodies on two threads."""
    ratios = {r["body"]: r["ratios"] for r in rows if r["rows"] == 64 and r["threads"] == 2}
    for body, of in (("6", "6 legs"), ("20", "20 legs")):
        what = f"complete stepping over bare `Batch.step`, {of}"
        yield Goal(what, ratios[body]["complete / bare"], 0.92)
    for body, of, bound in (("6", "6 legs", 1.8), ("20", "20 legs", 1.25), ("ant", "Ant-v5", 2.5)):
        what = f"complete stepping over `SubprocVecEnv`, {of}"
        yield Goal(what, ratios[body]["complete / subproc"], bound)
    if "vector / envpool" in ratios["ant"]:
        yield Goal("Ant-v5 stepping over EnvPool", ratios["ant"]["vector / envpool"], 1.15)


def spread(value: Spread) -> str:
    """Return a median with its quartiles."""
    if "lower_quartile" not in value:
        return f"{value['median']:.2f}"
    return f"{value['median']:.2f} ({value['lower_quartile']:.2f} to {value['upper_quartile']:.2f})"


def table(head: str, rows: Sequence[Sequence[Any]]) -> str:
    """Return rows of cells under a head, whose cells are separated by " | "."""
    return ruled([head.split(" | "), *([str(cell) for cell in row] for row in rows)])
