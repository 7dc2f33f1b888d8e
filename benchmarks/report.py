"""What the measurements come to: the goals, and the tables of docs/speed.md and README.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from morphzoo.curves import LINES, tidy
from morphzoo.markdown import fill
from morphzoo.plots import save_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
PAGE, README = ROOT / "docs" / "speed.md", ROOT / "README.md"
SEARCHES, CARTPOLE = ROOT / "docs" / "epvf.md", ROOT / "docs" / "cartpole.png"
CONTRIB = "sb3-contrib, 2 processes"
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

    def line(self) -> str:
        """The goal as a row of a table."""
        sign = "&ge;" if self.at_least else "&le;"
        verdict = "reached" if self.reached else "**missed**"
        return f"| {self.what} | {_spread(self.value)} | {sign} {self.bound:g} | {verdict} |"


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
        what = "contrastive gradient step, depth 16, over a plain one"
        found.append(Goal(what, rows[16]["plain / ours"], 1.2))
        drawn = rows[16]["sampling / ours"]
        found.append(Goal("sampling, share of such a step", drawn, 0.05, False))
    if "cartpole" in document:
        runs = [run for run in document["cartpole"]["found"] if run["environments"] == 1]
        solved = sum(run["return"] >= 475 and run["seconds_to_475"] is not None for run in runs)
        what = f"PSSVF on CartPole, seeds of {len(runs)} at 475 within 180 s"
        found.append(Goal(what, {"median": solved}, 4))
    return found


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


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Return the tables of the page by the names of their places."""
    found = {"goals": _table("figure | measured | wanted | ", [g.line() for g in goals(document)])}
    if "stepping" in document:
        found["stepping"] = _stepping(document["stepping"]["found"])
    if "updates" in document:
        found["updates"] = _updates(document["updates"]["found"])
    if "anatomy" in document:
        found["anatomy"] = _anatomy(document["anatomy"]["found"])
    if "training" in document:
        found["training"] = _training(document["training"]["found"])
    if "growth" in document:
        found["growth"] = _growth(document["growth"]["found"])
    if "populations" in document:
        found |= _populations(document["populations"]["found"])
    if "contrastive" in document:
        found["contrastive"] = _contrastive(document["contrastive"]["found"])
    if "products" in document:
        found["products"] = _products(document["products"]["found"])
    found["machine"] = _machines(document)
    return found


def _stepping(rows: list[dict[str, Any]]) -> str:
    others = ("bare", "subproc", "dummy", "sync", "async", "envpool")
    lines = []
    for row in rows:
        ratios = {name.partition(" / ")[2]: r["median"] for name, r in row["ratios"].items()}
        cells = [f"{ratios[name]:.2f}" if name in ratios else "" for name in others]
        rate = f"{row['steps_per_second']['complete']['median']:,.0f}"
        body = "Ant" if row["body"] == "ant" else f"{row['body']} legs"
        lines.append(_row(body, row["rows"], row["threads"], rate, *cells))
    head = "body | rows | threads | steps/s | over bare | `SubprocVecEnv` | `DummyVecEnv` | "
    return _table(head + "Gymnasium sync | Gymnasium async | EnvPool", lines)


