"""A body looked at: what is found odd, where the boxes stand, what is drawn and refused."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

from morphzoo import drawing
from morphzoo.cli.inspect import run
from morphzoo.inspection import Report, flags_of, inspect_body, print_report, spans
from morphzoo.inspection import _sideless as sideless

LIMB = '<geom type="capsule" size=".05" fromto="0 0 0 0 0 -.5"/>'
ROBOT = f"""
<mujoco>
  <worldbody>
    <body name="torso" pos="0 0 1">
      <freejoint/>
      <geom size=".2"/>
      <body><joint name="left_hip"/>{LIMB}
        <body pos="0 0 -.5"><joint name="left_knee"/>{LIMB}</body></body>
      <body><joint name="right_hip"/>{LIMB}
        <body pos="0 0 -.5"><joint name="right_knee"/>{LIMB}</body></body>
      <body><joint name="tail"/>{LIMB}</body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="left_hip" gear="100"/><motor joint="right_hip" gear="-90"/>
    <motor joint="right_knee" gear="-50"/><motor joint="left_knee" gear="50"/>
  </actuator>
</mujoco>
"""
TENDON = f"""
<mujoco>
  <worldbody><body><joint name="hip"/>{LIMB}</body></worldbody>
  <tendon><fixed name="t"><joint joint="hip" coef="1"/></fixed></tendon>
  <actuator><motor name="pull" tendon="t"/></actuator>
