"""From a trained dense policy to a chromatic one: by clusters, by size, or as it is."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from morphzoo.policies.chromatic.coloring import Coloring
from morphzoo.policies.chromatic.fitting import kmeans, prune, sizes_of
from morphzoo.policies.chromatic.policy import ChromaticPolicy, colored_like
from morphzoo.policies.deterministic import DeterministicPolicy


def kmeans_policy(policy: DeterministicPolicy, num_colors: int) -> ChromaticPolicy:
    """Let a trained dense policy have few different weights; its biases stay.

    `ES` tunes its pool and biases further (docs/chromatic.md says how), and leaves the colouring.

    Args:
        policy: a dense `DeterministicPolicy`.
        num_colors: size of the pool.

    Raises:
        ValueError: as `Coloring`, or if the policy is chromatic already.
    """
    return _filled(policy, *kmeans(_matrices(policy), num_colors))


def pruned_policy(policy: DeterministicPolicy, kept: int) -> ChromaticPolicy:
    """Keep a trained dense policy's largest weights alone; its biases stay.

    Args:
        policy: a dense `DeterministicPolicy`.
        kept: how many weights stay.

    Raises:
        ValueError: as `kmeans_policy`.
    """
    return _filled(policy, *prune(_matrices(policy), kept))


def unstructured_policy(policy: DeterministicPolicy) -> ChromaticPolicy:
    """Write a dense policy as a chromatic one of as many colours as edges: the same function.

    Args:
        policy: a dense `DeterministicPolicy`.

    Raises:
        ValueError: as `kmeans_policy`.
    """
    matrices = _matrices(policy)
    coloring = Coloring.make("unstructured", sizes_of(matrices))
    return _filled(policy, coloring, np.concatenate([matrix.reshape(-1) for matrix in matrices]))


def _linear_layers(policy: DeterministicPolicy) -> list[nn.Linear]:
    if isinstance(policy, ChromaticPolicy) or not isinstance(policy, DeterministicPolicy):
        raise ValueError(
            f"expected a trained dense DeterministicPolicy, found a {type(policy).__name__}"
        )
    return [layer for layer in policy.actor.modules() if isinstance(layer, nn.Linear)]


def _matrices(policy: DeterministicPolicy) -> list[np.ndarray]:
    return [layer.weight.detach().cpu().numpy() for layer in _linear_layers(policy)]


@torch.no_grad()
def _filled(policy: DeterministicPolicy, coloring: Coloring, pool: np.ndarray) -> ChromaticPolicy:
    made = colored_like(policy, coloring, {"output_bias": True})
    made.actor.pool.copy_(torch.as_tensor(pool))
    for mine, theirs in zip(made.actor.layers, _linear_layers(policy), strict=True):
        mine.bias.copy_(theirs.bias)
    return made
