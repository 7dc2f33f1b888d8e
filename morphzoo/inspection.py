"""A body looked at as a graph: who is linked to whom, what each reads and drives, what is odd."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym

from morphzoo.body_text import body_text
from morphzoo.columns import columns_of, strip_index
from morphzoo.envs.existing import with_graph
from morphzoo.envs.ids import known_body
from morphzoo.files import PathLike
from morphzoo.morphology import MorphologyGraph, Node
from morphzoo.spaces import graph_of

_LIMIT = 64_000_000  # bytes of a model file; meshes are files of their own
_SIDE = re.compile(r"(?:left|right)|(?<![a-z])[lr](?![a-z])", re.IGNORECASE)


class Flag(NamedTuple):
    """Something odd, which may be meant.

    Attributes:
        kind: "unactuated", "gears", "types" or "policy".
        nodes: Names of the nodes that it is about.
        text: What it is, and what can be done.
    """

    kind: str
    nodes: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Report:
    """What is to be said of a body.

    Attributes:
        title: Id of its environment, or name of its file.
        graph: The graph.
        observed: What the numbers of the observation are.
        flags: What is odd.
    """

    title: str
    graph: MorphologyGraph
    observed: str
    flags: tuple[Flag, ...]


def inspect_body(
    what: PathLike, *, policy: str | None = None, actuator_nodes: Mapping[str, str] | None = None
) -> Report:
    """Look at a body.

    Args:
        what: Id of an environment, of ours or one that `with_graph` takes; or a model file of
            MuJoCo (`robot.xml`). A file has no task: qpos and qvel stand for its observation.
        policy: A checkpoint that the body is to be compared with; what `zoo.load` takes.
        actuator_nodes: Which joint each tendon, site or body actuator of a file or of Gymnasium's
            body belongs to; see `MorphologyGraph.from_model`.

    Returns:
        Graph and flags.

    Raises:
        ValueError: There is no such environment or policy, or the body has no graph; it says why.
        OSError: There is no such file.
    """
    text = str(what)
    if text.lower().endswith((".xml", ".mjcf", ".urdf")):
        model = read_model(what)
        columns = columns_of(model, "qpos", range(model.nq))
        columns += columns_of(model, "qvel", range(model.nv))
        graph = MorphologyGraph.from_model(model, columns, actuator_nodes=actuator_nodes)
        observed = f"{model.nq} of qpos, then {model.nv} of qvel: a file has no task"
        return Report(Path(what).name, graph, observed, flags_of(graph, policy))
    env_id, arguments = known_body(text)
    with contextlib.closing(gym.make(env_id, **arguments)) as plain:
        env = with_graph(plain, actuator_nodes=actuator_nodes or None)
        graph = graph_of(env.observation_space)
        observed = f"{graph.observation_size} numbers of the environment"
        return Report(body_text(env_id, arguments), graph, observed, flags_of(graph, policy, env))


def flags_of(
    graph: MorphologyGraph, policy: str | None = None, env: gym.Env | None = None
) -> tuple[Flag, ...]:
    """Return what is odd about a body.

    Args:
        graph: The body.
        policy: A checkpoint to compare it with.
        env: An environment of the body, if the checkpoint is to be tried on it too.

    Returns:
        Flags: joints without a motor; joints that are alike but for a number or a side, whose
        motors are geared unequally; types that the policy never saw, or why it does not fit.
    """
    flags = [*_unactuated(graph), *_uneven(graph)]
    return (*flags, *(_unfit(graph, policy, env) if policy else ()))


def read_model(path: PathLike) -> Any:
    """Compile a model file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: MuJoCo cannot compile it; with MuJoCo's reason.
    """
    import mujoco

    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' is no file: give a model file, or an environment's id")
    if path.stat().st_size > _LIMIT:
        raise ValueError(f"'{path}' is larger than any model file: at most {_LIMIT:,} bytes")
    try:
        return mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        raise ValueError(f"'{path}': MuJoCo cannot compile it: {error}") from error


def spans(indices: Iterable[int]) -> str:
    """Return indices in few letters: 0, 1, 2 and 7 as "0-2, 7"."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def print_report(report: Report) -> None:
    """Print a body's nodes as a table, and what is odd about it below."""
    from rich.text import Text

    from morphzoo.tables import terminal

    console, graph = terminal(), report.graph
    console.print(_table(report))
    console.print(Text(f"Observation: {report.observed}. {_unread(graph)}", style="dim"))
    for flag in report.flags:
        console.print(Text(f"! {flag.text}", style="yellow"))
    if not report.flags:
        console.print(Text("Nothing odd found."))


