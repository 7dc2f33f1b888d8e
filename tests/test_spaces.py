"""The space that carries the graph: a Box to everybody else, and clear about what lost it."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from morphzoo.columns import columns_of
from morphzoo.envs.bodies import centipede
from morphzoo.morphology import MorphologyGraph
from morphzoo.spaces import MorphologySpace, graph_of


def centipede_graph(num_legs: int) -> MorphologyGraph:
    model = centipede(num_legs)
    return MorphologyGraph.from_model(model, columns_of(model, "qpos", range(model.nq)))


GRAPH = centipede_graph(4)
KNEE = GRAPH.nodes[2]


def other_graph() -> MorphologyGraph:
    """A graph with spaces of the same shape, another body."""
    node = replace(KNEE, type="wheel")
    return replace(GRAPH, nodes=(*GRAPH.nodes[:2], node, *GRAPH.nodes[3:]))


def test_space_equality_is_about_the_body_too() -> None:
    space = MorphologySpace(GRAPH)
    plain = spaces.Box(-np.inf, np.inf, space.shape, np.float32)
    assert space == MorphologySpace(centipede_graph(4))
    assert space != MorphologySpace(other_graph()) and space != MorphologySpace(GRAPH, -1, 1)
    assert space != plain and plain != space and space != "space"


@pytest.mark.parametrize("again", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_space_copies(again) -> None:
    space = MorphologySpace(GRAPH, -2.0, np.full(GRAPH.observation_size, 3.0), seed=7)
    other = again(space)
    assert other == space and other.graph == GRAPH and type(other) is MorphologySpace
    np.testing.assert_array_equal(other.sample(), space.sample())  # the generator travels too


def test_space_is_a_box() -> None:
    space = MorphologySpace(GRAPH, -1, 1)
    assert isinstance(space, spaces.Box) and space.dtype == np.float32
    assert space.sample() in space and space.is_bounded()
    assert repr(space) == (
        f"MorphologySpace({GRAPH.observation_size}, 11 nodes, 10 actuators, types: "
        "ankle, body, bodyupdown, lefthip, righthip, root)"
    )
    batch = gym.vector.utils.batch_space(space, 3)
    assert type(batch) is spaces.Box and batch.shape == (3, GRAPH.observation_size)
    assert gym.spaces.flatten_space(space).shape == space.shape


def test_space_refuses() -> None:
    with pytest.raises(ValueError, match="MorphologyGraph, found int"):
        MorphologySpace(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"shape .* found \(3,\)"):
        MorphologySpace(GRAPH, np.zeros(3))


def test_graph_of_finds_the_graph() -> None:
    space = MorphologySpace(GRAPH)
    goal = spaces.Box(-1, 1, (2,), np.float32)
    assert graph_of(space) is GRAPH
    assert graph_of(spaces.Dict(observation=space, desired_goal=goal)) == GRAPH


class Carrying(gym.Env):
    """An environment that does nothing, with a graph."""

    observation_space = MorphologySpace(GRAPH)
    action_space = spaces.Box(-1, 1, (10,), np.float32)


@pytest.mark.parametrize(
    "lose",
    [gym.wrappers.FlattenObservation, gym.wrappers.NormalizeObservation,
     lambda env: gym.wrappers.FrameStackObservation(env, 2)],
)  # fmt: skip
def test_graph_of_explains_what_lost_it(lose) -> None:
    wrapped = lose(Carrying())
    name = type(wrapped).__name__
    with pytest.raises(ValueError, match=f"{name}(.|\n)*with_graph"):
        graph_of(wrapped.observation_space)


def test_graph_of_needs_an_observation_entry() -> None:
    with pytest.raises(ValueError, match="no graph"):
        graph_of(spaces.Dict(body=MorphologySpace(GRAPH)))
