"""What contrastive RL minimises: energies of pairs, InfoNCE, the penalty, the actor's loss."""

from __future__ import annotations

from collections.abc import Callable

import torch


def _rows(logits: torch.Tensor) -> torch.Tensor:
    return (logits.logsumexp(1) - logits.diagonal()).mean()


def _columns(logits: torch.Tensor) -> torch.Tensor:
    return (logits.logsumexp(0) - logits.diagonal()).mean()


def _both(logits: torch.Tensor) -> torch.Tensor:
    return _rows(logits) + _columns(logits)


#: Name -> loss of logits float32[B, B], row i of (s, a) i, column j of goal j. "symmetric" is the
#: sum of the other two, not their mean.
INFONCE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "forward": _rows,
    "backward": _columns,
    "symmetric": _both,
}


def critic_loss(
    logits: torch.Tensor, infonce: str = "forward", penalty: float = 0.1
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the loss of the encoders, and what is to be logged of it.

    Source: Eysenbach et al., "Contrastive Learning as Goal-Conditioned RL" (2022), and Wang et al.,
        "1000 Layer Networks for Self-Supervised RL" (2025), as their code computes it: InfoNCE plus
        `penalty` times the mean square of each row's logsumexp, whatever the variant.

    Args:
        logits: energies of every (s, a) with every goal, float32[B, B].
        infonce: a row of `INFONCE`.
        penalty: weight of the logsumexp penalty.

    Returns:
        The loss, a scalar, and name -> scalar without gradient.
    """
    contrast = INFONCE[infonce](logits)
    lse = logits.logsumexp(1)
    loss = contrast + penalty * lse.square().mean()
    with torch.no_grad():
        pairs = len(logits)
        right = logits.argmax(1) == torch.arange(pairs, device=logits.device)
        positive = logits.diagonal().mean()
        others = (logits.sum() - logits.diagonal().sum()) / max(pairs * (pairs - 1), 1)
    return loss, {
        "infonce": contrast.detach(),
        "accuracy": right.float().mean(),
        "logits_positive": positive,
        "logits_negative": others,
        "logsumexp": lse.detach().mean(),
    }


def actor_loss(
    log_prob: torch.Tensor, energy: torch.Tensor, ent_coef: torch.Tensor | float
) -> torch.Tensor:
    """Return the actor's loss, a scalar: mean of alpha log pi(a|s,g) - f(s, a, g).

    Args:
        log_prob: float32[B].
        energy: float32[B], each (s, a) with its own goal.
        ent_coef: alpha.
    """
    return (ent_coef * log_prob - energy).mean()
