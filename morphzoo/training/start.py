"""What a training begins with where that is a checkpoint: its weights, as they are or coloured."""

from __future__ import annotations

from typing import Any

from morphzoo import zoo
from morphzoo.policies.chromatic import ChromaticPolicy, kmeans_policy, pruned_policy
from morphzoo.policies.deterministic import DeterministicPolicy

#: Colourings that are fitted to dense weights -> what fits them.
FITTED = {"kmeans": kmeans_policy, "masked": pruned_policy}


def start_from(policy: Any, name: str) -> None:
    """Give a policy the weights of a checkpoint, on the policy's own body.

    A chromatic policy whose colouring is "kmeans" or "masked" takes those of a dense policy: the
    colouring is fitted to them.

    Args:
        policy: fresh, with the network of the checkpoint.
        name: as for `zoo.load`.

    Raises:
        ValueError: The checkpoint is not sound, is of another policy, or does not fit the body or
            the policy's keywords.
    """
    loaded = zoo.load(name, (policy.observation_space, policy.action_space), policy.device)
    kind = policy.actor.kind if isinstance(policy, ChromaticPolicy) else ""
    if kind in FITTED and type(loaded) is DeterministicPolicy:
        loaded = FITTED[kind](loaded, len(policy.actor.pool))
    if type(loaded) is not type(policy):
        raise ValueError(
            f"start: '{name}' holds a {type(loaded).__name__}, and this training is of a "
            f"{type(policy).__name__}: give the policy of the checkpoint"
        )
    try:
        policy.load_state_dict(loaded.state_dict())
    except RuntimeError as error:
        raise ValueError(
            f"start: the weights of '{name}' do not fit this policy; it was made with "
            f"policy_kwargs={loaded.kwargs_received}: {error}"
        ) from error
