"""A colouring on another body: inputs and outputs find theirs by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from morphzoo.policies.chromatic.coloring import STORED
from morphzoo.policies.chromatic.linear import ChromaticNetwork
from morphzoo.policies.schema import by_name_or_type


def placed_colors(
    network: ChromaticNetwork,
    state: Mapping[str, torch.Tensor],
    here: Mapping[str, Any],
    source: Mapping[str, Any],
) -> dict[str, torch.Tensor]:
    """First-layer columns and last-layer rows of a colouring, placed by joint name.

    Inputs new to the network have no weight; a new motor acts as the first of its type.

    Source: NerveNet (Wang et al., 2018) section 4.2.1, MLPAA.
    Differs: colours have no mean, so a new motor is like one of its type and not like their mean.

    Args:
        network: on the body to act on.
        state: the trained policy's state dict.
        here: `policy_schema` of the body to act on.
        source: that of the trained policy.

    Returns:
        The tensors that differ, by name.

    Raises:
        ValueError: if the colouring follows from the sizes of one body, or a motor's type drove
            none in training.
    """
    if network.kind not in STORED:
        raise ValueError(
            f"a {network.kind} colouring follows from the sizes of the body that it was trained "
            "on, so it acts on no other: train there, or use a chromatic, kmeans or masked one"
        )
    last = len(network) - 1
    names = [f"actor.layers.{layer}.index" for layer in (0, last)]
    placed = {name: state[name] for name in names}
    known = {name: i for i, name in enumerate(source["columns"])}
    columns = torch.tensor([known.get(name, len(known)) for name in here["columns"]])
    # One column more, without weights, for inputs that are new; int64, which can be indexed.
    padded = torch.nn.functional.pad(
        placed[names[0]].long(), (0, 1), value=len(state["actor.pool"])
    )
    placed[names[0]] = padded[:, columns].to(placed[names[0]].dtype)
    found = by_name_or_type(
        here["motors"], here["motor_types"], source["motors"], source["motor_types"]
    )
    if lost := [here["motors"][i] for i, rows in enumerate(found) if not rows]:
        raise ValueError(
            f"motors of the joints {lost} are of node types that drove none in training"
        )
    rows = torch.tensor([candidates[0] for candidates in found])
    placed[names[1]] = placed[names[1]].long()[rows].to(placed[names[1]].dtype)
    bias = f"actor.layers.{last}.bias"
    return placed | ({bias: state[bias][rows]} if bias in state else {})
