"""What is written down of a generation, under Stable-Baselines3's names where it has one."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger

from morphzoo.algorithms.rollouts import Episodes


def log_episodes(model: Any, played: Episodes) -> None:
    """Keep the episodes of perturbed policies where Stable-Baselines3's tools look for them."""
    seconds = round((time.time_ns() - model.start_time) / 1e9, 6)
    infos = [
        {"r": float(r), "l": int(length), "t": seconds}
        for r, length in zip(played.returns, played.lengths, strict=True)
    ]
    model.ep_info_buffer.extend(infos)
    model._episode_num += len(infos)
    returns = played.returns
    model.logger.record("rollout/noise_scale", model.perturbation.scale_now)
    if not len(returns):
        return
    model.logger.record("rollout/return_mean", float(returns.mean()))
    model.logger.record("rollout/return_std", float(returns.std()))
    model.logger.record("rollout/return_max", float(returns.max()))


def log_losses(model: Any, episodes: int) -> None:
    """Record what was lost on other machines: a generation's episodes, and all until now."""
    if model.ray is None:
        return
    model.logger.record("rollout/episodes_lost", episodes)
    model.logger.record("time/workers_lost", model.players.lost)
    model.logger.record("time/generations_discarded", model.discarded)


def log_rollout(model: Any) -> None:
    """Record means over the last episodes and how fast they came, and write the log."""
    elapsed = max((time.time_ns() - model.start_time) / 1e9, sys.float_info.epsilon)
    steps = model.num_timesteps - model._num_timesteps_at_start
    logger = model.logger
    for name, key in (("ep_rew_mean", "r"), ("ep_len_mean", "l")):
        values = [info[key] for info in model.ep_info_buffer]
        if values:
            logger.record(f"rollout/{name}", float(np.mean(values)))
    logger.record("time/generations", model._n_updates + 1, exclude="tensorboard")
    logger.record("time/episodes", model._episode_num, exclude="tensorboard")
    logger.record("time/fps", int(steps / elapsed))
    logger.record("time/time_elapsed", int(elapsed), exclude="tensorboard")
    logger.record("time/total_timesteps", model.num_timesteps, exclude="tensorboard")
    logger.dump(step=model.num_timesteps)


def log_weights(logger: Logger, theta: torch.Tensor, clip: float) -> None:
    """Record the size of a policy's parameters, and the share of them on the clip."""
    sizes = theta.abs()
    logger.record("train/weight_mean_abs", float(sizes.mean()))
    logger.record("train/weight_max_abs", float(sizes.max()))
    if clip:
        logger.record("train/weight_clip_share", float((sizes >= clip).float().mean()))
