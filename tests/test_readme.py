"""The README tells the truth: its programs run, its numbers are those of the results file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import report
from benchmarks.__main__ import PARTS
from morphzoo import curves, zoo
from morphzoo.markdown import fill, fill_readme, runs_table
from morphzoo.results import RANDOM, TEST_SEED, EpisodeTable, read_results, tables_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RESULTS = {
    path.stem: path
    for path in sorted((ROOT / "docs").glob("*.json"))
    if f"<!-- {path.stem}-table -->" in README
}
SNOWFLAKE = "snowflake-centipede-6"
BODIES = [f"morphzoo/Centipede-{legs}-v0" for legs in (6, 8, 10, 12, 20)]


def test_programs_run(tmp_path: Path, readme_snippets: list[str]) -> None:
    """One after another in one process, in a folder that holds nothing, with warnings as errors."""
    env = {**os.environ, "MUJOCO_GL": "off"}
    command = [sys.executable, "-W", "error", "-c", "\n".join(readme_snippets)]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "20 legs" in done.stdout and "17 ('ankle'" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_named_files_exist() -> None:
    """Links of the README and of the pages, and every file of ours that a text or program names."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    links = [(p, name) for p in pages for name in re.findall(r"\]\(([^)#:]+)\)", p.read_text())]
    assert links
    assert [(p.name, name) for p, name in links if not (p.parent / name).exists()] == []
    sources = [p for room in ("morphzoo", "zoo_scripts") for p in (ROOT / room).rglob("*.py")]
    pattern = r"\b(?:zoo_scripts|docs|tests|benchmarks)/[\w./-]+\.\w+"
    named = {n for p in (*pages, *sources) for n in re.findall(pattern, p.read_text())}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_measured_figures_are_those_of_the_results_file() -> None:
    document = json.loads((ROOT / "benchmarks/results.json").read_text())
    assert document.keys() == PARTS.keys(), "a part was not measured"
    for path, tables in report.places(document).items():
        page = path.read_text(encoding="utf-8")
        assert page == report.filled(page, tables), path
    marked = set(re.findall(r"<!-- (\w+) -->", (ROOT / "docs/speed.md").read_text()))
    assert marked == report.tables(document).keys()


def test_trials_are_those_of_their_results_file() -> None:
    page = (ROOT / "docs/training.md").read_text()
    trials = read_results(ROOT / "docs/trials.json")
    assert {t.policy for t in trials} == {"trial 0", "trial 1", "trial 2"}
    assert {t.episodes for t in trials} == {100}
    assert page == fill(page, "trials-table", runs_table(trials))


def test_updates_are_those_of_the_bundled_curves() -> None:
    page = (ROOT / "docs/training.md").read_text()
    found = re.search(r"<!-- updates-table -->\n(.*)\n<!-- /updates-table -->", page, re.DOTALL)
    assert found
    names = re.findall(r"^\| `([\w-]+)` \|", found[1], re.M)
    assert names and found[1] == curves.updates_table([curves.updates_of(name) for name in names])


def test_named_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.M)):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.fixture(scope="module")
def scores() -> dict[str, list[EpisodeTable]]:
    return {name: read_results(path) for name, path in RESULTS.items()}


def test_tables_are_those_of_the_results_files(scores: dict[str, list[EpisodeTable]]) -> None:
    assert fill_readme(README, scores) == README, "run make readme"
    marked = set(re.findall(r"<!-- ([\w-]+)-table -->", README)) - {"runs"}
    assert marked == scores.keys(), "a table has no results file"
    assert {(t.env, t.actions) for t in scores["transfer"] if t.policy == SNOWFLAKE} == {
        (body, actions) for body in BODIES for actions in ("sampled", "mean")
    }


def test_every_bundled_checkpoint_is_in_one_table(scores: dict[str, list[EpisodeTable]]) -> None:
    shown = [name for tables in scores.values() for name in {t.policy for t in tables} - {RANDOM}]
    assert sorted(shown) == sorted(zoo.bundled())


@pytest.mark.parametrize("name", RESULTS)
def test_published_scores_keep_to_the_protocol(
    scores: dict[str, list[EpisodeTable]], name: str
) -> None:
    for table in scores[name]:
        assert table.episodes >= 100
        assert table.seeds.min() >= TEST_SEED
        assert len(set(table.seeds)) == table.episodes


@pytest.mark.parametrize("name", RESULTS)
def test_checkpoints_carry_the_same_scores(
    scores: dict[str, list[EpisodeTable]], name: str
) -> None:
    for policy in {table.policy for table in scores[name]} - {RANDOM}:
        stored = {(t.env, t.actions): t for t in tables_of(zoo.read_results(policy))}
        shown = {(t.env, t.actions): t for t in scores[name] if t.policy == policy}
        assert stored.keys() == shown.keys()
        for key, table in shown.items():
            np.testing.assert_array_equal(stored[key].seeds, table.seeds)
            np.testing.assert_array_equal(stored[key].returns, table.returns)
