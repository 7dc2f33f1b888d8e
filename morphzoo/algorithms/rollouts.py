"""One episode of each of many policies, side by side: returns and lengths, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from morphzoo.policies.bank import PolicyBank

#: Called after each step with how many policies took it; False stops everything.
OnStep = Callable[[int], bool]
#: Called before each step with the observations float32[n, O] of the policies still in play: an
#: array, or a tensor where they are on a device.
Observe = Callable[[Any], None]

_IDLE = 0.1  # share of a bank's rows that may be done before the others are gathered anew


class Episodes(NamedTuple):
    """One episode a policy.

    Attributes:
        returns: float64[M], undiscounted sums of rewards up to the first end.
        lengths: int64[M], steps up to there.
    """

    returns: np.ndarray
    lengths: np.ndarray


class Rows(Protocol):
    """A number of environments that step together; see `morphzoo.algorithms.stages`.

    Attributes:
        num: how many there are.
    """

    num: int

    def elsewhere(self) -> Callable[[], Rows]:
        """Return what makes as many such rows in another process, to which it can be sent."""
        ...

    def begin(self, seeds: np.ndarray) -> np.ndarray:
        """Start an episode in each of the first rows.

        Args:
            seeds: int64[n], one for each row, n <= num.

        Returns:
            float32[n, O], the first observations.
        """
        ...

    def step(
        self, ids: np.ndarray, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance some rows.

        Args:
            ids: int64[n], ascending; rows of the last `begin` that are not done.
            actions: one for each of them.

        Returns:
            Observations float32[n, O], rewards float[n], and bool[n]: terminated or truncated.
        """
        ...


@runtime_checkable
class DeviceRows(Protocol):
    """Environments that step together on a device: nothing but tensors of it, done or not.

    Attributes:
        num: how many there are.
        device: where, as the parameters of the policies are.
    """

    num: int
    device: torch.device

    def begin(self, seeds: np.ndarray) -> torch.Tensor:
        """Start an episode in each of the first rows; see `Rows.begin`."""
        ...

    def step(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Advance all rows of the last `begin`, those that are done too.

        Args:
            actions: one for each of them.

        Returns:
            Observations float32[n, O], rewards float[n], and bool[n]: terminated or truncated. What
            a row gives after its first end is not used.
        """
        ...

    def finish(self) -> None:
        """Look back when all are done; raise RuntimeError where the episodes cannot be trusted."""
        ...


def play(
    rows: Rows | DeviceRows,
    bank: PolicyBank,
    seeds: np.ndarray,
    *,
    observe: Observe | None = None,
    on_step: OnStep | None = None,
) -> Episodes | None:
    """Play one episode of each policy of a bank; of more policies than rows, one batch at a time.

    A policy is out of play after its first end: it is not simulated further, and what comes after
    does not count. On a device it is simulated on, for nothing: that is cheaper there than to sort
    out who is.

    Args:
        rows: the environments.
        bank: M policies.
        seeds: int64[M], of the episodes.
        observe: sees every observation that is acted on.
        on_step: told of every step.

    Returns:
        The episodes, or None if `on_step` stopped them.

    Raises:
        ValueError: if a policy in play does something that is no finite number.
    """
    returns, lengths = np.zeros(len(bank)), np.zeros(len(bank), dtype=np.int64)
    for part in batches(len(bank), rows.num):
        played = play_batch(rows, bank.take(part), seeds[part], observe, on_step)
        if played is None:
            return None
        returns[part], lengths[part] = played
    return Episodes(returns, lengths)


def batches(num: int, rows: int) -> list[slice]:
    """Return which policies are played side by side: as many as there are rows, or fewer."""
    return [slice(start, min(start + rows, num)) for start in range(0, num, rows)]


def play_batch(
    rows: Rows | DeviceRows,
    bank: PolicyBank,
    seeds: np.ndarray,
    observe: Observe | None = None,
    on_step: OnStep | None = None,
) -> Episodes | None:
    """Play as many policies as there are rows, or fewer; see `play`."""
    if isinstance(rows, DeviceRows):
        return _play_on_device(rows, bank, seeds, observe, on_step)
    returns, lengths = np.zeros(len(bank)), np.zeros(len(bank), dtype=np.int64)
    observations = rows.begin(seeds)
    ids = np.arange(len(bank))  # row of each policy in the bank, which shrinks
    alive = np.ones(len(bank), dtype=bool)
    while alive.any():
        if observe is not None:
            observe(observations[alive])
        actions = bank.act(observations)
        moving = ids[alive]
        observations[alive], rewards, done = rows.step(moving, actions[alive])
        returns[moving] += rewards
        lengths[moving] += 1
        if on_step is not None and not on_step(len(moving)):
            return None
        if done.any():
            alive[np.flatnonzero(alive)[done]] = False
            if np.count_nonzero(~alive) > _IDLE * len(alive) and alive.any():
                bank, ids, observations = bank.take(alive), ids[alive], observations[alive]
                alive = np.ones(len(ids), dtype=bool)
    return Episodes(returns, lengths)


@torch.no_grad()
def _play_on_device(
    rows: DeviceRows,
    bank: PolicyBank,
    seeds: np.ndarray,
    observe: Observe | None,
    on_step: OnStep | None,
) -> Episodes | None:
    """Play as many policies as there are rows, or fewer; a step waits for two numbers."""
    returns = torch.zeros(len(bank), dtype=torch.float64, device=rows.device)
    lengths = torch.zeros(len(bank), dtype=torch.int64, device=rows.device)
    alive = torch.ones(len(bank), dtype=torch.bool, device=rows.device)
    observations, moving = rows.begin(seeds), len(bank)
    while moving:
        if observe is not None:
            observe(observations if moving == len(bank) else observations[alive])
        actions = bank.act(observations)
        observations, rewards, done = rows.step(actions)
        returns += torch.where(alive, rewards, torch.zeros_like(rewards))
        lengths += alive
        broken = alive & ~actions.reshape(len(bank), -1).isfinite().all(1)
        alive = alive & ~done
        stepped = moving
        moving, bad = torch.stack([alive.sum(), broken.sum()]).tolist()
        if bad:
            raise ValueError(
                f"{bad} of {stepped} policies acted by NaN or infinity: look for parameters that "
                "have grown out of bounds, and make noise_scale or the learning rate smaller"
            )
        if on_step is not None and not on_step(stepped):
            return None
    rows.finish()
    return Episodes(returns.cpu().numpy(), lengths.cpu().numpy())
