"""The graph of any MJCF: bodies worked by hand, owners of columns, refusals."""

from __future__ import annotations

import copy
import pickle
import time
from dataclasses import replace

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from small_models import GEOM, all_columns, model_of

from morphzoo.columns import FIELDS, Column, columns_of, strip_index
from morphzoo.envs.bodies import centipede
from morphzoo.morphology import MorphologyGraph, Node


def parents(graph: MorphologyGraph) -> list[int]:
    return [node.parent for node in graph.nodes]


# ---- bodies worked by hand -------------------------------------------------------------------


def centipede_graph(num_legs: int) -> MorphologyGraph:
    model = centipede(num_legs)
    columns = columns_of(model, "qpos", range(2, model.nq))
    columns += columns_of(model, "qvel", range(model.nv))
    columns += columns_of(model, "cfrc_ext", range(1, model.nbody))
    return MorphologyGraph.from_model(model, columns)


def test_centipede_6_by_hand() -> None:
    graph = centipede_graph(6)
    assert [node.name for node in graph.nodes] == [
        "root", "lefthip_0", "ankle_0", "righthip_1", "ankle_1",
        "body_1", "bodyupdown_1", "lefthip_2", "ankle_2", "righthip_3", "ankle_3",
        "body_2", "bodyupdown_2", "lefthip_4", "ankle_4", "righthip_5", "ankle_5",
    ]  # fmt: skip
    assert parents(graph) == [-1, 0, 1, 0, 3, 0, 5, 5, 7, 5, 9, 5, 11, 11, 13, 11, 15]
    assert graph.types == ("ankle", "body", "bodyupdown", "lefthip", "righthip", "root")
    assert (graph.num_nodes, len(graph.edges), graph.observation_size) == (17, 32, 133)
    # Four motors on the first segment; later six: four legs' first, the two of the torso last.
    assert [node.action for node in graph.nodes] == [
        None, 0, 1, 2, 3, 8, 9, 4, 5, 6, 7, 14, 15, 10, 11, 12, 13,
    ]  # fmt: skip
    forces = tuple(f"cfrc_ext[{k}]" for k in range(6))
    assert graph.features("joint") == ("qpos[0]", "qvel[0]", *forces)
    assert all(node.features == graph.features("joint") for node in graph.nodes[1:])
    root = [f"root.qpos[{k}]" for k in range(2, 7)] + [f"root.qvel[{k}]" for k in range(6)]
    assert graph.nodes[0].features == (*root, *forces)
    # The root reads positions 0..4, velocities 21..26 and the first torso's forces 43 + (0..5).
    assert graph.nodes[0].columns == (*range(5), *range(21, 27), *range(43, 49))
    # ankle_0 is the second joint in qpos order; its body's foot is welded to nothing else.
    assert graph.nodes[2].columns[:2] == (6, 28)
    # Both torso hinges read torso_1's forces.
    assert graph.nodes[5].columns[2:] == graph.nodes[6].columns[2:]
    assert graph.dropped == ()


@pytest.mark.parametrize("num_legs", [4, 6, 8, 20])
def test_centipede_sizes(num_legs: int) -> None:
    """3n - 1 nodes and 6n - 4 edges; root 17 and joints 8 columns."""
    graph = centipede_graph(num_legs)
    assert (graph.num_nodes, len(graph.edges)) == (3 * num_legs - 1, 6 * num_legs - 4)
    assert [len(node.columns) for node in graph.nodes] == [17] + [8] * (3 * num_legs - 2)


# Parent vectors worked from the XML of Gymnasium's bodies, joints in their order there.
HUMANOID = [-1, 0, 1, 1, 3, 4, 4, 4, 3, 8, 8, 8, 0, 12, 12, 0, 15, 15]
GYMNASIUM = {
    "Ant-v5": [-1, 0, 1, 0, 3, 0, 5, 0, 7],
    "HalfCheetah-v5": [-1, 0, 1, 2, 0, 4, 5],
    "Hopper-v5": [-1, 0, 1, 2],
    "Humanoid-v5": HUMANOID,
    "HumanoidStandup-v5": HUMANOID,
    "InvertedDoublePendulum-v5": [-1, 0, 0, 2],
    "InvertedPendulum-v5": [-1, 0, 0],
    "Pusher-v5": [-1, 0, 0, 2, 3, 4, 5, 6],
    "Reacher-v5": [-1, 0, 0],
    "Swimmer-v5": [-1, 0, 1],
    "Walker2d-v5": [-1, 0, 1, 2, 0, 4, 5],
}


