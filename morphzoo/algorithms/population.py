"""What all algorithms share that try whole policies: perturb, play one episode each, learn."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy

from morphzoo.algorithms.centres import OPTIMIZERS, Centres, Generation
from morphzoo.algorithms.collecting import LEAST, collect
from morphzoo.algorithms.evaluation import evaluate_unperturbed
from morphzoo.algorithms.generation_log import log_rollout, log_weights
from morphzoo.algorithms.perturbations import Perturbation
from morphzoo.algorithms.placing import check_ray, check_room, place
from morphzoo.algorithms.population_checks import check_population
from morphzoo.algorithms.saved_search import SavedSearch
from morphzoo.algorithms.steps_bar import with_steps_bar
from morphzoo.algorithms.streams import NOISE, Streams
from morphzoo.policies.bank import PolicyBank
from morphzoo.policies.chromatic import ChromaticPolicy
from morphzoo.policies.deterministic import DeterministicPolicy


class PopulationAlgorithm(SavedSearch):
    """Plays one episode each of M perturbed policies, learns from their returns, and again.

    A subclass writes `_train`. Returns are undiscounted. Everything random follows from `seed` and
    the number of the generation, so a saved model goes on bit for bit; one that is saved in the
    middle of a generation begins that generation anew.

    ``num_timesteps`` counts the steps of perturbed policies in play, evaluations apart, as with
    Stable-Baselines3's `EvalCallback`. ``learn`` ends with the first whole generation that reaches
    ``total_timesteps``. Callbacks are called at each step of all policies together.

    Args:
        policy: `DeterministicPolicy`, or its alias "MlpPolicy".
        env: an environment or its id; one of ours of `make_vec_env` plays as many policies side by
            side as it has rows. See `morphzoo.algorithms.stages.rows_of`.
        learning_rate: of the policy, or a schedule of it by remaining progress.
        population_size: M; by default the number of environments, and played in batches of it.
        num_policies: policies that are improved side by side, each by its share of M. ``policy``
            is the one whose perturbations did best.
        noise: "gaussian" or "uniform"; these eight are those of `Perturbation`.
        noise_scale: its width.
        noise_scale_end: the width at the end of training, reached in a straight line.
        noise_hold: share of the training before it begins to move.
        noise_relative: whether the width is a share of each parameter's size.
        noise_floor: size that a parameter counts for at least, if it is.
        noise_clip: largest noise of a parameter, 0 for any.
        antithetic: whether policies come in pairs of opposite noise, with the same start.
        weight_clip: largest size of a parameter, held after each step of the policy; 0 for any.
        optimizer: "adam" (AdamW) or "sgd".
        weight_decay: of the policy's parameters, apart from the gradient.
        evaluate_every: generations between evaluations of the unperturbed policy; 0 for none.
        evaluate_episodes: episodes of one.
        ray: None plays in this process; the address of a Ray cluster, "auto", or "local" for one
            that is started here, plays the batches of a generation there.
        workers: batches played there at once; by default one a core of the cluster.
        ray_kwargs: `retries` and `seconds` of `Supervision`.
        policy_kwargs: keywords of the policy.
        stats_window_size: episodes that rollout/ep_rew_mean is of; by default M, at least 100.
        tensorboard_log: folder for TensorBoard, or None.
        verbose: 1 prints the log.
        seed: of everything random; None draws one.
        device: of parameters and critic.
        backend: "mujoco" simulates on the CPU; "warp" our environments on the device.

    Attributes:
        centres: what generations are drawn around; `policy` is row `current`.

    Raises:
        ValueError: if a value is out of range, episodes have no time limit, or the population does
            not fit into memory.
        ImportError: if `ray` is given and Ray is not installed.
    """

    #: Column of a training curve -> name in the log.
    curve_columns: ClassVar[dict[str, str]] = {
        "unperturbed_return": "eval/mean_reward",
        "weight_mean_abs": "train/weight_mean_abs",
        "weight_clip_share": "train/weight_clip_share",
    }
    #: Plain numbers that a training goes on with, besides Stable-Baselines3's counters.
    state_attributes = ("current", "discarded")
    _least = LEAST
    policy_aliases = {
        "MlpPolicy": DeterministicPolicy,
        "DeterministicPolicy": DeterministicPolicy,
        "ChromaticPolicy": ChromaticPolicy,
    }

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any,
        *,
        population_size: int | None = None,
        num_policies: int = 1,
        noise: str = "gaussian",
        noise_scale: float = 0.05,
        noise_scale_end: float | None = None,
        noise_hold: float = 0.0,
        noise_relative: bool = False,
        noise_floor: float = 0.0,
        noise_clip: float = 0.0,
        antithetic: bool = False,
        weight_clip: float = 0.0,
        optimizer: str = "adam",
        weight_decay: float = 0.0,
        evaluate_every: int = 1,
        evaluate_episodes: int = 1,
        ray: str | None = None,
        workers: int | None = None,
        ray_kwargs: dict[str, Any] | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        stats_window_size: int | None = None,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        backend: str = "mujoco",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            learning_rate,
            policy_kwargs=policy_kwargs,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
            supported_action_spaces=(spaces.Box, spaces.Discrete),
        )
        default = 1 if env is None else self.n_envs
        self.population_size = default if population_size is None else population_size
        self._stats_window_size = stats_window_size or max(100, self.population_size)
        self.num_policies, self.optimizer_name = num_policies, optimizer
        shape = noise_relative, noise_floor, noise_clip, antithetic, noise_scale_end, noise_hold
        self.perturbation = Perturbation(noise, noise_scale, *shape)
        self.weight_clip, self.weight_decay = weight_clip, weight_decay
        self.evaluate_every, self.evaluate_episodes = evaluate_every, evaluate_episodes
        self.ray, self.workers, self.ray_kwargs = ray, workers, ray_kwargs or {}
        self.current = self.discarded = self.discarded_in_a_row = self.unfinished = 0
        self.backend = backend
        self.streams = Streams(seed)
        if _init_setup_model:
            self._setup_model()

    @abstractmethod
    def _train(self, generation: Generation) -> None:
        """Improve the centres by what a generation returned, and log under train/."""

    def _check(self) -> None:
        """Refuse values that do not fit each other."""
        check_population(self)
        check_ray(self)

    @property
    def _num_played(self) -> int:
        """How many policies a generation plays."""
        return self.population_size

    def _memory(self) -> dict[str, int]:
        """Say what is kept at once, by name (bytes)."""
        row = 4 * self.policy.num_parameters
        return {
            f"{self.population_size:,} policies of {self.policy.num_parameters:,} parameters, with "
            "their noise": 3 * row * self.population_size,
            "centres with their optimizer": 4 * row * self.num_policies,
        }

    def _setup_model(self) -> None:
        """Check, build the policy and the centres, and find the rows to play on."""
        changes = self.__dict__.pop("noise_changes", {})  # of `load`
        self.perturbation = replace(self.perturbation, **changes)
        self._check()
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        self.policy = self._new_policy().to(self.device)
        check_room(self)
        others = [self._new_policy().theta for _ in range(self.num_policies - 1)]
        thetas = torch.stack([self.policy.theta, *others]).to(self.device)
        self.centres = Centres(thetas, self.weight_clip)
        self.policy.theta = self.centres.thetas[self.current]
        self.optimizer = OPTIMIZERS[self.optimizer_name](
            self.centres.parameters(), lr=self.lr_schedule(1), weight_decay=self.weight_decay
        )
        self.policy.optimizer = self.optimizer  # where Stable-Baselines3's tools look for it
        self.rows, self.players = place(self)

    def _new_policy(self) -> DeterministicPolicy:
        """Return a policy with first parameters of its own."""
        spaces_ = self.observation_space, self.action_space
        policy: Any = self.policy_class(*spaces_, self.lr_schedule, **self.policy_kwargs)
        if not isinstance(policy, DeterministicPolicy):
            raise ValueError(
                f"{type(self).__name__} searches the parameters of a DeterministicPolicy, found "
                f"{type(policy).__name__}; give DeterministicPolicy or 'MlpPolicy'"
            )
        return policy

    def set_env(self, env: Any, force_reset: bool = True) -> None:
        """Take another environment of the same spaces; see `BaseAlgorithm.set_env`."""
        super().set_env(env, force_reset)
        self.rows, self.players = place(self)

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int | None = 1,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train for so many steps of perturbed policies; see `BaseAlgorithm.learn`.

        Args:
            total_timesteps: rounded up to whole generations.
            callback: Stable-Baselines3's, one or a list.
            log_interval: generations between two writings of the log; None for none.
            tb_log_name: name of the run in TensorBoard; by default that of the class.
            reset_num_timesteps: whether to count from 0; a saved model goes on with False.
            progress_bar: whether to show one.
        """
        name, reset = tb_log_name or type(self).__name__, reset_num_timesteps
        self.rewind()
        total, callback = self._setup_learn(total_timesteps, callback, reset, name, progress_bar)
        callback.on_training_start(locals(), globals())
        try:
            while self.num_timesteps < total:
                self._update_current_progress_remaining(self.num_timesteps, total)
                generation = self._collect(callback)
                if generation is None:
                    break
                self._update_current_progress_remaining(self.num_timesteps, total)
                if log_interval and (self._n_updates + 1) % log_interval == 0:
                    self.dump_logs()
                if len(generation.returns):
                    self._learn_from(generation)
        finally:
            if self.players is not None:
                self.players.close()
        callback.on_training_end()
        return self

    def _learn_from(self, generation: Generation) -> None:
        """Take the step that a generation teaches."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.optimizer)
        self._train(generation)
        self._n_updates += 1
        self.policy.theta = self.centres.thetas[self.current]
        log_weights(self.logger, self.policy.theta, self.weight_clip)
        evaluate_unperturbed(self)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def dump_logs(self) -> None:
        """Write the log of the generation before, and of the episodes of the newest."""
        log_rollout(self)

    def _collect(self, callback: BaseCallback) -> Generation | None:
        """Draw a generation and play it; see `collect`."""
        return collect(self, callback)

    def _only(self, generation: Generation, kept: torch.Tensor) -> Generation:
        """Return the part of a generation, bool[M], that is learned from where some was lost."""
        return generation.only(kept, self.num_policies)

    def _draw(self) -> tuple[PolicyBank, torch.Tensor, np.ndarray]:
        """Draw the policies to play, their noise float32[M, P], and seeds of their episodes."""
        generator = self._generator(NOISE)
        thetas, noise = self.centres.draw(self.perturbation, self.population_size, generator)
        pairs = self.perturbation.antithetic
        seeds = self.streams.episode_seeds(self._drawn, len(thetas), self.num_policies, pairs)
        return PolicyBank(self.policy, thetas), noise, seeds

    @property
    def _drawn(self) -> int:
        """How many generations were drawn before this one: random numbers follow from it."""
        return self._n_updates + self.discarded

    def _generator(self, stream: int) -> torch.Generator:
        """Return a generator for a stream of this generation."""
        return self.streams.generator(self._drawn, stream, self.device)

    def _init_callback(self, callback: Any, progress_bar: bool = False) -> BaseCallback:
        inner = super()._init_callback(callback)
        return with_steps_bar(inner, self) if progress_bar else inner
