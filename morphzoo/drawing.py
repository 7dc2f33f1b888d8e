"""A body's graph as a picture: a box a node, its type's colour, what it reads and drives."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from morphzoo.files import PathLike
from morphzoo.inspection import Report, spans
from morphzoo.morphology import MorphologyGraph, Node
from morphzoo.plots import GREY, INK, save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ODD = "#c2410c"
_ROOT = "#e5e7eb"
_STEP = (2.3, 0.16)  # from one box to the next (inches): right, and between two in a column
_BOX = 1.96  # width (inches)
_LINE = 0.185  # of letters in a box (inches)
_MARGIN = (0.35, 1.0)
_LARGEST = 60.0  # inches; larger bodies are drawn smaller
_LETTERS = 33  # in a line of a box
_MOST_LINES = 6  # in a box; more are cut


def check_name(path: PathLike) -> None:
    """Refuse a picture's name that is not a PNG file's.

    Raises:
        ValueError: It ends otherwise.
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"'{path}': expected a file that ends in .png, the only kind drawn")


def save_graph(report: Report, path: PathLike) -> None:
    """Draw a body's graph into a PNG file, whole or not at all.

    Raises:
        ValueError: The name does not end in .png.
        OSError: The folder is missing or not writable, or the disk is full.
    """
    check_name(path)
    save_png(draw_graph(report), path)


def draw_graph(report: Report) -> Figure:
    """Draw a body's graph from the root at the left to the tips at the right.

    Args:
        report: The body. Nodes that a flag is about have a border of another colour.

    Returns:
        The figure; `plots.save_png` writes it.
    """
    from matplotlib.figure import Figure

    places = place(report.graph)
    tall = 0.09 + _LINE * max(len(_lines(node)) for node in report.graph.nodes)
    columns = 1 + max(x for x, _ in places)
    rows = 1 + max(y for _, y in places)
    width = max(columns * _STEP[0], 6.0) + 2 * _MARGIN[0]
    height = rows * (tall + _STEP[1]) + 2 * _MARGIN[1]
    scale = min(1.0, _LARGEST / max(width, height))
    figure = Figure(figsize=(width * scale, height * scale))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, width), ylim=(height, 0.0))
    axes.axis("off")
    corners = [(_MARGIN[0] + x * _STEP[0], _MARGIN[1] + y * (tall + _STEP[1])) for x, y in places]
    _draw_links(axes, report.graph, [(x, y + tall / 2) for x, y in corners], scale)
    _draw_boxes(axes, report, corners, tall, scale)
    _label(axes, report, height, scale)
    return figure


def place(graph: MorphologyGraph) -> list[tuple[int, float]]:
    """Return where each node stands: links from the root, and the row, a tip a row.

    A node with children stands in the middle of its first and last child.
    """
    children: dict[int, list[int]] = {i: [] for i in range(graph.num_nodes)}
    for i, node in enumerate(graph.nodes):
        if node.parent >= 0:
            children[node.parent].append(i)
    depth, order = {graph.root: 0}, [graph.root]
    while len(depth) < graph.num_nodes:  # a loop, since chains are longer than recursion is deep
        for node in [n for n in order if n in children]:
            for child in children[node]:
                depth.setdefault(child, depth[node] + 1)
        order = sorted(depth, key=lambda node: depth[node])
    rows: dict[int, float] = {}
    stack, tips = [graph.root], 0
    while stack:
        node = stack[-1]
        waiting = [child for child in children[node] if child not in rows]
        if waiting:
            stack.append(waiting[0])
            continue
        stack.pop()
        below = [rows[child] for child in children[node]]
        rows[node] = (below[0] + below[-1]) / 2 if below else float(tips)
        tips += not below
    return [(depth[i], rows[i]) for i in range(graph.num_nodes)]


def _draw_links(
    axes: Axes, graph: MorphologyGraph, sides: list[tuple[float, float]], scale: float
) -> None:
    """Draw a line from every node to its parent; `sides` are the middles of the left sides."""
    for node, (x, y) in zip(graph.nodes, sides, strict=True):
        if node.parent >= 0:
            start, height = sides[node.parent][0] + _BOX, sides[node.parent][1]
            middle = (start + x) / 2
            line = [start, middle, middle, x], [height, height, y, y]
            axes.plot(*line, color=GREY, lw=1.2 * scale, zorder=1)


def _draw_boxes(
    axes: Axes, report: Report, corners: list[tuple[float, float]], tall: float, scale: float
) -> None:
    """Draw every node's box, and its letters."""
    from matplotlib.patches import FancyBboxPatch

    colours = _colours(report.graph)
    odd = {name for flag in report.flags for name in flag.nodes}
    for node, (x, y) in zip(report.graph.nodes, corners, strict=True):
        axes.add_patch(
            FancyBboxPatch(
                (x, y),
                _BOX,
                tall,
                boxstyle="round,pad=0,rounding_size=0.09",
                facecolor=colours[node.type],
                edgecolor=_ODD if node.name in odd else GREY,
                linewidth=(2.4 if node.name in odd else 0.7) * scale,
                gid=f"node-{node.name}",
                zorder=2,
            )
        )
        for line, (text, size, colour) in enumerate(_lines(node)):
            axes.text(
                x + 0.09,
                y + 0.14 + _LINE * line,
                text,
                color=colour,
                fontsize=size * scale,
                va="center",
                fontweight="normal" if line else "bold",
                zorder=3,
            )


def _colours(graph: MorphologyGraph) -> dict[str, object]:
    """Return a pale colour for each type; hues a golden section apart are never alike."""
    from matplotlib.colors import hsv_to_rgb

    types = dict.fromkeys(node.type for node in graph.nodes if node.kind != "root")
    hues = ((0.6 + 0.618034 * i) % 1.0 for i in range(len(types)))
    colours = {kind: hsv_to_rgb((hue, 0.3, 0.98)) for kind, hue in zip(types, hues, strict=True)}
    return {"root": _ROOT, **colours}


def _lines(node: Node) -> list[tuple[str, float, str]]:
    """Return what stands in a box: text, size, colour."""
    action = "no action" if node.action is None else f"action {node.action}"
    kind = node.type if node.type != node.name else "type " + node.type
    second = kind if node.kind == "root" else f"{kind} · {action}"
    read = textwrap.wrap(f"obs {spans(node.columns)}", _LETTERS) or ["obs none"]
    lines = [(_cut(node.name, 26), 8.5, INK), (_cut(second, _LETTERS), 7.0, INK)]
    return [*lines, *((text, 7.0, GREY) for text in read)][:_MOST_LINES]


def _label(axes: Axes, report: Report, height: float, scale: float) -> None:
    """Write what the body is above the graph, and what is odd below."""
    graph = report.graph
    facts = (
        f"{graph.num_nodes} nodes of {len(graph.types)} types, {graph.observation_size} "
        f"observations, {graph.action_size} actions"
    )
    left = _MARGIN[0]
    axes.text(left, 0.38, report.title, color=INK, fontsize=13 * scale, fontweight="bold")
    axes.text(left, 0.66, facts, color=GREY, fontsize=9 * scale)
    flags = [flag.text.split(". ")[0].split(": a ")[0] for flag in report.flags]
    for line, text in enumerate(flags[:3]):
        y = height - 0.62 + 0.22 * line
        axes.text(left, y, f"! {_cut(text, 110)}", color=_ODD, fontsize=8.5 * scale)


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