@pytest.mark.parametrize("name", GYMNASIUM)
def test_gymnasium_bodies_by_hand(name: str) -> None:
    """Targets and objects get no node; planar roots and the free joint fold into the root."""
    env = gym.make(name)
    model = env.unwrapped.model
    env.close()
    graph = MorphologyGraph.from_model(model, all_columns(model))
    assert parents(graph) == GYMNASIUM[name]
    actions = [node.action for node in graph.nodes if node.action is not None]
    assert sorted(actions) == list(range(model.nu))


def test_unnamed_parts_get_names() -> None:
    """A made-up name never takes one that exists; a joint called root is not the root."""
    model = model_of(
        f"""<body><freejoint/>{GEOM}
              <body><joint name="joint_3"/>{GEOM}
                <body><joint name="root"/>{GEOM}<body><joint/>{GEOM}</body></body></body></body>""",
        '<actuator><motor joint="joint_3"/></actuator>',
    )
    graph = MorphologyGraph.from_model(model, columns_of(model, "qpos", range(model.nq)))
    assert [n.name for n in graph.nodes] == ["root", "joint_3", "root_joint", "unnamed_joint_3"]
    assert [n.type for n in graph.nodes] == ["root", "joint", "root_joint", "unnamed_joint"]
    assert graph.nodes[0].features[0] == "joint_0.qpos[0]"


ARM = f"""<body name="base">{GEOM}
            <body name="upper"><joint name="swing" range="-30 90" damping=".5" armature=".01"/>
              <geom type="sphere" size=".05" mass="2"/><site name="mark"/>
              <body name="grip_1">{GEOM}<geom name="tip_2" type="sphere" size=".1" mass="3"/></body>
              <body name="grip_2">{GEOM}</body>
              <body name="lower"><joint name="slide" type="slide" axis="0 0 2"/>{GEOM}</body>
            </body></body>
          <body name="ball"><freejoint name="fly"/>{GEOM}</body>
          <body name="goal" mocap="true"/>"""
MOTORS = """<actuator><motor name="pull" joint="slide" gear="7"/><motor name="turn" joint="swing"/>
            </actuator>"""


def test_welded_bodies_and_other_trees() -> None:
    model = model_of(ARM, MOTORS)
    graph = MorphologyGraph.from_model(model, all_columns(model))
    names = [c.name for c in all_columns(model)]
    root, swing, slide = graph.nodes
    assert (swing.parent, slide.parent) == (0, 1)
    # qpos swing 0, slide 1, fly 2..8; qvel 9..16; ctrl pull 17, turn 18; then forces.
    assert swing.columns[:3] == (0, 9, 18) and slide.columns[:3] == (1, 10, 17)
    assert swing.features[:3] == ("qpos[0]", "qvel[0]", "ctrl[0]")
    assert swing.features[3::6] == ("cfrc_ext[0]", "cfrc_ext[0]@grip", "cfrc_ext[0]@grip#2")
    assert len(slide.columns) == 3 + 6
    # The fixed base, the ball with its joint, and the goal are the root's to read.
    assert [f for f in root.features if f.endswith("[0]") or "@" in f][:4] == [
        "fly.qpos[0]", "fly.qvel[0]", "cfrc_ext[0]", "cfrc_ext[0]@ball",
    ]  # fmt: skip
    assert len(root.columns) == 7 + 6 + 6 + 6 + 6
    assert graph.dropped == tuple(names[19:25]) and names[19] == "world.cfrc_ext[0]"


