"""RayPool: each run as a task of a Ray cluster; states come back, so that another node goes on.

No file system is shared. A task trains in a folder of its node's own; with every training state it
sends the folder's files to a mailbox on the node of the process that started the runs, and goes on
when they have arrived. That process puts them in the run's folder, and a lost task's successor gets
them from there.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from morphzoo.cluster import ENVIRONMENT, connect, import_ray, last_line
from morphzoo.files import folder_atomic
from morphzoo.recipe import Recipe
from morphzoo.training.pool import Event, PlannedRun, Report


class Mailbox:
    """Holds the newest report and the newest files of each attempt at a run until they are taken.

    It lives as an actor on the node of the process that takes them, so it is not lost with a
    worker's node, and a started task needs to know nothing else.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._reports: dict[tuple[str, int], Report] = {}
        self._files: dict[tuple[str, int], bytes] = {}

    def put(self, attempt: tuple[str, int], report: Report, files: bytes | None) -> None:
        """Leave a report of an attempt (name of the run, number), with files or without."""
        self._reports[attempt] = report
        if files is not None:
            self._files[attempt] = files

    def take(self) -> tuple[dict[tuple[str, int], Report], dict[tuple[str, int], bytes]]:
        """Return what has come since the last time."""
        taken = self._reports, self._files
        self._reports, self._files = {}, {}
        return taken


class RayPool:
    """Trains runs as tasks of a Ray cluster; see `morphzoo.training.pool.Pool`.

    Ray queues the tasks and places each where a core is free, and a GPU if its recipe says so. Its
    own retries are off: the caller restarts what is lost, here as in a local pool.

    Args:
        address: A cluster's address, "auto", or "local" to start one here for as long as the pool
            lives. A process that is connected already stays where it is.
        workers: Tasks at once, and cores of a cluster started here; None: no limit, all cores.

    Raises:
        ImportError: Ray is not installed.
        OSError: The cluster cannot be reached.
    """

    def __init__(self, address: str, workers: int | None) -> None:
        """Connect, and start the mailbox."""
        self._ray = ray = import_ray()
        self._mine = connect(ray, address, workers)
        self.slots = float(workers or math.inf)
        here = ray.get_runtime_context().get_node_id()
        strategies = importlib.import_module("ray.util.scheduling_strategies")
        self._mailbox = (
            ray.remote(Mailbox)
            .options(
                num_cpus=0,
                scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(here, soft=False),
                max_restarts=-1,
                max_task_retries=-1,
            )
            .remote()
        )
        # A process for each task: a run must not inherit what another one left in its process.
        self._task = ray.remote(max_retries=0, max_calls=1)(train_task)
        self._attempts: dict[str, int] = {}
        self._running: dict[Any, PlannedRun] = {}

    def start(self, run: PlannedRun) -> None:
        """Queue a run, with the files that its folder holds."""
        self._attempts[run.name] = self._attempts.get(run.name, 0) + 1
        task = self._task.options(
            name=run.name,
            num_cpus=1,
            num_gpus=1 if run.recipe.device.startswith("cuda") else 0,
            runtime_env={"env_vars": ENVIRONMENT},
        )
        attempt = (run.name, self._attempts[run.name])
        reference = task.remote(attempt, run.recipe.to_dict(), pack(run.folder), self._mailbox)
        self._running[reference] = run

    def wait(self, seconds: float) -> list[Event]:
        """Return what the mailbox holds and which tasks have ended; write their files.

        Raises:
            OSError: The cluster is gone, or a run's folder cannot be written.
        """
        ended, _ = self._ray.wait(list(self._running), timeout=seconds)
        events = self._news()
        return events + [self._ended(reference) for reference in ended]

    def close(self) -> None:
        """Stop the tasks, keep the files that have come, disconnect."""
        with contextlib.suppress(self._ray.exceptions.RayError, OSError):
            for reference in self._running:
                self._ray.cancel(reference, force=True)
            self._news()
            self._ray.kill(self._mailbox)
        if self._mine:
            self._ray.shutdown()

    def _news(self) -> list[Event]:
        """Empty the mailbox; what an attempt sends that is given up already does not count."""
        try:
            reports, files = self._ray.get(self._mailbox.take.remote())
        except self._ray.exceptions.RayError as error:
            raise OSError(
                f"the Ray cluster is gone ({last_line(error)}); start it and give the same command "
                "again to continue"
            ) from error
        runs = {(run.name, self._attempts[run.name]): run for run in self._running.values()}
        for attempt in files.keys() & runs.keys():
            unpack(files[attempt], runs[attempt].folder)
        current = reports.keys() & runs.keys()
        return [Event(name=attempt[0], **reports[attempt]) for attempt in sorted(current)]

    def _ended(self, reference: Any) -> Event:
        """Return how a task ended, and write the files of a finished one."""
        run = self._running.pop(reference)
        try:
            report, files = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            return Event(run.name, "failed", message=last_line(error))
        except self._ray.exceptions.RayError as error:
            return Event(run.name, "lost", message=f"{type(error).__name__}: {last_line(error)}")
        if files:
            unpack(files, run.folder)
        return Event(name=run.name, **report)


def train_task(
    attempt: tuple[str, int], recipe: dict[str, Any], files: bytes, mailbox: Any
) -> tuple[Report, bytes]:
    """Train a run on whatever node this is; what a Ray task does.

    Args:
        attempt: Name of the run, and the how manyeth attempt this is.
        recipe: What to train.
        files: The run's folder so far, packed.
        mailbox: The actor that takes reports and files.

    Returns:
        The last report, and the packed folder of a finished run.
    """
    from morphzoo.training.worker import train_reporting

    ray = import_ray()
    with tempfile.TemporaryDirectory(prefix="morphzoo-") as scratch:
        folder = Path(scratch) / attempt[0]
        unpack(files, folder)

        def report(values: Report, saved: bool) -> None:
            arrived = mailbox.put.remote(attempt, values, pack(folder) if saved else None)
            if saved:
                ray.get(arrived)

        last = train_reporting(Recipe.from_dict(recipe), folder, report)
        return last, pack(folder) if last["kind"] == "finished" else b""


def pack(folder: Path) -> bytes:
    """Return a folder's files as one archive, without the hidden ones: locks and unfinished work.

    Args:
        folder: The folder; no other process writes into it.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.rglob("*")):
            inner = file.relative_to(folder)
            if file.is_file() and not any(part.startswith(".") for part in inner.parts):
                archive.writestr(inner.as_posix(), file.read_bytes())
    return buffer.getvalue()


def unpack(files: bytes, folder: Path) -> None:
    """Put packed files in a folder's place, all at once.

    Args:
        files: As `pack` returned them.
        folder: The folder; what it held before is deleted.

    Raises:
        OSError: The disk is full or the parent not writable; the folder is as it was.
    """
    with folder_atomic(folder) as aside, zipfile.ZipFile(io.BytesIO(files)) as archive:
        archive.extractall(aside)
