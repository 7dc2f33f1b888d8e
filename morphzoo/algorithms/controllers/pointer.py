"""PointerController: a recurrent network that colours one edge after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from morphzoo.algorithms.controllers.advantages import Advantages
from morphzoo.algorithms.controllers.controller import Controller
from morphzoo.algorithms.controllers.factorised import check_rates
from morphzoo.policies.chromatic import Coloring
from morphzoo.policies.chromatic.coloring import layer_shapes

ATTENTIONS = ("additive", "dot")


class PointerController(Controller):
    """An LSTM reads the colour before and the place of an edge, and points at the next colour.

    With h_t the state at edge t and c_j a learned vector a colour, the logits over colours j are ::

        additive  v . tanh(W1 c_j + W2 h_t)
        dot       c_j . W2 h_t / sqrt(H)

    over the temperature. Colourings are drawn without a gradient, edge after edge; their
    probabilities are then computed again by one pass over whole sequences, some colourings at a
    time, through which REINFORCE goes.

    Source: a pointer network (Vinyals et al., 2015) as controller: Song et al. (2019). Additive
        attention: ENAS's code. Size 64, Adam at 0.001, an entropy weight of 0.3, a baseline that
        is a running mean of decay 0.99, temperature 1: as we recall the paper's appendix, which
        we could not look up.
    Differs: entropy is a mean over edges, not a sum. Embeddings of an edge's layer, row and column
        are ours: without them the network would have to count.

    Args:
        coloring: as for `Controller`.
        size: H.
        attention: "additive" or "dot", which is several times as fast.
        temperature: of the softmax.
        learning_rate: of Adam.
        entropy_weight: of the mean entropy of an edge.
        baseline: "batch" or "ema"; see `Advantages`.
        baseline_decay: of "ema".
        chunk: colourings that are computed again at a time.

    Raises:
        ValueError: if a value is out of range.
    """

    place: torch.Tensor

    def __init__(
        self,
        coloring: Coloring,
        *,
        size: int = 64,
        attention: str = "additive",
        temperature: float = 1.0,
        learning_rate: float = 1e-3,
        entropy_weight: float = 0.3,
        baseline: str = "ema",
        baseline_decay: float = 0.99,
        chunk: int = 25,
    ) -> None:
        super().__init__(coloring)
        check_rates(learning_rate, entropy_weight)
        if attention not in ATTENTIONS:
            raise ValueError(f"attention: expected one of {list(ATTENTIONS)}, found {attention!r}")
        if size < 1 or chunk < 1 or not temperature > 0:
            raise ValueError(
                f"size, chunk and temperature must be above 0, found {size}, {chunk} and "
                f"{temperature}"
            )
        self.attention, self.temperature, self.chunk = attention, temperature, chunk
        self.entropy_weight = entropy_weight
        self.advantages = Advantages(baseline, baseline_decay)
        places = places_of(coloring)
        self.register_buffer("place", torch.from_numpy(places), persistent=False)
        self.places = nn.ModuleList(nn.Embedding(int(n), size) for n in places.max(0) + 1)
        self.before = nn.Embedding(self.num_colors + 1, size)  # the last: before the first edge
        self.lstm = nn.LSTM(size, size, batch_first=True)
        self.colors = nn.Parameter(torch.randn(self.num_colors, size) / size**0.5)
        self.key, self.query = (nn.Linear(size, size, bias=False) for _ in range(2))
        self.point = nn.Linear(size, 1, bias=False)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)

    def _at_places(self) -> torch.Tensor:
        """What each edge's place adds to the input, float32[E, H]."""
        parts = [table(self.place[:, axis]) for axis, table in enumerate(self.places)]
        return torch.stack(parts).sum(0)

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        """Logits float32[..., m] at states float32[..., H]."""
        query = self.query(states)
        if self.attention == "dot":
            logits = query @ self.colors.T / query.shape[-1] ** 0.5
        else:
            logits = self.point((self.key(self.colors) + query.unsqueeze(-2)).tanh()).squeeze(-1)
        return logits / self.temperature

    @torch.no_grad()
    def _decode(self, num: int, generator: torch.Generator | None) -> torch.Tensor:
        """Colour edge after edge, at random or, without a generator, by the largest logit."""
        at_places = self._at_places()
        chosen = torch.full((num,), self.num_colors, device=self.place.device)
        state: Any = None
        columns = []
        for edge in range(self.num_edges):
            inputs = (self.before(chosen) + at_places[edge]).unsqueeze(1)
            output, state = self.lstm(inputs, state)
            logits = self._logits(output[:, 0])
            if generator is None:
                chosen = logits.argmax(1)
            else:
                chosen = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
            columns.append(chosen)
        return torch.stack(columns, dim=1)

    def propose(self, num: int, generator: torch.Generator) -> torch.Tensor:
        """Draw colourings; see `Controller`."""
        return self._decode(num, generator)

    def choice(self) -> torch.Tensor:
        """Return the colouring of the largest logits, edge after edge; see `Controller`."""
        return self._decode(1, None)[0]

    def scores(self, colors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute how likely colourings are, in one pass over all edges.

        Args:
            colors: int64[n, E].

        Returns:
            Log probabilities float32[n], and the mean entropy of an edge float32[n].
        """
        first = torch.full_like(colors[:, :1], self.num_colors)
        before = torch.cat([first, colors[:, :-1]], dim=1)
        states, _ = self.lstm(self.before(before) + self._at_places())
        logs = self._logits(states).log_softmax(-1)
        chosen = logs.gather(2, colors.unsqueeze(2)).squeeze(2)
        return chosen.sum(1), -(logs.exp() * logs).sum(2).mean(1)

    def learn(self, colors: torch.Tensor, returns: torch.Tensor) -> dict[str, float]:
        """Take one step; see `Controller`."""
        advantages = self.advantages(returns)
        assert self.optimizer is not None
        self.optimizer.zero_grad()
        total = 0.0
        for start in range(0, len(colors), self.chunk):
            part = slice(start, start + self.chunk)
            likely, entropies = self.scores(colors[part])
            loss = -(advantages[part] * likely).sum() - self.entropy_weight * entropies.sum()
            (loss / len(colors)).backward()
            total += float(entropies.detach().sum())
        self.optimizer.step()
        return {"entropy": total / len(colors)}


def places_of(coloring: Coloring) -> np.ndarray:
    """Return layer, row and column of every edge, int64[E, 3]."""
    parts = [
        np.stack(np.broadcast_arrays(layer, *np.indices(shape)), axis=-1).reshape(-1, 3)
        for layer, shape in enumerate(layer_shapes(coloring.sizes))
    ]
    return np.concatenate(parts)