def test_static_features_in_si_units() -> None:
    root, swing, slide = MorphologyGraph.from_model(model_of(ARM, MOTORS), ()).nodes
    assert dict(root.static) == {"mass": 1.0}
    assert dict(swing.static) == pytest.approx({
        "mass": 2.0 + 1.0 + 3.0 + 1.0,  # the body with both grips that are welded to it
        "range_low": -np.pi / 6, "range_high": np.pi / 2, "gear": 1.0,
        "axis_x": 0.0, "axis_y": 0.0, "axis_z": 1.0, "slide": 0.0, "damping": 0.5, "armature": 0.01,
    })  # fmt: skip
    facts = dict(slide.static)
    assert (facts["gear"], facts["slide"], facts["axis_z"]) == (7.0, 1.0, 1.0)
    assert (facts["range_low"], facts["range_high"]) == (-np.inf, np.inf)
    assert root.columns == () and root.features == ()


def test_every_kind_of_column_finds_its_owner() -> None:
    sensors = """<sensor><framepos name="where" objtype="body" objname="lower"/>
                   <jointpos name="angle" joint="swing"/><velocimeter name="speed_1" site="mark"/>
                   <framepos name="tip_at" objtype="geom" objname="tip_2"/>
                   <actuatorfrc name="effort" actuator="pull"/><clock name="now"/></sensor>"""
    model = model_of(ARM, MOTORS + sensors)
    columns = columns_of(model, "sensordata", range(model.nsensordata))
    columns += columns_of(model, "site_xpos", [0]) + columns_of(model, "xaxis", [1])
    tip = model.geom("tip_2").id
    columns += columns_of(model, "geom_xmat", [tip])[:1]
    columns += (Column("task", name="phase"), Column("task", name="x", feature="goal[0]"))
    columns += (Column("energy", joint=1), Column("heat", body=model.body("lower").id))
    graph = MorphologyGraph.from_model(model, columns)
    root, swing, slide = graph.nodes
    assert slide.features == (
        "sensordata[0]@where", "sensordata[1]@where", "sensordata[2]@where",
        "sensordata[0]@effort", "xaxis[0]", "xaxis[1]", "xaxis[2]", "energy[0]", "heat[0]",
    )  # fmt: skip
    assert swing.features == (
        "sensordata[0]@angle", "sensordata[0]@speed", "sensordata[1]@speed", "sensordata[2]@speed",
        "sensordata[0]@tip_at@grip", "sensordata[1]@tip_at@grip", "sensordata[2]@tip_at@grip",
        "site_xpos[0]@mark", "site_xpos[1]@mark", "site_xpos[2]@mark", "geom_xmat[0]@tip@grip",
    )  # fmt: skip
    assert root.features == ("sensordata[0]@now", "task:phase", "task:goal[0]")
    assert columns[1].name == "where[1].sensordata" and columns[3].name == "angle[0].sensordata"


@pytest.mark.parametrize("name", FIELDS)
def test_fields_have_mujocos_shapes(name: str) -> None:
    """All rows of a field, in the order in which numpy ravels it."""
    sensor = '<sensor><jointpos joint="swing"/></sensor>'
    model = model_of(ARM, MOTORS + sensor)
    array = getattr(mujoco.MjData(model), name)
    columns = columns_of(model, name, range(len(array)))
    assert len(columns) == array.size
    indices = np.arange(array.size).reshape(len(array), -1)
    assert [indices[c.index, c.component] for c in columns] == list(range(array.size))
    assert len({c.name for c in columns}) == array.size


@pytest.mark.parametrize(
    ("name", "plain"),
    [("lefthip_12", "lefthip"), ("hinge2", "hinge"), ("7", "7"), ("motor1_rot", "motor1_rot"),
     ("a_1_2", "a_1"), ("leg-3", "leg"), ("knee", "knee")],
)  # fmt: skip
def test_strip_index(name: str, plain: str) -> None:
    assert strip_index(name) == plain


def test_hundred_legs_build_at_once() -> None:
    model = centipede(100)
    columns = all_columns(model)
    start = time.process_time()
    graph = MorphologyGraph.from_model(model, columns)
    assert time.process_time() - start < 0.5
    assert graph.num_nodes == 299


# ---- refusals ----------------------------------------------------------------------------------

LEG = f'<body name="leg"><joint name="knee"/>{GEOM}</body>'
FREE = f'<body name="torso"><freejoint name="fly"/>{GEOM}{LEG}<site name="foot"/></body>'
TENDON = '<tendon><fixed name="rope"><joint joint="knee" coef="1"/></fixed></tendon>'
CRANK = (
    FREE.replace('name="foot"/>', 'name="foot"/><site name="slider"/>'),
    '<actuator><motor name="bad" cranksite="foot" slidersite="slider" cranklength="1"/></actuator>',
)


