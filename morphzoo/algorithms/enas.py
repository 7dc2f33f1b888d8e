"""ENAS: a search for a colouring and, with the same episodes, for the pool that it shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy

from morphzoo.algorithms.centres import Generation
from morphzoo.algorithms.collecting import LEAST
from morphzoo.algorithms.controllers import JOINT, CatCMAController, make_controller
from morphzoo.algorithms.enas_checks import check_enas
from morphzoo.algorithms.gradients import antithetic, forward_difference, top_directions
from morphzoo.algorithms.population import PopulationAlgorithm
from morphzoo.algorithms.streams import COLORS, EPISODES, EXACT, NOISE
from morphzoo.algorithms.targets import TARGETS
from morphzoo.policies.chromatic import ChromaticBank, ChromaticPolicy, Coloring

#: What learns faster, as far as we know.
OURS: dict[str, Any] = {
    "learning_rate": 0.02,
    "target": "rank",
    "controller": "factorised",
    "exact_evaluations": 0,
    "pair_colors": True,
    "fixed_start": False,
}
#: The released code's settings, with the poster's controller.
PAPER: dict[str, Any] = {
    "learning_rate": 0.01,
    "optimizer": "sgd",
    "population_size": 300,
    "noise_scale": 0.1,
    "target": "standard",
    "controller": "pointer",
    "exact_evaluations": 150,
    "pair_colors": False,
    "fixed_start": True,
    "policy_kwargs": {"normalize": True, "init_std": 1.0, "init_bias": 1.0},
}


class ENAS(PopulationAlgorithm):
    """Alternates a step of the shared weights and a step of what proposes colourings.

    A generation plays pairs of weights w and colouring P, one episode each: M perturbed w + e with
    a proposed P each, and X exact ones, w itself with a P each. With returns R after the target's
    transform, R(w) the mean of the exact ones among them, and noise of variance v ::

        antithetic  g = 2/M sum over pairs of (R+ - R-) / 2 e / v
        forward     g = 1/M sum of (R_m - R(w)) e_m / v
        top b       as in `ES`

    and w follows g. Then the controller learns from the same episodes' plain returns, those of two
    that share weights but for the noise's sign and their colouring averaged. No episode is played
    for it alone. The policy has the colouring that the controller stands for.

    Source: Song et al., "Reinforcement Learning with Chromatic Networks for Compact Architecture
        Search" (2019): the alternation, equation (1) (forward) and the pointer network. `PAPER`:
        the defaults of the code released with its successor, ES-ENAS (2021): pairs, 150
        perturbations and as many exact evaluations, sigma 0.1, a step of 0.01 of plain gradient
        ascent, standardised returns, a colouring for every single episode, one deterministic start.
    Differs: the deterministic start of `PAPER` is one seed for all episodes. Statistics of
        observations are floored and bounded as in `NodeNormalizer`. The released controllers are
        PyGlove's, whose default was never published. `OURS`: pairs share colouring and start,
        ranks, Adam, no exact evaluations, a table in place of the network.

    Args:
        policy: `ChromaticPolicy`, or its alias "MlpPolicy".
        env: as for `PopulationAlgorithm`.
        learning_rate: likewise.
        paper: take `PAPER` where nothing else is given.
        controller: a row of `morphzoo.algorithms.controllers.CONTROLLERS`; or "catcma", which moves
            the weights too, so that rate, target, pairs and `top` play no part.
        controller_kwargs: its keywords.
        exact_evaluations: X.
        pair_colors: whether the two of an antithetic pair have one colouring.
        fixed_start: whether all episodes of the training begin with the same seed.
        target: what returns become for the weights: a row of `TARGETS`.
        antithetic: pairs of opposite noise, or all noise drawn apart.
        top: b, pairs that count; 0 for all.
        policy_kwargs: keywords of the policy.
        **shared: the other keywords of `PopulationAlgorithm`.

    Raises:
        ValueError: as `PopulationAlgorithm`, if the policy's colouring is none that can be
            searched for, or a value is out of range.
    """

    curve_columns = PopulationAlgorithm.curve_columns | {
        "gradient_norm": "train/gradient_norm",
        "controller_entropy": "train/controller_entropy",
        "colors_changed": "train/colors_changed",
        "colors_used": "train/colors_used",
        "exact_return": "train/exact_return",
    }
    settled = PopulationAlgorithm.settled | {
        "controller",
        "controller_kwargs",
        "antithetic",
        "pair_colors",
    }
    policy: ChromaticPolicy
    policy_aliases = {"MlpPolicy": ChromaticPolicy, "ChromaticPolicy": ChromaticPolicy}

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any = None,
        *,
        paper: bool = False,
        controller: str | None = None,
        controller_kwargs: Mapping[str, Any] | None = None,
        exact_evaluations: int | None = None,
        pair_colors: bool | None = None,
        fixed_start: bool | None = None,
        target: str | None = None,
        antithetic: bool = True,
        top: int = 0,
        policy_kwargs: dict[str, Any] | None = None,
        **shared: Any,
    ) -> None:
        asked = {
            "learning_rate": learning_rate,
            "controller": controller,
            "exact_evaluations": exact_evaluations,
            "pair_colors": pair_colors,
            "fixed_start": fixed_start,
            "target": target,
        }
        given = {key: value for key, value in asked.items() if value is not None}
        preset = PAPER if paper else OURS
        shared = {k: v for k, v in shared.items() if v is not None or k not in preset}
        settings = {**preset, **given, **shared}
        settings["policy_kwargs"] = {**preset.get("policy_kwargs", {}), **(policy_kwargs or {})}
        self.controller_name = settings.pop("controller")
        self.controller_kwargs = dict(controller_kwargs or {})
        self.exact_evaluations = settings.pop("exact_evaluations")
        antithetic = antithetic and self.controller_name != JOINT
        if pair_colors and not antithetic:
            raise ValueError("pair_colors=True is for the pairs of antithetic=True, without catcma")
        self._least = 100 if self.controller_name == JOINT else LEAST  # its update is of all
        self.pair_colors = settings.pop("pair_colors") and antithetic
        self.fixed_start = settings.pop("fixed_start")
        self.target = settings.pop("target")
        self.top = top
        self._colors = torch.empty(0)
        super().__init__(policy, env, antithetic=antithetic, **settings)

    def _check(self) -> None:
        super()._check()
        check_enas(self)

    @property
    def _num_played(self) -> int:
        return self.population_size + self.exact_evaluations

    def _memory(self) -> dict[str, int]:
        played = self.population_size + self.exact_evaluations
        edges = len(self.policy.edge_scales)
        return {
            **super()._memory(),
            f"{played:,} colourings of {edges:,} edges": 24 * edges * played,
        }

    def _setup_model(self) -> None:
        super()._setup_model()
        coloring, theta = self.policy.coloring, self.policy.theta
        if self.controller_name == JOINT:
            self.controller: Any = self._joint(coloring, theta)
            self.controller_optimizer = None
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.streams.words(0, COLORS, 1)[0]))
            made = make_controller(self.controller_name, coloring, self.controller_kwargs)
        self.controller = made.to(self.device)
        self.controller_optimizer = self.controller.optimizer

    def _joint(self, coloring: Coloring, theta: torch.Tensor) -> CatCMAController:
        return CatCMAController(coloring, theta, self.perturbation.scale, self.population_size)

    def _new_policy(self) -> ChromaticPolicy:
        policy = super()._new_policy()
        if not isinstance(policy, ChromaticPolicy):
            raise ValueError(
                f"ENAS searches colourings of a ChromaticPolicy, found {type(policy).__name__}: "
                "give ChromaticPolicy or 'MlpPolicy'"
            )
        if policy.actor.kind not in ("chromatic", "kmeans"):
            raise ValueError(
                f"a {policy.actor.kind} colouring is what it is, and no search may change it: give "
                "policy_kwargs={'coloring': 'chromatic'}, or search its pool alone by ES"
            )
        return policy

    def _draw(self) -> tuple[ChromaticBank, torch.Tensor, np.ndarray]:
        """Draw pairs of weights and colouring; the exact ones come last."""
        num, exact = self.population_size, self.exact_evaluations
        if isinstance(self.controller, CatCMAController):
            if not self._drawn:  # as below
                self.controller = self._joint(self.policy.coloring, self.centres.thetas[0].detach())
            seed = int(self.streams.words(self._drawn, COLORS, 1)[0])
            thetas, colors = (x.to(self.device) for x in self.controller.propose_pairs(seed))
            noise = thetas - self.centres.thetas.detach()
            return ChromaticBank(self.policy, thetas, colors), noise, self._seeds()
        if not self._drawn:  # the policy may have been given another one since it was made
            self.controller.start(self.policy.coloring)
        thetas, noise = self.centres.draw(self.perturbation, num, self._generator(NOISE))
        centre = self.centres.thetas.detach()
        thetas = torch.cat([thetas, centre.expand(exact, -1)])
        proposed = num // 2 if self.pair_colors else num
        colors = self.controller.propose(proposed + exact, self._generator(COLORS))
        self._colors = colors
        if self.pair_colors:
            colors = torch.cat([colors[:proposed], colors])
        return ChromaticBank(self.policy, thetas, colors), noise, self._seeds()

    def _seeds(self) -> np.ndarray:
        """Return the seeds of a generation's episodes, int64[M + X]."""
        num, exact = self.population_size, self.exact_evaluations
        if self.fixed_start:
            return np.repeat(self.streams.words(0, EPISODES, 1), num + exact)
        pairs = self.perturbation.antithetic
        seeds = self.streams.episode_seeds(self._drawn, num, 1, pairs)
        return np.concatenate([seeds, self.streams.words(self._drawn, EXACT, exact)])

    def _only(self, generation: Generation, kept: torch.Tensor) -> Generation:
        drawn, exact = kept.tensor_split([self.population_size])
        colored = drawn[: len(drawn) // 2] if self.pair_colors else drawn
        self._colors = self._colors[torch.cat([colored, exact])]
        return super()._only(generation, kept)

    def _train(self, generation: Generation) -> None:
        if isinstance(self.controller, CatCMAController):
            logged = self.controller.learn_pairs(generation.returns)
            self.centres.thetas.data[0] = self.controller.theta()
            self.centres.clip()
            self._recolor(logged)
            return
        gradient = self._gradient(generation)
        self.centres.thetas.grad = -gradient.unsqueeze(0)
        self.optimizer.step()
        self.centres.clip()
        self.logger.record("train/gradient_norm", float(gradient.norm()))
        returns, num = generation.returns, len(generation.noise)
        if len(returns) > num:
            self.logger.record("train/exact_return", float(returns[num:].mean()))
        if self.pair_colors:
            first, second, others = returns.tensor_split([num // 2, num])
            returns = torch.cat([(first + second) / 2, others])
        self._recolor(self.controller.learn(self._colors, returns))

    def _gradient(self, generation: Generation) -> torch.Tensor:
        """Estimate the gradient of the smoothed return with respect to the shared weights."""
        num = len(generation.noise)
        perturbed, exact = generation.returns[:num], generation.returns[num:]
        centre = (exact if len(exact) else perturbed).mean()
        values = TARGETS[self.target](torch.cat([perturbed, centre.unsqueeze(0)]))
        std = self.perturbation.std(self.centres.thetas.detach()[0])
        if not self.perturbation.antithetic:
            gains = values[:num] - values[num]
            return forward_difference(generation.noise, gains, std.square())
        plus, minus = values[:num].chunk(2)
        half = generation.noise[: len(plus)]
        if self.top:
            return top_directions(half, plus, minus, std, min(self.top, len(plus)))
        return antithetic(half, plus, minus, std.square())

    def _recolor(self, logged: dict[str, float]) -> None:
        """Let the policy take the colouring that the controller stands for."""
        for name, value in logged.items():
            self.logger.record(f"train/controller_{name}", value)
        before = self.policy.coloring
        after = before.with_index(self.controller.choice().cpu().numpy())
        self.policy.coloring = after
        self.logger.record("train/colors_changed", float((before.index != after.index).mean()))
        self.logger.record("train/colors_used", after.used_colors)

    def _excluded_save_params(self) -> list[str]:
        ours = ["controller", "controller_optimizer", "_colors"]
        return [*super()._excluded_save_params(), *ours]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        names, others = super()._get_torch_save_params()
        names = [*names, "controller"]
        if self.controller_optimizer is not None:
            names.append("controller_optimizer")
        return names, others
