"""EPVF's settings where a keyword is not given: the paper's, and ours."""

from __future__ import annotations

from typing import Any

from morphzoo.algorithms.schedules import ExponentialSchedule

#: What the paper prints of its best set-up; M = N = |D| is the number of environments (4,096). Of
#: the critic it prints nothing: K, L, the optimizer and its 256-256 units are ours.
PAPER: dict[str, Any] = {
    "learning_rate": ExponentialSchedule(1e-3, 1e-7),
    "target": "none",
    "target_over": "buffer",
    "scale_inputs": "none",
    "n_critic_steps": 10,
    "n_policy_steps": 10,
    "critic_kwargs": {},
    "critic_optimizer": "adam",
    "reset_critic": False,
    "noise": "uniform",
    "noise_scale": 0.3,
    "noise_relative": True,
    "antithetic": False,
    "weight_clip": 0.1,
}
#: What we take where a keyword is not given: what the search of docs/epvf.md has found.
OURS: dict[str, Any] = {
    "learning_rate": 0.03,
    "target": "rank",
    "target_over": "generation",
    "scale_inputs": "standard",
    "n_critic_steps": 1,
    "n_policy_steps": 1,
    "critic_kwargs": {"net_arch": [], "zero": True},
    "critic_optimizer": "sgd",
    "reset_critic": True,
    "noise": "gaussian",
    "noise_scale": 0.05,
    "noise_relative": False,
    "antithetic": True,
    "weight_clip": 0.0,
}
