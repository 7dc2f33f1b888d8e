"""The graph of random robots: what it must be is worked out from the drawn tree, not the model."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import mujoco
import networkx
from hypothesis import given
from hypothesis import strategies as st
from small_models import GEOM, all_columns, model_of, readers

from morphzoo.columns import Column, columns_of
from morphzoo.morphology import MorphologyGraph


@dataclass
class Part:
    """A body of a random robot: its joints (name, type) and the bodies below it."""

    name: str
    joints: list[tuple[str, str]] = field(default_factory=list)
    children: list[Part] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[Part, Part | None]]:
        """Depth first: each body with the body above it."""
        yield self, None
        for child in self.children:
            for part, above in child.walk():
                yield part, above or self

    def xml(self) -> str:
        inner = "".join(
            f'<freejoint name="{name}"/>'
            if kind == "free"
            else f'<joint name="{name}" type="{kind}"/>'
            for name, kind in self.joints
        )
        below = "".join(child.xml() for child in self.children)
        return f'<body name="{self.name}">{inner}{GEOM}{below}</body>'


@dataclass
class Body:
    """A random robot with its motors (joint names, in actuator order) and passive objects."""

    robot: Part
    motors: list[str]
    objects: int
    robot_first: bool

    def model(self) -> mujoco.MjModel:
        loose = "".join(
            f'<body name="object{"xyz"[i]}"><freejoint name="loose{"xyz"[i]}"/>{GEOM}</body>'
            for i in range(self.objects)
        )
        trees = [self.robot.xml(), loose] if self.robot_first else [loose, self.robot.xml()]
        motors = "".join(f'<motor name="m_{j}" joint="{j}"/>' for j in self.motors)
        return model_of("".join(trees), f"<actuator>{motors}</actuator>")


KINDS = st.sampled_from(["hinge", "slide"])
ROOTS = st.one_of(st.just(["free"]), st.lists(KINDS, max_size=4), st.just(["ball"]))


@st.composite
def random_bodies(draw: st.DrawFn) -> Body:
    """Draws up to nine bodies with up to four joints each, some of them driven."""
    letters = (f"{a}{b}" for a, b in itertools.product("abcdefghij", repeat=2))
    parts = [Part("torso", [(f"j{next(letters)}", kind) for kind in draw(ROOTS)])]
    for i in range(draw(st.integers(0, 8))):
        kinds = draw(st.lists(KINDS, max_size=3))
        part = Part(f"part{'abcdefgh'[i]}", [(f"j{next(letters)}", kind) for kind in kinds])
        parts[draw(st.integers(0, i))].children.append(part)
        parts.append(part)
    drivable = [name for part in parts for name, kind in part.joints if kind in ("hinge", "slide")]
    driven = draw(st.lists(st.sampled_from(drivable), unique=True)) if drivable else []
    if not driven:  # without a motor, what is the robot is a matter of order only
        parts.append(Part("tail", [("jtail", "hinge")]))
        parts[0].children.append(parts[-1])
        driven = ["jtail"]
    return Body(parts[0], driven, draw(st.integers(0, 2)), draw(st.booleans()))


def expected_nodes(body: Body) -> dict[str, str]:
    """Joint name -> name of the node above it, worked out from the drawn tree."""
    above_of = {part.name: above for part, above in body.robot.walk()}
    nodes = {}
    for part, _ in body.robot.walk():
        own = [j for j, _ in part.joints if part is not body.robot or j in body.motors]
        above = above_of[part.name]
        while above is not None and above is not body.robot and not above.joints:
            above = above_of[above.name]
        hub = "root" if above in (None, body.robot) else above.joints[0][0]
        nodes |= {joint: own[0] if i else hub for i, joint in enumerate(own)}
    return nodes


def expected_movers(body: Body) -> dict[str, set[str]]:
    """Body name -> names of the nodes that read the body's columns."""
    nodes = expected_nodes(body)
    movers: dict[str, set[str]] = {}
    for part, above in body.robot.walk():
        own = {joint for joint, _ in part.joints if joint in nodes}
        if above is None:
            movers[part.name] = own | {"root"}
        else:
            movers[part.name] = own if part.joints else movers[above.name]
    return movers


