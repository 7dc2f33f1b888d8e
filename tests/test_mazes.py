"""Mazes: layouts, places, walls, and the shortest way, against values worked by hand."""

import itertools
import math

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import morphzoo  # noqa: F401  (registers the ids)
from morphzoo.envs.goals.arena import Maze, Ring
from morphzoo.envs.goals.layouts import MAZES, checked_layout, layout_of, merged_walls
from morphzoo.envs.goals.point import POINT_RADIUS, PointMazeTask
from morphzoo.envs.goals.shortest_path import (
    optimal_time_at_goal,
    optimal_times,
    path_length,
    shortest_path,
)

mazes = pytest.mark.parametrize("name", MAZES)
EVALUATED = [name for name in MAZES if name.endswith("-eval")]


def maze(name, cell=1.0):
    return Maze(MAZES[name], cell, 0.5)


def marks(layout, mark):
    return {(i, j) for i, row in enumerate(layout) for j, found in enumerate(row) if found == mark}


# --- layouts --------------------------------------------------------------------------------------

SIZES = {"u": (5, 5, 6), "u4": (7, 5, 10), "u5": (7, 8, 16), "big": (8, 8, 25)}
SIZES |= {"hardest": (9, 12, 45), "u-eval": (5, 5, 3), "u4-eval": (7, 5, 4)}
SIZES |= {"u5-eval": (7, 8, 8), "big-eval": (8, 8, 9)}


@mazes
def test_layouts_have_the_published_sizes_and_numbers_of_goals(name):
    layout = MAZES[name]
    assert (len(layout), len(layout[0]), len(marks(layout, "G"))) == SIZES[name]
    assert checked_layout(layout) == layout == layout_of(name) == layout_of(list(layout))
    assert "." not in "".join(layout) or name in EVALUATED


@pytest.mark.parametrize("name", EVALUATED)
def test_an_evaluation_layout_is_the_same_maze_with_some_of_its_goals(name):
    evaluated, trained = MAZES[name], MAZES[name.removesuffix("-eval")]
    for mark in "#R":
        assert marks(evaluated, mark) == marks(trained, mark)
    assert marks(evaluated, "G") < marks(trained, "G")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), "rows of equal length"),
        (("####", "#RG"), "rows of equal length"),
        ((1, 2), "rows of equal length"),
        (("####", "#RX#", "####"), r"found \['X'\]"),
        (("####", "#RG.", "####"), "a way out"),
        (("####", "#R.#", "#G##", "#.##"), "a way out"),
        (("####", "#GG#", "####"), "one start .* found 0 and 2"),
        (("#####", "#RRG#", "#####"), "one start .* found 2 and 1"),
        (("####", "#R.#", "####"), "found 1 and 0"),
        (("######", "#R#GG#", "######"), r"no way .* \[\(1, 3\), \(1, 4\)\]"),
        ("u6", "expected one of u, u-eval"),
    ],
)
def test_layouts_that_make_no_sense_are_refused(rows, message):
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=message):
            make("morphzoo/PointUMaze-v0", maze=rows)


@given(st.lists(st.text("#.", min_size=6, max_size=6), min_size=1, max_size=6))
def test_boxes_cover_every_wall_once_and_nothing_else(rows):
    covered = [
        (i, j)
        for (i0, j0), (i1, j1) in merged_walls(rows)
        for i, j in itertools.product(range(i0, i1), range(j0, j1))
    ]
    assert len(set(covered)) == len(covered)
    assert set(covered) == marks(rows, "#")


def test_boxes_of_the_u_maze_by_hand():
    # the top row; left and right sides of row 1; row 2 but its free cell; ...
    found = sorted(merged_walls(MAZES["u"]))
    expected = [((0, 0), (1, 5)), ((1, 0), (2, 1)), ((1, 4), (4, 5)), ((2, 0), (3, 3))]
    assert found == [*expected, ((3, 0), (4, 1)), ((4, 0), (5, 5))]


def test_places_by_hand():
    u = maze("u", cell=4.0)
    assert u.start == (4, 4)
    assert u.goals.tolist() == [[4, 8], [4, 12], [8, 12], [12, 4], [12, 8], [12, 12]]
    assert u.corners == ((-2, -2), (18, 18))
    assert u.walls()[0].tolist() == [[-2, -2], [2, 18]]
    moved = Maze(MAZES["u"], 4.0, 2.0, origin=(-4.0, 1.0))
    assert moved.start == (0, 5) and moved.walls()[0].tolist() == [[-6, -1], [-2, 19]]


