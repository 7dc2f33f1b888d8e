"""PSSVF: the parameter-based value function that EPVF descends from."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.policies import BasePolicy

from morphzoo.algorithms.epvf import EPVF


class PSSVF(EPVF):
    """Parameter-based start-state value function: EPVF's ancestor, for one environment.

    One episode, ten steps of V on 16 policies of up to 100,000, ten steps of the policy, and again.

    Source: Faccio, Kirsch and Schmidhuber, "Parameter-based Value Functions" (ICLR 2021), and the
        CartPole settings of its code, which Bohlinger and Peters (2025) print again: M = 1, N = 16,
        Gaussian noise of 1, a buffer of 1e5, a 64-64 ReLU critic, Adam at 1e-3 for both.
    Differs: updates begin with the first episode, and take all policies while there are fewer than
        16. Observation statistics (`policy_kwargs={"normalize": True}`, the default here) change
        between episodes only.

    Args:
        policy: as for `EPVF`.
        env: likewise.
        learning_rate: likewise.
        **keywords: those of `EPVF`, with the defaults of `DEFAULTS`.
    """

    DEFAULTS: dict[str, Any] = {
        "batch_size": 16,
        "buffer_size": 100_000,
        "n_critic_steps": 10,
        "n_policy_steps": 10,
        "target": "none",
        "target_over": "buffer",
        "scale_inputs": "none",
        "critic_kwargs": {"net_arch": [64, 64]},
        "critic_optimizer": "adam",
        "reset_critic": False,
        "noise": "gaussian",
        "noise_scale": 1.0,
        "noise_relative": False,
        "antithetic": False,
        "weight_clip": 0.0,
        "evaluate_every": 50,
        "evaluate_episodes": 10,
        "policy_kwargs": {"normalize": True},
    }

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any = 1e-3,
        **keywords: Any,
    ) -> None:
        if "paper" in keywords:
            raise ValueError("paper: PSSVF's defaults are its paper's; the keyword is EPVF's")
        settings = {**self.DEFAULTS, **keywords}
        for group in ("critic_kwargs", "policy_kwargs"):  # one of them given leaves the others
            settings[group] = {**self.DEFAULTS[group], **(keywords.get(group) or {})}
        super().__init__(policy, env, learning_rate, **settings)
