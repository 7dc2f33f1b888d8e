"""EPVF: climbs a value function that reads the policy itself."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import BasePolicy

from morphzoo.algorithms.centres import OPTIMIZERS, Generation
from morphzoo.algorithms.critic_checks import check_critic
from morphzoo.algorithms.critic_log import log_cosine, log_explained, log_shift
from morphzoo.algorithms.epvf_presets import OURS, PAPER
from morphzoo.algorithms.policy_critic import PolicyCritic
from morphzoo.algorithms.policy_replay import PolicyReplay
from morphzoo.algorithms.population import PopulationAlgorithm
from morphzoo.algorithms.streams import BATCHES, CRITIC
from morphzoo.algorithms.targets import TARGETS


class EPVF(PopulationAlgorithm):
    """Actor-critic with an explicit policy-conditioned value function V(theta).

    A generation: M policies are drawn around theta and played; their parameters and returns go into
    the buffer D; K steps fit V by minibatches of N from D; L steps move theta ::

        critic: minimise 1/N sum over n of (t(R_n) - V(theta_n))^2
        policy: maximise V(theta), and hold every parameter within the clip

    where t is the target's transform over all of D. V is the only thing that knows of returns.

    Source: Bohlinger and Peters, "Massively Scaling Explicit Policy-conditioned Value Functions"
        (2025), Algorithm 1 and section 3. Its code was not published.
    Differs: `paper=True` takes what the paper prints: uniform noise of 0.3 |w|, parameters clipped
        to +-0.1, the policy's rate falling from 1e-3 to 1e-7, D and batches of one generation,
        plain returns as target; what it does not print is ours: a 256-256 ReLU critic, K = L = 10,
        Adam, and torch's first values, clipped. Without it the critic is linear, begins as zero in
        each generation and takes one step, after which its gradient is the estimate of `ES`:
        nothing that was tried learned faster (docs/epvf.md).

    Args:
        policy: as for `PopulationAlgorithm`.
        env: likewise.
        learning_rate: of the policy; by default `OURS` or `PAPER`, as `paper` says. So also for all
            that stand there; a keyword that is given counts.
        paper: take the paper's settings where nothing is given.
        batch_size: N; by default M.
        buffer_size: policies in D; by default M, so that all are of the newest generation.
        n_critic_steps: K.
        n_policy_steps: L.
        target: what returns become: a row of `morphzoo.algorithms.targets.TARGETS`.
        target_over: what they are compared with: all of D ("buffer"), or each its own
            "generation", so that V learns nothing from what a generation had over the one before.
        features: what V reads: rows of `morphzoo.algorithms.features.FEATURES` joined by "+", such
            as "theta" (all parameters), "probe" (actions in learned states), "visited" (actions in
            states that this generation has met) or "probe+theta".
        features_kwargs: their keywords, by name, such as {"probe": {"num_probes": 50}}.
        critic_kwargs: `net_arch`, `activation`, `skip` and `zero` of `PolicyCritic`.
        critic_optimizer: "adam" (AdamW) or "sgd", of V and of probing states.
        critic_learning_rate: of V and of probing states.
        critic_weight_decay: of V.
        scale_inputs: how V sees parameters: "none", divided by the clip ("clip"), or less their
            mean over D and divided by their standard deviation over D ("standard").
        reset_critic: begin each generation with a fresh V.
        held_out: share of each generation that V never learns from, to measure it on.
        max_shift: how far a parameter may move in a generation, in standard deviations of its
            noise; 0 for any way.
        **shared: the other keywords of `PopulationAlgorithm`.

    Raises:
        ValueError: as `PopulationAlgorithm`, or if a batch is larger than the buffer.
    """

    curve_columns = PopulationAlgorithm.curve_columns | {
        name: f"train/{name}"
        for name in (
            "explained_variance_held_out",
            "explained_variance_ahead",
            "gradient_cosine",
            "shift",
        )
    }

    settled = PopulationAlgorithm.settled | {
        "critic_optimizer",
        "critic_learning_rate",
        "critic_weight_decay",
    }

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any = None,
        *,
        paper: bool = False,
        batch_size: int | None = None,
        buffer_size: int | None = None,
        n_critic_steps: int | None = None,
        n_policy_steps: int | None = None,
        target: str | None = None,
        target_over: str | None = None,
        features: str = "theta",
        features_kwargs: dict[str, dict[str, Any]] | None = None,
        critic_kwargs: dict[str, Any] | None = None,
        critic_optimizer: str | None = None,
        critic_learning_rate: float = 1e-3,
        critic_weight_decay: float = 0.0,
        scale_inputs: str | None = None,
        reset_critic: bool | None = None,
        held_out: float = 0.0,
        max_shift: float = 0.0,
        _init_setup_model: bool = True,
        **shared: Any,
    ) -> None:
        asked = {
            "learning_rate": learning_rate,
            "target": target,
            "target_over": target_over,
            "scale_inputs": scale_inputs,
            "n_critic_steps": n_critic_steps,
            "n_policy_steps": n_policy_steps,
            "critic_kwargs": critic_kwargs,
            "critic_optimizer": critic_optimizer,
            "reset_critic": reset_critic,
        }
        given = {key: value for key, value in asked.items() if value is not None}
        preset = PAPER if paper else OURS
        settings = {**preset, **given, **shared}
        settings["critic_kwargs"] = {**preset["critic_kwargs"], **(critic_kwargs or {})}
        self.target: str = settings.pop("target")
        self.target_over: str = settings.pop("target_over")
        self.scale_inputs: str = settings.pop("scale_inputs")
        self.n_critic_steps: int = settings.pop("n_critic_steps")
        self.n_policy_steps: int = settings.pop("n_policy_steps")
        self.critic_kwargs: dict[str, Any] = settings.pop("critic_kwargs")
        self.critic_optimizer_name: str = settings.pop("critic_optimizer")
        self.reset_critic: bool = settings.pop("reset_critic")
        self.features = features
        self.features_kwargs = features_kwargs or {}
        self.critic_learning_rate = critic_learning_rate
        self.critic_weight_decay = critic_weight_decay
        self.held_out = held_out
        self.max_shift = max_shift
        super().__init__(policy, env, _init_setup_model=False, **settings)
        self.batch_size = self._learned_from if batch_size is None else batch_size
        least = max(self._learned_from, self.batch_size)
        self.buffer_size = least if buffer_size is None else buffer_size
        if _init_setup_model:
            self._setup_model()

    @property
    def _kept_out(self) -> int:
        """How many policies of a generation V does not learn from; whole pairs of each share."""
        halves = 2 if self.perturbation.antithetic else 1
        pairs = int(self.population_size) // max(self.num_policies, 1) // halves
        return self.num_policies * halves * int(self.held_out * pairs)

    @property
    def _same_features(self) -> bool:
        """Whether every critic step of a generation reads the same features of all of D."""
        learned = any(True for _ in self.critic.features.parameters())
        return not learned and len(self.replay) <= self.batch_size

    @property
    def _learned_from(self) -> int:
        return self.population_size - self._kept_out

    def _check(self) -> None:
        super()._check()
        check_critic(self)

    def _memory(self) -> dict[str, int]:
        row = 4 * self.policy.num_parameters
        return {
            **super()._memory(),
            f"a buffer of {self.buffer_size:,}": row * self.buffer_size,
            f"a batch of {self.batch_size:,}, with its gradient": 3 * row * self.batch_size,
        }

    def _setup_model(self) -> None:
        super()._setup_model()
        self.replay = PolicyReplay(
            self.buffer_size, self.policy.num_parameters, self._learned_from
        ).to(self.device)
        self._build_critic()

    def _build_critic(self) -> None:
        """Make V and its optimizer, with first values that follow from the seed and generation."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.streams.words(self._n_updates, CRITIC, 1)[0]))
            critic = PolicyCritic(
                self.policy, self.features, self.features_kwargs, **self.critic_kwargs
            )
        self.critic = critic.to(self.device)
        self.critic_optimizer = OPTIMIZERS[self.critic_optimizer_name](
            self.critic.parameters(),
            lr=self.critic_learning_rate,
            weight_decay=self.critic_weight_decay,
        )

    def _train(self, generation: Generation) -> None:
        if self._n_updates:  # before V has seen them
            targets = TARGETS[self.target](generation.returns).float()
            log_explained(self, "explained_variance_ahead", generation.thetas, targets)
        learned, kept = self._split(self.centres.shares(generation))
        returns = generation.returns
        if self.target_over == "generation":
            returns = TARGETS[self.target](returns)
        self.replay.add(generation.thetas[learned], returns[learned])
        if self.reset_critic and self._n_updates:
            self._build_critic()
        self._rescale(self.replay.thetas if self.reset_critic else generation.thetas[learned])
        newest = max(self.batch_size, self._learned_from)  # a long buffer would take long
        self.critic.features.visit(generation.states, self.replay.newest(newest))
        everything = torch.cat([self.replay.returns, returns[kept]])
        if self.target_over == "buffer":
            everything = TARGETS[self.target](everything)
        targets = everything.float()
        fitted, unseen = targets[: len(self.replay)], targets[len(self.replay) :]
        self._fit(fitted)
        log_explained(self, "explained_variance", self.replay.newest(newest), fitted[-newest:])
        log_explained(self, "explained_variance_held_out", generation.thetas[kept], unseen)
        log_cosine(self, self.centres.share(generation, self.current))
        self._improve()

    def _split(self, shares: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows to learn from, and the others, bool[M]: whole pairs of each share."""
        halves = 2 if self.perturbation.antithetic else 1
        pairs = [share // halves for share in shares]
        kept = [torch.arange(num) < num - int(self.held_out * num) for num in pairs]
        learned = torch.cat([part.repeat(halves) for part in kept]).to(self.device)
        return learned, ~learned

    def _rescale(self, fresh: torch.Tensor) -> None:
        """Set how V sees parameters; `fresh`, float32[n, P], are those that this V never saw."""
        self.critic.features.update_statistics(fresh)
        if "theta" not in self.features.split("+") or self.scale_inputs == "none":
            return
        theta: Any = self.critic.features.parts["theta"]
        if self.scale_inputs == "clip":
            theta.scale.fill_(1 / self.weight_clip)
        elif len(self.replay) > 1:
            thetas = self.replay.thetas
            std = thetas.std(0)
            theta.shift.copy_(thetas.mean(0))
            theta.scale.copy_(torch.where(std > 0, 1 / std, torch.zeros_like(std)))

    def _fit(self, targets: torch.Tensor) -> None:
        """Take K steps of V towards the targets, float32[n], of the buffer's policies."""
        generator = self._generator(BATCHES)
        losses = []
        features = torch.empty(0)
        for step in range(self.n_critic_steps):
            thetas, rows = self.replay.sample(self.batch_size, generator)
            if step == 0 or not self._same_features:
                features = self.critic.features(thetas)
            loss = (self.critic.value(features) - targets[rows]).square().mean()
            self.critic_optimizer.zero_grad()
            loss.backward()
            self.critic_optimizer.step()
            losses.append(loss.detach())
        self.logger.record("train/value_loss", float(torch.stack(losses).mean()))

    def _improve(self) -> None:
        """Take L steps of the centres up V."""
        thetas = self.centres.thetas
        first = thetas.detach().clone()
        reach = self.max_shift * self.perturbation.std(first)
        for _ in range(self.n_policy_steps):
            thetas.grad = -self.critic.gradient(thetas)
            self.optimizer.step()
            if self.max_shift:
                thetas.data.clamp_(first - reach, first + reach)
            self.centres.clip()
        log_shift(self, first[self.current])

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "critic", "critic_optimizer", "replay"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        names, variables = super()._get_torch_save_params()
        return [*names, "critic", "critic_optimizer", "replay"], variables
