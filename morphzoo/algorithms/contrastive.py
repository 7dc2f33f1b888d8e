"""Deep contrastive RL: learns to reach goals from its own futures, without rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.save_util import load_from_pkl
from stable_baselines3.common.type_aliases import RolloutReturn

from morphzoo.algorithms.contrastive_checks import check_contrastive
from morphzoo.algorithms.contrastive_step import ContrastiveStep
from morphzoo.algorithms.entropy_coefficient import EntropyCoefficient
from morphzoo.algorithms.future_replay import FutureReplayBuffer, check_replay
from morphzoo.policies.contrastive import ContrastivePolicy
from morphzoo.policies.contrastive_graph import ContrastiveSnowflakePolicy
from morphzoo.policies.goal_policy import GoalPolicy


class ContrastiveRL(OffPolicyAlgorithm):
    """Contrastive RL with Stable-Baselines3's face, for goal environments.

    Two encoders learn to tell the goal that was reached after (s, a) from those that other pairs of
    the batch reached; the actor learns to take the action whose embedding is nearest to the goal's.
    There is no reward, no target network and no bootstrap.

    Source: Wang et al., "1000 Layer Networks for Self-Supervised RL" (NeurIPS 2025), and Eysenbach
        et al., "Contrastive Learning as Goal-Conditioned RL" (NeurIPS 2022), sections 4 and 5, as
        their released code computes them.
    Differs: docs/contrastive.md lists all of it. Mainly, anchors are drawn from the whole buffer,
        log probabilities are exact far out, and goals are drawn anew at each reset.

    Args:
        policy: `ContrastivePolicy`, or its alias "MultiInputPolicy"; or another `GoalPolicy`.
        env: a goal environment, an id or a vector environment.
        learning_rate: of actor, encoders and entropy coefficient; a number or a schedule.
        buffer_size: transitions kept, over all environments.
        learning_starts: steps, over all environments, before the first gradient step.
        batch_size: pairs of a gradient step; each is told apart from all others.
        gamma: discount; how far ahead goals lie.
        train_freq: steps of all environments between two trainings, or (steps, "step").
        gradient_steps: of a training; -1 for as many as steps were made.
        infonce: "forward", "backward" or "symmetric".
        logsumexp_penalty: weight of the penalty.
        ent_coef: "auto" learns it, beginning with 1; "auto_0.1" with 0.1; a number fixes it; 0
            leaves the entropy out.
        target_entropy: of an action; "auto": minus half its numbers.
        random_goals: share of the pairs whose actor is asked for the goal of another pair, in 0..1.
        max_grad_norm: to which gradients of the actor and of the encoders are shortened; 0: never.
        uniform_warmup: act by uniform noise until learning starts, else by the fresh actor.
        precision: of the networks' products: "float32" or "bfloat16".
        compile: run each residual block as compiled by `torch.compile`.
        memory_budget: memory of a gradient step (GiB), kept to by computing blocks once more; None
            keeps everything.
        policy_kwargs: keywords of the policy.
        stats_window_size: episodes that rollout/ep_rew_mean is of.
        tensorboard_log: folder for TensorBoard, or None.
        verbose: 1 prints the log.
        monitor_wrapper: whether to wrap a single environment in a `Monitor`.
        seed: of everything random; None draws one.
        device: of networks and batches.

    Raises:
        ValueError: if the environment has no goals, or values do not fit it or each other.
    """

    #: Column of a training curve -> name in the log.
    curve_columns: ClassVar[dict[str, str]] = {
        name: f"train/{name}" for name in ("infonce", "accuracy", "logsumexp", "entropy")
    }
    policy_aliases = {
        "MultiInputPolicy": ContrastivePolicy,
        "MlpPolicy": ContrastivePolicy,  # where there is no goal: the error is then ours
        "ContrastivePolicy": ContrastivePolicy,
        "ContrastiveSnowflakePolicy": ContrastiveSnowflakePolicy,
    }
    policy: GoalPolicy

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any = 3e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 10_000,
        batch_size: int = 512,
        gamma: float = 0.99,
        *,
        train_freq: int | tuple[int, str] | list[Any] = 1,
        gradient_steps: int = 1,
        infonce: str = "forward",
        logsumexp_penalty: float = 0.1,
        ent_coef: str | float = "auto",
        target_entropy: str | float = "auto",
        random_goals: float = 0.0,
        max_grad_norm: float = 0.0,
        uniform_warmup: bool = True,
        precision: str = "float32",
        compile: bool = False,
        memory_budget: float | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        monitor_wrapper: bool = True,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            learning_rate,
            buffer_size,
            learning_starts,
            batch_size,
            gamma=gamma,
            train_freq=tuple(train_freq) if isinstance(train_freq, list) else train_freq,
            gradient_steps=gradient_steps,
            replay_buffer_class=FutureReplayBuffer,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            monitor_wrapper=monitor_wrapper,
            seed=seed,
            sde_support=False,
            supported_action_spaces=(spaces.Box,),
        )
        self.infonce = infonce
        self.logsumexp_penalty = logsumexp_penalty
        self.ent_coef = ent_coef
        self.target_entropy = target_entropy
        self.random_goals = random_goals
        self.max_grad_norm = max_grad_norm
        self.uniform_warmup = uniform_warmup
        self.precision = precision
        self.compile = compile
        self.memory_budget = memory_budget
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        """Check, then build the buffer, the policy and the entropy coefficient."""
        check_contrastive(self)
        self.replay_buffer_kwargs = {"gamma": self.gamma, "seed": self.seed}
        super()._setup_model()
        if not isinstance(self.policy, GoalPolicy):
            raise ValueError(
                f"ContrastiveRL trains policies with encoders, found "
                f"{type(self.policy).__name__}; give 'MultiInputPolicy' or ContrastivePolicy"
            )
        self.actor, self.critic = self.policy.actor, self.policy.critic
        if self.compile:
            self.policy.compile_blocks()
        if self.memory_budget is not None:
            self.policy.keep_within(self.memory_budget * 2**30, self.batch_size)
        self.coefficient = EntropyCoefficient(self.ent_coef, self.lr_schedule(1)).to(self.device)

    @property
    def entropy_aim(self) -> float:
        """The target entropy of this action space; what was asked for stays in `target_entropy`."""
        if self.target_entropy == "auto":
            return -0.5 * float(np.prod(cast(spaces.Box, self.action_space).shape))
        return float(self.target_entropy)

    @property
    def step(self) -> ContrastiveStep:
        """How a gradient step is taken."""
        return ContrastiveStep(
            self.infonce,
            self.logsumexp_penalty,
            self.entropy_aim,
            self.random_goals,
            self.max_grad_norm,
            self.precision,
        )

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 4,
        tb_log_name: str = "ContrastiveRL",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train; see `OffPolicyAlgorithm.learn`."""
        return super().learn(
            total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
        )

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> Any:
        if reset_num_timesteps or self._last_obs is None:  # the environments begin anew
            cast(FutureReplayBuffer, self.replay_buffer).close_episodes()
        return super()._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )

    def collect_rollouts(self, *args: Any, **kwargs: Any) -> RolloutReturn:
        """Collect steps; see `OffPolicyAlgorithm.collect_rollouts`.

        Where a callback ends the training, the step that it saw has been made and is not stored, so
        the environments begin anew when learning goes on: episodes of the buffer have no gaps.
        """
        rollout = super().collect_rollouts(*args, **kwargs)
        if not rollout.continue_training:
            self._last_obs = None
        return rollout

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        starts = learning_starts if self.uniform_warmup else 0
        return super()._sample_action(starts, action_noise, n_envs)

    def _store_transition(self, replay_buffer: Any, *args: Any, **kwargs: Any) -> None:
        self.policy.observe(cast(dict[str, np.ndarray], self._last_obs))
        super()._store_transition(replay_buffer, *args, **kwargs)

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """Take gradient steps.

        Args:
            gradient_steps: how many.
            batch_size: pairs of each.
        """
        self.policy.commit()
        self.policy.set_training_mode(True)
        optimizers = [self.actor.optimizer, self.critic.optimizer]
        if self.coefficient.optimizer is not None:
            optimizers.append(self.coefficient.optimizer)
        self._update_learning_rate(optimizers)
        assert self.replay_buffer is not None
        step, sums = self.step, dict[str, torch.Tensor]()
        for _ in range(gradient_steps):
            pairs: Any = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            for name, value in step(self.policy, self.coefficient, pairs).items():
                sums[name] = sums[name] + value if name in sums else value
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, total in sums.items():
            self.logger.record(f"train/{name}", float(total) / gradient_steps)

    # What is saved.

    def load_replay_buffer(self, path: str | Path | Any, truncate_last_traj: bool = True) -> None:
        """Load what `save_replay_buffer` wrote: a pickle, so only from where you trust it.

        Args:
            path: the file.
            truncate_last_traj: end the episodes that went on, since the environments begin anew.

        Raises:
            ValueError: if it is of another kind, or of other environments.
        """
        fresh = cast(FutureReplayBuffer, self.replay_buffer)
        loaded = load_from_pkl(path, self.verbose)
        self.replay_buffer = check_replay(loaded, fresh)
        self.replay_buffer.device = self.device
        self.replay_buffer.gamma = self.gamma
        if truncate_last_traj:
            self.replay_buffer.close_episodes()

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "actor", "critic", "coefficient"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        names = ["policy", "actor.optimizer", "critic.optimizer"]
        learned = ["coefficient", "coefficient.optimizer"]
        return [*names, *(learned if self.coefficient.optimizer is not None else [])], []
