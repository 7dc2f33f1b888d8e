"""Simulation: against a plain loop of MuJoCo, through failures, and continued from its state."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import mujoco
import numpy as np
import pytest

from morphzoo.columns import columns_of
from morphzoo.envs.centipede import CentipedeTask
from morphzoo.envs.failures import physics_failed, warning_counts
from morphzoo.envs.generators import generator_from_words, generator_words
from morphzoo.envs.simulation import Simulation
from morphzoo.envs.task import Task

ROWS = 5
STEPS = 30
TASK = CentipedeTask(4)
MOTORS = TASK.model.nu

TOY = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body name="base">
      <joint name="slide" type="slide" axis="1 0 0"/>
      <geom size=".1" mass="1" contype="0" conaffinity="0"/>
      <body name="pole">
        <joint name="hinge" axis="0 1 0"/>
        <geom type="capsule" fromto="0 0 0 0 0 1" size=".05" mass="1" contype="0" conaffinity="0"/>
      </body>
    </body>
    <body name="weight" pos="5 0 0"><freejoint/><geom size=".1" mass="1"/></body>
  </worldbody>
  <equality><weld body1="weight"/></equality>
  <actuator><motor name="push" joint="slide" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


class Toy(Task):
    """A pole on a cart, with a random goal and an equality that a test can break."""

    def __init__(self, dtype: type = np.float32) -> None:
        """Build it."""
        model = mujoco.MjModel.from_xml_string(TOY)
        columns = columns_of(model, "qpos", range(2)) + columns_of(model, "qvel", range(2))
        super().__init__(
            model, columns, fields=("qpos", "qvel"), reward_terms=("near", "cheap"), frame_skip=2
        )
        self.dtype = dtype

    def initial_state(self, rng):
        qpos = self.model.qpos0.copy()
        qpos[:2] = rng.uniform(-0.1, 0.1, 2)
        return qpos, np.zeros(self.model.nv)

    def begin(self, fields, rngs):
        # A view of a live field on purpose: the simulation must not let it change.
        return {"goal": np.array([rng.uniform(-1, 1) for rng in rngs]), "was": fields["qpos"][:, 0]}

    def advance(self, fields, variables):
        return {"goal": variables["goal"], "was": fields["qpos"][:, 0]}

    def observe(self, fields, variables):
        return np.concatenate(
            [fields["qpos"][:, :2], fields["qvel"][:, :2]], axis=1, dtype=self.dtype
        )

    def reward(self, fields, action, variables):
        return {
            "near": -np.abs(fields["qpos"][:, 0] - variables["goal"]),
            "cheap": -np.square(action[:, 0]),
        }

    def terminated(self, fields, variables):
        return np.abs(fields["qpos"][:, 0]) > 10

    def metrics(self, fields, variables):
        return {"x": fields["qpos"][:, 0], "moved": fields["qpos"][:, 0] - variables["was"]}


def generators(num: int = ROWS, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng(seed + row) for row in range(num)]


def actions(steps: int = STEPS, num: int = ROWS, motors: int = MOTORS) -> np.ndarray:
    return np.random.default_rng(7).uniform(-1, 1, (steps, num, motors))


def begun(task: Task = TASK, num: int = ROWS, **kwargs) -> Simulation:
    simulation = Simulation(task, num, **kwargs)
    simulation.reset(np.arange(num), generators(num))
    return simulation


def same(first, second) -> None:
    """Assert bit equality of results, states or arrays; NaN equals NaN."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for name in first:
            same(first[name], second[name])
    elif isinstance(first, tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            same(one, other)
    else:
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)


def row_of(result, row: int):
    """Return one row of a result as a batch of one."""
    one = slice(row, row + 1)
    return (
        *(array[one] for array in result[:4]),
        {name: values[one] for name, values in result.terms.items()},
        {name: values[one] for name, values in result.metrics.items()},
    )


