"""Many runs, recipes times seeds: on this machine's cores or on a Ray cluster, none lost unsaid."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from morphzoo.cluster import import_ray
from morphzoo.files import PathLike, check_writable, recover_folder
from morphzoo.recipe import Recipe, make_recipe
from morphzoo.training import build_model, needed_bytes, one_process
from morphzoo.training.curve import check_bodies
from morphzoo.training.display import Display, Outcome, say
from morphzoo.training.local_pool import LocalPool
from morphzoo.training.model import check_device
from morphzoo.training.pool import Event, PlannedRun, Pool
from morphzoo.training.progress import read_progress
from morphzoo.training.run import holds_run
from morphzoo.training.state import seeded_generators

_GLANCE = 0.5  # between two looks at the runs, where nothing happens (s)


def train_zoo(
    recipes: Sequence[PathLike],
    seeds: Sequence[int],
    out: PathLike,
    *,
    settings: Mapping[str, Any] | None = None,
    workers: int | None = None,
    ray: str | None = None,
    retries: int = 3,
    progress: bool = True,
) -> list[Outcome]:
    """Train every recipe with every seed, each in its folder `<out>/<recipe>-seed<seed>`.

    Each run has a process of its own and one thread. A run whose process is lost (killed, crashed,
    gone with its machine) is restarted from its newest training state; one that ends with an error
    is not, since the error would come again. Neither disturbs the others. Called again, the
    unfinished runs go on and the finished ones are left alone. What a run ends with is, bit for
    bit, what `train` gives on the same kind of machine.

    Args:
        recipes: Bundled recipes or recipe files.
        seeds: Seeds; every recipe is trained with each.
        out: Folder of the runs' folders.
        settings: Changes to every recipe, as for `Recipe.override`.
        workers: Runs at once; None: one a core here, as many as the cluster has room for on Ray.
        ray: None: processes of this machine; else the address of a Ray cluster, or "local" for one
            that is started here and ends with the call.
        retries: How often a lost run is restarted.
        progress: Show a bar, if the error stream is a terminal.

    Returns:
        What became of each run, in the order of recipes and seeds.

    Raises:
        ValueError: A recipe, seed or setting is refused, or two runs would share a folder; a folder
            holds another recipe's run; or another call is at work in `out`.
        OSError: A folder is not writable, the disk has too little room, or the cluster cannot be
            reached.
        ImportError: `ray` is asked for and Ray is not installed.
    """
    runs = plan_runs(recipes, seeds, out, settings)
    return train_runs(runs, out, workers=workers, ray=ray, retries=retries, progress=progress)


def train_runs(
    runs: Sequence[PlannedRun],
    out: PathLike,
    *,
    workers: int | None = None,
    ray: str | None = None,
    retries: int = 3,
    progress: bool = True,
) -> list[Outcome]:
    """Train planned runs, as `train_zoo` does, which see.

    Args:
        runs: What to train, each in a folder of its own below `out`.
        out: Folder of the runs' folders.
        workers: Runs at once.
        ray: Address of a Ray cluster, or None.
        retries: How often a lost run is restarted.
        progress: Show a bar, if the error stream is a terminal.

    Returns:
        What became of each run, in their order.
    """
    if retries < 0 or (workers is not None and workers < 1):
        raise ValueError(
            f"retries must be 0 or more and workers 1 or more, found {retries} and {workers}"
        )
    if ray is not None:
        from morphzoo.training.ray_pool import RayPool

        import_ray()
    needed = _needed(runs, here=ray is None)
    folder = check_writable(out, needed)
    with one_process(folder):
        outcomes = [_begun(run) for run in runs]
        _announce(outcomes)
        if any(outcome.state != "finished" for outcome in outcomes):
            pool = LocalPool(workers or _cores()) if ray is None else RayPool(ray, workers)
            _supervise(outcomes, pool, retries, progress)
    return outcomes


def plan_runs(
    recipes: Sequence[PathLike],
    seeds: Sequence[int],
    out: PathLike,
    settings: Mapping[str, Any] | None = None,
) -> list[PlannedRun]:
    """Return the runs of every recipe with every seed, recipe by recipe; touches no folder.

    Args:
        recipes: Bundled recipes or recipe files.
        seeds: Seeds.
        out: Folder of the runs' folders.
        settings: Changes to every recipe, as for `Recipe.override`.

    Raises:
        ValueError: A recipe, seed or setting is refused, or two runs would share a folder.
    """
    if not recipes or not seeds:
        raise ValueError("expected one recipe and one seed at least")
    if "seed" in (settings or {}):
        raise ValueError("'seed' is no setting here: give the seeds as --seeds")
    runs: dict[str, PlannedRun] = {}
    for given in recipes:
        for seed in seeds:
            name = f"{Path(given).name.removesuffix('.json')}-seed{seed}"
            if name in runs:
                raise ValueError(
                    f"two runs would be '{name}': name each recipe and each seed once, and rename "
                    "a recipe file that is called as another"
                )
            recipe = _made(given, {**(settings or {}), "seed": seed})
            runs[name] = PlannedRun(name, recipe, Path(out).expanduser().absolute() / name)
    return list(runs.values())


def _made(given: PathLike, changes: dict[str, Any]) -> Recipe:
    """Return a recipe with changes; a refusal says which recipe it is about."""
    try:
        return make_recipe(given, changes)
    except ValueError as error:
        raise ValueError(f"recipe '{given}': {error}") from error


def _needed(runs: Sequence[PlannedRun], here: bool) -> int:
    """Check each run that differs from the one before by more than its seed; return the room."""
    total, needed, before = 0, 0, None
    for run in runs:
        same = run.recipe.override({"seed": 0})
        if same != before:
            needed, before = _check_fit(run, here), same
        total += needed
    return total


def _check_fit(run: PlannedRun, here: bool) -> int:
    """Make a run's model once, before any run starts, and return the room it needs (bytes).

    A cluster's machines may have devices that this one lacks, so there each checks its own.
    """
    recipe = run.recipe
    try:
        if here:
            check_device(recipe.device)
        with seeded_generators(recipe.seed):
            model = build_model(recipe.override({"device": "cpu"}))
            try:
                check_bodies(model.policy, recipe)
                return needed_bytes(model)
            finally:
                model.env.close()
    except ValueError as error:
        raise ValueError(f"{run.name}: {error}") from error


def _begun(run: PlannedRun) -> Outcome:
    """Make a run's folder ready and return where the run stands."""
    recover_folder(run.folder)
    begun = holds_run(run.folder, run.recipe)
    done = read_progress(run.folder)
    finished = begun and (run.folder / "final" / "config.json").is_file()
    if not finished:
        check_writable(run.folder)
    state = "finished" if finished else "waiting"
    return Outcome(run, state, step=done.step, best=done.best, seconds=done.seconds)


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _supervise(outcomes: list[Outcome], pool: Pool, retries: int, progress: bool) -> None:
    """Run all that is not finished, restart what is lost, and note what becomes of each."""
    named = {outcome.run.name: outcome for outcome in outcomes}
    waiting = deque(outcome for outcome in outcomes if outcome.state == "waiting")
    started = 0
    display = Display(outcomes, progress)
    try:
        while waiting or started:
            while waiting and started < pool.slots:
                pool.start(waiting.popleft().run)
                started += 1
            for event in pool.wait(_GLANCE):
                outcome = named[event.name]
                _note(outcome, event, retries)
                started -= event.kind != "progress"
                if outcome.state == "waiting":
                    waiting.appendleft(outcome)
            display.update()
    finally:
        display.close()
        pool.close()


def _announce(outcomes: list[Outcome]) -> None:
    """Say which runs are left alone and which go on."""
    for outcome in outcomes:
        if outcome.state == "finished":
            say(f"{outcome.run.name}: finished before, left alone")
        elif outcome.step:
            say(f"{outcome.run.name}: continues from step {outcome.step:,}")


def _note(outcome: Outcome, event: Event, retries: int) -> None:
    """Take an event into a run's outcome; "waiting" asks for a restart."""
    if event.kind == "progress":
        outcome.state, outcome.step, outcome.best = "running", event.step, event.best
        return
    done = read_progress(outcome.run.folder)
    outcome.step, outcome.best, outcome.seconds = done.step, done.best, done.seconds
    outcome.state, outcome.message = event.kind, event.message
    name = outcome.run.name
    if event.kind == "failed":
        say(f"{name}: failed: {event.message}")
    elif event.kind == "lost" and outcome.restarts < retries:
        outcome.state, outcome.message = "waiting", ""
        outcome.restarts += 1
        again = f"restart {outcome.restarts} of {retries} from step {outcome.step:,}"
        say(f"{name}: lost, {event.message}; {again}")
    elif event.kind == "lost":
        say(f"{name}: lost, {event.message}; not restarted again")