def _updates(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        seconds = {name: r["median"] for name, r in row["seconds"].items()}
        names = ("fused", "plain", "geometric", "mlp", "bfloat16", "floor")
        cells = [f"{1e3 * seconds[name]:.1f}" if name in seconds else "" for name in names]
        floor = row["ratios"].get("fused / floor")
        ratios = [f"{row['ratios']['geometric / fused']['median']:.2f}"]
        ratios.append(f"{floor['median']:.2f}" if floor else "")
        lines.append(_row(f"{row['legs']} legs", row["work"], *cells, *ratios))
    head = (
        "body | work | ours | round by round | PyTorch Geometric | MLP | ours, bfloat16 | floor | "
    )
    return _table(head + "PyG / ours | ours / floor", lines)


def _anatomy(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        ms = {name: 1e3 * found["median"] for name, found in row["seconds"].items()}
        rest = ms["rounds"] - ms["products"] - ms["elementwise"]
        outside = ms["update"] - ms["rounds"]
        parts = (ms["update"], ms["products"], ms["elementwise"], rest, outside, ms["floor"])
        lines.append(_row(f"{row['legs']} legs", *(f"{value:.1f}" for value in parts)))
    head = "body | update | products | element by element | cold memory, calls | "
    return _table(head + "encoder, decoder, value | floor", lines)


def _training(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        rates = [
            f"{row['steps_per_second'][n]['median']:.0f}" for n in ("snowflake", "plain", "mlp")
        ]
        peaks = [f"{row['peak_gib'][n]:.2f}" for n in ("snowflake", "plain", "mlp")]
        ratio = f"{row['ratios']['snowflake / plain']['median']:.2f}"
        lines.append(_row(f"{row['legs']} legs", row["num_envs"], *rates, ratio, *peaks))
    head = "body | environments | Snowflake (steps/s) | plain | MLP | Snowflake / plain | "
    return _table(head + "Snowflake (GiB) | plain | MLP", lines)


def _growth(found: dict[str, Any]) -> str:
    legs = [str(n) for n in found["legs"]]
    lines = []
    for name, of in (("simulation", "a step of 64 bodies"), ("update", "an update of 256")):
        cells = [f"{1e3 * found[name]['seconds'][n]['median']:.1f}" for n in legs]
        lines.append(_row(f"{of} (ms)", *cells, f"{found[name]['exponent']['median']:.2f}"))
    return _table("legs | " + " | ".join(legs) + " | exponent", lines)


def _populations(found: dict[str, Any]) -> dict[str, str]:
    shares = [_row(f"{int(num):,}", _spread(share)) for num, share in found["physics"].items()]
    lines = []
    for name, of in (
        ("ours", "`ES` on 64 rows"),
        ("ars", f"`ARS`, {CONTRIB}, the same policy"),
        ("ars-linear", f"`ARS`, {CONTRIB}, its own linear policy"),
    ):
        over = found["ratios"].get(f"ours / {name}")
        rate = f"{found['policies_per_second'][name]['median']:.1f}"
        lines.append(_row(of, rate, _spread(over) if over else ""))
    return {
        "physics": _table("policies | share of physics", shares),
        "policies": _table("search | policies/s | ours over it", lines),
    }


def _contrastive(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        ms = [f"{1e3 * row['seconds'][n]['median']:.1f}" for n in ("ours", "plain")]
        sampled = f"{1e3 * row['seconds']['sampling']['median']:.2f}"
        share = f"{100 * row['ratios']['sampling / ours']['median']:.1f} %"
        lines.append(
            _row(row["depth"], *ms, _spread(row["ratios"]["plain / ours"]), sampled, share)
        )
    return _table("depth | ours (ms) | plain | plain / ours | sampling (ms) | of a step", lines)


def _products(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        over = [f"{row['over_dense'][n]['median']:.1f}" for n in ("gather", "bucket", "mailman")]
        dense = f"{1e6 * row['seconds']['dense']['median']:.1f}"
        shape = " x ".join(str(n) for n in row["shape"])
        lines.append(_row(shape, row["colors"], row["letters"], dense, *over))
    head = "matrix | colours | letters of a word | dense (µs) | gather / dense | bucket / dense | "
    return _table(head + "mailman / dense", lines)


def _cartpole(runs: list[dict[str, Any]]) -> str:
    lines = []
    for num in dict.fromkeys(run["environments"] for run in runs):
        own = [run for run in runs if run["environments"] == num]
        returns = ", ".join(f"{run['return']:.0f}" for run in own)
        last = ", ".join(f"{run['return_last']:.0f}" for run in own)
        times = [run["seconds_to_475"] for run in own]
        seconds = ", ".join("never" if time is None else f"{time:.0f}" for time in times)
        lines.append(_row(num, returns, last, seconds))
    return _table("environments | best policy, each seed | last policy | seconds to 475", lines)


def cartpole_figure(runs: list[dict[str, Any]]) -> Figure:
    """Draw the unperturbed return by steps and by generations, medians over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.0), layout="constrained")
    panels = figure.subplots(1, 2)
    for colour, num in zip(LINES, dict.fromkeys(r["environments"] for r in runs), strict=False):
        own = [np.array(run["rows"]) for run in runs if run["environments"] == num]
        for axes, column in zip(panels, (0, 1), strict=True):
            end = min(rows[-1, column] for rows in own)
            at = np.linspace(max(rows[0, column] for rows in own), end, 60)
            lines = [np.interp(at, rows[:, column], rows[:, 2]) for rows in own]
            label = f"{num} environment{'s' if num > 1 else ''}"
            axes.plot(at / (1e6, 1)[column], np.median(lines, axis=0), color=colour, label=label)
    tidy(panels[0], "Return by steps", "return without noise")
    tidy(panels[1], "Return by generations", "")
    panels[1].set_xlabel("generations")
    panels[1].set_xscale("log")
    panels[0].get_legend().remove()
    return figure


def _machines(document: dict[str, Any]) -> str:
    lines = []
    for part, kept in document.items():
        machine = kept["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        cores = f"{machine['processor']}, {machine['cores']} cores"
        load = f"{machine['load_before']:.2f}"
        lines.append(
            _row(part, cores, load, kept["rounds"], f"Python {machine['python']}, {versions}")
        )
    return _table("part | processor | load before | rounds | versions", lines)


def summary_table(document: dict[str, Any]) -> str:
    """Return the README's table: the goals' medians alone."""
    lines = [_row(goal.what, f"{goal.value['median']:.2f}") for goal in goals(document)]
    return _table("figure | measured", lines)


def places(document: dict[str, Any]) -> dict[Path, dict[str, str]]:
    """Return the tables of each page, by the names of their places."""
    found = {PAGE: tables(document), README: {"speed": summary_table(document)}}
    if "cartpole" in document:
        found[SEARCHES] = {"cartpole": _cartpole(document["cartpole"]["found"])}
    return found


def write_pages(document: dict[str, Any]) -> None:
    """Put the tables into their pages, and draw CartPole's figure.

    Raises:
        ValueError: A mark is missing.
    """
    for path, tables_of_page in places(document).items():
        text = path.read_text(encoding="utf-8")
        path.write_text(filled(text, tables_of_page), encoding="utf-8")
    if "cartpole" in document:
        save_png(cartpole_figure(document["cartpole"]["found"]), CARTPOLE)


def filled(text: str, places: dict[str, str]) -> str:
    """Return a page with tables between their markers, `<!-- name -->` and `<!-- /name -->`."""
    for name, table in places.items():
        text = fill(text, name, table)
    return text


def _spread(value: Spread) -> str:
    if "lower_quartile" not in value:
        return f"{value['median']:.2f}"
    return f"{value['median']:.2f} ({value['lower_quartile']:.2f} to {value['upper_quartile']:.2f})"


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _table(head: str, lines: list[str]) -> str:
    columns = head.count("|") + 1
    rule = "| " + " | ".join(["---"] * columns) + " |"
    return "\n".join([f"| {head} |", rule, *lines])