# --- the physics ----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_equals_a_loop_of_mj_step(num_threads: int) -> None:
    simulation = Simulation(TASK, ROWS, num_threads=num_threads)
    first = simulation.reset(np.arange(ROWS), generators())
    datas = [mujoco.MjData(TASK.model) for _ in range(ROWS)]
    for row, (data, rng) in enumerate(zip(datas, generators(), strict=True)):
        data.qpos[:], data.qvel[:] = TASK.initial_state(rng)
        mujoco.mj_forward(TASK.model, data)
        np.testing.assert_array_equal(first[row, : TASK.model.nq - 2], np.float32(data.qpos[2:]))
    for action in actions():
        result = simulation.step(action)
        for row, data in enumerate(datas):
            data.ctrl[:] = action[row]
            for _ in range(TASK.frame_skip):
                mujoco.mj_step(TASK.model, data)
            mujoco.mj_forward(TASK.model, data)
            for name in ("qpos", "qvel", "xpos", "cfrc_ext"):
                np.testing.assert_array_equal(simulation.fields[name][row], getattr(data, name))
            forces = np.clip(data.cfrc_ext[1:].ravel(), -1, 1)
            np.testing.assert_array_equal(
                result.observation[row, -len(forces) :], np.float32(forces)
            )
    assert np.abs(result.observation[:, -len(forces) :]).max() == 1  # contacts were felt


def test_reward_is_the_sum_of_its_terms() -> None:
    result = begun().step(actions()[0])
    total = sum(result.terms[name] for name in TASK.reward_terms)
    np.testing.assert_array_equal(result.reward, total)
    assert tuple(result.terms) == TASK.reward_terms


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    together = begun()
    alone = Simulation(TASK, 1)
    alone.reset([0], generators()[3:4])
    for action in actions():
        same(row_of(together.step(action), 3), row_of(alone.step(action[3:4]), 0))


def test_some_rows_step_as_all_rows_do() -> None:
    together, apart = begun(), begun()
    ids = np.array([1, 2, 4])
    for action in actions(10):
        whole = together.step(action)
        part = apart.step(action[ids], ids)
        for index, row in enumerate(ids):
            same(row_of(whole, row), row_of(part, index))
    start = begun().get_state()["physics"]
    np.testing.assert_array_equal(apart.get_state()["physics"][[0, 3]], start[[0, 3]])


def test_resetting_some_rows_leaves_the_others() -> None:
    one, other = begun(), begun()
    for action in actions(3):
        one.step(action), other.step(action)
    other.reset([0, 4], generators(2, seed=50))
    left = slice(1, 4)
    for action in actions(3):
        first, second = one.step(action), other.step(action)
        np.testing.assert_array_equal(first.observation[left], second.observation[left])
        np.testing.assert_array_equal(first.reward[left], second.reward[left])
    assert (first.observation[0] != second.observation[0]).any()


def test_what_it_returns_belongs_to_the_caller() -> None:
    careful, careless = begun(), begun()
    for action in actions(6):
        expected = careful.step(action)
        found = careless.step(action)
        same(expected, found)
        for array in (*found[:4], *found.terms.values(), *found.metrics.values()):
            array[:] = 1
        for array in (careless.observation, careless.failed, *careless.get_state().values()):
            array[...] = 1
    assert careless.failures == 0


def test_a_task_may_return_views_of_fields() -> None:
    simulation = begun(Toy())
    before = simulation.fields["qpos"][:, 0].copy()
    result = simulation.step(actions(1, motors=1)[0])
    after = simulation.fields["qpos"][:, 0].copy()
    np.testing.assert_array_equal(result.metrics["moved"], after - before)
    assert (after != before).all()
    simulation.step(actions(1, motors=1)[0])
    np.testing.assert_array_equal(result.metrics["x"], after)


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("qpos", np.nan, [1, 0, 0, 0]),
        ("qvel", np.inf, [0, 1, 0, 0]),
        ("qvel", 1e11, [0, 1, 0, 0]),
        ("ctrl", np.nan, [0, 0, 0, 1]),
        ("xfrc_applied", 1e300, [0, 0, 1, 0]),
        ("qpos", 0.5, [0, 0, 0, 0]),
    ],
)
def test_warning_counts(field: str, value: float, expected: list[int]) -> None:
    model = mujoco.MjModel.from_xml_string(TOY)
    data = mujoco.MjData(model)
    getattr(data, field).flat[-1 if field != "qpos" else 0] = value
    Simulation(TASK, 1)  # installs the warning handler
    mujoco.mj_step(model, data)
    assert warning_counts(data).tolist() == expected
    assert np.isfinite(data.qpos).all()  # MuJoCo hid it


