"""MorphologyGraph: a robot's body as a graph, read off any compiled MjModel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from morphzoo.columns import Column, columns_of, strip_index

if TYPE_CHECKING:
    import networkx

__all__ = ["Column", "MorphologyGraph", "Node", "columns_of", "strip_index"]


@dataclass(frozen=True)
class Node:
    """One node of the graph: the robot's root, or one hinge or slide joint.

    Attributes:
        name: Name of the joint, or "root"; unique in the graph.
        kind: "root" or "joint".
        type: Identity of the node; by default the joint's name without the index at its end.
        parent: Number of the node nearer to the root; -1 for the root.
        columns: Indices into the flat observation of the numbers this node reads.
        features: What each column is; equal names mean the same quantity on every node of a kind.
        action: Index of the actuator that drives the joint, or None.
        static: Names and values that never change. Every node: mass (kg; the joint's body and all
            that is welded to it). Joints also: range_low, range_high (rad or m; infinite if not
            limited), gear (0 without a motor), axis_x, axis_y, axis_z (body frame), slide (1 for a
            slide, 0 for a hinge), damping (N m s/rad or N s/m), armature (kg m^2 or kg).
    """

    name: str
    kind: str
    type: str
    parent: int
    columns: tuple[int, ...]
    features: tuple[str, ...]
    action: int | None
    static: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class MorphologyGraph:
    """A robot's root and joints, who is linked to whom, and what each reads and drives.

    Compared and hashed by value, and picklable.

    Attributes:
        nodes: Root first, then the joints in qpos order (any order after `relabel`).
        edges: (sender, receiver) pairs, both directions of every link, sorted; no self-loops. The
            links form a tree.
        observation_size: Length of the flat observation.
        action_size: Number of actuators of the model.
        dropped: Names of the columns that no node reads.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    observation_size: int
    action_size: int
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks that the parts fit together."""
        _check(self)

    @classmethod
    def from_model(
        cls,
        model: Any,
        columns: Sequence[Column],
        *,
        node_type: Callable[[str], str] | None = None,
        actuator_nodes: Mapping[str, str] | None = None,
    ) -> MorphologyGraph:
        """Reads the joint graph of the robot off a compiled model.

        The robot is the tree of bodies that carries the motors; its top body is the root. Every
        hinge and slide becomes a node, except that joints of the root body without a motor belong
        to the root. The first joint of a body is linked to the first joint of the nearest body
        above that has joints, or to the root; further joints of a body are linked to its first.

        Args:
            model: A compiled `mujoco.MjModel`.
            columns: Where each number of the flat observation comes from.
            node_type: Turns a joint's name into its node's type; by default the index at the
                name's end is cut off.
            actuator_nodes: Names the joint that each tendon, site, body or slider-crank actuator
                drives: actuator name -> joint name.

        Returns:
            The graph.

        Raises:
            ValueError: If the model holds what the graph cannot say; the message names the culprit:
                a ball joint below the root, a motor on a free or ball joint, an actuator that acts
                through a tendon, site, body or slider-crank and is not in `actuator_nodes`, two
                actuators on one joint, motors on two trees, or a column that is not in the model.

        Source: NerveNet's joint graph, Wang et al., "NerveNet: Learning Structured Policy with
            Graph Neural Networks", ICLR 2018, section 2.1.
        Differs: Welded bodies give their columns to the joints that move them; motors are found
            through the model's `actuator_trnid`, never by position.
        """
        from morphzoo.kinematics import read_robot

        return read_robot(model, tuple(columns), node_type or strip_index, actuator_nodes or {})

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return len(self.nodes)

    @property
    def root(self) -> int:
        """Number of the root node."""
        return next(i for i, node in enumerate(self.nodes) if node.kind == "root")

    @property
    def types(self) -> tuple[str, ...]:
        """The distinct node types, sorted."""
        return tuple(sorted({node.type for node in self.nodes}))

    def features(self, kind: str) -> tuple[str, ...]:
        """Lists the distinct feature names of all nodes of a kind, in order of first appearance."""
        names = (name for node in self.nodes if node.kind == kind for name in node.features)
        return tuple(dict.fromkeys(names))

    def neighbours(self, node: int) -> tuple[int, ...]:
        """Lists the nodes that send messages to a node, in ascending order."""
        return tuple(sender for sender, receiver in self.edges if receiver == node)

    def relabel(self, permutation: Sequence[int]) -> MorphologyGraph:
        """Returns the same graph with its nodes in another order.

        Args:
            permutation: New node i is the old node permutation[i].

        Returns:
            The graph with edges and parents renumbered; columns and actions stay as they are.

        Raises:
            ValueError: If `permutation` does not name every node once.
        """
        order = [int(old) for old in permutation]
        if sorted(order) != list(range(self.num_nodes)):
            raise ValueError(
                f"expected a permutation of 0..{self.num_nodes - 1}, found {order}; "
                "name every node exactly once"
            )
        new = {old: i for i, old in enumerate(order)} | {-1: -1}
        nodes = tuple(replace(self.nodes[i], parent=new[self.nodes[i].parent]) for i in order)
        edges = tuple(sorted((new[sender], new[receiver]) for sender, receiver in self.edges))
        return replace(self, nodes=nodes, edges=edges)

    def to_networkx(self) -> networkx.DiGraph:
        """Returns the graph as a `networkx.DiGraph`.

        Nodes are numbered as here and carry name, kind, type, parent, columns, features, action
        and static (a dict). Edges carry `downward`: True from parent to child. The graph carries
        observation_size, action_size and dropped.
        """
        import networkx

        graph = networkx.DiGraph(
            observation_size=self.observation_size,
            action_size=self.action_size,
            dropped=self.dropped,
        )
        for i, node in enumerate(self.nodes):
            graph.add_node(i, **(vars(node) | {"static": dict(node.static)}))
        for sender, receiver in self.edges:
            graph.add_edge(sender, receiver, downward=self.nodes[receiver].parent == sender)
        return graph


def _check(graph: MorphologyGraph) -> None:
    """Raises ValueError where nodes, edges and sizes contradict each other."""
    nodes, size = graph.nodes, len(graph.nodes)
    if [node.kind for node in nodes if node.kind != "joint"] != ["root"]:
        kinds = [node.kind for node in nodes]
        raise ValueError(f"expected one 'root' and otherwise 'joint' nodes, found kinds {kinds}")
    _check_distinct("node name", [node.name for node in nodes])
    _check_distinct("edge", list(graph.edges))
    _check_distinct("action", [node.action for node in nodes if node.action is not None])
    for i, node in enumerate(nodes):
        low = -1 if node.kind == "root" else 0
        if not low <= node.parent < (0 if node.kind == "root" else size) or node.parent == i:
            raise ValueError(
                f"node {node.name!r}: expected another node as parent or, for the "
                f"root, -1; found {node.parent}"
            )
        if len(node.columns) != len(node.features):
            raise ValueError(
                f"node {node.name!r}: expected one feature a column, found "
                f"{len(node.features)} for {len(node.columns)} columns"
            )
        _check_distinct(f"feature of node {node.name!r}", list(node.features))
        _check_range(f"columns of node {node.name!r}", node.columns, graph.observation_size)
        actions = () if node.action is None else (node.action,)
        _check_range(f"action of node {node.name!r}", actions, graph.action_size)
        _check_reaches_root(graph, i)
    links = {(i, node.parent) for i, node in enumerate(nodes) if node.kind == "joint"}
    if set(graph.edges) != links | {(b, a) for a, b in links}:
        raise ValueError(
            "expected edges between every joint and its parent, both ways, and no "
            "others; build the graph with from_model or relabel"
        )


def _check_reaches_root(graph: MorphologyGraph, start: int) -> None:
    """Raises ValueError if the parents of a node lead in a circle."""
    node = start
    for _ in graph.nodes:
        node = graph.nodes[node].parent
        if node < 0:
            return
    raise ValueError(
        f"node {graph.nodes[start].name!r}: expected parents that lead to the root, found a circle"
    )


def _check_distinct(what: str, values: list[Any]) -> None:
    """Raises ValueError if a value occurs twice."""
    if len(set(values)) != len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"expected every {what} once, found {twice!r} twice")


def _check_range(what: str, values: Sequence[int], size: int) -> None:
    """Raises ValueError if an index lies outside 0..size-1."""
    for value in values:
        if not 0 <= value < size:
            raise ValueError(f"expected {what} in 0..{size - 1}, found {value}")
