"""What the measurements come to: the goals, and the tables of docs/speed.md and README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.cartpole_report import cartpole_figure, cartpole_table
from benchmarks.goals import goals, spread, table
from morphzoo.markdown import fill
from morphzoo.plots import save_png

ROOT = Path(__file__).parent.parent
PAGE, README = ROOT / "docs" / "speed.md", ROOT / "README.md"
SEARCHES, CARTPOLE = ROOT / "docs" / "epvf.md", ROOT / "docs" / "cartpole.png"
ELSEWHERE = Path(__file__).parent / "results-intel.json"  # of another machine, earlier
CONTRIB = "sb3-contrib, 2 processes"


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Return the tables of the page by the names of their places."""
    elsewhere = {g.what: g for g in goals(json.loads(ELSEWHERE.read_text(encoding="utf-8")))}
    lines = [goal.line(elsewhere.get(goal.what)) for goal in goals(document)]
    found = {"goals": table("figure | measured | wanted |  | on an Intel Xeon", lines)}
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
        lines.append((body, row["rows"], row["threads"], rate, *cells))
    head = "body | rows | threads | steps/s | over bare | `SubprocVecEnv` | `DummyVecEnv` | "
    return table(head + "Gymnasium sync | Gymnasium async | EnvPool", lines)


def _updates(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        seconds = {name: r["median"] for name, r in row["seconds"].items()}
        names = ("fused", "plain", "geometric", "mlp", "bfloat16", "floor")
        cells = [f"{1e3 * seconds[name]:.1f}" if name in seconds else "" for name in names]
        floor = row["ratios"].get("fused / floor")
        ratios = [f"{row['ratios']['geometric / fused']['median']:.2f}"]
        ratios.append(f"{floor['median']:.2f}" if floor else "")
        lines.append((f"{row['legs']} legs", row["work"], *cells, *ratios))
    head = (
        "body | work | ours | round by round | PyTorch Geometric | MLP | ours, bfloat16 | floor | "
    )
    return table(head + "PyG / ours | ours / floor", lines)


def _anatomy(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        ms = {name: 1e3 * found["median"] for name, found in row["seconds"].items()}
        rest = ms["rounds"] - ms["products"] - ms["elementwise"]
        outside = ms["update"] - ms["rounds"]
        parts = (ms["update"], ms["products"], ms["elementwise"], rest, outside, ms["floor"])
        lines.append((f"{row['legs']} legs", *(f"{value:.1f}" for value in parts)))
    head = "body | update | products | element by element | cold memory, calls | "
    return table(head + "encoder, decoder, value | floor", lines)


def _training(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        rates = [
            f"{row['steps_per_second'][n]['median']:.0f}" for n in ("snowflake", "plain", "mlp")
        ]
        peaks = [f"{row['peak_gib'][n]:.2f}" for n in ("snowflake", "plain", "mlp")]
        ratio = f"{row['ratios']['snowflake / plain']['median']:.2f}"
        lines.append((f"{row['legs']} legs", row["num_envs"], *rates, ratio, *peaks))
    head = "body | environments | Snowflake (steps/s) | plain | MLP | Snowflake / plain | "
    return table(head + "Snowflake (GiB) | plain | MLP", lines)


def _growth(found: dict[str, Any]) -> str:
    legs = [str(n) for n in found["legs"]]
    lines = []
    for name, of in (("simulation", "a step of 64 bodies"), ("update", "an update of 256")):
        cells = [f"{1e3 * found[name]['seconds'][n]['median']:.1f}" for n in legs]
        lines.append((f"{of} (ms)", *cells, f"{found[name]['exponent']['median']:.2f}"))
    return table("legs | " + " | ".join(legs) + " | exponent", lines)


def _populations(found: dict[str, Any]) -> dict[str, str]:
    shares = [(f"{int(num):,}", spread(share)) for num, share in found["physics"].items()]
    lines = []
    for name, of in (
        ("ours", "`ES` on 64 rows"),
        ("ars", f"`ARS`, {CONTRIB}, the same policy"),
        ("ars-linear", f"`ARS`, {CONTRIB}, its own linear policy"),
    ):
        over = found["ratios"].get(f"ours / {name}")
        rate = f"{found['policies_per_second'][name]['median']:.1f}"
        lines.append((of, rate, spread(over) if over else ""))
    return {
        "physics": table("policies | share of physics", shares),
        "policies": table("search | policies/s | ours over it", lines),
    }


def _contrastive(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        ms = [f"{1e3 * row['seconds'][n]['median']:.1f}" for n in ("ours", "plain", "cdist")]
        over = [spread(row["ratios"][f"{n} / ours"]) for n in ("plain", "cdist")]
        share = f"{100 * row['ratios']['sampling / ours']['median']:.1f} %"
        lines.append((row["depth"], *ms, *over, share))
    head = "depth | ours (ms) | plain | with `torch.cdist` | plain / ours | "
    return table(head + "with `torch.cdist` / ours | sampling, of a step", lines)


def _products(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        over = [f"{row['over_dense'][n]['median']:.1f}" for n in ("gather", "bucket", "mailman")]
        dense = f"{1e6 * row['seconds']['dense']['median']:.1f}"
        shape = " x ".join(str(n) for n in row["shape"])
        lines.append((shape, row["colors"], row["letters"], dense, *over))
    head = "matrix | colours | letters of a word | dense (µs) | gather / dense | bucket / dense | "
    return table(head + "mailman / dense", lines)


def _machines(document: dict[str, Any]) -> str:
    lines = []
    for part, kept in document.items():
        machine = kept["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        cores = f"{machine['processor']}, {machine['cores']} cores"
        load = f"{machine['load_before']:.2f}"
        lines.append((part, cores, load, kept["rounds"], f"Python {machine['python']}, {versions}"))
    return table("part | processor | load before | rounds | versions", lines)


def summary_table(document: dict[str, Any]) -> str:
    """Return the README's table: the goals' medians alone."""
    lines = [(goal.what, f"{goal.value['median']:.2f}") for goal in goals(document)]
    return table("figure | measured", lines)


def places(document: dict[str, Any]) -> dict[Path, dict[str, str]]:
    """Return the tables of each page, by the names of their places."""
    found = {PAGE: tables(document), README: {"speed": summary_table(document)}}
    if "cartpole" in document:
        found[SEARCHES] = {"cartpole": cartpole_table(document["cartpole"]["found"])}
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
    for name, found in places.items():
        text = fill(text, name, found)
    return text