def actuator(attributes: str) -> str:
    return f'<actuator><general name="bad" {attributes}/></actuator>'


BALL = FREE.replace(LEG, f'<body name="thigh"><joint name="hip" type="ball"/>{GEOM}{LEG}</body>')
TWIN = FREE + f'<body name="twin">{GEOM}<body><joint name="arm"/>{GEOM}</body></body>'
REFUSED = {
    "tendon": (FREE, TENDON + actuator('tendon="rope"'), ["'bad'", "tendon transmission"]),
    "site": (FREE, actuator('site="foot"'), ["'bad'", "site transmission"]),
    "body": (FREE, actuator('body="leg"'), ["'bad'", "body transmission"]),
    "slider-crank": (*CRANK, ["'bad'", "slidercrank transmission"]),
    "ball below the root": (BALL, actuator('joint="knee"'), ["'hip'", "'thigh'", "ball"]),
    "motor on a free joint": (FREE, actuator('joint="fly"'), ["'bad'", "'fly'", "free"]),
    "motor on a ball": (BALL, actuator('joint="hip"'), ["'bad'", "'hip'", "ball"]),
    "two motors on a joint": (
        FREE,
        '<actuator><motor name="one" joint="knee"/><motor name="two" joint="knee"/></actuator>',
        ["'knee'", "'one'", "'two'"],
    ),
    "second driven tree": (
        TWIN,
        '<actuator><motor name="one" joint="knee"/><motor name="two" joint="arm"/></actuator>',
        ["'one'", "'two'", "'knee'", "'arm'", "'torso'", "'twin'"],
    ),
    "no joint": (f"<body>{GEOM}</body>", "", ["without joints"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_culprit(case: str) -> None:
    bodies, rest, culprits = REFUSED[case]
    with pytest.raises(ValueError, match="expected .* found") as refusal:
        MorphologyGraph.from_model(model_of(bodies, rest), ())
    assert [word for word in culprits if word not in str(refusal.value)] == []


@pytest.mark.parametrize("case", ["tendon", "site", "body", "slider-crank"])
def test_actuator_nodes_maps_what_is_refused(case: str) -> None:
    bodies, rest, _ = REFUSED[case]
    graph = MorphologyGraph.from_model(model_of(bodies, rest), (), actuator_nodes={"bad": "knee"})
    assert [node.action for node in graph.nodes] == [None, 0]


@pytest.mark.parametrize(
    ("mapping", "culprit"),
    [({"bad": "nee"}, "'nee'"), ({"good": "knee"}, "'good'"), ({"bad": "fly"}, "'fly'")],
)
def test_actuator_nodes_must_exist_and_fit(mapping: dict[str, str], culprit: str) -> None:
    bodies, rest, _ = REFUSED["site"]
    with pytest.raises(ValueError, match=culprit):
        MorphologyGraph.from_model(model_of(bodies, rest), (), actuator_nodes=mapping)


def test_joint_in_parent_is_a_joint_transmission() -> None:
    model = model_of(FREE, actuator('jointinparent="knee"'))
    assert int(model.actuator_trntype[0]) == int(mujoco.mjtTrn.mjTRN_JOINTINPARENT)
    assert MorphologyGraph.from_model(model, ()).nodes[1].action == 0


def test_ball_on_the_root_folds() -> None:
    model = model_of(FREE.replace("<freejoint", '<joint type="ball"'), actuator('joint="knee"'))
    graph = MorphologyGraph.from_model(model, columns_of(model, "qpos", range(model.nq)))
    assert graph.nodes[0].features == tuple(f"fly.qpos[{k}]" for k in range(4))


@pytest.mark.parametrize(
    "column",
    [Column("qpos", 99), Column("qvel"), Column("cfrc_ext", 1, 6), Column("qpso", 0),
     Column("temperature", body=9), Column("temperature", joint=-1), Column("sensordata", 0)],
    ids=lambda column: column.name,
)  # fmt: skip
def test_columns_that_are_not_in_the_model(column: Column) -> None:
    model = model_of(FREE, actuator('joint="knee"'))
    with pytest.raises(ValueError, match="expected .* found") as refusal:
        MorphologyGraph.from_model(model, [column])
    assert repr(column.name) in str(refusal.value)


@pytest.mark.parametrize(("name", "index"), [("qpos", 8), ("qpos", -1), ("qpso", 0), ("task", 0)])
def test_columns_of_refuses(name: str, index: int) -> None:
    with pytest.raises(ValueError, match="expected an"):
        columns_of(model_of(FREE), name, [index])


@pytest.mark.parametrize("kind", ["root", "", None])
def test_node_type_must_be_a_type(kind: object) -> None:
    with pytest.raises(ValueError, match="'knee'.*node type"):
        MorphologyGraph.from_model(model_of(FREE), (), node_type=lambda _: kind)


def test_node_type_names_types() -> None:
    graph = MorphologyGraph.from_model(centipede(4), (), node_type=lambda name: name[:4])
    assert graph.types == ("ankl", "body", "left", "righ", "root")


GRAPH = centipede_graph(4)
KNEE = GRAPH.nodes[2]
CONTRADICTIONS = {
    "two roots": dict(nodes=(GRAPH.nodes[0], *GRAPH.nodes)),
    "no root": dict(nodes=GRAPH.nodes[1:]),
    "name twice": dict(nodes=(*GRAPH.nodes[:2], replace(KNEE, name="lefthip_0"), *GRAPH.nodes[3:])),
    "own parent": dict(nodes=(*GRAPH.nodes[:2], replace(KNEE, parent=2), *GRAPH.nodes[3:])),
    "far parent": dict(nodes=(*GRAPH.nodes[:2], replace(KNEE, parent=99), *GRAPH.nodes[3:])),
    "column outside": dict(observation_size=40),
    "action outside": dict(action_size=2),
    "action twice": dict(nodes=(*GRAPH.nodes[:2], replace(KNEE, action=0), *GRAPH.nodes[3:])),
    "feature lost": dict(
        nodes=(*GRAPH.nodes[:2], replace(KNEE, features=KNEE.features[1:]), *GRAPH.nodes[3:])
    ),
    "edge lost": dict(edges=GRAPH.edges[1:]),
    "edge twice": dict(edges=(*GRAPH.edges, GRAPH.edges[0])),
    "self-loop": dict(edges=(*GRAPH.edges, (1, 1))),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_graph_refuses_contradictions(case: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(GRAPH, **CONTRADICTIONS[case])


def test_graph_refuses_a_circle() -> None:
    joints = [
        Node(name, "joint", name, parent, (), (), None) for name, parent in (("a", 2), ("b", 1))
    ]
    root = Node("root", "root", "root", -1, (), (), None)
    with pytest.raises(ValueError, match="'a'.*circle"):
        MorphologyGraph((root, *joints), ((1, 2), (2, 1)), 0, 0)


@pytest.mark.parametrize("order", [[0, 1], list(range(10)) + [9], [0] * 11, list(range(1, 12))])
def test_relabel_refuses(order: list[int]) -> None:
    with pytest.raises(ValueError, match="permutation"):
        GRAPH.relabel(order)


# ---- the graph as a value -------------------------------------------------------


def test_networkx_carries_everything() -> None:
    directed = GRAPH.to_networkx()
    assert directed.graph == {
        "observation_size": GRAPH.observation_size,
        "action_size": 10,
        "dropped": (),
    }
    for i, node in enumerate(GRAPH.nodes):
        assert directed.nodes[i] == vars(node) | {"static": dict(node.static)}
    assert directed.edges[0, 1]["downward"] is True and directed.edges[1, 0]["downward"] is False


def test_graph_is_a_value() -> None:
    again = centipede_graph(4)
    assert again == GRAPH and hash(again) == hash(GRAPH) and len({again, GRAPH}) == 1
    assert pickle.loads(pickle.dumps(GRAPH)) == GRAPH == copy.deepcopy(GRAPH)
    assert centipede_graph(6) != GRAPH != GRAPH.relabel(range(GRAPH.num_nodes)[::-1])
    with pytest.raises(AttributeError):
        GRAPH.action_size = 3  # type: ignore[misc]
