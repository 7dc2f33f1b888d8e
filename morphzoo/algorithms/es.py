"""ES: evolution strategies, the baseline that learns from returns without a critic."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import BasePolicy

from morphzoo.algorithms.centres import Generation
from morphzoo.algorithms.gradients import antithetic, forward_difference, top_directions
from morphzoo.algorithms.population import PopulationAlgorithm
from morphzoo.algorithms.targets import TARGETS


class ES(PopulationAlgorithm):
    """Climbs the expected return of a perturbed policy, estimated from the perturbations' returns.

    With noise e_m of variance v a parameter, and returns R_m after the target's transform ::

        forward     g = 1/M sum of (R_m - mean R) e_m / v
        antithetic  g = 2/M sum over pairs of (R+ - R-) / 2 e / v
        top b       g = 1/(b sigma_R) sum over the b best pairs of (R+ - R-) e / sqrt(v)

    and theta follows g by the optimizer.

    Source: forward and antithetic: Salimans et al., "Evolution Strategies as a Scalable Alternative
        to Reinforcement Learning" (2017). Top b: augmented random search, Mania et al. (2018),
        whose own settings are `hidden_sizes=[]`, `normalize=True`, `target="none"` and "sgd".
    Differs: forward takes the mean return as its baseline in place of the unperturbed policy's,
        whose episode it saves. Noise may be uniform or relative, as in EPVF.

    Args:
        policy: as for `PopulationAlgorithm`.
        env: likewise.
        learning_rate: likewise.
        target: what returns become first: a row of `morphzoo.algorithms.targets.TARGETS`.
        antithetic: pairs of opposite noise (antithetic), or all noise drawn apart (forward).
        top: b, pairs that count; 0 for all.
        **shared: the other keywords of `PopulationAlgorithm`.

    Raises:
        ValueError: as `PopulationAlgorithm`, or if `top` asks for more pairs than there are.
    """

    curve_columns = PopulationAlgorithm.curve_columns | {"gradient_norm": "train/gradient_norm"}

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any = 0.02,
        *,
        target: str = "rank",
        antithetic: bool = True,
        top: int = 0,
        **shared: Any,
    ) -> None:
        self.target = target
        self.top = top
        super().__init__(policy, env, learning_rate, antithetic=antithetic, **shared)

    def _check(self) -> None:
        super()._check()
        if self.target not in TARGETS:
            raise ValueError(f"target: expected one of {list(TARGETS)}, found {self.target!r}")
        share = self.population_size // self.num_policies
        if share < 2:
            raise ValueError(
                f"one policy has nothing to be compared with: population_size / num_policies must "
                f"be at least 2, found {share}"
            )
        pairs = share // 2 if self.perturbation.antithetic else 0
        if not 0 <= self.top <= pairs:
            raise ValueError(f"top must be 0 to {pairs}, the number of pairs, found {self.top}")

    def _train(self, generation: Generation) -> None:
        values = TARGETS[self.target](generation.returns)
        shaped = generation._replace(returns=values)
        gradient = torch.stack(
            [
                self._gradient(theta, self.centres.share(shaped, i))
                for i, theta in enumerate(self.centres.thetas.detach())
            ]
        )
        self.centres.thetas.grad = -gradient
        self.optimizer.step()
        self.centres.clip()
        self.logger.record("train/gradient_norm", float(gradient[self.current].norm()))

    def _gradient(self, theta: torch.Tensor, generation: Generation) -> torch.Tensor:
        """Estimate one centre's gradient from its own perturbations."""
        std, values = self.perturbation.std(theta), generation.returns
        if not self.perturbation.antithetic:
            return forward_difference(generation.noise, values - values.mean(), std.square())
        plus, minus = values.chunk(2)
        half = generation.noise[: len(plus)]
        if self.top:
            return top_directions(half, plus, minus, std, min(self.top, len(plus)))
        return antithetic(half, plus, minus, std.square())
