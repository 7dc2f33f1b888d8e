"""The scripts around the evaluation: what they print and write, and what they refuse."""

from __future__ import annotations

import csv
import io
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from morphzoo import markdown, tables
from morphzoo.progress import progress_bar
from morphzoo.results import EpisodeTable, read_results, write_results

SCRIPTS = Path(__file__).parents[1] / "zoo_scripts"
BODIES = [f"morphzoo/Centipede-{legs}-v0" for legs in (6, 8, 20)]


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str, *words: str
) -> tuple[int, str, str]:
    """Run a script in this process; its status, output and error stream."""
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def table(policy: str, env: str, returns: list[float], **changes: Any) -> EpisodeTable:
    array = np.array(returns)
    columns: dict[str, Any] = {
        "policy": policy, "env": env, "actions": "sampled",
        "seeds": np.arange(10_000, 10_000 + len(array)), "returns": array,
        "returns_unclipped_cost": array - 20.0, "lengths": np.full(len(array), 100),
        "distances": array / 10.0, "failed": np.zeros(len(array), dtype=bool),
        "num_envs": len(array), "policy_class": "SnowflakePolicy", "trained_on": BODIES[0],
    }  # fmt: skip
    return EpisodeTable(**(columns | changes))


@pytest.fixture
def scores() -> list[EpisodeTable]:
    return [
        table("snow", BODIES[0], [3000.0, 3100.4]),
        table("snow", BODIES[1], [2000.0, 2400.0]),
        table("snow", BODIES[0], [4000.5], actions="mean"),
        table("flat", BODIES[1], [20.0, 24.0], policy_class="MlpPolicy"),
        table("random", BODIES[1], [-40.0, -42.0], policy_class="random", trained_on=None,
              failed=np.array([False, True])),
    ]  # fmt: skip