def test_physics_failed_by_hand() -> None:
    counts = np.zeros((6, 4), dtype=np.int64)
    counts[1, 2] = 1
    values = np.array([[0.0, -1e10], [0, 0], [np.nan, 0], [0, np.inf], [-1.1e10, 0], [1e10, 1]])
    assert physics_failed(counts, values).tolist() == [False, True, True, True, True, False]
    deep = np.zeros((6, 2, 3))
    deep[5, 1, 2] = np.nan
    assert physics_failed(counts, values, deep).tolist() == [False, True, True, True, True, True]


INJECTIONS = [
    ("qpos", np.nan), ("qpos", np.inf), ("qpos", -1e11), ("qvel", np.nan), ("qvel", 1e12),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), INJECTIONS)
def test_a_failure_ends_its_own_episode_and_no_other(field: str, value: float) -> None:
    healthy, broken = begun(), begun()
    for action in actions(4):
        same(healthy.step(action), broken.step(action))
    last = broken.observation[2], {n: v[2] for n, v in broken.metrics.items()}
    broken.batch.bind(field)[2, 1] = value
    for repeat, action in enumerate(actions(5)):
        if repeat == 3:
            broken.reset([2], generators(1, seed=99))
        expected, found = healthy.step(action), broken.step(action)
        for row in (0, 1, 3, 4):
            same(row_of(expected, row), row_of(found, row))
        if repeat < 3:  # it stays failed until it is reset
            assert found.failed.tolist() == [False, False, True, False, False]
            assert found.terminated[2]
            assert found.reward[2] == 0
            assert all(term[2] == 0 for term in found.terms.values())
            np.testing.assert_array_equal(found.observation[2], last[0])
            assert {name: values[2] for name, values in found.metrics.items()} == last[1]
        else:
            assert not found.failed.any()
            assert found.reward[2] != 0
        assert broken.failures == 1  # counted once
    fresh = Simulation(TASK, 1)
    fresh.reset([0], generators(1, seed=99))
    for action in actions(5)[3:]:
        expected = fresh.step(action[2:3])
    same(row_of(expected, 0), row_of(found, 2))
    assert healthy.failures == 0


def test_a_huge_action_is_clamped_by_mujoco_and_charged_by_the_reward() -> None:
    clamped, wild = begun(), begun()
    action = actions(1)[0]
    action[1, 0] = 1.0
    expected = clamped.step(action)
    action[1, 0] = 1e11
    found = wild.step(action)
    assert not found.failed.any()
    np.testing.assert_array_equal(found.observation, expected.observation)
    assert found.terms["reward_ctrl"][1] < -1e21
    np.testing.assert_array_equal(np.delete(found.reward, 1), np.delete(expected.reward, 1))


def test_a_number_that_grows_too_large_in_the_last_substep_is_a_failure() -> None:
    simulation, data = begun(), mujoco.MjData(TASK.model)
    speed, dt = 9e9, TASK.model.opt.timestep
    batch = simulation.batch
    for qpos, qvel in ((data.qpos, data.qvel), (batch.bind("qpos")[3], batch.bind("qvel")[3])):
        qpos[:], qvel[:] = TASK.model.qpos0, 0
        # After 4 of the 5 substeps it is below 1e10, MuJoCo's limit, and after the fifth above.
        qpos[0], qpos[2], qvel[0] = 1e10 - 4.5 * dt * speed, 1000, speed
    result = simulation.step(np.zeros((ROWS, MOTORS)))
    assert result.failed.tolist() == [False, False, False, True, False]
    mujoco.mj_step(TASK.model, data, nstep=5)
    mujoco.mj_forward(TASK.model, data)
    counts = warning_counts(data)[None]
    assert not counts.any()  # MuJoCo would notice in the next step
    assert physics_failed(counts, data.qpos[None]).tolist() == [True]


