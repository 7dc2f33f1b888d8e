"""Reading the robot out of a compiled model: which joints are nodes, and what each node owns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from morphzoo.columns import Column, element_names, owner_of, strip_index
from morphzoo.morphology import MorphologyGraph, Node

ROOT = "root"


class Robot:
    """The part of a model that becomes the graph.

    Attributes:
        model: The compiled `mujoco.MjModel`.
        joint_names: One name per joint id.
        body_names: One name per body id.
        motor: Joint id -> actuator id.
        root_body: Body id of the robot's top body.
        joint_node: Joint id -> node number, for the joints that are nodes.
        anchor: Body id of the robot -> nearest body at or above it that has joints or is the root.
        body_nodes: Body id that has joint nodes -> their numbers, in qpos order.
    """

    def __init__(self, model: Any, actuator_nodes: Mapping[str, str]) -> None:
        """Finds motors, root and nodes; raises ValueError as `MorphologyGraph.from_model` does."""
        self.model = model
        self.joint_names = element_names(model, "joint")
        self.body_names = element_names(model, "body")
        self.actuator_names = element_names(model, "actuator")
        self.motor = self._read_motors(actuator_nodes)
        self.root_body = self._find_root()
        self.joint_node: dict[int, int] = {}
        self.anchor: dict[int, int] = {}
        self.body_nodes: dict[int, list[int]] = {}
        self._place_joints()

    def _read_motors(self, actuator_nodes: Mapping[str, str]) -> dict[int, int]:
        """Maps every driven joint to its actuator."""
        for name, joint in actuator_nodes.items():
            _check_known("actuator", name, self.actuator_names)
            _check_known("joint", joint, self.joint_names)
        motor: dict[int, int] = {}
        for actuator, name in enumerate(self.actuator_names):
            if name in actuator_nodes:
                joint = self.joint_names.index(actuator_nodes[name])
            else:
                joint = self._driven_joint(actuator, name)
            if joint in motor:
                raise ValueError(
                    f"expected one actuator on joint {self.joint_names[joint]!r}, found "
                    f"{self.actuator_names[motor[joint]]!r} and {name!r}; remove one of them"
                )
            motor[joint] = actuator
        for joint, actuator in motor.items():
            self._check_drivable(joint, self.actuator_names[actuator])
        return motor

    def _driven_joint(self, actuator: int, name: str) -> int:
        """Returns the joint that an actuator acts on through a joint transmission."""
        import mujoco

        kinds = mujoco.mjtTrn
        kind = int(self.model.actuator_trntype[actuator])
        if kind not in (int(kinds.mjTRN_JOINT), int(kinds.mjTRN_JOINTINPARENT)):
            label = kinds(kind).name.removeprefix("mjTRN_").lower()
            raise ValueError(
                f"actuator {name!r}: expected a joint transmission, found a {label} transmission; "
                f"pass actuator_nodes={{{name!r}: <joint name>}} to say which joint it belongs to"
            )
        return int(self.model.actuator_trnid[actuator, 0])

    def _check_drivable(self, joint: int, actuator: str) -> None:
        """Refuses a motor on a joint that has several degrees of freedom."""
        kind = self._joint_kind(joint)
        if kind in ("free", "ball"):
            raise ValueError(
                f"actuator {actuator!r}: expected a hinge or slide joint, found the {kind} joint "
                f"{self.joint_names[joint]!r}; split it into hinges and slides"
            )

    def _joint_kind(self, joint: int) -> str:
        """Returns "free", "ball", "slide" or "hinge"."""
        return ("free", "ball", "slide", "hinge")[int(self.model.jnt_type[joint])]

    def _find_root(self) -> int:
        """Returns the top body of the tree that carries the motors."""
        model = self.model
        if not model.njnt:
            raise ValueError("expected a robot, found a model without joints")
        tops: dict[int, int] = {}
        for joint in sorted(self.motor) or [0]:
            tops.setdefault(self._top(int(model.jnt_bodyid[joint])), joint)
        if len(tops) > 1:
            found = " and ".join(
                f"actuator {self.actuator_names[self.motor[joint]]!r} on joint "
                f"{self.joint_names[joint]!r} of tree {self.body_names[top]!r}"
                for top, joint in tops.items()
            )
            raise ValueError(
                f"expected all actuators on one tree of bodies, found {found}; "
                "put the trees under one common body"
            )
        return next(iter(tops))

    def _top(self, body: int) -> int:
        """Returns the ancestor of a body that is a child of the world."""
        while body and self.model.body_parentid[body]:
            body = int(self.model.body_parentid[body])
        return body

    def _place_joints(self) -> None:
        """Numbers the joint nodes and finds for each body the joints that move it."""
        model = self.model
        for body in range(self.root_body, model.nbody):  # a parent comes before its children
            parent = int(model.body_parentid[body])
            if body != self.root_body and parent not in self.anchor:
                continue
            own = body == self.root_body or model.body_jntnum[body]
            self.anchor[body] = body if own else self.anchor[parent]
            start = int(model.body_jntadr[body])
            for joint in range(start, start + int(model.body_jntnum[body])):
                self._place_joint(joint, body)

    def _place_joint(self, joint: int, body: int) -> None:
        """Makes a joint a node, unless the root absorbs it."""
        if body == self.root_body and joint not in self.motor:
            return
        if self._joint_kind(joint) in ("ball", "free"):
            raise ValueError(
                f"joint {self.joint_names[joint]!r} of body {self.body_names[body]!r}: expected "
                f"hinge and slide joints below the root, found a {self._joint_kind(joint)} joint; "
                "split it into three hinges"
            )
        self.joint_node[joint] = 1 + len(self.joint_node)
        self.body_nodes.setdefault(body, []).append(self.joint_node[joint])

    def parent_node(self, joint: int) -> int:
        """Returns the number of the node that a joint's node hangs from."""
        body = int(self.model.jnt_bodyid[joint])
        first = self.body_nodes[body][0]
        if first != self.joint_node[joint]:
            return first
        if body == self.root_body:
            return 0
        above = self.anchor[int(self.model.body_parentid[body])]
        return 0 if above == self.root_body else self.body_nodes[above][0]

    def readers(self, column: Column) -> list[tuple[int, str]]:
        """Lists the nodes that read a column, each with the column's feature name there."""
        part, index, label = owner_of(self.model, column)
        if part == "actuator":
            joint = next(joint for joint, motor in self.motor.items() if motor == index)
            return [(self.joint_node[joint], label)]
        if part == "joint":
            if index in self.joint_node:
                return [(self.joint_node[index], label)]
            return [(0, f"{self.joint_names[index]}.{label}")]
        if part == "none":
            return [(0, label)]
        if index == 0:
            return []
        if index not in self.anchor:
            return [(0, f"{label}@{self.body_names[index]}")]
        anchor = self.anchor[index]
        if anchor != index:
            label = f"{label}@{strip_index(self.body_names[index])}"
        own = self.body_nodes.get(anchor, [])
        return [(node, label) for node in ([0, *own] if anchor == self.root_body else own)]

    def masses(self) -> dict[int, float]:
        """Returns the mass (kg) of each anchor body with all that is welded to it."""
        masses: dict[int, float] = {}
        for body, anchor in self.anchor.items():
            masses[anchor] = masses.get(anchor, 0.0) + float(self.model.body_mass[body])
        return masses

    def static(self, joint: int, mass: float) -> tuple[tuple[str, float], ...]:
        """Returns the constants of a joint and its motor, as listed at `Node.static`."""
        model, motor = self.model, self.motor.get(joint)
        limited = bool(model.jnt_limited[joint])
        low, high = model.jnt_range[joint] if limited else (float("-inf"), float("inf"))
        x, y, z = model.jnt_axis[joint]
        dof = model.jnt_dofadr[joint]
        values = {
            "mass": mass,
            "range_low": low,
            "range_high": high,
            "gear": 0.0 if motor is None else model.actuator_gear[motor, 0],
            "axis_x": x,
            "axis_y": y,
            "axis_z": z,
            "slide": self._joint_kind(joint) == "slide",
            "damping": model.dof_damping[dof],
            "armature": model.dof_armature[dof],
        }
        return tuple((name, float(value)) for name, value in values.items())