@given(random_bodies())
def test_every_joint_is_a_node_or_folded(body: Body) -> None:
    model = body.model()
    graph = MorphologyGraph.from_model(model, ())
    expected = expected_nodes(body)
    assert [node.name for node in graph.nodes] == ["root", *expected]  # XML order is qpos order
    assert {n.name: graph.nodes[n.parent].name for n in graph.nodes[1:]} == expected
    folded = {f"{j}.qpos[0]" for j, _ in body.robot.joints if j not in body.motors}
    columns = columns_of(model, "qpos", range(model.nq))
    root = MorphologyGraph.from_model(model, columns).nodes[0].features
    assert folded <= set(root)
    assert len(graph.types) == graph.num_nodes  # names without digits are types of their own


@given(random_bodies())
def test_links_form_a_tree_both_ways(body: Body) -> None:
    graph = MorphologyGraph.from_model(body.model(), ())
    directed = graph.to_networkx()
    assert networkx.is_tree(directed.to_undirected()) or graph.num_nodes == 1
    assert all(directed.has_edge(b, a) for a, b in directed.edges)
    assert not list(networkx.selfloop_edges(directed))
    assert list(directed.edges) and sorted(directed.edges) == list(graph.edges)
    for i in range(graph.num_nodes):
        assert graph.neighbours(i) == tuple(sorted(directed.predecessors(i)))


@given(random_bodies())
def test_columns_go_to_their_owners(body: Body) -> None:
    model = body.model()
    columns = all_columns(model)
    graph = MorphologyGraph.from_model(model, columns)
    nodes, movers = expected_nodes(body), expected_movers(body)
    for i, column in enumerate(columns):
        owner = column.name.split(".")[0].split("[")[0]
        if column.field == "cfrc_ext":
            expected = set() if owner == "world" else movers.get(owner, {"root"})
        elif column.field == "ctrl":
            expected = {owner.removeprefix("m_")}
        else:
            expected = {owner if owner in nodes else "root"}
        assert readers(graph, i) == expected, column
        assert (column.name in graph.dropped) == (not expected)
    for node in graph.nodes:
        assert len(set(node.features)) == len(node.features) == len(node.columns)


@given(random_bodies())
def test_every_motor_drives_one_node(body: Body) -> None:
    graph = MorphologyGraph.from_model(body.model(), ())
    driven = {node.action: node.name for node in graph.nodes if node.action is not None}
    assert driven == dict(enumerate(body.motors)) and graph.action_size == len(body.motors)


def by_names(graph: MorphologyGraph, columns: tuple[Column, ...], motors: list[str]) -> dict:
    """The graph with every number replaced by a name."""
    return {
        node.name: (
            node.kind,
            node.type,
            "" if node.parent < 0 else graph.nodes[node.parent].name,
            {f: columns[c].name for f, c in zip(node.features, node.columns, strict=True)},
            None if node.action is None else motors[node.action],
            node.static,
        )
        for node in graph.nodes
    }


@given(random_bodies(), st.randoms(use_true_random=False))
def test_relabelled_body_gives_relabelled_graph(body: Body, random) -> None:
    """Another order of branches and motors in the XML changes the numbering and nothing else."""
    first_model = body.model()
    columns = all_columns(first_model)
    first = MorphologyGraph.from_model(first_model, columns)
    expected = by_names(first, columns, list(body.motors))
    other = copy.deepcopy(body)
    for part, _ in other.robot.walk():
        random.shuffle(part.children)
    random.shuffle(other.motors)
    other.robot_first = not body.robot_first
    model = other.model()
    columns = all_columns(model)
    second = MorphologyGraph.from_model(model, columns)
    assert by_names(second, columns, other.motors) == expected
    order = [[n.name for n in first.nodes].index(node.name) for node in second.nodes]
    assert first.relabel(order).edges == second.edges


@given(random_bodies(), st.randoms(use_true_random=False))
def test_relabel_permutes_and_inverts(body: Body, random) -> None:
    graph = MorphologyGraph.from_model(model := body.model(), all_columns(model))
    order = list(range(graph.num_nodes))
    random.shuffle(order)
    moved = graph.relabel(order)
    assert [node.name for node in moved.nodes] == [graph.nodes[i].name for i in order]
    assert moved.nodes[moved.root].kind == "root" and order[moved.root] == 0
    names = by_names(moved, columns := all_columns(model), body.motors)
    assert names == by_names(graph, columns, body.motors)
    assert moved.relabel([order.index(i) for i in range(len(order))]) == graph