def test_a_simulation_error_is_a_failure() -> None:
    healthy, broken = begun(Toy()), begun(Toy())
    kinds = broken.batch.expand("eq_type")
    kinds[[1, 3]] = 99  # no such equality: mj_step raises
    for action in actions(3, motors=1):
        expected, found = healthy.step(action), broken.step(action)
        assert found.failed.tolist() == [False, True, False, True, False]
        assert found.reward[[1, 3]].tolist() == [0, 0]
        for row in (0, 2, 4):
            same(row_of(expected, row), row_of(found, row))
    assert broken.failures == 2
    kinds[:] = int(mujoco.mjtEq.mjEQ_WELD)
    broken.reset([1, 3], generators(2))
    assert not broken.step(actions(1, motors=1)[0]).failed.any()


def test_a_failure_raises_no_python_warning() -> None:
    simulation = begun()
    simulation.batch.bind("qvel")[:, 3] = 9.9e9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            simulation.step(actions(1)[0])
    assert simulation.failures > 0


FAIL_ONE = """
import os, sys
import mujoco, numpy as np
{before}
from morphzoo.envs.centipede import CentipedeTask
from morphzoo.envs.simulation import Simulation
simulation = Simulation(CentipedeTask(4), 2)
simulation.batch.bind("qpos")[0, 0] = np.nan
simulation.step(np.zeros((2, simulation.task.model.nu)))
assert simulation.failures == 1
"""
PLAIN = """
import mujoco, numpy as np
data = mujoco.MjData(model := mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"))
data.qpos[0] = np.nan
mujoco.mj_step(model, data)
"""
OWN_LOG = "c = mujoco.MjLogConfig.get(); c.logfile = 'mine.txt'; c.set()"


@pytest.mark.parametrize(
    ("code", "files"),
    [
        (PLAIN, ["MUJOCO_LOG.TXT"]),  # what MuJoCo does by itself
        (FAIL_ONE.format(before=""), []),
        (FAIL_ONE.format(before=OWN_LOG), ["mine.txt"]),
    ],
    ids=["mujoco", "morphzoo", "a log of the user's"],
)
def test_no_log_file_in_the_working_directory(code: str, files: list[str], tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    assert [path.name for path in tmp_path.iterdir()] == files


# --- hostile input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((ROWS, MOTORS + 1)), "shape"),
        (np.zeros((ROWS - 1, MOTORS)), "shape"),
        (np.zeros(MOTORS), "shape"),
        (np.zeros((0, MOTORS)), "shape"),
        (np.full((ROWS, MOTORS), np.nan), "finite, found nan in row 0 for motor 0"),
        (np.where(np.arange(ROWS * MOTORS).reshape(ROWS, -1) == MOTORS + 2, -np.inf, 0), "motor 2"),
    ],
)
def test_bad_actions_move_nothing(bad: np.ndarray, message: str) -> None:
    simulation = begun()
    simulation.step(actions(1)[0])
    before = simulation.get_state()
    with pytest.raises(ValueError, match=message):
        simulation.step(bad)
    same(before, simulation.get_state())


@pytest.mark.parametrize(
    "ids", [[], [2, 1], [1, 1], [-1, 0], [0, ROWS], [0.0, 1.0], [True, False], [[0], [1]], None]
)
def test_bad_ids(ids) -> None:
    simulation = begun()
    before = simulation.get_state()
    with pytest.raises(ValueError, match=r"ids must be .* in 0\.\.4"):
        simulation.reset(ids, generators(len(ids) if ids is not None else 0))
    if ids is not None:
        with pytest.raises(ValueError, match="ids must be"):
            simulation.step(np.zeros((len(ids), MOTORS)), ids)
    same(before, simulation.get_state())


def test_one_generator_for_each_id() -> None:
    with pytest.raises(ValueError, match="2 generators, one for each id, found 3"):
        begun().reset([0, 1], generators(3))


