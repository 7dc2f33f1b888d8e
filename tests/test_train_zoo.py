"""Many runs: each as if alone, bit for bit, whatever is killed; nothing is dropped unsaid."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_clusters import Nodes, kill, processes, two_nodes, until

from morphzoo.recipe import Recipe
from morphzoo.training import fleet, train, worker
from morphzoo.training.display import Outcome, counts
from morphzoo.training.fleet import plan_runs, train_zoo
from morphzoo.training.local_pool import LocalPool
from morphzoo.training.pool import Event, PlannedRun
from morphzoo.training.progress import Progress, read_progress
from morphzoo.training.ray_pool import Mailbox, pack, unpack

ROOT = Path(__file__).parents[1]
SCRIPT = [sys.executable, str(ROOT / "zoo_scripts" / "train_zoo.py")]
SNOW: dict[str, Any] = {
    "env": "morphzoo/Centipede-4-v0",
    "policy": "snowflake",
    "steps": 1000,
    "n_envs": 4,
    "policy_kwargs": {"hidden_size": 8, "num_layers": 2},
    "algorithm_kwargs": {"n_steps": 16, "batch_size": 32, "n_epochs": 2},
    "checkpoint_every": 100,
    "evaluate_every": 500,
    "evaluate_episodes": 2,
    "env_kwargs": {"max_episode_steps": 40},
}
FLAT = {**SNOW, "policy": "mlp", "policy_kwargs": {}}
LAST = 1024  # 1000 steps in whole rollouts of 64
LONG = 2000  # steps of the runs on Ray, whose states take up to half a second to arrive


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("recipes")
    for name, values in (("snow", SNOW), ("flat", FLAT)):
        (folder / f"{name}.json").write_text(json.dumps(values))
    return [folder / "snow.json", folder / "flat.json"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, bytes]]:
    """What `train` makes of a run by itself, in this process; trained when first asked for."""
    folder = tmp_path_factory.mktemp("alone")

    def made(recipe: dict[str, Any], seed: int, steps: int = SNOW["steps"]) -> dict[str, bytes]:
        out = folder / f"{recipe['policy']}-{seed}-{steps}"
        if not out.exists():
            values = {**recipe, "seed": seed, "steps": steps}
            train(Recipe.from_dict(values), out, progress=False)
        return weights(out)

    return made


def weights(folder: Path) -> dict[str, bytes]:
    """The files that must not differ by a bit."""
    files = ("curve.csv", "final/model.safetensors", "best/model.safetensors")
    return {name: (folder / name).read_bytes() for name in files}


def stretches(folder: Path) -> list[tuple[int, int]]:
    """From where to where each process brought the run."""
    record = json.loads((folder / "final" / "results.json").read_text())["training"]["stretches"]
    return [(stretch["from_step"], stretch["to_step"]) for stretch in record]


def dates(out: Path) -> dict[Path, int]:
    """When every file of every run was last written."""
    return {path: path.stat().st_mtime_ns for path in out.glob("*/**/*") if path.is_file()}


def saved(folder: Path) -> bool:
    """Whether a run can be continued from somewhere."""
    return read_progress(folder).step > 0


def worker_of(folder: Path) -> int | None:
    """The process that trains a run of a local pool."""
    wanted = {"morphzoo.training.worker", str(folder)}
    return next((pid for pid, _, words in processes() if wanted <= set(words)), None)


linux_only = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks in /proc")


# On this machine.


def test_runs_are_those_of_train(
    recipes: list[Path], alone: Callable[..., Any], tmp_path: Path, capsys: Any
) -> None:
    command = ["--seeds", "0", "1", "--workers", "2", "--out", str(tmp_path)]
    done = subprocess.run(
        [*SCRIPT, "--recipes", *map(str, recipes), *command], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, recipe in (("snow", SNOW), ("flat", FLAT)):
        for seed in (0, 1):
            folder = tmp_path / f"{name}-seed{seed}"
            assert weights(folder) == alone(recipe, seed)
            (line,) = (line for line in done.stdout.splitlines() if f" {folder.name} " in line)
            assert line.split()[1:3] == ["finished", "1,024"] and line.split()[-1] == str(folder)
            assert (folder / "log.txt").read_text() == ""
    assert done.stdout.splitlines()[-1] == "4 finished"
    before = dates(tmp_path)
    again = train_zoo(recipes, [0, 1], tmp_path)
    assert [outcome.state for outcome in again] == ["finished"] * 4
    assert all(outcome.step == LAST and outcome.seconds > 0 for outcome in again)
    assert dates(tmp_path) == before
    assert capsys.readouterr().err.count("finished before, left alone") == 4


@linux_only
def test_killed_worker_is_restarted(
    recipes: list[Path], alone: Callable[..., Any], tmp_path: Path, capsys: Any
) -> None:
    folder = tmp_path / "snow-seed0"

    def kill_it() -> None:
        until(lambda: saved(folder))
        kill(worker_of(folder), signal.SIGKILL)

    killer = threading.Thread(target=kill_it)
    killer.start()
    outcomes = train_zoo(recipes, [0], tmp_path, workers=2)
    killer.join()
    assert [(o.state, o.restarts, o.message) for o in outcomes] == [
        ("finished", 1, ""),
        ("finished", 0, ""),
    ]
    assert weights(folder) == alone(SNOW, 0)
    assert weights(tmp_path / "flat-seed0") == alone(FLAT, 0)
    first, second = stretches(folder)
    assert first[0] == 0 < first[1] == second[0] < second[1] == LAST
    said = capsys.readouterr().err
    assert "snow-seed0: lost, its process was killed by SIGKILL; restart 1 of 3 from step" in said
    assert said.count("\n") == 1


@linux_only
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_stopped_and_called_again(
    blow: signal.Signals,
    recipes: list[Path],
    alone: Callable[..., Any],
    tmp_path: Path,
    capsys: Any,
) -> None:
    """Whatever ends the one who started them, the workers end too and the runs go on later."""
    folder = tmp_path / "flat-seed0"
    command = [*SCRIPT, "--recipes", str(recipes[1]), "--out", str(tmp_path)]
    starter = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until(lambda: saved(folder), alive=lambda: starter.poll() is None)
    starter.send_signal(blow)
    said = starter.communicate()[1]
    until(lambda: worker_of(folder) is None)
    if blow == signal.SIGINT:
        assert starter.returncode == 130
        assert said.split("\n") == [
            "",
            "continue with the same command",
            "",
            "train_zoo.py: stopped",
            "",
        ]
    assert not (folder / "final").exists()
    (outcome,) = train_zoo(recipes[1:], [0], tmp_path)
    assert (outcome.state, outcome.restarts) == ("finished", 0)
    assert "flat-seed0: continues from step" in capsys.readouterr().err
    assert weights(folder) == alone(FLAT, 0)
    assert stretches(folder)[-1][0] > 0


@linux_only
def test_failed_and_lost_runs_are_reported(
    recipes: list[Path], alone: Callable[..., Any], tmp_path: Path
) -> None:
    """An error is not tried again, a loss as often as allowed; runs beside are undisturbed."""
    broken, lost = tmp_path / "flat-seed0", tmp_path / "snow-seed0"
    (planned,) = plan_runs(recipes[1:], [0], tmp_path)
    (broken / "state" / "000000000064").mkdir(parents=True)
    (broken / "recipe.json").write_text(planned.recipe.to_json())
    command = ["--seeds", "0", "1", "--retries", "0", "--workers", "2", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [*SCRIPT, "--recipes", *map(str, recipes), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: saved(lost), alive=lambda: process.poll() is None)
    kill(worker_of(lost), signal.SIGSEGV)
    table, said = process.communicate()
    assert process.returncode == 1
    assert "snow-seed0: lost, its process was killed by SIGSEGV; not restarted again\n" in said
    assert "flat-seed0: failed: the training state" in said
    assert "Fatal Python error: Segmentation fault" in (lost / "log.txt").read_text()
    assert "Traceback" in (broken / "log.txt").read_text()
    lines = table.splitlines()
    states = dict(line.split()[:2] for line in lines if line.startswith((" snow-", " flat-")))
    assert states == {
        "snow-seed0": "lost",
        "snow-seed1": "finished",
        "flat-seed0": "failed",
        "flat-seed1": "finished",
    }
    assert any("flat-seed0 failed: the training state" in line for line in lines)
    assert lines[-1] == "2 finished, 1 failed, 1 lost"
    assert weights(tmp_path / "snow-seed1") == alone(SNOW, 1)
    assert weights(tmp_path / "flat-seed1") == alone(FLAT, 1)


# The supervision, with a pool that plays a part.


class Play:
    """A pool in which each run ends, attempt after attempt, as it is told."""

    parts: dict[str, list[str]] = {}
    most = 0

    def __init__(self, workers: int) -> None:
        self.slots = float(workers)
        self.running: list[PlannedRun] = []
        self.started: list[str] = []
        Play.last = self

    def start(self, run: PlannedRun) -> None:
        self.running.append(run)
        self.started.append(run.name)
        Play.most = max(Play.most, len(self.running))

    def wait(self, seconds: float) -> list[Event]:
        name = self.running.pop(0).name
        kind = Play.parts.get(name, []).pop(0) if Play.parts.get(name) else "finished"
        if kind == "ctrl-c":
            raise KeyboardInterrupt
        return [Event(name, "progress", 64, 1.5), Event(name, kind, 128, 2.5, f"{kind} it is")]

    def close(self) -> None:
        self.running = []
        self.started.append("closed")


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> type[Play]:
    monkeypatch.setattr(fleet, "LocalPool", Play)
    monkeypatch.setattr(fleet, "_check_fit", lambda run, here: 1)
    Play.parts, Play.most = {}, 0
    return Play


def test_losses_are_counted_and_errors_are_final(
    play: Any, recipes: list[Path], tmp_path: Path
) -> None:
    play.parts = {
        "snow-seed0": ["lost", "lost", "finished"],
        "snow-seed1": ["lost", "lost", "lost", "lost"],
        "flat-seed0": ["lost", "failed", "finished"],
    }
    outcomes = train_zoo(recipes, [0, 1], tmp_path, workers=3, retries=2)
    assert [(o.run.name, o.state, o.restarts) for o in outcomes] == [
        ("snow-seed0", "finished", 2),
        ("snow-seed1", "lost", 2),
        ("flat-seed0", "failed", 1),
        ("flat-seed1", "finished", 0),
    ]
    assert [o.message for o in outcomes if o.state in ("lost", "failed")] == [
        "lost it is",
        "failed it is",
    ]
    assert play.most == 3
    started = play.last.started
    assert [started.count(o.run.name) for o in outcomes] == [3, 3, 2, 1]
    assert started[-1] == "closed"
    assert counts(outcomes) == "2 finished, 1 failed, 1 lost"


def test_ctrl_c_closes_the_pool(play: Any, recipes: list[Path], tmp_path: Path) -> None:
    play.parts = {"flat-seed0": ["ctrl-c"]}
    with pytest.raises(KeyboardInterrupt):
        train_zoo(recipes, [0], tmp_path, workers=1)
    assert play.last.started == ["snow-seed0", "flat-seed0", "closed"]
    assert Play.most == 1


def test_two_calls_do_not_share_a_folder(play: Any, recipes: list[Path], tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl", reason="the lock is POSIX's")
    with open(tmp_path / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another process is training"):
            train_zoo(recipes, [0], tmp_path)


def test_bundled_recipes_go_by_their_names(tmp_path: Path) -> None:
    names = ["snowflake-centipede-6", "mlp-centipede-6"]
    runs = plan_runs(names, [0, 7], tmp_path / "zoo", {"steps": 2048, "gamma": 0.5})
    assert [run.folder.relative_to(tmp_path) for run in runs] == [
        Path("zoo") / f"{name}-seed{seed}" for name in names for seed in (0, 7)
    ]
    assert [run.recipe.seed for run in runs] == [0, 7, 0, 7]
    assert {run.recipe.steps for run in runs} == {2048}
    assert {run.recipe.algorithm_kwargs["gamma"] for run in runs} == {0.5}
    assert not (tmp_path / "zoo").exists()


def test_unexpected_errors_say_their_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    def explode(*_: Any, watch: Any, **__: Any) -> None:
        watch(64, None, False)
        raise RuntimeError("the roof is on fire")

    monkeypatch.setattr(worker, "train", explode)
    reports: list[Any] = []
    recipe = Recipe.from_dict(SNOW)
    last = worker.train_reporting(recipe, tmp_path, lambda *said: reports.append(said))
    assert reports == [({"kind": "progress", "step": 64, "best": None}, False)]
    message = "RuntimeError: the roof is on fire"
    assert last == {"kind": "failed", "step": 64, "best": None, "message": message}
    assert "Traceback" in capsys.readouterr().err


def test_progress_of_a_folder(tmp_path: Path) -> None:
    assert read_progress(tmp_path) == Progress(0, None, 0.0)
    rows = ["step,seconds", "64,1.5", "128,4.0", "128,2.0", "192,3.5", "192,0.5", "256,1."]
    (tmp_path / "times.csv").write_text("\n".join([*rows, "32"]))  # three processes, a cut row
    state = tmp_path / "state" / "000000000192"
    state.mkdir(parents=True)
    assert read_progress(tmp_path) == Progress(192, None, 4.0 + 3.5 + 1.0)
    (state / "state.json").write_text(json.dumps({"best": {"score": -3.25}}))
    assert read_progress(tmp_path).best == -3.25
    (state / "state.json").write_text(json.dumps({"best": None}))
    assert read_progress(tmp_path).best is None


# What is refused before any run starts.

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"recipes": ["snowflak-centipede-6"]}, "recipe 'snowflak.*Did you mean 'snowflake-centi"),
    ({"recipes": []}, "one recipe and one seed at least"),
    ({"seeds": [0, 1, 0]}, "two runs would be 'snow-seed0'"),
    ({"recipes": ["snow", "other/snow"]}, "two runs would be 'snow-seed0'.*rename"),
    ({"seeds": [-1]}, "'seed' must be in"),
    ({"settings": {"seed": 3}}, "--seeds"),
    ({"settings": {"stpes": 64}}, "recipe '.*snow.json': unknown setting 'stpes'.*'steps'"),
    ({"settings": {"batch_size": 33}}, "batch_size must be above 1 and divide"),
    ({"settings": {"policy_kwargs.hidden_size": 7}}, "snow-seed0: policy 'snowflake'.*even"),
    ({"settings": {"env": "morphzoo/Centipede-2-v0"}}, "snow-seed0: cannot make"),
    ({"settings": {"device": "cuda:99"}}, "snow-seed0: device 'cuda:99' cannot be used"),
    ({"workers": 0}, "workers 1 or more, found 3 and 0"),
    ({"retries": -1}, "retries must be 0 or more"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=[str(c)[:50] for c, _ in REFUSED])
def test_refused_before_any_run_starts(
    changes: dict[str, Any], words: str, recipes: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(recipes[0], tmp_path / "other")
    ours = {"snow": recipes[0], "other/snow": tmp_path / "other" / "snow.json"}
    call: dict[str, Any] = {"recipes": ["snow"], "seeds": [0], "out": tmp_path / "out", **changes}
    call["recipes"] = [ours.get(name, name) for name in call["recipes"]]
    with pytest.raises(ValueError, match=words):
        train_zoo(**call)
    assert not (tmp_path / "out").exists()


def test_folders_are_checked_before_any_run_starts(
    play: Any, recipes: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="is a file"):
        train_zoo(recipes, [0], tmp_path / "file")
    other = tmp_path / "out" / "flat-seed0"
    other.mkdir(parents=True)
    (other / "recipe.json").write_text(json.dumps({**FLAT, "n_envs": 8}))
    with pytest.raises(ValueError, match=r"flat-seed0' holds a run of another recipe \(n_envs: 8"):
        train_zoo(recipes, [0], tmp_path / "out")
    assert not hasattr(play, "last") or play.last.started[-1] == "closed"
    assert not (tmp_path / "out" / "snow-seed0" / "recipe.json").exists()


def test_missing_ray_is_said_in_one_line(
    recipes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'morphzoo\[ray\]'"):
        train_zoo(recipes, [0], tmp_path / "out", ray="local")
    assert not (tmp_path / "out").exists()


def test_script_prints_errors_without_a_traceback(tmp_path: Path) -> None:
    command = [*SCRIPT, "--recipes", "snow-seventeen", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("train_zoo.py: recipe 'snow-seventeen': no recipe")
    assert done.stderr.count("\n") == 1


# On a Ray cluster.


def test_files_travel_whole_and_without_what_is_hidden(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "state" / "000000000064").mkdir(parents=True)
    (here / "state" / "000000000064" / "state.safetensors").write_bytes(bytes(range(256)) * 9)
    (here / "curve.csv").write_text("step\n64\n")
    (here / ".lock").write_text("")
    (here / "state" / ".part-12345678-000000000128").mkdir()
    (here / "state" / ".part-12345678-000000000128" / "state.json").write_text("{")
    (there / "best").mkdir(parents=True)
    unpack(pack(here), there)
    assert {str(p.relative_to(there)): p.read_bytes() for p in there.rglob("*") if p.is_file()} == {
        "curve.csv": b"step\n64\n",
        "state/000000000064/state.safetensors": bytes(range(256)) * 9,
    }
    assert [path.name for path in tmp_path.iterdir()] in (["here", "there"], ["there", "here"])
    unpack(pack(tmp_path / "nothing"), there)
    assert not list(there.iterdir())


def test_mailbox_keeps_the_newest_of_each_attempt() -> None:
    mailbox = Mailbox()
    mailbox.put(("a", 1), {"step": 1}, b"one")
    mailbox.put(("a", 1), {"step": 2}, None)
    mailbox.put(("a", 2), {"step": 1}, None)
    assert mailbox.take() == ({("a", 1): {"step": 2}, ("a", 2): {"step": 1}}, {("a", 1): b"one"})
    assert mailbox.take() == ({}, {})


@pytest.fixture
def cluster() -> Iterator[Nodes]:
    with two_nodes() as nodes:
        yield nodes


def node_and_task(name: str, raylets: list[int]) -> tuple[int, int] | tuple[None, None]:
    """The processes of a node of this cluster and of the task in which it trains a run."""
    named = ((up, pid) for pid, up, words in processes() if words[0] == f"ray::{name}")
    return next((found for found in named if found[0] in raylets), (None, None))


@linux_only
@pytest.mark.ray
def test_ray_runs_survive_a_killed_worker_and_a_killed_node(
    cluster: Nodes,
    recipes: list[Path],
    alone: Callable[..., Any],
    tmp_path: Path,
) -> None:
    address, raylets, env = cluster
    command = [*SCRIPT, "--recipes", str(recipes[0]), "--seeds", "0", "1", "--ray", address]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path), "--set", f"steps={LONG}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    running = [tmp_path / "snow-seed0", tmp_path / "snow-seed1"]
    while running:
        ready = until(
            lambda: [folder for folder in running if saved(folder)],
            alive=lambda: process.poll() is None,
        )
        raylet, task = node_and_task(ready[0].name, raylets)
        kill(task if len(running) == 2 else raylet, signal.SIGKILL)
        running.remove(ready[0])
    table, said = process.communicate()
    assert process.returncode == 0, table + said
    assert table.splitlines()[-1] == "2 finished"
    for seed in (0, 1):
        folder = tmp_path / f"snow-seed{seed}"
        assert f"{folder.name}: lost, " in said
        assert weights(folder) == alone(SNOW, seed, LONG)
        steps = [0, *(end for _, end in stretches(folder))]
        assert stretches(folder) == list(zip(steps[:-1], steps[1:], strict=True))
        assert len(steps) > 2 and steps[-1] >= LONG  # continued, not begun again
    # The tasks never saw the runs' folder: what the killed one left is in its node's own.
    assert list(Path(env["TMPDIR"]).glob("morphzoo-*/snow-seed*/recipe.json"))


def test_outcome_shows_what_is_needed(tmp_path: Path) -> None:
    run = PlannedRun("a-seed0", Recipe.from_dict(SNOW), tmp_path)
    assert Outcome(run).state == "waiting" and counts([Outcome(run)]) == "1 waiting"
    assert LocalPool(3).slots == 3
