"""What a policy's weights are about: node types, features of each kind, flat layers' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from morphzoo.morphology import MorphologyGraph
from morphzoo.policies.message_passing import KINDS


@dataclass(frozen=True)
class NodeSchema:
    """The rows and columns of every size-free table in a policy.

    Attributes:
        types: node types, one row each in embeddings, statistics and log standard deviations.
        features: names of the features of each kind, `(kind, names)`, in input order.
    """

    types: tuple[str, ...]
    features: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def from_graph(cls, graph: MorphologyGraph) -> NodeSchema:
        """The schema of a policy that is trained on `graph` from nothing."""
        return cls(graph.types, tuple((kind, tuple(graph.features(kind))) for kind in KINDS))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NodeSchema:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if `value` is not of that form.
        """
        try:
            types = tuple(value["types"])
            features = tuple((kind, tuple(value["features"][kind])) for kind in KINDS)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"a node schema is {{'types': [...], 'features': "
                f"{{'root': [...], 'joint': [...]}}}}; found {str(value)[:200]!r}"
            ) from error
        names = [*types, *(name for _, row in features for name in row)]
        if not all(isinstance(name, str) for name in names) or not types:
            raise ValueError("a node schema holds names: expected strings, found something else")
        if len(set(types)) != len(types) or any(len(set(row)) != len(row) for _, row in features):
            raise ValueError("a node schema names each type and feature once; found one twice")
        return cls(types, features)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and strings."""
        return {"types": list(self.types), "features": {k: list(row) for k, row in self.features}}

    @property
    def widths(self) -> dict[str, int]:
        """Number of features of each kind."""
        return {kind: len(names) for kind, names in self.features}

    def check(self, graph: MorphologyGraph) -> None:
        """Refuse a body with node types or features that the weights never saw.

        Raises:
            ValueError: naming them.
        """
        unknown = sorted(set(graph.types) - set(self.types))
        if unknown:
            raise ValueError(
                f"this policy was trained on node types {list(self.types)}; "
                f"the body has {unknown}, which the weights never saw. Train on a body that has "
                "them, or name its types alike with node_type= where its graph is built."
            )
        for kind, names in self.features:
            found = graph.features(kind)
            if extra := [name for name in found if name not in names]:
                raise ValueError(
                    f"{kind} nodes of this body observe {extra}, which the weights never saw: they "
                    f"read {list(names)}. Make the environment with the observation options of the "
                    "training environment (such as include_contact_forces=)."
                )
            present = any(node.kind == kind for node in graph.nodes)
            if present and (missing := [name for name in names if name not in found]):
                raise ValueError(
                    f"{kind} nodes of this body lack {missing}, which the weights read. Make the "
                    "environment with the observation options of the training environment."
                )


def flat_columns(graph: MorphologyGraph) -> list[str]:
    """A name for each number of the flat observation: `node/feature`, or the dropped column's own.

    Two bodies share the entries that mean the same quantity at the same place of the body.
    """
    names = [""] * graph.observation_size
    for node in graph.nodes:
        for column, feature in zip(node.columns, node.features, strict=True):
            names[column] = names[column] or f"{node.name}/{feature}"
    dropped = iter(graph.dropped)
    return [name or f"dropped/{next(dropped, '')}" for name in names]


def motor_nodes(graph: MorphologyGraph) -> list[int]:
    """The node each motor drives, in the order of the actions."""
    driven = {node.action: i for i, node in enumerate(graph.nodes) if node.action is not None}
    return [driven[action] for action in range(graph.action_size)]


def by_name_or_type(
    names: Sequence[str],
    types: Sequence[str],
    known_names: Sequence[str],
    known_types: Sequence[str],
) -> list[list[int]]:
    """For each (name, type): the known row of that name, else all known rows of that type.

    Source: NerveNet's transfer of per-joint values (its released code): a joint of the same name is
    copied, a new joint gets the mean over the source's joints of the same type.
    """
    rows = {name: [i] for i, name in enumerate(known_names)}
    alike: dict[str, list[int]] = {}
    for i, kind in enumerate(known_types):
        alike.setdefault(kind, []).append(i)
    return [rows.get(name) or alike.get(kind, []) for name, kind in zip(names, types, strict=True)]
