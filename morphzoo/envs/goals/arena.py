"""Where a robot is told to go: open ground around it, or the free cells of a maze."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import mujoco
import numpy as np

from morphzoo.envs.goals.goal_task import add_marker
from morphzoo.envs.goals.layouts import checked_layout, merged_walls

Point = tuple[float, float]
Range = tuple[float, float]

_WALL = (0.40, 0.47, 0.55, 1.0)
_FIELD_OF_VIEW = 45.0  # of the camera, vertically (degrees)
_TILT = math.radians(25.0)  # of the camera, away from looking straight down
_FRAME = 1.12  # picture's width over the arena's


class Arena(ABC):
    """A piece of ground with a start, from which goals are drawn: x and y (m, world frame)."""

    @property
    @abstractmethod
    def start(self) -> Point:
        """Where the robot begins, before noise."""

    @property
    @abstractmethod
    def corners(self) -> tuple[Point, Point]:
        """Least and greatest x and y of what a picture of the arena shows."""

    @abstractmethod
    def draw_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one goal, float64[2]."""

    @abstractmethod
    def add_walls(self, spec: mujoco.MjSpec) -> None:
        """Add what stands in the way."""

    def furnish(self, spec: mujoco.MjSpec, threshold: float, height: float) -> None:
        """Put walls, the goal's marker and the camera `overview` into a world.

        Args:
            spec: the world with its robot, and a floor called `floor`.
            threshold: a goal is reached where its distance is below this (m).
            height: of the marker's centre (m).

        Raises:
            ValueError: if the threshold is no positive number.
        """
        self.add_walls(spec)
        add_marker(spec, threshold, height)
        (left, bottom), (right, top) = self.corners
        x, y, span = (left + right) / 2, (bottom + top) / 2, max(right - left, top - bottom)
        # Seen so that a maze looks as it is printed: x runs down the picture, y to the right.
        distance = _FRAME * span / 2 / math.tan(math.radians(_FIELD_OF_VIEW / 2))
        sine, cosine = math.sin(_TILT), math.cos(_TILT)
        spec.worldbody.add_camera(
            name="overview",
            pos=[x + distance * sine, y, distance * cosine],
            xyaxes=[0.0, 1.0, 0.0, -cosine, 0.0, sine],
            fovy=_FIELD_OF_VIEW,
        )
        spec.stat.extent = span
        spec.stat.center = [x, y, 0.0]


@dataclass(frozen=True)
class Ring(Arena):
    """Open ground: goals lie around the origin, in any direction.

    Attributes:
        distance: least and greatest distance of a goal (m); both it and the direction are uniform.
    """

    distance: Range

    def __post_init__(self) -> None:
        """Check the distances; raise ValueError."""
        try:
            low, high = (float(distance) for distance in self.distance)
        except (TypeError, ValueError):
            low = high = math.nan
        if not 0.0 < low <= high < math.inf:
            raise ValueError(
                f"goal_distance: expected (low, high) with 0 < low <= high (m), found "
                f"{self.distance!r}."
            )
        object.__setattr__(self, "distance", (low, high))

    @property
    def start(self) -> Point:
        """The origin."""
        return (0.0, 0.0)

    @property
    def corners(self) -> tuple[Point, Point]:
        """A square around the furthest goals."""
        reach = 1.1 * self.distance[1]
        return (-reach, -reach), (reach, reach)

    def draw_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Draw distance, then direction."""
        distance, angle = rng.uniform(*self.distance), rng.uniform(-math.pi, math.pi)
        return distance * np.array([math.cos(angle), math.sin(angle)])

    def add_walls(self, spec: mujoco.MjSpec) -> None:
        """Nothing stands in the way."""


@dataclass(frozen=True)
class Maze(Arena):
    """A maze of square cells; goals are the centres of cells marked `G`, each as likely.

    Row i and column j of the layout have their centre at x = i cell, y = j cell, less `origin`.

    Attributes:
        layout: rows of `#` (wall), `R` (start), `G` (goal) and `.` (free).
        cell: side of a cell (m).
        wall_height: (m).
        origin: x and y of the first cell's centre (m).
    """

    layout: tuple[str, ...]
    cell: float
    wall_height: float
    origin: Point = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Check layout and sizes; raise ValueError."""
        object.__setattr__(self, "layout", checked_layout(self.layout))
        for name in ("cell", "wall_height"):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise ValueError(f"{name}: expected a positive number (m), found {value!r}.")

    @property
    def start(self) -> Point:
        """Centre of the cell marked `R`."""
        x, y = self.centres("R")[0]
        return float(x), float(y)

    @property
    def goals(self) -> np.ndarray:
        """Centres of the cells marked `G`, float64[k, 2], row by row."""
        return self.centres("G")

    @property
    def corners(self) -> tuple[Point, Point]:
        """The outer walls' corners."""
        half, (x, y) = self.cell / 2, self.origin
        rows, columns = len(self.layout), len(self.layout[0])
        return (x - half, y - half), (
            x + rows * self.cell - half,
            y + columns * self.cell - half,
        )

    def centres(self, marks: str) -> np.ndarray:
        """Return the centres of the cells with one of the marks, float64[k, 2], row by row."""
        cells = [
            (i, j)
            for i, row in enumerate(self.layout)
            for j, mark in enumerate(row)
            if mark in marks
        ]
        return np.array(self.origin) + self.cell * np.array(cells, dtype=np.float64).reshape(-1, 2)

    def walls(self) -> np.ndarray:
        """Return the walls as few boxes: float64[k, 2, 2], their least and greatest x and y."""
        boxes = np.array(merged_walls(self.layout), dtype=np.float64)
        return np.array(self.origin) + self.cell * (boxes - 0.5)

    def draw_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one of the cells marked `G`."""
        goals = self.goals
        return goals[rng.integers(len(goals))]

    def add_walls(self, spec: mujoco.MjSpec) -> None:
        """Add the walls, which whatever has contype 1 runs into."""
        for number, (low, high) in enumerate(self.walls()):
            middle, half = (low + high) / 2, (high - low) / 2
            spec.worldbody.add_geom(
                name=f"wall_{number}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=[*middle, self.wall_height / 2],
                size=[*half, self.wall_height / 2],
                contype=0,
                conaffinity=1,
                material="",
                rgba=_WALL,
            )