def test_bad_constructor_arguments() -> None:
    with pytest.raises(ValueError, match="at least 1 row, found num=0"):
        Simulation(TASK, 0)
    with pytest.raises(ValueError, match="num_threads must be 0"):
        Simulation(TASK, 1, num_threads=-1)
    with pytest.raises(ValueError, match="float32.*found float64.*correct its observe"):
        Simulation(Toy(np.float64), 2)


# --- the state ------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [TASK, Toy()], ids=["centipede", "toy"])
def test_a_state_goes_on_bit_for_bit_in_a_new_simulation(task: Task) -> None:
    motors = task.model.nu
    old = begun(task)
    for action in actions(5, motors=motors):
        old.step(action)
    old.batch.bind("qvel")[1, 0] = np.nan
    old.step(actions(1, motors=motors)[0])
    state = old.get_state()
    assert all(type(array) is np.ndarray and array.dtype != object for array in state.values())
    new = Simulation(task, ROWS, num_threads=1)
    new.set_state(state)
    same(state, new.get_state())
    for action in actions(8, motors=motors):
        same(old.step(action), new.step(action))
    assert new.failures == old.failures == 1
    old.reset([1], generators(1)), new.reset([1], generators(1))
    same(old.get_state(), new.get_state())


def test_a_state_goes_on_bit_for_bit_in_a_new_process(tmp_path: Path) -> None:
    old = begun()
    for action in actions(5):
        old.step(action)
    np.savez(tmp_path / "state.npz", **old.get_state())
    np.save(tmp_path / "actions.npy", actions(8))
    code = """
import numpy as np
from morphzoo.envs.centipede import CentipedeTask
from morphzoo.envs.simulation import Simulation
simulation = Simulation(CentipedeTask(4), 5)
simulation.set_state(dict(np.load("state.npz", allow_pickle=False)))
for action in np.load("actions.npy"):
    result = simulation.step(action)
np.savez("end.npz", reward=result.reward, **simulation.get_state())
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    for action in actions(8):
        result = old.step(action)
    expected = {"reward": result.reward, **old.get_state()}
    same(expected, dict(np.load(tmp_path / "end.npz", allow_pickle=False)))


def test_a_state_is_a_copy() -> None:
    simulation = begun()
    state = simulation.get_state()
    kept = {name: array.copy() for name, array in state.items()}
    simulation.step(actions(1)[0])
    same(state, kept)
    simulation.set_state(state)
    simulation.step(actions(1)[0])
    same(state, kept)


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    simulation = begun()
    before = simulation.get_state()
    without = {name: array for name, array in before.items() if name != "variables.position"}
    other_type = before | {"observation": before["observation"].astype(np.float64)}
    for bad, message in [
        (Simulation(CentipedeTask(6), ROWS).get_state(), "'physics' must be .*with the body"),
        (Simulation(TASK, ROWS + 1).get_state(), "must be .*number of environments"),
        (without, "lacks array 'variables.position'"),
        (before | {"extra": np.zeros(1)}, "unknown array 'extra'"),
        (other_type, "'observation' must be float32.*found float64"),
        ({}, "lacks"),
    ]:
        with pytest.raises(ValueError, match=message):
            simulation.set_state(bad)
        same(before, simulation.get_state())


def test_generators_as_words() -> None:
    rng = np.random.default_rng(5)
    rng.integers(3, dtype=np.uint32)  # leaves half a word over
    words = generator_words(rng)
    assert words.dtype == np.uint64 and words.shape == (6,) and words[4] == 1
    copy = generator_from_words(words)
    assert copy.integers(1000, size=9, dtype=np.uint32).tolist() == (
        rng.integers(1000, size=9, dtype=np.uint32).tolist()
    )
    with pytest.raises(ValueError, match="Only a PCG64.*found MT19937"):
        generator_words(np.random.Generator(np.random.MT19937(0)))
    for index, word in ((3, 2), (4, 2), (5, 2**32)):
        damaged = words.copy()
        damaged[index] = word
        with pytest.raises(ValueError, match="damaged"):
            generator_from_words(damaged)