</mujoco>
"""


@pytest.fixture
def robot(tmp_path: Path) -> Path:
    (tmp_path / "robot.xml").write_text(ROBOT)
    return tmp_path / "robot.xml"


def test_a_file_is_read_as_qpos_then_qvel(robot: Path) -> None:
    """A free joint is 7 of qpos and 6 of qvel, a hinge one of each: 12, then 11 from index 12."""
    report = inspect_body(robot)
    found = {n.name: (n.type, spans(n.columns), n.action) for n in report.graph.nodes}
    assert report.title == "robot.xml"
    assert found == {
        "root": ("root", "0-6, 12-17", None),
        "left_hip": ("left_hip", "7, 18", 0),
        "left_knee": ("left_knee", "8, 19", 3),
        "right_hip": ("right_hip", "9, 20", 1),
        "right_knee": ("right_knee", "10, 21", 2),
        "tail": ("tail", "11, 22", None),
    }


def test_what_is_odd_is_flagged(robot: Path) -> None:
    """The knees' gears differ in sign only, which is a mirrored axis; the hips' in size."""
    flags = inspect_body(robot, policy="snowflake-centipede-6").flags
    assert [(flag.kind, flag.nodes) for flag in flags] == [
        ("unactuated", ("tail",)),
        ("gears", ("left_hip", "right_hip")),
        ("types", ("left_hip", "left_knee", "right_hip", "right_knee", "tail")),
    ]
    assert "left_hip 100, right_hip -90" in flags[1].text
    assert "It knows ankle, body, bodyupdown, lefthip, righthip, root." in flags[2].text


@pytest.mark.parametrize(
    ("body", "policy", "kinds"),
    [
        ("morphzoo/Centipede-20", "snowflake-centipede-6", []),
        ("morphzoo/Centipede-20-v0", "mlp-centipede-6", []),
        ("morphzoo/Ant", "snowflake-centipede-6", ["types"]),
        ("morphzoo/Hopper", None, []),  # its slides and the hinge of the root are the root's own
        ("morphzoo/Walker2d", None, []),
        ("morphzoo/HalfCheetah", None, []),
        ("morphzoo/Humanoid", None, []),
        ("Ant-v5", None, []),
        ("InvertedPendulum-v5", None, ["unactuated"]),  # the pole
    ],
)
def test_known_bodies(body: str, policy: str | None, kinds: list[str]) -> None:
    assert [flag.kind for flag in inspect_body(body, policy=policy).flags] == kinds


def test_a_crippled_body_is_flagged() -> None:
    env = gym.make("morphzoo/Centipede-6-v0", disabled_legs=(0, 1))
    (flag,) = flags_of(env.unwrapped.graph)
    assert (flag.kind, len(flag.nodes)) == ("unactuated", 4)  # two hips and two ankles
    assert {name.partition("_")[0] for name in flag.nodes} == {"lefthip", "righthip", "ankle"}
    env.close()


def test_a_policy_that_lacks_more_than_types_says_what() -> None:
    env = gym.make("morphzoo/Centipede-6-v0", include_contact_forces=False)
    (flag,) = flags_of(env.unwrapped.graph, "snowflake-centipede-6", env)
    assert flag.kind == "policy" and "snowflake-centipede-6" in flag.text
    env.close()


@pytest.mark.parametrize(
    ("name", "alike"),
    [
        ("left_hip", "hip"),
        ("righthip_3", "hip"),
        ("hip_left", "hip"),
        ("thigh_left_joint", "thigh_joint"),
        ("thigh_joint", "thigh_joint"),
        ("l_knee", "knee"),
        ("R-knee", "knee"),
        ("ankle_12", "ankle"),
        ("roll", "roll"),  # an l that is no side
        ("right", "right"),
    ],
)
def test_names_without_number_and_side(name: str, alike: str) -> None:
    assert sideless(name) == alike


@pytest.mark.parametrize(
    ("indices", "text"),
    [([], ""), ([5], "5"), ([7, 0, 2, 1], "0-2, 7"), ([1, 3, 4], "1, 3-4"), (range(99), "0-98")],
)
def test_spans(indices: list[int], text: str) -> None:
    assert spans(indices) == text


def test_a_tendon_has_to_be_placed(tmp_path: Path) -> None:
    file = tmp_path / "pulled.xml"
    file.write_text(TENDON)
    with pytest.raises(ValueError, match="found a tendon transmission"):
        inspect_body(file)
    report = inspect_body(file, actuator_nodes={"pull": "hip"})
    assert [node.action for node in report.graph.nodes] == [None, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "MuJoCo cannot compile it"),
        ("<mujoco", "MuJoCo cannot compile it"),
        ("<mujoco><worldbody/></mujoco>", "a model without joints"),
        ('<mujoco><include file="/nowhere.xml"/></mujoco>', "MuJoCo cannot compile it"),
        (ROBOT.replace("<freejoint/>", '<joint type="ball" name="b"/>').replace(
            'name="tail"', 'name="tail" type="ball"'), "'tail' of body"),
    ],
)  # fmt: skip
def test_files_that_are_no_robot(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "robot.xml").write_text(text)
    with pytest.raises(ValueError, match=message):
        inspect_body(tmp_path / "robot.xml")


def test_boxes_stand_where_they_should(robot: Path) -> None:
    """Three tips: two knees and the tail, a row each; what has children stands between them."""
    graph = inspect_body(robot).graph
    places = dict(zip((node.name for node in graph.nodes), drawing.place(graph), strict=True))
    assert places == {
        "root": (0, 1.0),
        "left_hip": (1, 0.0), "left_knee": (2, 0.0),
        "right_hip": (1, 1.0), "right_knee": (2, 1.0),
        "tail": (1, 2.0),
    }  # fmt: skip


def test_no_two_boxes_overlap() -> None:
    places = drawing.place(inspect_body("morphzoo/Centipede-12").graph)
    assert len(set(places)) == len(places)
    for column in {x for x, _ in places}:
        rows = sorted(y for x, y in places if x == column)
        assert all(b - a >= 1.0 for a, b in zip(rows, rows[1:], strict=False))


def test_the_picture_shows_every_node(robot: Path) -> None:
    report = inspect_body(robot)
    figure = drawing.draw_graph(report)
    (axes,) = figure.axes
    boxes = {patch.get_gid(): patch for patch in axes.patches}
    assert boxes.keys() == {f"node-{node.name}" for node in report.graph.nodes}
    thick = {name for name, box in boxes.items() if box.get_linewidth() > 1}
    assert thick == {"node-tail", "node-left_hip", "node-right_hip"}
    texts = [text.get_text() for text in axes.texts]
    assert {"robot.xml", "obs 7, 18", "type right_knee · action 2", "obs 0-6, 12-17"} <= set(texts)
    assert "! no motor drives tail" in texts


def test_what_is_printed_and_written(
    robot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    out = tmp_path / "new" / "graph.png"
    values = {"body": str(robot), "out": out, "policy": None, "drives": []}
    assert run(argparse.Namespace(**values)) == 0
    printed = capsys.readouterr().out
    assert "robot.xml: 6 nodes of 6 types, 23 observations, 4 actions" in printed
    assert "! asymmetric gears" in printed and str(out) in printed
    assert out.read_bytes().startswith(b"\x89PNG\r\n")


def test_unread_numbers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    report = inspect_body("Ant-v5")
    graph = report.graph
    print_report(Report("x", graph, "105 numbers", ()))
    printed = capsys.readouterr().out
    assert "Nothing odd found." in printed
    assert ("Every number is read" in printed) == (not graph.dropped)


def test_a_place_that_cannot_be_written_is_found_first(robot: Path, tmp_path: Path) -> None:
    import argparse

    (tmp_path / "file").write_text("")
    values = {"body": "no such body", "out": tmp_path / "file" / "a.png", "drives": []}
    with pytest.raises(NotADirectoryError, match="Give another folder"):
        run(argparse.Namespace(**values))
