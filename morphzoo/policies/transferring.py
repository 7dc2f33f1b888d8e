"""The one way to put trained weights on a body, the same or another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces

from morphzoo.policies.chromatic import ChromaticMlpPolicy, ChromaticPolicy
from morphzoo.policies.chromatic.transferring import placed_colors
from morphzoo.policies.contrastive import ContrastivePolicy
from morphzoo.policies.deterministic import DeterministicPolicy
from morphzoo.policies.goal_policy import GoalPolicy
from morphzoo.policies.graph_policy import GraphPolicy
from morphzoo.policies.mlp import MlpPolicy
from morphzoo.policies.schema import by_name_or_type, flat_columns, motor_nodes
from morphzoo.spaces import graph_of

ZooPolicy = GraphPolicy | DeterministicPolicy | GoalPolicy
State = Mapping[str, torch.Tensor]


def policy_schema(policy: ZooPolicy) -> dict[str, Any]:
    """What a policy's weights are about, as plain JSON: `transfer` needs it beside them.

    Returns:
        `types` and `features` (the rows and columns of the size-free tables), `columns` and
        `motors` (names in the flat layers' order), `column_types` and `motor_types`.

    Raises:
        ValueError: if the policy was made for a body without a graph.
    """
    graph = graph_of(policy.observation_space)
    motors = [graph.nodes[i] for i in motor_nodes(graph)]
    return {
        **policy.schema.to_json(),
        "columns": flat_columns(graph),
        "motors": [node.name for node in motors],
        "motor_types": [node.type for node in motors],
    }


def transfer(
    policy_class: type[ZooPolicy],
    state: State,
    schema: Mapping[str, Any],
    kwargs: Mapping[str, Any],
    observation_space: spaces.Space,
    action_space: spaces.Space,
) -> tuple[ZooPolicy, list[str]]:
    """Rebuild a trained policy for the body of `observation_space` and load its weights strictly.

    Args:
        policy_class: class the weights are of.
        state: its state dict.
        schema: its `policy_schema`.
        kwargs: its `kwargs_received`.
        observation_space: space of the body to act on.
        action_space: its actions.

    Returns:
        The policy, in evaluation mode on the CPU, and the names of the tensors that fit the
        training body only and were left at their first values (a flat value head's).

    Raises:
        ValueError: if the body has node types or features the weights never saw, or the tensors
            are not those of the class.
    """
    tables = {"types": schema["types"], "features": schema["features"]}
    policy = policy_class(
        observation_space, action_space, lambda _: 0.0, **{**kwargs, "schema": tables}
    )
    dropped = load_transferred(policy, state, schema)
    policy.set_training_mode(False)
    return policy, dropped


def load_transferred(policy: ZooPolicy, state: State, schema: Mapping[str, Any]) -> list[str]:
    """Load weights trained on one body into a policy of another; strict but for what is returned.

    Args:
        policy: the policy to fill.
        state: the trained policy's state dict.
        schema: the trained policy's `policy_schema`.

    Returns:
        Names of the tensors that stay at their first values.

    Raises:
        ValueError: naming the tensors that are missing, unknown or of another shape.
    """
    here = policy_schema(policy)
    state, own = dict(state), policy.state_dict()
    dropped: list[str] = []
    moved = {k: here[k] for k in ("columns", "motors")} != {
        k: schema[k] for k in ("columns", "motors")
    }
    if moved and isinstance(policy, ContrastivePolicy):
        raise ValueError(
            f"a ContrastivePolicy knows a body as a list of numbers, and runs on the one that it "
            f"was trained on alone, of {len(schema['columns'])} observed numbers and "
            f"{len(schema['motors'])} motors; this one has {len(here['columns'])} and "
            f"{len(here['motors'])}, or others"
        )
    if moved:
        if isinstance(policy, GraphPolicy) and not policy.value.transfers:
            dropped = [key for key in own if key.startswith("value.")]
            state.update({key: own[key] for key in dropped})
        if isinstance(policy, GraphPolicy) and policy.log_std_mode == "motor":
            state["log_std"] = _mean_rows(state["log_std"], _motor_rows(here, schema), policy)
        if isinstance(policy, ChromaticPolicy | ChromaticMlpPolicy):
            state.update(placed_colors(policy.actor, state, here, schema))
        elif isinstance(policy, MlpPolicy | DeterministicPolicy):
            state.update(_assign_activations(policy, state, here, schema))
    wrong = sorted(
        name
        for name in own.keys() | state.keys()
        if name not in own or name not in state or own[name].shape != state[name].shape
    )
    if wrong:
        raise ValueError(
            f"these weights are not of a {type(policy).__name__} with these keywords: tensors "
            f"{wrong[:6]} are missing, unknown or of another shape"
        )
    policy.load_state_dict(state, strict=True)
    return dropped


def _motor_rows(here: Mapping[str, Any], source: Mapping[str, Any]) -> list[list[int]]:
    return by_name_or_type(
        here["motors"], here["motor_types"], source["motors"], source["motor_types"]
    )


def _mean_rows(rows: torch.Tensor, sources: list[list[int]], policy: ZooPolicy) -> torch.Tensor:
    """Row i is the mean of the source rows `sources[i]`.

    Raises:
        ValueError: if a motor's node type drove no motor in training.
    """
    graph = graph_of(policy.observation_space)
    lost = [graph.nodes[motor_nodes(graph)[i]].name for i, s in enumerate(sources) if not s]
    if lost:
        raise ValueError(
            f"motors of the joints {lost} are of node types that drove none in training"
        )
    return torch.stack([rows[list(s)].mean(0) if len(s) > 1 else rows[s[0]] for s in sources])


def _assign_activations(
    policy: MlpPolicy | DeterministicPolicy,
    state: State,
    here: Mapping[str, Any],
    source: Mapping[str, Any],
) -> dict[str, torch.Tensor]:
    """First-layer columns and last-layer rows of a flat network, placed by joint name.

    Source: NerveNet (Wang et al., 2018) section 4.2.1, MLPAA. Inputs new to the network get zero
    weights. Differs from the text, as its code does: new outputs get the mean of the outputs of
    their type, where the text has zeros.
    """
    first, last = "actor.0", f"actor.{len(policy.actor) - 1}"
    known = {name: i for i, name in enumerate(source["columns"])}
    weight = state[f"{first}.weight"]
    placed = weight.new_zeros(weight.shape[0], len(here["columns"]))
    for column, name in enumerate(here["columns"]):
        if name in known:
            placed[:, column] = weight[:, known[name]]
    rows = _motor_rows(here, source)
    return {
        f"{first}.weight": placed,
        f"{last}.weight": _mean_rows(state[f"{last}.weight"], rows, policy),
        f"{last}.bias": _mean_rows(state[f"{last}.bias"], rows, policy),
    }
