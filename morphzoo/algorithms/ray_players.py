"""RayPlayers: the batches of a generation on a Ray cluster, one actor a core."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from morphzoo.algorithms.crew import News, Supervision
from morphzoo.algorithms.players import Played, play_counted
from morphzoo.algorithms.rollouts import OnStep, Rows, batches
from morphzoo.cluster import ENVIRONMENT, connect, import_ray, last_line
from morphzoo.policies.bank import PolicyBank
from morphzoo.policies.deterministic import DeterministicPolicy

MakeRows = Callable[[], Rows]
MakePolicy = Callable[[], DeterministicPolicy]


class Player:
    """Plays batches in a process of its own; what a Ray actor is."""

    def prepare(self, make_rows: MakeRows, make_policy: MakePolicy) -> None:
        """Make environments and the policies' architecture; act on one thread."""
        torch.set_num_threads(1)
        # What Ray brings lies in memory that nobody may write to; environments write to theirs.
        make_rows, make_policy = copy.deepcopy((make_rows, make_policy))
        self._rows, self._policy = make_rows(), make_policy()
        self._policy.set_training_mode(False)

    def play(
        self,
        bank: type[PolicyBank],
        numbers: tuple[np.ndarray, ...],
        seeds: np.ndarray,
        state: dict[str, np.ndarray],
    ) -> Played | None:
        """Play a batch.

        Args:
            bank: class of the policies' bank.
            numbers: the bank's numbers, as many rows as there are environments, or fewer.
            seeds: of the episodes.
            state: of the architecture: statistics, a colouring.
        """
        own = {name: torch.from_numpy(value.copy()) for name, value in state.items()}
        self._policy.load_state_dict(own, strict=True)
        rows = [torch.from_numpy(values.copy()) for values in numbers]
        return play_counted(self._rows, bank(self._policy, *rows), seeds)


class RayCrew:
    """Actors of a Ray cluster; see `morphzoo.algorithms.crew.Crew`.

    Ray's own restarts are off: the supervision replaces what is lost.

    Args:
        address: a cluster's address, "auto", or "local" to start one here for as long as the crew
            lives.
        workers: how many at once; None: one a core of the cluster.
        making: what makes environments and the policies' architecture.

    Raises:
        ImportError: if Ray is not installed.
        OSError: if the cluster cannot be reached.
        ValueError: if the environment cannot be sent to other processes.
    """

    def __init__(
        self, address: str, workers: int | None, making: tuple[MakeRows, MakePolicy]
    ) -> None:
        self._started = 0
        self._actors: dict[int, Any] = {}
        self._awaited: dict[Any, tuple[int, str]] = {}
        self._ray = ray = import_ray()
        self._mine = connect(ray, address, workers)
        self.size = workers or max(int(ray.cluster_resources().get("CPU", 1)), 1)
        try:
            self._making = [ray.put(make) for make in making]
        except (TypeError, AttributeError, NotImplementedError) as error:
            self.close()
            raise ValueError(
                f"this environment cannot be sent to other processes ({last_line(error)}): give "
                "one of make_vec_env or gymnasium.make, or leave ray out"
            ) from error
        self._actor = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(Player).options(
            runtime_env={"env_vars": ENVIRONMENT}
        )

    def open(self, bank: PolicyBank, seeds: np.ndarray, parts: list[slice]) -> None:
        """Take the batches that are to be played.

        Args:
            bank: the policies.
            seeds: of their episodes.
            parts: which policies each batch has.
        """
        state = {name: value.cpu().numpy() for name, value in bank.policy.state_dict().items()}
        self._state = self._ray.put(state)
        numbers = [values.detach().cpu().numpy() for values in bank.numbers]
        self._batches = [
            (type(bank), tuple(values[part] for values in numbers), seeds[part]) for part in parts
        ]

    def start(self) -> int:
        """Ask Ray for an actor; see `Crew`."""
        self._started += 1
        actor = self._actors[self._started] = self._actor.remote()
        self._awaited[actor.prepare.remote(*self._making)] = self._started, "ready"
        return self._started

    def send(self, worker: int, batch: int) -> None:
        """Let an actor play; see `Crew`."""
        reference = self._actors[worker].play.remote(*self._batches[batch], self._state)
        self._awaited[reference] = worker, "played"

    def wait(self, seconds: float) -> list[News]:
        """Return what has ended; see `Crew`.

        Raises:
            Exception: what an environment or a policy raised: it would come again.
            OSError: if the cluster is gone.
        """
        try:
            ended, _ = self._ray.wait(list(self._awaited), timeout=seconds)
        except self._ray.exceptions.RayError as error:
            raise OSError(
                f"the Ray cluster is gone ({last_line(error)}); start it and continue from the "
                "last saved state"
            ) from error
        return [self._news(reference) for reference in ended]

    def _news(self, reference: Any) -> News:
        """Return how a call of an actor ended."""
        worker, kind = self._awaited.pop(reference)
        try:
            return News(worker, kind, self._ray.get(reference))
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            self._actors.pop(worker)
            return News(worker, "lost", message=f"{type(error).__name__}: {last_line(error)}")

    def stop(self, worker: int) -> None:
        """Kill an actor; see `Crew`."""
        self._awaited = {ref: who for ref, who in self._awaited.items() if who[0] != worker}
        self._ray.kill(self._actors.pop(worker))

    def close(self) -> None:
        """Kill all actors, and disconnect from a cluster that was joined by this crew."""
        for worker in list(self._actors):
            self.stop(worker)
        if self._mine:
            self._ray.shutdown()


class RayPlayers:
    """Plays generations on a Ray cluster; see `morphzoo.algorithms.players.Players`.

    A batch is played as `Here` plays it in an environment of as many rows, bit for bit on the same
    kind of processor: on one thread, with random numbers that follow from its own seeds. So neither
    the number of workers nor their losses change what is learned, unless batches never come back.

    Args:
        address: see `RayCrew`; the cluster is joined when the first batch is to be played.
        workers: likewise.
        making: likewise.
        num_rows: rows of these environments.
        retries: see `Supervision`.
        seconds: likewise (s).
    """

    def __init__(
        self,
        address: str,
        workers: int | None,
        making: tuple[MakeRows, MakePolicy],
        num_rows: int,
        *,
        retries: int = 3,
        seconds: float = 600.0,
    ) -> None:
        self._settings = address, workers, making
        self._limits = retries, seconds
        self._num_rows = num_rows
        self._crew: RayCrew | None = None
        self._supervision: Supervision | None = None
        self._before = 0, "none"  # lost, and why, until the last `close`

    @property
    def lost(self) -> int:
        """Workers lost so far."""
        return self._before[0] + (self._supervision.lost if self._supervision else 0)

    @property
    def reason(self) -> str:
        """What is known of the last loss."""
        return (self._supervision.reason if self._supervision else "") or self._before[1]

    def play(self, bank: PolicyBank, seeds: np.ndarray, on_step: OnStep) -> list[Played | None]:
        """Play; see `Players`. `on_step` is called whenever a batch has come back."""
        if self._crew is None or self._supervision is None:
            self._crew = RayCrew(*self._settings)
            self._supervision = Supervision(self._crew, *self._limits)
        parts = batches(len(bank), self._num_rows)
        self._crew.open(bank, seeds, parts)
        return self._supervision.play(len(parts), lambda batch: on_step(int(batch.lengths.sum())))

    def close(self) -> None:
        """End the workers; what is played next asks for new ones."""
        if self._crew is not None:
            self._crew.close()
            self._before = self.lost, self.reason
        self._crew = self._supervision = None
