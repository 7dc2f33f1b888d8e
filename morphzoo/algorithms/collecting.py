"""How a generation is drawn and played, and what of it is learned from where some is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from morphzoo.algorithms.centres import Generation
from morphzoo.algorithms.generation_log import log_episodes, log_losses
from morphzoo.algorithms.players import Played
from morphzoo.algorithms.population_checks import check_returns
from morphzoo.algorithms.rollouts import Episodes, batches

#: Share of a generation's episodes that must have returned for it to be learned from (%).
LEAST = 60
#: So many discarded generations one after another end a training.
IN_A_ROW = 3


def collect(model: Any, callback: BaseCallback) -> Generation | None:
    """Draw a generation and play it.

    Returns:
        What can be learned from: without policies if too little has returned, None if a callback
        ends the training.

    Raises:
        ValueError: if there is no environment, or returns are no numbers.
        OSError: if too little has returned several times in a row.
    """
    if model.players is None:
        raise ValueError("there is no environment to learn in: give load(path, env=env)")
    callback.on_rollout_start()
    model.perturbation = model.perturbation.at(1 - max(model._current_progress_remaining, 0.0))
    model.policy.commit()
    model.policy.set_training_mode(False)
    model.centres.thetas.data[model.current] = model.policy.theta
    bank, noise, seeds = model._draw()

    def on_step(steps: int) -> bool:
        model.num_timesteps += steps
        model.unfinished += steps
        callback.update_locals(locals())
        return callback.on_step()

    played = model.players.play(bank, seeds, on_step)
    if not played:
        return None
    model.unfinished = 0
    callback.on_rollout_end()
    episodes, returned = joined(played, batches(len(bank), model.rows.num))
    check_returns(episodes.returns[returned])
    log_episodes(model, Episodes(episodes.returns[returned], episodes.lengths[returned]))
    learnable = enough(returned, len(noise), model.num_policies, model._least)
    if learnable:
        model.discarded_in_a_row = 0
    else:
        _discard(model, returned)
    log_losses(model, int(np.count_nonzero(~returned)))
    returns = torch.as_tensor(episodes.returns, device=model.device)
    generation = Generation(bank.thetas, noise, returns, states=_states(model, played))
    if not learnable:
        return generation.only(torch.zeros_like(returns, dtype=torch.bool), model.num_policies)
    for batch in filter(None, played):
        model.policy.normalizer.hand_in(torch.tensor(batch.observed, device=model.device))
    if not returned.all():
        generation = model._only(generation, _kept(model, returned, len(noise)))
    model.current = model.centres.best(generation)
    return generation


def _states(model: Any, played: list[Played | None]) -> torch.Tensor:
    """Return the observations that batches have brought, float32[T, O]."""
    states = [torch.as_tensor(batch.states) for batch in played if batch is not None]
    return torch.cat([torch.empty(0, model.policy.sizes[0]), *states]).to(model.device)


def joined(played: list[Played | None], parts: list[slice]) -> tuple[Episodes, np.ndarray]:
    """Put batches together.

    Args:
        played: batches, None for one that did not return.
        parts: which policies each has.

    Returns:
        Episodes of all policies, and bool[M]: whether each has returned. Those that have not are
        NaN, of no steps.
    """
    num = parts[-1].stop
    returns, lengths = np.full(num, np.nan), np.zeros(num, dtype=np.int64)
    returned = np.zeros(num, dtype=bool)
    for part, batch in zip(parts, played, strict=True):
        if batch is not None:
            returns[part], lengths[part], returned[part] = batch.returns, batch.lengths, True
    return Episodes(returns, lengths), returned


def enough(returned: np.ndarray, drawn: int, num_policies: int, least: int = LEAST) -> bool:
    """Return whether a generation can be learned from.

    So much must have returned of all episodes, and of those around each centre.

    Args:
        returned: bool[M + X], the M perturbed policies first, centre after centre.
        drawn: M.
        num_policies: centres.
        least: share that must have returned (%).
    """
    groups = [returned, *returned[:drawn].reshape(num_policies, -1)]
    return all(100 * np.count_nonzero(group) >= least * len(group) for group in groups)


def whole_pairs(returned: np.ndarray, num_policies: int) -> np.ndarray:
    """Return which policies have returned together with the other of their pair.

    Args:
        returned: bool[M], centre after centre, the first of all its pairs before the second.
        num_policies: centres.

    Returns:
        bool[M].
    """
    pairs = returned.reshape(num_policies, 2, -1)
    return np.broadcast_to(pairs.all(1, keepdims=True), pairs.shape).reshape(-1)


def _kept(model: Any, returned: np.ndarray, drawn: int) -> torch.Tensor:
    """Return which policies are learned from, bool[M + X]: those that returned, in whole pairs."""
    kept = returned.copy()
    if model.perturbation.antithetic:
        kept[:drawn] = whole_pairs(returned[:drawn], model.num_policies)
    return torch.as_tensor(kept, device=model.device)


def _discard(model: Any, returned: np.ndarray) -> None:
    """Count a generation of which too little has returned."""
    model.discarded += 1
    model.discarded_in_a_row += 1
    if model.discarded_in_a_row >= IN_A_ROW:
        raise OSError(
            f"{IN_A_ROW} generations in a row were discarded: of the last one's {len(returned)} "
            f"episodes {np.count_nonzero(returned)} returned, and {model._least} % must, also of "
            f"those around each policy. {model.players.lost} workers were lost so far; last: "
            f"{model.players.reason}. Look after the Ray cluster and continue from the last saved "
            "state"
        )
