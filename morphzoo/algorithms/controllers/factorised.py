"""FactorisedController: a categorical distribution of its own for every edge."""

from __future__ import annotations

import torch
from torch import nn

from morphzoo.algorithms.controllers.advantages import Advantages
from morphzoo.algorithms.controllers.controller import Controller
from morphzoo.policies.chromatic import Coloring


class FactorisedController(Controller):
    """Every edge's colour is drawn apart from the others', by logits that REINFORCE moves.

    Minimised: - mean over n of A_n sum over edges of log p_e(c_ne), less the entropy weight times
    the mean entropy of an edge. The gradient with respect to an edge's logits is written down, not
    traced: - mean of A_n (1[c_ne] - p_e).

    Source: REINFORCE (Williams, 1992), as in ENAS (Pham et al., 2018).
    Differs: ENAS draws one decision after another by a recurrent network (`PointerController`). A
        table learns as much of as few returns, and costs a hundredth.

    Args:
        coloring: as for `Controller`.
        learning_rate: of Adam on the logits.
        entropy_weight: of the mean entropy of an edge.
        baseline: "batch" or "ema"; see `Advantages`.
        baseline_decay: of "ema".

    Raises:
        ValueError: if a value is out of range.
    """

    def __init__(
        self,
        coloring: Coloring,
        *,
        learning_rate: float = 0.1,
        entropy_weight: float = 0.0,
        baseline: str = "batch",
        baseline_decay: float = 0.99,
    ) -> None:
        super().__init__(coloring)
        check_rates(learning_rate, entropy_weight)
        self.entropy_weight = entropy_weight
        self.advantages = Advantages(baseline, baseline_decay)
        self.logits = nn.Parameter(torch.zeros(self.num_edges, self.num_colors))
        self.optimizer = torch.optim.Adam([self.logits], lr=learning_rate)

    @torch.no_grad()
    def propose(self, num: int, generator: torch.Generator) -> torch.Tensor:
        """Draw colourings; see `Controller`."""
        probabilities = self.logits.softmax(1)
        return torch.multinomial(probabilities, num, replacement=True, generator=generator).T

    @torch.no_grad()
    def learn(self, colors: torch.Tensor, returns: torch.Tensor) -> dict[str, float]:
        """Take one step; see `Controller`."""
        advantages = self.advantages(returns)
        logs = self.logits.log_softmax(1)
        chosen = torch.zeros_like(logs).scatter_add_(
            1, colors.T, advantages.expand(self.num_edges, -1)
        )
        gain = (chosen - advantages.sum() * logs.exp()) / len(returns)
        entropies = -(logs.exp() * logs).sum(1, keepdim=True)
        # Of an edge's entropy by its logits: - p (log p + H).
        slope = -logs.exp() * (logs + entropies) / self.num_edges
        self.logits.grad = -(gain + self.entropy_weight * slope)
        assert self.optimizer is not None
        self.optimizer.step()
        return {"entropy": float(entropies.mean())}

    def choice(self) -> torch.Tensor:
        """Return each edge's likeliest colour; see `Controller`."""
        return self.logits.detach().argmax(1)


def check_rates(learning_rate: float, entropy_weight: float) -> None:
    """Refuse rates out of range.

    Raises:
        ValueError: naming one.
    """
    if not learning_rate > 0:
        raise ValueError(f"learning_rate of the controller must be above 0, found {learning_rate}")
    if not entropy_weight >= 0:
        raise ValueError(f"entropy_weight must be at least 0, found {entropy_weight}")
