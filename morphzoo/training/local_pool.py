"""LocalPool: each run in a process of its own on this machine, so that none takes others along."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import socket
import subprocess
import sys

from morphzoo.training.pool import Event, PlannedRun, Report

_PATIENCE = 10.0  # for a process to end when told to (s)


@dataclasses.dataclass
class _Worker:
    """A process that trains one run, and what has been heard of it."""

    name: str
    process: subprocess.Popen[bytes]
    connection: socket.socket
    unread: bytes = b""
    last: Report = dataclasses.field(default_factory=dict)


class LocalPool:
    """Trains runs in worker processes; see `morphzoo.training.pool.Pool`.

    What a worker prints, down to the place where it crashed, is in its run's `log.txt`.

    Args:
        workers: Processes at once.
    """

    def __init__(self, workers: int) -> None:
        """Start nothing yet."""
        self.slots = float(workers)
        self._selector = selectors.DefaultSelector()

    def start(self, run: PlannedRun) -> None:
        """Start a worker process.

        Raises:
            OSError: The run's folder is not writable.
        """
        module = ["-m", "morphzoo.training.worker", str(run.folder)]
        connection, theirs = socket.socketpair()
        with theirs, open(run.folder / "log.txt", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-X", "faulthandler", *module],
                stdin=theirs.fileno(),
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the pool, which stops its workers quietly
            )
        worker = _Worker(run.name, process, connection)
        self._selector.register(connection, selectors.EVENT_READ, worker)
        with contextlib.suppress(ConnectionError):  # it has ended already: `wait` will say so
            connection.sendall(json.dumps(run.recipe.to_dict()).encode() + b"\n")

    def wait(self, seconds: float) -> list[Event]:
        """Return what the workers have reported."""
        ready = self._selector.select(seconds)
        return [event for key, _ in ready for event in self._read(key.data)]

    def close(self) -> None:
        """Stop all workers; a training state is whole or absent, so any moment will do."""
        workers = [key.data for key in self._selector.get_map().values()]
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            self._release(worker)
        self._selector.close()

    def _read(self, worker: _Worker) -> list[Event]:
        """Return a worker's new reports; the end of its stream is the end of the worker."""
        try:
            chunk = worker.connection.recv(65536)
        except ConnectionError:
            chunk = b""
        if not chunk:
            return [self._ended(worker)]
        *lines, worker.unread = (worker.unread + chunk).split(b"\n")
        events = []
        for line in lines:
            worker.last = json.loads(line)
            if worker.last["kind"] == "progress":
                events.append(Event(name=worker.name, **worker.last))
        return events

    def _ended(self, worker: _Worker) -> Event:
        """Return how a worker ended: as it said, or lost."""
        status = self._release(worker)
        if worker.last.get("kind") in ("finished", "failed"):
            return Event(name=worker.name, **worker.last)
        return Event(**{**worker.last, "name": worker.name, "kind": "lost"}, message=_why(status))

    def _release(self, worker: _Worker) -> int:
        """Wait for a worker's end, close the connection and return the exit status."""
        self._selector.unregister(worker.connection)
        try:
            return worker.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            return worker.process.wait()
        finally:
            worker.connection.close()


def _environment() -> dict[str, str]:
    """Return a worker's environment: one thread that sleeps while it waits, and our own modules."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": path}


def _why(status: int) -> str:
    """Return in words how a process ended that said nothing."""
    if status >= 0:
        return f"its process ended with status {status}"
    try:
        return f"its process was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"its process was killed by signal {-status}"
