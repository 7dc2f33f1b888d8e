"""A study: variants of one recipe, trained with the same seeds and kept as one small table."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from morphzoo.files import PathLike
from morphzoo.recipe import Recipe, read_recipe
from morphzoo.training.baseline import Baseline, holds_baseline, make_model, train_baseline
from morphzoo.training.curve import read_curve
from morphzoo.training.pool import PlannedRun
from morphzoo.training.progress import learning_times
from morphzoo.training.study_checks import check_study

CURVE = "curve.csv"
#: What a study can be drawn against -> the curve's column; minutes are those of learning.
AXES = {"step": "step", "generation": "updates", "minute": "minute"}
_FIXED = ("variant", "seed", "step")  # columns of every study's table


@dataclasses.dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        name: of its files.
        title: of its figure.
        base: the recipe that variants change.
        variants: name -> changes, as for `Recipe.override`; none for the recipe as it is. A
            variant that is another recipe altogether gives that as `recipe`: its fields, or the
            name of a bundled one; one of Stable-Baselines3's off-policy algorithms gives the fields
            of a `Baseline` as `baseline`; one that has seeds of its own gives them as `seeds`.
        seeds: each other variant is trained with every one.
        columns: what is shown -> columns of the training curve: the first that a run has, since
            algorithms log the same thing by different names.
        every: steps between two kept rows.
        axes: rows of `AXES` that its figure is drawn against.
        minutes: learning time after which a run's rows are left out; 0 for none.
    """

    name: str
    title: str
    base: Recipe
    variants: dict[str, dict[str, Any]]
    seeds: list[int]
    columns: dict[str, list[str]]
    every: int
    axes: list[str] = dataclasses.field(default_factory=lambda: ["step"])
    minutes: float = 0

    @property
    def kept(self) -> list[str]:
        """Columns of the table of curves, besides variant, seed and step."""
        return [*self.columns, *(axis for axis in self.axes if axis != "step")]

    def recipe(self, variant: str, seed: int) -> Recipe:
        """Return the recipe of one run.

        Raises:
            ValueError: a change is refused; the message names the variant.
        """
        changes = {key: value for key, value in self.variants[variant].items() if key != "seeds"}
        try:
            base = _base(changes.pop("recipe")) if "recipe" in changes else self.base
            return base.override({**changes, "seed": seed})
        except ValueError as error:
            raise ValueError(f"study '{self.name}', variant '{variant}': {error}") from error

    def baseline(self, variant: str, seed: int) -> Baseline | None:
        """Return what a variant that is a baseline trains; None for the others.

        Raises:
            ValueError: it is refused; the message names the variant.
        """
        fields = self.variants[variant].get("baseline")
        try:
            return None if fields is None else Baseline.from_dict({**fields, "seed": seed})
        except ValueError as error:
            raise ValueError(f"study '{self.name}', variant '{variant}': {error}") from error

    def runs(self, out: PathLike) -> list[PlannedRun]:
        """Return the runs of all recipes, variant by variant; touches no folder.

        Args:
            out: folder of the runs' folders, `<variant>-seed<seed>`.
        """
        folder = Path(out).expanduser().absolute()
        return [
            PlannedRun(name, self.recipe(variant, seed), folder / name)
            for name, (variant, seed) in self.pairs.items()
            if "baseline" not in self.variants[variant]
        ]

    def check_baselines(self, out: PathLike) -> None:
        """Make the model of each variant that is a baseline once, before work starts.

        Args:
            out: folder of the runs' folders, in which no other training may be in their place.

        Raises:
            ValueError: one cannot be made; the message names the variant.
        """
        for name, (variant, seed) in self.pairs.items():
            if baseline := self.baseline(variant, seed):
                try:
                    holds_baseline(Path(out).expanduser() / name, baseline)
                    make_model(baseline).env.close()
                except (ValueError, TypeError, gymnasium.error.Error) as error:
                    where = f"study '{self.name}', variant '{variant}'"
                    raise ValueError(f"{where}: {error}") from error

    def train_baselines(self, out: PathLike, progress: bool = True) -> None:
        """Train the variants that are baselines, one after another; those that are done stay."""
        for name, pair in self.pairs.items():
            if baseline := self.baseline(*pair):
                train_baseline(baseline, Path(out) / name, minutes=self.minutes, progress=progress)

    @property
    def pairs(self) -> dict[str, tuple[str, int]]:
        """Name of each run -> its variant and seed."""
        return {
            f"{variant}-seed{seed}": (variant, seed)
            for variant, changes in self.variants.items()
            for seed in changes.get("seeds", self.seeds)
        }


@dataclasses.dataclass(frozen=True)
class Series:
    """What one run came to.

    Attributes:
        variant: its name.
        seed: of the run.
        steps: int64[N], environment steps of the kept rows.
        values: float64[N] for each of the study's columns and axes; NaN where a row has none.
    """

    variant: str
    seed: int
    steps: np.ndarray
    values: dict[str, np.ndarray]

    def axis(self, name: str) -> np.ndarray:
        """Return what an axis shows, float64[N]: a row of `AXES`."""
        return self.steps.astype(np.float64) if name == "step" else self.values[name]

    def last(self, column: str) -> float:
        """Return a column's last number; NaN if there is none."""
        known = self.values[column][np.isfinite(self.values[column])]
        return float(known[-1]) if len(known) else float("nan")


