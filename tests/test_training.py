"""Training: continued bit for bit after a kill, undisturbed by its evaluations, clear errors."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from morphzoo.algorithms import ALGORITHMS
from morphzoo.recipe import RECIPES, Recipe, read_recipe
from morphzoo.results import ACTIONS
from morphzoo.training import build_model, train
from morphzoo.training.curve import evaluate_bodies, evaluation_values, read_curve, score
from morphzoo.training.fingerprint import (
    fingerprint,
    opening,
    platform_signature,
    reproduce,
)
from morphzoo.training.state import (
    capture,
    generators,
    read_state,
    restore,
    seeded_generators,
    set_generators,
)

ROOT = Path(__file__).parents[1]
FOUR, FIVE, SIX = (f"morphzoo/Centipede-{n}-v0" for n in (4, 5, 6))
TINY = Recipe.from_dict(
    {
        "env": FOUR,
        "policy": "snowflake",
        "steps": 1200,
        "seed": 3,
        "n_envs": 4,
        "policy_kwargs": {"hidden_size": 8, "num_layers": 2, "part_lr_scale": {"value": 2.0}},
        "algorithm_kwargs": {"n_steps": 16, "batch_size": 32, "n_epochs": 2},
        "checkpoint_every": 100,
        "evaluate_every": 300,
        "evaluate_episodes": 2,
        "env_kwargs": {"max_episode_steps": 40},
    }
)
LAST = 19 * 64  # 1200 steps in whole rollouts of 64
SEARCH: dict[str, Any] = {
    "env": "morphzoo/Swimmer-v5",
    "policy": "chromatic",
    "steps": 7200,
    "seed": 3,
    "n_envs": 4,
    "policy_kwargs": {"hidden_sizes": [5], "num_colors": 4, "normalize": True},
    "algorithm_kwargs": {
        "population_size": 8,
        "noise_scale": 0.3,
        "noise_scale_end": 0.1,
        "noise_hold": 0.2,
    },
    "checkpoint_every": 700,
    "evaluate_every": 2000,
    "evaluate_episodes": 2,
    "env_kwargs": {"max_episode_steps": 40},
}
SLOW = pytest.mark.slow


def weights(folder: Path) -> dict[str, bytes]:
    """The files that must not differ by a bit."""
    files = ("curve.csv", "final/model.safetensors", "best/model.safetensors")
    return {name: (folder / name).read_bytes() for name in files}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(TINY, folder, progress=False)
    return folder


# After a kill.


def killed_after(rows: int, delay: float, folder: Path, command: list[str]) -> None:
    """Start the script, kill it `delay` seconds after the curve has so many rows."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    curve, deadline = folder / "curve.csv", time.monotonic() + 300
    while not (curve.exists() and curve.read_bytes().count(b"\n") > rows):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(delay)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def killed_and_resumed(recipe: Recipe, tmp_path: Path, last_row: int, times: int) -> Path:
    """Train by the script, killed so many times before a row of the curve; return the folder.

    The moments are drawn anew in every run: none may matter.
    """
    file, folder = tmp_path / "recipe.json", tmp_path / "run"
    file.write_text(recipe.to_json())
    script = [sys.executable, str(ROOT / "zoo_scripts" / "train.py"), "--no-progress"]
    command = [*script, "--recipe", str(file), "--out", str(folder), "--resume"]
    moments = random.SystemRandom()
    rows = sorted(moments.sample(range(last_row), times))
    delays = [moments.uniform(0, 0.05) for _ in rows]
    print(f"killed after rows {rows} and {delays} s")
    for row, delay in zip(rows, delays, strict=True):
        killed_after(row, delay, folder, command)
    assert not (folder / "final").exists()
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.skipif(os.name != "posix", reason="kills by SIGKILL")
def test_killed_three_times_and_resumed(uninterrupted: Path, tmp_path: Path) -> None:
    folder = killed_and_resumed(TINY, tmp_path, LAST // 64 - 1, 3)
    assert weights(folder) == weights(uninterrupted)
    assert fingerprint(folder) == fingerprint(uninterrupted)
    results = json.loads((folder / "final" / "results.json").read_text())
    stretches = results["training"]["stretches"]
    assert stretches[0]["from_step"] == 0 and stretches[-1]["to_step"] == LAST
    ends = [stretch["to_step"] for stretch in stretches]
    assert ends[:-1] == [stretch["from_step"] for stretch in stretches[1:]]


#: Searches for policies: what they search by, and how often they are killed.
SEARCHES: list[Any] = [
    pytest.param("enas", {"controller": "pointer", "exact_evaluations": 2}, 2, id="enas-pointer"),
    pytest.param("enas", {"controller": "evolution"}, 2, id="enas-evolution", marks=SLOW),
    pytest.param("enas", {"controller": "catcma"}, 2, id="enas-catcma", marks=SLOW),
    pytest.param("es", {"top": 2}, 2, id="es", marks=SLOW),
]


@pytest.mark.skipif(os.name != "posix", reason="kills by SIGKILL")
@pytest.mark.parametrize(("algorithm", "keywords", "times"), SEARCHES)
def test_searches_killed_and_resumed(
    algorithm: str, keywords: dict[str, Any], times: int, tmp_path: Path
) -> None:
    """Controller, optimizers and statistics go on too; a generation that was begun begins anew."""
    if keywords.get("controller") == "catcma":
        pytest.importorskip("cmaes", reason="pip install 'morphzoo[search]'")
    recipe = Recipe.from_dict({**SEARCH, "algorithm": algorithm})
    recipe = recipe.override({f"algorithm_kwargs.{key}": keywords[key] for key in keywords})
    train(recipe, tmp_path / "uninterrupted", progress=False)
    step = read_curve(tmp_path / "uninterrupted" / "curve.csv")["step"]
    assert len(step) >= 18
    folder = killed_and_resumed(recipe, tmp_path, 12, times)  # the rest is time enough to kill
    assert weights(folder) == weights(tmp_path / "uninterrupted")
    assert fingerprint(folder) == fingerprint(tmp_path / "uninterrupted")


@pytest.mark.parametrize("policy", ["mlp", "nervenet"])
def test_paused_and_resumed_in_one_process(policy: str, tmp_path: Path) -> None:
    recipe = TINY.override(
        {"policy": policy, "policy_kwargs": {}, "steps": 400, "evaluate_every": 0}
    )
    train(recipe, tmp_path / "a", progress=False)
    train(recipe, tmp_path / "b", progress=False, pause_at=130)
    assert not (tmp_path / "b" / "final").exists()
    assert read_curve(tmp_path / "b" / "curve.csv")["step"].tolist() == [64, 128, 192]
    random.random(), np.random.rand(), torch.rand(1)  # whatever else the process draws
    train(recipe, tmp_path / "b", progress=False, resume=True)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_finished_run_resumes_to_itself(uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted, folder)
    shutil.rmtree(folder / "final")
    shutil.rmtree(folder / "best")
    (folder / "curve.csv").write_text("a row that a kill cut sh")
    (folder / "state" / ".part-12345678-000000009999").mkdir()
    (folder / ".part-12345678-curve.csv").write_text("")
    (folder / ".old-12345678-best").mkdir()
    train(TINY, folder, resume=True, progress=False)
    assert weights(folder) == weights(uninterrupted)
    assert [path.name for path in (folder / "state").iterdir()] == [f"{LAST:012d}"]
    assert [path.name for path in folder.glob(".*")] == [".lock"]


def test_resume_before_the_first_state_begins_again(uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(uninterrupted / "recipe.json", folder)
    shutil.copy(uninterrupted / "curve.csv", folder)
    train(TINY.override({"steps": TINY.steps}), folder, resume=True, progress=False)
    assert weights(folder) == weights(uninterrupted)


def test_state_holds_no_pickle(uninterrupted: Path) -> None:
    (state,) = (uninterrupted / "state").iterdir()
    names = sorted(str(path.relative_to(state)) for path in state.rglob("*") if path.is_file())
    assert [name for name in names if not name.startswith("best/")] == [
        "curve.csv",
        "state.json",
        "state.safetensors",
    ]
    arrays = load_file(state / "state.safetensors")
    assert {name.split("/")[0] for name in arrays} == {
        "policy",
        "optimizer",
        "env",
        "generators",
        "episodes",
        "last_obs",
        "last_episode_starts",
        "success",
    }
    assert all(array.dtype.kind in "biuf" for array in arrays.values())
    assert json.loads((state / "state.json").read_text())["recipe"] == TINY.to_dict()


# What a state holds.


def draws() -> list[Any]:
    """Two draws from each generator; the first leaves a cached second Gaussian."""
    return [
        draw()
        for _ in range(2)
        for draw in (
            lambda: random.gauss(0, 1),
            random.random,
            np.random.standard_normal,
            lambda: np.random.permutation(50).tolist(),
            lambda: torch.randn(3).tolist(),
        )
    ]


def test_every_generator_is_kept() -> None:
    with seeded_generators(5):
        random.gauss(0, 1), np.random.standard_normal(), torch.randn(1)  # fill the caches
        state = generators()
        first = draws()
        assert draws() != first
        set_generators(state)
        assert draws() == first


def test_seeded_generators_leave_no_trace() -> None:
    before = {name: array.copy() for name, array in generators().items()}
    with seeded_generators(1):
        first = draws()
    with seeded_generators(1):
        assert draws() == first
    with seeded_generators(2):
        assert draws() != first
    after = generators()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_restore_brings_back_what_is_not_in_the_state_dict() -> None:
    model = build_model(TINY)
    model.learn(128)
    model.policy.optimizer.param_groups[0]["lr_scale"] = 0.125
    arrays, counters = capture(model)
    counters = json.loads(json.dumps(counters))
    fresh = build_model(TINY)
    flag = vars(model.policy)["_seen_training"]
    assert flag and not vars(fresh.policy)["_seen_training"]
    restore(fresh, arrays, counters)
    assert vars(fresh.policy)["_seen_training"]
    assert fresh.policy.optimizer.param_groups[0]["lr_scale"] == 0.125
    assert isinstance(fresh.policy.optimizer.param_groups[0]["betas"], tuple)
    again, counted = capture(fresh)
    assert json.loads(json.dumps(counted)) == counters
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype and np.array_equal(again[name], array), name
    assert any(name.endswith("exp_avg_sq") for name in arrays)
    assert fresh.num_timesteps == 128 and fresh._n_updates == 4


def test_state_of_another_policy_is_refused() -> None:
    model = build_model(TINY)
    model.learn(64)
    arrays, counters = capture(model)
    for changes in ({"policy_kwargs.hidden_size": 16}, {"n_envs": 8}, {"env": SIX}):
        with pytest.raises(ValueError, match="state"):
            restore(build_model(TINY.override(changes)), arrays, counters)


def test_damaged_state_is_refused(uninterrupted: Path, tmp_path: Path) -> None:
    for name, damage in (
        ("state.safetensors", lambda path: path.write_bytes(path.read_bytes()[:1000])),
        ("state.json", lambda path: path.write_text("{")),
        ("curve.csv", lambda path: path.unlink()),
    ):
        folder = tmp_path / name
        shutil.copytree(uninterrupted, folder)
        (state,) = (folder / "state").iterdir()
        damage(state / name)
        with pytest.raises(ValueError, match=r"damaged.*start again"):
            train(TINY, folder, resume=True, progress=False)
    assert read_state(tmp_path / "none") is None


# The curve, the schedule and the evaluations.


def test_curve(uninterrupted: Path) -> None:
    curve = read_curve(uninterrupted / "curve.csv")
    assert curve["step"].tolist() == [64.0 * row for row in range(1, LAST // 64 + 1)]
    assert curve["updates"].tolist() == [2.0 * row for row in range(1, LAST // 64 + 1)]
    for name in ("approx_kl", "clip_fraction", "explained_variance", "log_std_mean", "value_loss"):
        assert np.isfinite(curve[name]).all(), name
    assert curve["log_std_mean"][0] == pytest.approx(-0.5, abs=0.01)
    assert np.all(curve["length_mean"][1:] <= 40)
    evaluated = curve["step"][~np.isnan(curve["score"])]
    assert evaluated.tolist() == [320, 640, 960, LAST]  # first rollouts past 300, 600, 900; the end
    best = json.loads((uninterrupted / "best" / "results.json").read_text())["training"]
    assert best["score"] == np.nanmax(curve["score"])
    assert best["step"] == curve["step"][np.nanargmax(curve["score"])]


def test_learning_rate_falls_to_zero_over_the_whole_run(uninterrupted: Path) -> None:
    curve = read_curve(uninterrupted / "curve.csv")
    expected = 3e-4 * np.maximum(1 - curve["step"] / 1200, 0)
    np.testing.assert_allclose(curve["learning_rate"], expected, rtol=1e-12)
    assert curve["learning_rate"][-1] == 0  # 1216 of 1200 steps: never below


def test_constant_learning_rate(tmp_path: Path) -> None:
    recipe = TINY.override({"schedule": "constant", "steps": 128, "evaluate_every": 0})
    train(recipe, tmp_path, progress=False)
    assert read_curve(tmp_path / "curve.csv")["learning_rate"].tolist() == [3e-4, 3e-4]


def test_evaluations_and_states_leave_no_trace(uninterrupted: Path, tmp_path: Path) -> None:
    recipe = TINY.override({"evaluate_every": 0, "checkpoint_every": 10**6})
    train(recipe, tmp_path, progress=False)
    name = "final/model.safetensors"
    assert (tmp_path / name).read_bytes() == (uninterrupted / name).read_bytes()


def test_evaluation_repeats_itself() -> None:
    recipe = TINY.override({"evaluate_on": [FOUR, FIVE, SIX]})
    policy = build_model(recipe).policy
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    first = evaluate_bodies(policy, recipe)
    torch.rand(7), np.random.rand(7)
    assert evaluate_bodies(policy, recipe) == first
    assert first.keys() == {FOUR, FIVE, SIX}
    assert len({first[body][kind] for body in first for kind in ACTIONS}) == 6
    assert all(torch.equal(before[name], t) for name, t in policy.state_dict().items())
    columns = evaluation_values(first, recipe)
    assert columns[f"{FIVE}:mean"] == first[FIVE]["mean"]


def test_score_by_hand() -> None:
    scores = {FOUR: {"sampled": 10.0, "mean": 20.0}, SIX: {"sampled": 40.0, "mean": 80.0}}
    recipe = TINY.override({"evaluate_on": [FOUR, SIX]})
    assert score(scores, recipe) == 25.0
    assert score(scores, recipe.override({"score_actions": "mean"})) == 50.0
    assert score(scores, recipe.override({"score_actions": "both"})) == 37.5
    weighted = recipe.override({"score_weights": {FOUR: 1, SIX: 3}})
    assert score(scores, weighted) == (10 + 3 * 40) / 4
    assert score(scores, recipe.override({"score_weights": {SIX: 2}})) == 40.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_training_on_a_gpu_pauses_and_resumes(uninterrupted: Path, tmp_path: Path) -> None:
    recipe = TINY.override({"device": "cuda"})
    train(recipe, tmp_path / "run", progress=False, pause_at=600)
    final = train(recipe, tmp_path / "run", progress=False, resume=True)
    found, on_cpu = (read_curve(run / "curve.csv") for run in (final.parent, uninterrupted))
    for name in ("step", "updates", "learning_rate"):  # actions are drawn by another generator
        np.testing.assert_array_equal(found[name], on_cpu[name])
    assert np.isfinite(found["value_loss"]).all()


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train(TINY.override({"steps": 64}), tmp_path, progress=False, tensorboard=True)
    assert list((tmp_path / "tensorboard").glob("events.*"))


# What is refused before training starts.

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"env": "morphzoo/Centipeed-4-v0"}, "Centipede"),
    ({"env": "morphzoo/Centipede-4-v7"}, "Centipede-4"),
    ({"env": "Ant-v5"}, "Ant-v5"),
    ({"env": "nonsense"}, "nonsense"),
    ({"env_kwargs": {"num_lgs": 4}}, "num_lgs"),
    ({"policy": "snowflak"}, "Did you mean 'snowflake'"),
    ({"policy_kwargs.hiden_size": 8}, "hiden_size"),
    ({"policy_kwargs.hidden_size": 7}, "even"),
    ({"algorithm": "sac", "algorithm_kwargs": {}}, "Use 'ppo'"),
    ({"algorithm": "es", "algorithm_kwargs": {}}, "policies of deterministic, chromatic, found"),
    ({"algorithm": "contrastive", "algorithm_kwargs": {}}, "contrastive-snowflake, found 'snow"),
    ({"policy": "deterministic", "policy_kwargs": {}}, "chromatic-mlp, chromatic-snowflake, found"),
    ({"policy": "contrastive", "policy_kwargs": {}}, "chromatic-mlp, chromatic-snowflake, found"),
    (
        {
            "algorithm": "contrastive",
            "algorithm_kwargs": {},
            "policy": "contrastive",
            "policy_kwargs": {},
        },
        "expected a goal environment",
    ),
    ({"algorithm_kwargs.gama": 0.9}, "Did you mean 'gamma'"),
    ({"algorithm_kwargs.use_sde": True}, "use_sde"),
    ({"algorithm_kwargs.seed": 1}, "seed"),
    ({"device": "cuda:99"}, "use 'cpu'"),
    ({"device": "gpu"}, "use 'cpu'"),
    ({"evaluate_on": [FOUR, "morphzoo/Centipede-2-v0"]}, "cannot evaluate on"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=[str(c)[:50] for c, _ in REFUSED])
def test_refused_before_anything_is_written(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        train(TINY.override(changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_unwritable_and_full_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="is a file"):
        train(TINY, tmp_path / "file", progress=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 10**6))
    with pytest.raises(OSError, match=r"too full.*1\.0 MB are free"):
        train(TINY, tmp_path / "run", progress=False)
    assert not list((tmp_path / "run").iterdir())


def test_disk_that_fills_up_while_training(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest state survives, and the run goes on when there is room again."""
    flush, calls = os.fsync, []

    def full_later(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_later)
        with pytest.raises(OSError, match="disk is full"):
            train(TINY, tmp_path, progress=False)
    assert read_state(tmp_path / "state") is not None
    train(TINY, tmp_path, resume=True, progress=False)
    assert weights(tmp_path) == weights(uninterrupted)


def test_folder_of_another_run(uninterrupted: Path) -> None:
    before = weights(uninterrupted)
    with pytest.raises(ValueError, match="holds a run already"):
        train(TINY, uninterrupted, progress=False)
    with pytest.raises(ValueError, match=r"another recipe.*seed: 3 there, 4 asked for"):
        train(TINY.override({"seed": 4}), uninterrupted, resume=True, progress=False)
    assert weights(uninterrupted) == before


@pytest.mark.skipif(os.name != "posix", reason="the lock is POSIX's")
def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    import fcntl

    with open(tmp_path / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another process"):
            train(TINY, tmp_path, progress=False)


def test_script_prints_errors_without_a_traceback(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "zoo_scripts" / "train.py"), "--out", str(tmp_path)]
    run = subprocess.run(
        [*script, "--env", FOUR, "--policy", "mpl"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr.strip() == "train.py: unknown policy 'mpl'. Did you mean 'mlp'?"


def test_algorithms_are_imported_when_asked_for() -> None:
    assert list(ALGORITHMS) == ["ppo", "sac", "es", "epvf", "pssvf", "contrastive", "enas"]
    assert len(ALGORITHMS) == 7
    names = [ALGORITHMS[name].__name__ for name in ALGORITHMS]
    assert names == ["PPO", "SAC", "ES", "EPVF", "PSSVF", "ContrastiveRL", "ENAS"]
    with pytest.raises(KeyError):
        ALGORITHMS["poo"]


# Bundled recipes reproduce their first steps.


def test_fingerprint_sees_one_bit(uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted / "state", tmp_path / "state")
    assert fingerprint(tmp_path) == fingerprint(uninterrupted)
    (state,) = (tmp_path / "state").iterdir()
    text = (state / "curve.csv").read_text()
    (state / "curve.csv").write_text(text[:-2] + str((int(text[-2]) + 1) % 10) + "\n")
    assert fingerprint(tmp_path)["sha256"] != fingerprint(uninterrupted)["sha256"]
    with pytest.raises(ValueError, match="no training state"):
        fingerprint(tmp_path / "state")


RECIPE_NAMES = sorted(path.stem for path in RECIPES.glob("*.json"))
# 10,000 steps of these take 15 to 50 s; `make test-slow` runs them, and all others run always.
LONG_STARTS = {"centipede-20", "-first", "-long"}
FIRST_STEPS = [
    pytest.param(name, marks=[SLOW] if any(map(name.endswith, LONG_STARTS)) else [])
    for name in RECIPE_NAMES
]


@pytest.mark.parametrize("name", FIRST_STEPS)
def test_bundled_recipe_reproduces_its_first_steps(name: str, tmp_path: Path) -> None:
    """Bit for bit where the platform is recorded; elsewhere two runs agree."""
    recorded = read_recipe(name).fingerprint_10000.get(platform_signature())
    if recorded is not None:
        run = reproduce(name, tmp_path / "a")
        assert run == {key: recorded[key] for key in run}
    else:
        first = reproduce(name, tmp_path / "a", steps=3000)
        assert first == reproduce(name, tmp_path / "b", steps=3000)


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_bundled_recipe_opens_alike_on_every_platform(name: str) -> None:
    """Other processors round differently, and the physics amplifies it: not within a few steps.

    With torch's and MKL's kernels for other processors these numbers moved by up to 1e-6.
    """
    entries = read_recipe(name).fingerprint_10000.values()
    recorded = [entry["opening"] for entry in entries if "opening" in entry]
    assert recorded, "python -m morphzoo.training --fingerprint NAME --store"
    here = opening(name)
    for there in recorded:
        assert here.keys() == there.keys()
        for key, numbers in here.items():
            np.testing.assert_allclose(numbers, there[key], rtol=0, atol=1e-4, err_msg=key)


def test_opening_of_a_recipe_with_goals(tmp_path: Path) -> None:
    kwargs = {"policy_kwargs": {"width": 8, "repr_dim": 4}, "algorithm_kwargs": {"gamma": 0.9}}
    found = []
    for seed in (0, 0, 1):
        path = tmp_path / f"{len(found)}.json"
        recipe = Recipe(
            env="morphzoo/PointUMaze-v0", policy="contrastive", algorithm="contrastive", n_envs=3,
            seed=seed, **kwargs,
        )  # fmt: skip
        path.write_text(recipe.to_json())
        found.append(opening(str(path)))
    assert found[0] == found[1] and found[0].keys() == {"actions", "goals"}
    assert all(len(steps) == 8 and np.isfinite(steps).all() for steps in found[0].values())
    assert all(found[0][key] != found[2][key] for key in found[0])


def test_opening_depends_on_the_seed(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(
        read_recipe(RECIPE_NAMES[-1]).override({"seed": 1}).to_json()
    )
    here, other = opening(RECIPE_NAMES[-1]), opening(str(tmp_path / "other.json"))
    assert all(
        abs(a - b) > 1e-3 for key in here for a, b in zip(here[key], other[key], strict=True)
    )
