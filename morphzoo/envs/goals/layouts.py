"""Layouts of the mazes, and what can be said of a layout without measuring it.

Source: layouts of Wang et al. (arXiv 2503.14858), `envs/ant_maze.py` of scaling-crl (Apache-2.0);
    `u`, `big` and `hardest` go back to D4RL's mazes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

WALL, START, GOAL, FREE = "#RG."

#: `#` is a wall, `R` the start, `G` a cell that goals are drawn from, `.` a free cell. `-eval` is
#: the same maze with its far goals alone, on which the paper evaluates.
MAZES: dict[str, tuple[str, ...]] = {
    "u": ("#####", "#RGG#", "###G#", "#GGG#", "#####"),
    "u-eval": ("#####", "#R..#", "###.#", "#GGG#", "#####"),
    "u4": ("#####", "#GGG#", "#R#G#", "###G#", "#G#G#", "#GGG#", "#####"),
    "u4-eval": ("#####", "#...#", "#R#.#", "###.#", "#G#.#", "#GGG#", "#####"),
    "u5": (
        "########", "#GGGGGG#", "#R####G#", "######G#", "#G####G#", "#GGGGGG#", "########",
    ),
    "u5-eval": (
        "########", "#......#", "#R####.#", "######.#", "#G####G#", "#GGGGGG#", "########",
    ),
    "big": (
        "########", "#RG##GG#", "#GG#GGG#", "##GGG###", "#GG#GGG#", "#G#GG#G#", "#GGG#GG#",
        "########",
    ),
    "big-eval": (
        "########", "#R.##GG#", "#..#..G#", "##...###", "#..#...#", "#.#.G#G#", "#.GG#GG#",
        "########",
    ),
    "hardest": (
        "############", "#RGGG#GGGGG#", "#G##G#G#G#G#", "#GGGGGG#GGG#", "#G####G###G#",
        "#GG#G#GGGGG#", "##G#G#G#G###", "#GG#GGG#GGG#", "############",
    ),
}  # fmt: skip


def layout_of(maze: str | Sequence[str]) -> tuple[str, ...]:
    """Return the layout that is meant: a name of `MAZES`, or the rows themselves.

    Raises:
        ValueError: if there is no such name, or the rows are no maze.
    """
    if not isinstance(maze, str):
        return checked_layout(maze)
    if maze not in MAZES:
        raise ValueError(f"maze: expected one of {', '.join(MAZES)}, or rows, found {maze!r}.")
    return MAZES[maze]


def checked_layout(layout: Sequence[str]) -> tuple[str, ...]:
    """Return the rows of a layout.

    Raises:
        ValueError: unless they are equally long, closed by walls all around, with one start, and
            with goals that can be reached from it.
    """
    rows = tuple(layout)
    if not rows or not all(isinstance(row, str) for row in rows) or len(set(map(len, rows))) > 1:
        raise ValueError(f"maze: expected rows of equal length, found {layout!r}.")
    marks = "".join(rows)
    if unknown := sorted(set(marks) - {WALL, START, GOAL, FREE}):
        raise ValueError(f"maze: expected '#', 'R', 'G' and '.', found {unknown}.")
    edge = rows[0] + rows[-1] + "".join(row[:1] + row[-1:] for row in rows)
    if set(edge) != {WALL}:
        raise ValueError("maze: expected walls ('#') all around, found a way out.")
    if marks.count(START) != 1 or GOAL not in marks:
        raise ValueError(
            f"maze: expected one start ('R') and at least one goal ('G'), found "
            f"{marks.count(START)} and {marks.count(GOAL)}."
        )
    reached = _reachable(rows)
    lost = [cell for cell in _cells(rows, GOAL) if cell not in reached]
    if lost:
        raise ValueError(f"maze: no way leads from the start to the goals in (row, column) {lost}.")
    return rows


def merged_walls(rows: Sequence[str]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return boxes that cover the walls once each: (first row, column), (row, column) after last.

    A run of walls in a row is one box, and equal runs in neighbouring rows are one too: fewer
    contacts to look for than a box a cell, and no seam that a robot could catch on along a run.
    """
    boxes = []
    growing: dict[tuple[int, int], int] = {}  # columns of a run -> row in which it began
    for i, row in enumerate([*rows, ""]):
        runs = _runs(row)
        for run in [run for run in growing if run not in runs]:
            boxes.append(((growing.pop(run), run[0]), (i, run[1])))
        for run in runs:
            growing.setdefault(run, i)
    return boxes


def _runs(row: str) -> list[tuple[int, int]]:
    """Return the first column of each run of walls, and the one after its last."""
    padded = f" {row} "
    ends = [j for j in range(len(row) + 1) if (padded[j] == WALL) != (padded[j + 1] == WALL)]
    return list(zip(ends[::2], ends[1::2], strict=True))


def _cells(rows: Sequence[str], mark: str) -> list[tuple[int, int]]:
    return [(i, j) for i, row in enumerate(rows) for j, found in enumerate(row) if found == mark]


def _reachable(rows: Sequence[str]) -> set[tuple[int, int]]:
    """Return the cells that are linked to the start by common sides."""
    waiting = deque(_cells(rows, START))
    reached = set(waiting)
    while waiting:
        i, j = waiting.popleft()
        for cell in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            if cell not in reached and rows[cell[0]][cell[1]] != WALL:
                reached.add(cell)
                waiting.append(cell)
    return reached