def read_study(path: PathLike) -> Study:
    """Read a study's JSON file; its name is the file's.

    Raises:
        ValueError: it is no JSON, a key is missing or unknown, or a value is refused.
    """
    path = Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"study '{path}' cannot be read as JSON: {error}") from error
    check_study(path, values, AXES)
    variants = values["variants"]
    base = _base(values["base"]).override(values["settings"])
    study = Study(
        path.stem,
        values["title"],
        base,
        variants,
        values["seeds"],
        {key: [one] if isinstance(one, str) else one for key, one in values["columns"].items()},
        values["every"],
        values.get("axes", ["step"]),
        values.get("minutes", 0),
    )
    for variant, seed in study.pairs.values():
        if study.baseline(variant, seed) is None:
            study.recipe(variant, seed)
    return study


def _base(given: Any) -> Recipe:
    """Return a recipe that is given by its bundled name or by its fields."""
    return read_recipe(given) if isinstance(given, str) else Recipe.from_dict(given)


def collect(study: Study, out: PathLike, table: PathLike | None = None) -> list[Series]:
    """Read the curves of a study's runs, thinned to a row every `study.every` steps.

    A kept row stands for all rows since the one before it: in each column their last number.

    Args:
        study: what is compared.
        out: folder of the runs' folders; those that have not begun are left out.
        table: what `write_series` wrote before; runs that `out` lacks are taken from it, where it
            has the study's columns.

    Raises:
        ValueError: a column is in no run's curve.
    """
    found: list[Series] = []
    known: set[str] = set()
    before = read_series(table) if table and Path(table).is_file() else []
    kept = {(one.variant, one.seed): one for one in before if list(one.values) == study.kept}
    for name, pair in study.pairs.items():
        folder = Path(out).expanduser() / name
        if not (folder / CURVE).is_file():
            if pair in kept:
                found.append(kept[pair])
                known |= study.columns.keys()
            continue
        curve = read_curve(folder / CURVE)
        times = dict(learning_times(folder / "times.csv"))
        minutes = [times.get(int(step), np.nan) / 60 for step in curve["step"]]
        curve[AXES["minute"]] = np.array(minutes)
        if study.minutes:
            early = curve[AXES["minute"]] <= study.minutes
            curve = {name: column[early] for name, column in curve.items()}
        known |= {shown for shown, names in study.columns.items() if curve.keys() & set(names)}
        found.append(Series(*pair, *_thinned(curve, study)))
    if found and (missing := study.columns.keys() - known):
        names = " or ".join(sorted(name for shown in missing for name in study.columns[shown]))
        raise ValueError(f"study '{study.name}': no curve has {names}")
    return found


def _thinned(
    curve: Mapping[str, np.ndarray], study: Study
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the kept rows' steps and columns."""
    steps = curve["step"].astype(np.int64)
    windows = (steps - 1) // study.every
    ends = np.flatnonzero(np.diff(windows, append=windows[-1:] + 1)) if len(steps) else []
    starts = [0, *(end + 1 for end in ends[:-1])] if len(ends) else []
    columns = {}
    wanted = {shown: study.columns.get(shown) or [AXES[shown]] for shown in study.kept}
    for shown, names in wanted.items():
        column = next((curve[name] for name in names if name in curve), np.full(len(steps), np.nan))
        parts = [column[a : b + 1] for a, b in zip(starts, ends, strict=True)]
        known = [part[np.isfinite(part)] for part in parts]
        columns[shown] = np.array([part[-1] if len(part) else np.nan for part in known])
    return steps[ends], columns


def write_series(found: Sequence[Series], columns: Sequence[str]) -> str:
    """Return series as the text of a CSV file, numbers with six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_FIXED, *columns])
    for one in found:
        for row, step in enumerate(one.steps):
            cells = [one.values[column][row] for column in columns]
            shown = [f"{cell:.6g}" if np.isfinite(cell) else "" for cell in cells]
            writer.writerow([one.variant, one.seed, step, *shown])
    return text.getvalue()


def read_series(path: PathLike) -> list[Series]:
    """Read what `write_series` wrote.

    Raises:
        ValueError: the file has other columns.
    """
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    if tuple(header[:3]) != _FIXED:
        raise ValueError(f"'{path}' is no study's table: expected the columns {_FIXED} first")
    runs: dict[tuple[str, int], list[list[str]]] = {}
    for variant, seed, *cells in rows:
        runs.setdefault((variant, int(seed)), []).append(cells)
    found = []
    for (variant, seed), kept in runs.items():
        numbers = np.array([[float(cell) if cell else np.nan for cell in row] for row in kept])
        values = dict(zip(header[3:], numbers[:, 1:].T, strict=True))
        found.append(Series(variant, seed, numbers[:, 0].astype(np.int64), values))
    return found