def read_robot(
    model: Any,
    columns: tuple[Column, ...],
    node_type: Callable[[str], str],
    actuator_nodes: Mapping[str, str],
) -> MorphologyGraph:
    """Builds the graph; the arguments and errors are those of `MorphologyGraph.from_model`."""
    robot = Robot(model, actuator_nodes)
    reads, dropped = _distribute(robot, columns)
    masses = robot.masses()
    mass = (("mass", masses[robot.root_body]),)
    nodes = [Node(ROOT, ROOT, ROOT, -1, *_split(reads[0]), None, mass)]
    for joint, number in robot.joint_node.items():
        name = robot.joint_names[joint]
        while name == ROOT or (name != robot.joint_names[joint] and name in robot.joint_names):
            name = f"{name}_joint"
        kind = node_type(name)
        if not isinstance(kind, str) or kind in ("", ROOT):
            raise ValueError(
                f"joint {name!r}: expected a node type other than {ROOT!r}, found "
                f"{kind!r}; let node_type return another string"
            )
        static = robot.static(joint, masses[int(model.jnt_bodyid[joint])])
        parent, action = robot.parent_node(joint), robot.motor.get(joint)
        nodes.append(Node(name, "joint", kind, parent, *_split(reads[number]), action, static))
    links = [(i, node.parent) for i, node in enumerate(nodes) if i]
    edges = tuple(sorted(links + [(b, a) for a, b in links]))
    return MorphologyGraph(tuple(nodes), edges, len(columns), int(model.nu), dropped)


def _distribute(
    robot: Robot, columns: tuple[Column, ...]
) -> tuple[list[dict[str, int]], tuple[str, ...]]:
    """Deals the columns out: per node feature name -> column index, and the names of the rest."""
    reads: list[dict[str, int]] = [{} for _ in range(1 + len(robot.joint_node))]
    dropped = []
    for i, column in enumerate(columns):
        readers = robot.readers(column)
        for node, label in readers:
            feature, copies = label, 1
            while feature in reads[node]:
                copies += 1
                feature = f"{label}#{copies}"
            reads[node][feature] = i
        if not readers:
            dropped.append(column.name)
    return reads, tuple(dropped)


def _split(reads: dict[str, int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Returns (columns, features) of a node."""
    return tuple(reads.values()), tuple(reads)


def _check_known(what: str, name: str, known: tuple[str, ...]) -> None:
    """Raises ValueError for a name in `actuator_nodes` that the model does not have."""
    if name not in known:
        raise ValueError(
            f"actuator_nodes: expected one of the model's {what}s ({', '.join(known)}), "
            f"found {name!r}"
        )