def _table(report: Report) -> Any:
    from rich import box
    from rich.table import Table

    graph = report.graph
    head = (
        f"{report.title}: {graph.num_nodes} nodes of {len(graph.types)} types, "
        f"{graph.observation_size} observations, {graph.action_size} actions"
    )
    table = Table(box=box.SIMPLE_HEAD, title=head, title_justify="left", title_style="bold")
    for name in ("", "node", "type", "parent", "observation", "action", "gear", "range"):
        table.add_column(name, overflow="fold", no_wrap=name != "observation")
    for number, node in enumerate(graph.nodes):
        parent = "" if node.parent < 0 else graph.nodes[node.parent].name
        action = "" if node.action is None else str(node.action)
        static = dict(node.static)
        limits = [static.get(name, 0.0) for name in ("range_low", "range_high")]
        span = "" if node.kind == "root" else f"{limits[0]:.3g} to {limits[1]:.3g}"
        gear = "" if node.action is None else f"{static['gear']:g}"
        cells = (str(number), node.name, node.type, parent, spans(node.columns), action, gear)
        table.add_row(*cells, span)
    return table


def _unread(graph: MorphologyGraph) -> str:
    """Say which numbers of the observation no node reads."""
    if not graph.dropped:
        return "Every number is read by a node."
    shown = ", ".join(graph.dropped[:6]) + (", ..." if len(graph.dropped) > 6 else "")
    return f"No node reads {len(graph.dropped)} of them: {shown}."


def _unactuated(graph: MorphologyGraph) -> list[Flag]:
    """Find joints without a motor; what moves the root body freely is no node and not meant."""
    names = tuple(n.name for n in graph.nodes if n.kind == "joint" and n.action is None)
    if not names:
        return []
    text = (
        f"no motor drives {_listed(names)}: a policy feels such a joint and cannot move it. Add an "
        "actuator, or weld the joint, unless that is meant."
    )
    return [Flag("unactuated", names, text)]


def _uneven(graph: MorphologyGraph) -> list[Flag]:
    """Find joints that are alike but for a number or a side, with gears of unequal size."""
    alike: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.action is not None:
            alike.setdefault(_sideless(node.type), []).append(node)
    flags = []
    for nodes in alike.values():
        gears = {node.name: dict(node.static)["gear"] for node in nodes}
        if len({abs(gear) for gear in gears.values()}) > 1:
            listed = ", ".join(f"{name} {gear:g}" for name, gear in list(gears.items())[:8])
            more = ", ..." if len(gears) > 8 else ""
            text = (
                f"asymmetric gears: {listed}{more}. Equal actions give unequal torques; a policy "
                "tells joints of one type apart by what they feel alone."
            )
            flags.append(Flag("gears", tuple(gears), text))
    return flags


def _sideless(name: str) -> str:
    """Return a name without its number and without left and right."""
    return re.sub(r"[_\-. ]+", "_", _SIDE.sub("", strip_index(name))).strip("_") or name


def _unfit(graph: MorphologyGraph, policy: str, env: gym.Env | None) -> list[Flag]:
    """Find what keeps a checkpoint from running on a body."""
    from morphzoo import zoo

    known = zoo.read_config(policy)["policy_schema"]["types"]
    missing = sorted(set(graph.types) - set(known))
    if missing:
        names = tuple(node.name for node in graph.nodes if node.type in missing)
        text = (
            f"{policy} never saw the types {', '.join(missing)} (joints {_listed(names)}). It "
            f"knows {', '.join(known)}. Train it on a body that has them, or give like joints the "
            "names that it knows, with node_type=."
        )
        return [Flag("types", names, text)]
    if env is None:
        return []
    from morphzoo.transfer import load_onto

    try:
        load_onto(policy, env)
    except ValueError as error:
        return [Flag("policy", (), str(error))]
    return []


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
