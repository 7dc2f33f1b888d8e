"""Players: who plays the batches of a generation. Here one after another, elsewhere at once."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch

from morphzoo.algorithms.rollouts import DeviceRows, OnStep, Rows, batches, play_batch
from morphzoo.policies.bank import PolicyBank


class Played(NamedTuple):
    """One episode of each policy of a batch.

    Attributes:
        returns: float64[n].
        lengths: int64[n].
        observed: float64[3, S], what the policy's statistics have seen; see `NodeNormalizer`.
        states: float32[T, O], an observation of each step, of one policy after the other.
    """

    returns: np.ndarray
    lengths: np.ndarray
    observed: np.ndarray
    states: np.ndarray


class Players(Protocol):
    """Whoever plays a generation, batch by batch."""

    @property
    def lost(self) -> int:
        """Processes lost so far."""
        ...

    @property
    def reason(self) -> str:
        """What is known of the last loss, or of why nobody plays."""
        ...

    def play(self, bank: PolicyBank, seeds: np.ndarray, on_step: OnStep) -> list[Played | None]:
        """Play one episode of each policy.

        Args:
            bank: M policies.
            seeds: int64[M], of the episodes.
            on_step: told how many steps were made; False stops everything.

        Returns:
            The batches in the order of the policies, None for each that never came back; an empty
            list if `on_step` stopped them.
        """
        ...

    def close(self) -> None:
        """End all that was started; what is played next begins anew."""
        ...


class Here:
    """Plays in this process, one batch after another.

    Args:
        rows: the environments.
    """

    lost = 0
    reason = "none"

    def __init__(self, rows: Rows | DeviceRows) -> None:
        self.rows = rows

    def play(self, bank: PolicyBank, seeds: np.ndarray, on_step: OnStep) -> list[Played | None]:
        """Play; see `Players`."""
        played: list[Played | None] = []
        for part in batches(len(bank), self.rows.num):
            batch = play_counted(self.rows, bank.take(part), seeds[part], on_step)
            if batch is None:
                return []
            played.append(batch)
        return played

    def close(self) -> None:
        """Nothing was started."""


def play_counted(
    rows: Rows | DeviceRows, bank: PolicyBank, seeds: np.ndarray, on_step: OnStep | None = None
) -> Played | None:
    """Play a batch; what it observes is returned and leaves no trace in the policy.

    So a batch is the same wherever it is played, and statistics do not depend on what was played
    before it: sums of floating-point numbers are in the order of batches.

    Args:
        rows: the environments.
        bank: as many policies as there are rows, or fewer.
        seeds: of their episodes.
        on_step: see `Players.play`.

    Returns:
        The batch, or None if `on_step` stopped it.
    """
    policy = bank.policy
    states: list[torch.Tensor] = []

    def observe(seen: np.ndarray | torch.Tensor) -> None:
        tensor = torch.as_tensor(seen, device=policy.device)
        states.append(tensor[len(states) % len(tensor)].clone())
        policy.observe(tensor)

    try:
        episodes = play_batch(rows, bank, seeds, observe, on_step)
    finally:
        observed = policy.normalizer.withdraw().cpu().numpy()
    if episodes is None:
        return None
    return Played(*episodes, observed, torch.stack(states).cpu().numpy())
