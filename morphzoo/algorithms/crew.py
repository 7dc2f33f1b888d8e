"""Crew: workers that play batches elsewhere, and the supervision that no lost one stops."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from morphzoo.algorithms.players import Played

_GLANCE = 0.5  # between two looks at the clock, where nothing happens (s)
_START = 600.0  # for some worker to be ready, where there is none (s)


@dataclass(frozen=True)
class News:
    """News of a worker.

    Attributes:
        worker: its number.
        kind: "ready", to be sent a batch; "played", with the batch; or "lost", and not heard of
            again.
        played: the batch.
        message: how it was lost.
    """

    worker: int
    kind: str
    played: Played | None = None
    message: str = ""


class Crew(Protocol):
    """Workers somewhere.

    Attributes:
        size: how many there may be at once.
    """

    size: int

    def start(self) -> int:
        """Ask for a worker and return its number; it says when it is ready."""
        ...

    def send(self, worker: int, batch: int) -> None:
        """Let a worker that is ready, or has played, play a batch."""
        ...

    def wait(self, seconds: float) -> list[News]:
        """Return the news, after so many seconds (s) at most; some worker must be awaited."""
        ...

    def stop(self, worker: int) -> None:
        """End a worker, whatever it does; nothing more is heard of it."""
        ...


class Supervision:
    """Has batches played by a crew, each once: who plays which, and when, does not matter.

    A lost worker is replaced, and what it was playing is played again elsewhere.

    Args:
        crew: the workers; they stay from one generation to the next.
        retries: how often a batch is played again before it is given up.
        seconds: time in which a worker must have played a batch (s).

    Attributes:
        lost: workers lost so far.
        reason: of the last loss; empty where there was none.
    """

    def __init__(self, crew: Crew, retries: int, seconds: float) -> None:
        self.crew = crew
        self.retries = retries
        self.seconds = seconds
        self.lost = 0
        self.reason = ""
        self._starting: set[int] = set()
        self._idle: deque[int] = deque()
        self._busy: dict[int, tuple[int, float]] = {}  # worker -> batch, since when

    def play(self, num: int, on_batch: Callable[[Played], bool]) -> list[Played | None]:
        """Have `num` batches played.

        Args:
            num: how many; the crew knows them by their numbers.
            on_batch: told of each that has come back; False stops everything.

        Returns:
            Each batch, None for one that never came back; an empty list if `on_batch` stopped them.
        """
        played: list[Played | None] = [None] * num
        self._waiting = deque(range(num))
        self._losses = [0] * num
        self._failed_starts = 0
        self._quiet_since = time.monotonic()
        while self._waiting or self._busy:
            self._staff()
            if not self._busy and not self._anyone_comes():
                break
            for news in self.crew.wait(_GLANCE):
                self._quiet_since = time.monotonic()
                batch = self._note(news)
                if batch is not None and news.played is not None:
                    played[batch] = news.played
                    if not on_batch(news.played):
                        return []
            self._stop_overdue()
        return played

    def _staff(self) -> None:
        """Let the idle play what waits, and ask for more workers where they are missing."""
        while self._waiting and self._idle:
            worker, batch = self._idle.popleft(), self._waiting.popleft()
            self._busy[worker] = batch, time.monotonic()
            self.crew.send(worker, batch)
        there = len(self._starting) + len(self._idle) + len(self._busy)
        wanted = min(self.crew.size - there, len(self._waiting) - len(self._starting))
        allowed = (self.retries + 1) * self.crew.size - self._failed_starts
        for _ in range(min(wanted, allowed - len(self._starting))):
            self._starting.add(self.crew.start())

    def _anyone_comes(self) -> bool:
        """Return whether, where nobody plays, somebody may still begin to."""
        if self._starting and time.monotonic() - self._quiet_since > _START:
            self.reason = f"no worker could start within {_START:g} s: is a core free?"
            return False
        return bool(self._starting)

    def _note(self, news: News) -> int | None:
        """Take news in; return the batch that it is about."""
        batch, _ = self._busy.pop(news.worker, (None, 0.0))
        started = news.worker not in self._starting
        self._starting.discard(news.worker)
        if news.kind != "lost":
            self._idle.append(news.worker)
            return batch
        self.lost += 1
        self.reason = news.message
        self._failed_starts += not started
        if batch is not None:
            self._losses[batch] += 1
            if self._losses[batch] <= self.retries:
                self._waiting.appendleft(batch)
        return batch

    def _stop_overdue(self) -> None:
        """Give up workers that take too long: their machine may be gone, or they hang."""
        now = time.monotonic()
        for worker in [w for w, (_, since) in self._busy.items() if now - since > self.seconds]:
            self.crew.stop(worker)
            self._note(News(worker, "lost", message=f"no answer within {self.seconds:g} s"))
