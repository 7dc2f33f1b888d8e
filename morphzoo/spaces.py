"""MorphologySpace: a flat Box that carries the robot's graph to the policy."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from morphzoo.morphology import MorphologyGraph


class MorphologySpace(spaces.Box):
    """A float32 Box of shape (graph.observation_size,) that says which robot it observes.

    Everything that knows only `Box` treats it as one. Two are equal if bounds and graphs are.

    Attributes:
        graph: The robot's graph; its node columns index the flat observation.
    """

    def __init__(
        self,
        graph: MorphologyGraph,
        low: Any = -np.inf,
        high: Any = np.inf,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        """Makes the space of a graph's observations.

        Args:
            graph: The robot's graph.
            low: Lower bounds, one number or float32[observation_size].
            high: Upper bounds, likewise.
            seed: Seed of `sample`.

        Raises:
            ValueError: If `graph` is no graph or the bounds have another shape.
        """
        if not isinstance(graph, MorphologyGraph):
            raise ValueError(
                f"expected a MorphologyGraph, found {type(graph).__name__}; "
                "make one with MorphologyGraph.from_model"
            )
        shape = (graph.observation_size,)
        bounds = [np.asarray(bound, dtype=np.float32) for bound in (low, high)]
        if any(bound.shape not in ((), shape) for bound in bounds):
            found = " and ".join(str(bound.shape) for bound in bounds)
            raise ValueError(f"expected bounds of shape {shape} or single numbers, found {found}")
        lows, highs = (np.broadcast_to(bound, shape).copy() for bound in bounds)
        super().__init__(lows, highs, shape=shape, dtype=np.float32, seed=seed)
        self.graph = graph

    def __eq__(self, other: object) -> bool:
        """Tells whether the other is a MorphologySpace of the same bounds and the same graph."""
        if not isinstance(other, MorphologySpace):
            return False
        return bool(super().__eq__(other)) and self.graph == other.graph

    __hash__ = None  # type: ignore[assignment]  # mutable, like every gymnasium space

    def __repr__(self) -> str:
        """Shows size, nodes, motors and types."""
        graph = self.graph
        return (
            f"MorphologySpace({graph.observation_size}, {graph.num_nodes} nodes, "
            f"{graph.action_size} actuators, types: {', '.join(graph.types)})"
        )


def has_graph(space: spaces.Space) -> bool:
    """Tells whether an observation space carries a graph, as `graph_of` looks for one."""
    return isinstance(_inner(space), MorphologySpace)


def graph_of(space: spaces.Space) -> MorphologyGraph:
    """Returns the graph that an observation space carries.

    Args:
        space: A MorphologySpace, or a Dict that holds one under "observation".

    Returns:
        The robot's graph.

    Raises:
        ValueError: If the space carries no graph.
    """
    inner = _inner(space)
    if isinstance(inner, MorphologySpace):
        return inner.graph
    raise ValueError(
        f"expected a MorphologySpace, found {inner!r}, which carries no graph of the robot. "
        "Wrappers that build a new Box lose it: NormalizeObservation, FlattenObservation, "
        "RescaleObservation, FrameStackObservation, TransformObservation, VecFrameStack. Leave "
        "such a wrapper out (graph policies normalise by themselves), or wrap last with "
        "morphzoo.with_graph(env) if the environment never had a graph; of a vector environment "
        "take single_observation_space"
    )


def _inner(space: spaces.Space) -> Any:
    """Returns what a Dict holds under "observation"; any other space as it is."""
    return space.spaces.get("observation", space) if isinstance(space, spaces.Dict) else space