@mazes
def test_compiled_walls_stand_where_the_layout_has_them(name):
    """A ray from above meets a wall, of the right height, over each wall and over no other cell."""
    model = PointMazeTask(name).model
    data = mujoco.MjData(model)
    data.qpos[:] = 1000.0  # the ball is out of the way
    mujoco.mj_forward(model, data)
    for i, row in enumerate(MAZES[name]):
        for j, mark in enumerate(row):
            for di, dj in ((0, 0), (0.45, 0.45), (-0.45, 0.45)):
                above, geom = np.array([i + di, j + dj, 3.0]), np.zeros(1, np.int32)
                depth = mujoco.mj_ray(model, data, above, [0.0, 0, -1], None, 1, -1, geom)
                assert depth == pytest.approx(2.6 if mark == "#" else 3.0)


def test_goals_of_a_maze_are_drawn_equally_often():
    arena = maze("u4")
    drawn = np.array([arena.draw_goal(np.random.default_rng(seed)) for seed in range(2000)])
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    assert found.tolist() == sorted(arena.goals.tolist())
    assert 140 < counts.min() and counts.max() < 260  # 200 +- 4.4 sd


def test_goals_of_a_ring_are_drawn_in_every_direction():
    drawn = np.array([Ring((2.0, 6.0)).draw_goal(np.random.default_rng(s)) for s in range(2000)])
    distances, angles = np.hypot(*drawn.T), np.arctan2(drawn[:, 1], drawn[:, 0])
    for values, low, high in ((distances, 2, 6), (angles, -math.pi, math.pi)):
        counts, _ = np.histogram(values, bins=10, range=(low, high))
        assert counts.sum() == 2000 and 140 < counts.min() and counts.max() < 260
    exact = [Ring((10.0, 10.0)).draw_goal(np.random.default_rng(seed)) for seed in range(20)]
    np.testing.assert_allclose(np.hypot(*np.transpose(exact)), 10, rtol=1e-15)


@pytest.mark.parametrize(
    "bad", [(0, 1), (2, 1), (-1, 1), (1, math.inf), (math.nan, 1), 5.0, (1,), "far"]
)
def test_distances_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValueError, match=r"goal_distance: expected .* 0 < low <= high"):
        gym.make("morphzoo/CentipedeReach-3-v0", goal_distance=bad)


# --- the shortest way -----------------------------------------------------------------------------


def length(name, start, goal, clearance=0.0):
    return path_length(shortest_path(maze(name), start, goal, clearance))


def test_shortest_ways_of_the_u_maze_by_hand():
    assert length("u", (1, 1), (1, 3)) == pytest.approx(2)
    way = shortest_path(maze("u"), (1, 1), (3, 1))
    np.testing.assert_allclose(way, [(1, 1), (1.5, 2.5), (2.5, 2.5), (3, 1)], atol=1e-5)
    assert path_length(way) == pytest.approx(1 + 2 * math.sqrt(0.5**2 + 1.5**2), abs=1e-5)
    way = shortest_path(maze("u"), (1, 1), (3, 1), clearance=0.1)
    np.testing.assert_allclose(way, [(1, 1), (1.4, 2.6), (2.6, 2.6), (3, 1)], atol=1e-12)
    assert path_length(way) == pytest.approx(1.2 + 2 * math.sqrt(0.4**2 + 1.6**2))
    # (4 m cells, as the Ant's: everything is four times as long)
    assert path_length(shortest_path(maze("u", 4.0), (4, 4), (12, 4))) == pytest.approx(
        4 * (1 + 2 * math.sqrt(2.5)), abs=1e-5
    )


def test_no_way_leads_between_walls_that_touch_at_an_edge():
    """Of the big maze: the pillars at (4, 3) and (5, 2)."""
    straight = math.sqrt(2)
    assert length("big", (4, 2), (5, 3)) > 1.5 * straight


def steps_between_cells(layout, start):
    """Least number of steps from cell to neighbouring cell, by widening rings."""
    free = marks(layout, "R") | marks(layout, "G") | marks(layout, ".")
    found, ring = {start: 0}, [start]
    while ring:
        ring = [
            (i + di, j + dj)
            for i, j in ring
            for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1))
            if (i + di, j + dj) in free - found.keys()
            and not found.update({(i + di, j + dj): found[i, j] + 1})
        ]
    return found


@mazes
def test_shortest_ways_lie_between_the_straight_line_and_the_way_through_cell_centres(name):
    arena = maze(name)
    steps = steps_between_cells(
        MAZES[name], (1, 1) if "u4" not in name and "u5" not in name else (2, 1)
    )
    for goal in arena.goals:
        way = shortest_path(arena, arena.start, goal, 0.2)
        wide = path_length(way)
        shortest = path_length(shortest_path(arena, arena.start, goal))
        back = path_length(shortest_path(arena, goal, arena.start))
        straight = math.dist(arena.start, goal)
        assert straight - 1e-9 <= shortest <= wide <= steps[tuple(goal.astype(int))] + 1e-9
        assert back == pytest.approx(shortest, rel=1e-12)
        # every point of the wide way is free, and so is its square neighbourhood
        for a, b in itertools.pairwise(way):
            for t in np.linspace(0, 1, 30):
                x, y = a + t * (b - a)
                for dx, dy in itertools.product((-0.1999, 0.1999), repeat=2):
                    assert MAZES[name][round(x + dx)][round(y + dy)] != "#"


