"""PolicyReplay: parameters of policies and the returns that they had, the newest kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

_FIRST = 64  # policies that room is made for at first; it doubles as it fills


class PolicyReplay(nn.Module):
    """A ring of at most `capacity` policies; memory is taken as it fills.

    Its state dict holds the policies that will still be here after the next `add`, so that of a
    buffer as large as a generation holds none.

    Args:
        capacity: policies kept.
        num_parameters: P.
        incoming: policies that every `add` brings.
    """

    anchor: torch.Tensor

    def __init__(self, capacity: int, num_parameters: int, incoming: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.incoming = incoming
        self.register_buffer("anchor", torch.empty(0), persistent=False)  # says which device
        self._thetas = torch.empty(0, num_parameters)
        self._returns = torch.empty(0, dtype=torch.float64)
        self._start = 0
        self._count = 0

    def __len__(self) -> int:
        """Return how many policies there are."""
        return self._count

    @property
    def nbytes(self) -> int:
        """What a full one takes in a state dict (bytes)."""
        row = 4 * self._thetas.shape[1] + self._returns.element_size()
        return max(self.capacity - self.incoming, 0) * row

    @property
    def thetas(self) -> torch.Tensor:
        """All policies `float32[n, P]`, the oldest first."""
        return self._rows(self._thetas, None)

    @property
    def returns(self) -> torch.Tensor:
        """Their returns `float64[n]`."""
        return self._rows(self._returns, None)

    def add(self, thetas: torch.Tensor, returns: torch.Tensor) -> None:
        """Add policies `float32[n, P]` and their returns `float64[n]`; the oldest make room."""
        new = len(returns)
        if not new:
            return
        if new >= self.capacity:
            self._thetas, self._returns = thetas[-self.capacity :], returns[-self.capacity :]
            self._start, self._count = 0, self.capacity
            return
        self._make_room(new)
        room = len(self._returns)
        places = (self._start + self._count + torch.arange(new, device=thetas.device)) % room
        self._thetas[places], self._returns[places] = thetas, returns
        dropped = max(self._count + new - room, 0)
        self._start = (self._start + dropped) % room
        self._count += new - dropped

    def newest(self, num: int) -> torch.Tensor:
        """Return the newest policies, float32[num, P], or all if there are fewer."""
        if num >= self._count:
            return self.thetas
        rows = torch.arange(self._count - num, self._count, device=self._thetas.device)
        return self._rows(self._thetas, rows)

    def sample(
        self, size: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | slice]:
        """Draw policies without replacement.

        Args:
            size: how many; all, in their order, if there are no more.
            generator: on the buffer's device.

        Returns:
            float32[n, P], and which they are, counted from the oldest.
        """
        if size >= self._count:
            return self.thetas, slice(None)
        rows = torch.randperm(self._count, generator=generator, device=self._thetas.device)[:size]
        return self._rows(self._thetas, rows), rows

    def _rows(self, values: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
        """Return some rows, or all, counted from the oldest; a view where that is possible."""
        if rows is None and self._start == 0:  # also where there is nothing
            return values[: self._count]
        if rows is None:
            rows = torch.arange(self._count, device=values.device)
        return values[(self._start + rows) % len(values)]

    def _make_room(self, new: int) -> None:
        """Grow, by doubling, until so many more fit or the capacity is reached."""
        room, needed = len(self._returns), min(self._count + new, self.capacity)
        if needed <= room:
            return
        while room < needed:
            room = min(max(2 * room, _FIRST), self.capacity)
        thetas, returns = self.thetas, self.returns
        device = self.anchor.device
        self._thetas = torch.empty(room, self._thetas.shape[1], device=device)
        self._returns = torch.empty(room, dtype=torch.float64, device=device)
        self._thetas[: self._count], self._returns[: self._count] = thetas, returns
        self._start = 0

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        kept = max(min(self.capacity - self.incoming, self._count), 0)
        destination[f"{prefix}thetas"] = self.thetas[self._count - kept :].clone()
        destination[f"{prefix}returns"] = self.returns[self._count - kept :].clone()

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        self._start = self._count = 0
        self._thetas, self._returns = self._thetas[:0], self._returns[:0]
        device = self.anchor.device
        self.add(state[f"{prefix}thetas"].to(device), state[f"{prefix}returns"].to(device))