def test_everything_is_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = {kind: str(tmp_path / f"new/scores.{kind}") for kind in ("json", "csv", "png")}
    outputs = ["--json", names["json"], "--csv", names["csv"], "--plot", names["png"]]
    status, out, err = run(
        monkeypatch, capsys, "evaluate_transfer.py",
        "--policies", "random", "--envs", "morphzoo/Centipede-6", "morphzoo/Centipede-8-v0",
        "--episodes", "2", "--seeds", "10000", "20000", "--both", *outputs,
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "random actions: sampled actions, 4 episodes a body" in out
    assert "Centipede-6" in out and "-45.8" in out  # NerveNet's own random actions on 8 legs
    first, second = read_results(names["json"])
    assert first.seeds.tolist() == [10_000, 10_001, 20_000, 20_001]
    assert second.env == "morphzoo/Centipede-8-v0"
    document = json.loads(Path(names["json"]).read_text())
    assert document["command"].startswith(
        "python zoo_scripts/evaluate_transfer.py --policies random --envs"
    )
    lines = list(csv.DictReader(io.StringIO(Path(names["csv"]).read_text())))
    assert [line["env"] for line in lines] == [first.env, second.env]
    assert float(lines[0]["return_mean"]) == first.returns.mean()
    assert Path(names["png"]).read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--envs", "Centipede-8"], "Did you mean 'morphzoo/Centipede-8-v0'?"),
        (["--envs", "morphzoo/Centipde-8"], "Did you mean"),
        (["--envs", "morphzoo/Centipede-2"], "is no environment"),
        (["--envs", "morphzoo/Centipede-101"], "Did you mean"),
        (["--envs", "os:system"], "asks to import"),
        (["--envs", ""], "is no environment"),
        (["--policies", "snowflake-centipde-6"], "snowflake-centipde-6"),
        (["--policies", "../../etc"], "../../etc"),
        (["--policies", ""], "policy ''"),
        (["--policies", "random", "--episodes", "0"], "episodes must be at least 1, found 0"),
        (["--policies", "random", "--episodes", "-5"], "episodes must be at least 1"),
        (["--policies", "random", "--seeds", "-1"], "seeds must be"),
        (["--policies", "random", "--seeds", "1", "2"], "at least 20 apart"),
        (["--policies", "random", "--seeds", str(2**70)], "seeds must be"),
        (["--policies", "random", "--num-envs", "0"], "num_envs must be at least 1"),
        (["--policies", "random", "--num-threads", "-1"], "num_threads"),
    ],
)
def test_evaluation_refuses(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    status, out, err = run(monkeypatch, capsys, "evaluate_transfer.py", *words)
    assert (status, out) == (2, "")
    assert message in err and err.startswith("evaluate_transfer.py: ") and "Traceback" not in err


def test_unwritable_output_is_found_before_the_first_episode(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("morphzoo.transfer.evaluate", lambda *a, **k: pytest.fail("too late"))
    (tmp_path / "file").write_text("")
    words = ["--policies", "random", "--json", str(tmp_path / "file" / "scores.json")]
    status, _, err = run(monkeypatch, capsys, "evaluate_transfer.py", *words)
    assert status == 2 and "is a file" in err


def test_the_script_alone_needs_no_folder_and_writes_no_file(tmp_path: Path) -> None:
    words = ["--policies", "random", "--envs", "morphzoo/Centipede-4", "--episodes", "2"]
    command = [sys.executable, str(SCRIPTS / "evaluate_transfer.py"), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Centipede-4" in done.stdout and max(map(len, done.stdout.splitlines())) <= 100
    assert list(tmp_path.iterdir()) == []


def test_checking_without_a_checkpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("morphzoo.zoo.bundled", lambda: ())
    status, _, err = run(monkeypatch, capsys, "check_results.py")
    assert status == 2 and "no checkpoint is bundled" in err


@pytest.mark.parametrize("holds", [True, False])
def test_checking_fails_where_a_score_has_moved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], holds: bool
) -> None:
    from morphzoo.checking import Check

    old, new = table("snow", BODIES[0], [1.0, 2.0]), table("snow", BODIES[0], [4.0, 5.0])
    checks = iter([Check(old, old, 0.1), Check(old, new, 3.0 if holds else 2.9)])
    monkeypatch.setattr("morphzoo.checking.check_results", lambda *a, **k: checks)
    status, out, _ = run(monkeypatch, capsys, "check_results.py", "--policies", "snow")
    assert status == (0 if holds else 1)
    assert out.splitlines()[-1] == ("every score holds" if holds else "1 of 2 scores do not hold")
    assert out.count("ok     snow") == 1 + holds and out.count("FAILED snow") == 1 - holds


def test_readme_is_filled_and_then_up_to_date(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    scores: list[EpisodeTable],
) -> None:
    readme, results = tmp_path / "README.md", tmp_path / "transfer.json"
    readme.write_text("# Ä\n<!-- transfer-table -->\nold\n<!-- /transfer-table -->\nbelow\n")
    write_results(results, scores)
    words = [str(results), "--readme", str(readme)]
    assert run(monkeypatch, capsys, "readme_table.py", *words, "--check")[0] == 1
    assert run(monkeypatch, capsys, "readme_table.py", *words)[0] == 0
    assert run(monkeypatch, capsys, "readme_table.py", *words, "--check")[0] == 0
    text = readme.read_text()
    assert text.startswith("# Ä\n<!-- transfer-table -->\n| body |") and "old" not in text
    assert text.endswith("\n<!-- /transfer-table -->\nbelow\n")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == [
        "body", "NerveNet, published, sampled actions", "snow, sampled actions",
        "snow, mean actions", "flat (MLPAA), sampled actions", "random actions, sampled actions",
    ]  # fmt: skip
    assert rows[3][:3] == [
        "Centipede-8",
        "1674.9",
        "**2200** ± 200<br>2200 [2000, 2400]<br>2180 unclipped",
    ]  # noqa: E501
    assert rows[2][3] == "**4001** ± 0<br>4001<br>3981 unclipped"
    assert rows[3][4:] == [
        "**22** ± 2<br>22 [20, 24]<br>2 unclipped",
        "**-41** ± 1<br>-41 [-42, -40]",
    ]  # noqa: E501


@pytest.mark.parametrize(
    "text", ["", "<!-- transfer-table -->", "<!-- transfer-table --><!-- /transfer-table -->" * 2]
)
def test_readme_without_its_place(text: str, scores: list[EpisodeTable]) -> None:
    with pytest.raises(ValueError, match="put the two lines where"):
        markdown.fill_readme(text, {"transfer": scores})


def test_further_runs_have_a_table_of_their_own(scores: list[EpisodeTable]) -> None:
    further = [
        table("snow-seed-7", BODIES[0], [1.0, 2.0]),
        table("snow-seed-7", BODIES[1], [3.0, 4.0]),
        table("snow-seed-7", BODIES[0], [8.0], actions="mean"),
        table("snow-long", BODIES[1], [5.0]),
    ]
    markers = "<!-- {0} -->\n<!-- /{0} -->\n"
    text = markers.format("transfer-table") + "between\n" + markers.format("runs-table")
    filled = markdown.fill_readme(text, {"transfer": scores + further})
    above, below = filled.split("between")
    assert above == markdown.fill_readme(text, {"transfer": scores}).split("between")[0]
    assert below.splitlines()[2:] == [
        "| sampled / mean actions | Centipede-6 | Centipede-8 |",
        "| --- | --- | --- |",
        "| `snow` | 3050 / 4001 | 2200 / - |",
        "| `snow-seed-7` | 2 / 8 | 4 / - |",
        "| `snow-long` | - / - | 5 / - |",
        "<!-- /runs-table -->",
    ]
    other = markdown.fill_readme(markers.format("hopper-table"), {"hopper": scores[:1]})
    assert other.splitlines()[1:4] == [
        "| sampled / mean actions | Centipede-6 |",
        "| --- | --- |",
        "| `snow` | 3050 / - |",
    ]
    with pytest.raises(ValueError, match="runs-table"):
        markdown.fill_readme(markers.format("transfer-table"), {"transfer": scores + further})


def test_csv_reads_back(scores: list[EpisodeTable]) -> None:
    lines = list(csv.DictReader(io.StringIO(tables.csv_text(scores))))
    assert [float(line["return_mean"]) for line in lines] == [3050.2, 2200.0, 4000.5, 22.0, -41.0]
    assert [line["published_method"] for line in lines] == [
        "nervenet", "nervenet", "nervenet", "mlpaa", "random"
    ]  # fmt: skip
    assert lines[1]["published_distance"] == "106.126" and lines[0]["published_distance"] == ""
    assert lines[2]["return_iqm_low"] == "" and lines[4]["failed"] == "1"
    assert float(lines[1]["return_unclipped_cost_mean"]) == 2180.0


def test_terminal_tables(scores: list[EpisodeTable]) -> None:
    file = io.StringIO()
    tables.print_tables(scores, Console(file=file, width=100))
    text = file.getvalue()
    assert "snow: sampled actions, 2 episodes a body" in text
    assert "Centipede-6 *" in text and "2507.1" in text and "21.1" in text
    assert "physics failed in 1 of 2 episodes of random actions on Centipede-8" in text
    assert "…" not in text
    assert "unclipped" in text and "metres" in text


def test_terminal_tables_leave_out_what_no_body_of_theirs_has() -> None:
    returns, file = [100.0, 140.0], io.StringIO()
    same = {"returns_unclipped_cost": np.array(returns), "distances": np.full(2, np.nan)}
    tables.print_tables(
        [table("reach", "morphzoo/AntReach-v0", returns, **same)], Console(file=file, width=100)
    )
    text = file.getvalue()
    assert "unclipped" not in text and "metres" not in text
    assert "120 ± 20" in text and "steps" in text


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as advance:
        advance("x on y", 1, 2)
    assert capsys.readouterr() == ("", "")