def test_optimal_times_are_of_the_episodes_own_starts_and_goals():
    """One goal, 2 m ahead of the cell's centre: (2 - noise - 0.2) / 0.2 whole steps are away."""
    corridor = ("#####", "#R.G#", "#####")
    with gym.make("morphzoo/PointUMaze-v0", maze=corridor, max_episode_steps=50) as env:
        times = optimal_times(env, [3, 4, 5])
        for seed, time in zip([3, 4, 5], times, strict=True):
            obs, _ = env.reset(seed=seed)
            length = np.linalg.norm(obs["desired_goal"] - obs["achieved_goal"])
            assert time == 50 - math.floor((length - 0.2) / 0.2) and 40 <= time <= 42
    with gym.make("morphzoo/PointUMaze-v0", maze=corridor, reset_noise_scale=0) as env:
        assert optimal_times(env, [0]).tolist() == [200 - 9]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (("morphzoo/AntReach-v0", {}), "needs a maze"),
        (("morphzoo/AntU4Maze-v0", {}), "known top speed"),
        (("morphzoo/PointUMaze-v0", {"max_episode_steps": -1}), "needs a time limit"),
    ],
)
def test_where_there_is_no_optimum_it_is_said_why(made, message):
    env_id, arguments = made
    with gym.make(env_id, **arguments) as env, pytest.raises(ValueError, match=message):
        optimal_times(env, [0])


@pytest.mark.parametrize(
    ("start", "goal", "clearance", "message"),
    [
        ((2, 2), (1, 1), 0.0, r"start: .* found \(2\.0, 2\.0\)"),
        ((1, 1), (1, 0.55), 0.1, "goal: expected a point at least 0.1 m"),
        ((1, 1), (9, 9), 0.0, "goal: expected"),
        ((1, 1), (1, 4.5), 0.0, "goal: expected"),
        ((1, 1), (3, 1), 0.51, "start: expected a point at least 0.51 m"),
        ((1, math.nan), (3, 1), 0.0, "start: expected"),
    ],
)
def test_ways_that_do_not_exist(start, goal, clearance, message):
    with pytest.raises(ValueError, match=message):
        shortest_path(maze("u"), start, goal, clearance)


def test_optimal_times_by_hand():
    def best(length, **changed):
        values = {"dt": 0.1, "steps": 200, "threshold": 0.2} | changed
        return optimal_time_at_goal(length, 2.0, **values)

    # 0.2 m a step, of which 19 end outside: 4.162 - 19 * 0.2 = 0.362, and 0.162 after one more
    assert best(1 + 2 * math.sqrt(2.5)) == 200 - 19
    assert best(0.0) == best(0.1) == 200
    assert best(0.25) == 200  # after one step it is within
    assert best(1.0, threshold=0.5, dt=0.125) == 198  # after two steps just not within
    assert best(1000.0) == 0
    for bad in ({"dt": 0}, {"threshold": -1}, {"steps": -1}, {"dt": math.nan}):
        with pytest.raises(ValueError, match="expected a positive top_speed and dt"):
            best(1.0, **bad)


def drive(env, goal, steps):
    """Follow the shortest way at full speed; return the time at the goal."""
    task = env.unwrapped.task
    observation, _ = env.reset(seed=0)
    while not np.array_equal(observation["desired_goal"], goal.astype(np.float32)):
        observation, _ = env.reset()
    start = observation["achieved_goal"].astype(float)
    way = list(shortest_path(task.arena, tuple(start), tuple(goal), POINT_RADIUS + 0.05)[1:])
    score = 0.0
    for _ in range(steps):
        to = way[0] - observation["achieved_goal"] - 0.1 * observation["observation"][2:]
        if len(way) > 1 and np.hypot(*to) < 0.15:
            way.pop(0)
        observation, reward, terminated, truncated, info = env.step((8 * to).astype(np.float32))
        score += reward
    assert truncated and not terminated and info["goal_reached"] == 1
    return score, path_length(shortest_path(task.arena, tuple(start), tuple(goal)))


@pytest.mark.parametrize(
    ("env_id", "every"), [("PointUMaze", 1), ("PointBigMaze", 5), ("PointHardestMaze", 9)]
)
def test_every_goal_can_be_reached_and_none_sooner_than_the_bound(env_id, every):
    env = gym.make(f"morphzoo/{env_id}-v0")
    task, steps = env.unwrapped.task, env.spec.max_episode_steps
    for goal in task.arena.goals[::-1][::every]:
        score, way = drive(env, goal, steps)
        best = optimal_time_at_goal(
            way, task.top_speed, dt=task.dt, steps=steps, threshold=task.threshold
        )
        assert 0.95 * best <= score <= best
