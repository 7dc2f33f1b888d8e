"""Graphs of environments that are not ours: what each column is, who is refused, and training.

What the observation must be is worked out here from MuJoCo's data, apart from the tables.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of glfw, where there is no display
    import shimmy  # noqa: F401

import morphzoo
from morphzoo.envs.bodies_page import example_ids, page
from morphzoo.envs.existing import GraphObservation, with_graph
from morphzoo.morphology import MorphologyGraph
from morphzoo.policies import SnowflakePolicy
from morphzoo.spaces import MorphologySpace, graph_of

VARIANTS = {
    "three poles": "dm_control/cartpole-three_poles-v0",
    "pure state": "dm_control/humanoid-run_pure_state-v0",
    "long swimmer": "dm_control/swimmer-swimmer15-v0",
}
BODIES = example_ids() | VARIANTS


def data_of(env: gym.Env) -> tuple[Any, Any]:
    """(MjModel, MjData) of an environment of either family."""
    base: Any = env.unwrapped
    if hasattr(base, "physics"):
        return base.physics.model.ptr, base.physics.data.ptr
    return base.model, base.data


def observe(env: Any) -> np.ndarray:
    """The environment's observation of the state that its data is in, laid flat by the wrapper."""
    base: Any = env.unwrapped
    if hasattr(base, "physics"):
        base.physics.forward()
        return env.observation(base.task.get_observation(base.physics))
    base.set_state(base.data.qpos.copy(), base.data.qvel.copy())
    return env.observation(base._get_obs())


def shaken(name: str) -> tuple[Any, np.ndarray]:
    """A body in a generic, moving state after some steps, and its observation."""
    env: Any = with_graph(gym.make(name))
    env.reset(seed=3)
    env.action_space.seed(3)
    for _ in range(3):
        env.step(env.action_space.sample())
    model, data = data_of(env)
    rng = np.random.default_rng(5)
    data.qpos[:] += rng.uniform(-0.1, 0.1, model.nq)
    data.qvel[:] = rng.uniform(-0.5, 0.5, model.nv)  # within the +-10 where Gymnasium cuts
    for joint in np.flatnonzero(model.jnt_type == 0):
        start = model.jnt_qposadr[joint] + 3
        data.qpos[start : start + 4] /= np.linalg.norm(data.qpos[start : start + 4])
    return env, observe(env)


def expected_value(column: Any, model: Any, data: Any) -> float | None:
    """The number a column must show, by its feature's name; None for a goal."""
    if column.field == "task":
        return None
    array = getattr(data, column.field)
    value = float(array[column.index] if array.ndim == 1 else array[column.index, column.component])
    if column.feature.startswith("extremity"):
        torso = main_body(model)
        offset = data.xpos[column.index] - data.xpos[torso]
        return float(data.xmat[torso].reshape(3, 3)[:, column.component] @ offset)
    if column.feature.startswith("log1p"):
        return float(np.log1p(value))
    return {"cos(qpos[0])": np.cos, "sin(qpos[0])": np.sin}.get(column.feature, float)(value)


def bodies_of(model: Any) -> set[str]:
    return {model.body(i).name for i in range(model.nbody)}


@pytest.mark.parametrize("name", BODIES.values(), ids=BODIES)
def test_columns_show_what_they_say(name: str) -> None:
    """Each number equals the MjData entry its column names, cut off where Gymnasium cuts."""
    env, found = shaken(name)
    model, data = data_of(env)
    cut = {"qvel": 10.0} if "Hopper-v5" in name or "Walker2d" in name else {}
    cut |= {"cfrc_ext": 1.0} if "Ant" in name else {}
    cut |= {"qvel": 10.0, "qfrc_constraint": 10.0} if "Double" in name else {}
    checked = 0
    for value, column in zip(found, env.columns, strict=True):
        expected = expected_value(column, model, data)
        if expected is not None:
            limit = cut.get(column.field, np.inf)
            assert value == pytest.approx(np.clip(expected, -limit, limit), abs=2e-6, rel=2e-6), (
                column
            )
            checked += 1
    assert checked >= len(found) - 2  # the swimmer's way to its target, in two numbers
    assert len({column.name for column in env.columns}) == len(found)
    env.close()


def main_body(model: Any) -> int:
    """The body in whose frame the humanoids' hands and feet are given; else the root's."""
    return next((model.body(n).id for n in ("thorax", "torso") if n in bodies_of(model)), 1)


# What is derived from a body has the readers that the body's joints are; worked from the XML.
READERS = {
    "dm_control humanoid": {
        "left_hand.extremity[0]": {"left_elbow"},
        "right_foot.extremity[2]": {"right_ankle_y", "right_ankle_x"},
        "head_height": {"root"},
        "com_velocity[1]": {"root"},
    },
    "dm_control humanoid_CMU": {
        "lhand.extremity[1]": {"lhandrz", "lhandrx"},
        "rfoot.extremity[1]": {"rfootrz", "rfootrx"},
        "head_height": {"root"},
        "torso_vertical[2]": {"root"},
    },
    "dm_control hopper": {
        "log1p(touch_toe)": {"ankle"},
        "log1p(touch_heel)": {"ankle"},
        "rooty.qpos": {"root"},
    },
    "dm_control swimmer": {
        "segment_0.gyro[2]": {"joint_0"},
        "head.velocimeter[1]": {"root"},
        "to_target[0]": {"root"},
    },
    "dm_control walker": {"left_leg.xmat[0]": {"left_knee"}, "torso.xmat[2]": {"root"}},
    "dm_control cartpole": {"pole_1.xmat[8]": {"hinge_1"}, "slider.qpos": {"slider"}},
    "dm_control acrobot": {"upper_arm.xmat[2]": {"root"}, "lower_arm.xmat[8]": {"elbow"}},
    "dm_control pendulum": {"hinge.cos(qpos[0])": {"hinge"}},
    "InvertedDoublePendulum": {
        "slider.qfrc_constraint": {"slider"},
        "hinge2.sin(qpos)": {"hinge2"},
    },
    "Ant": {"front_left_leg.cfrc_ext[5]": {"root"}, "aux_1.cfrc_ext[0]": {"hip_1"}},
    "Humanoid": {
        "pelvis.cfrc_ext[3]": {"abdomen_x"},
        "lwaist.cinert[9]": {"abdomen_z", "abdomen_y"},
        "right_foot.cvel[5]": {"right_knee"},
        "right_knee.qfrc_actuator": {"right_knee"},
    },
}


@pytest.mark.parametrize("body", READERS)
def test_readers_by_hand(body: str) -> None:
    env: Any = with_graph(gym.make(BODIES[body]))
    places = {column.name: i for i, column in enumerate(env.columns)}
    for name, expected in READERS[body].items():
        found = {node.name for node in env.graph.nodes if places[name] in node.columns}
        assert found == expected, name
    env.close()


def moved_bodies(model: Any, joint: int) -> set[int]:
    """Bodies that a joint moves: its own and all below it."""
    moved = {int(model.jnt_bodyid[joint])}
    for body in range(model.nbody):  # a parent comes before its children
        if int(model.body_parentid[body]) in moved:
            moved.add(body)
    return moved


@pytest.mark.parametrize("name", BODIES.values(), ids=BODIES)
def test_columns_answer_to_their_joints(name: str) -> None:
    """Shake one joint: its own columns change, other joints' own columns do not.

    Positions and velocities (and their sines and cosines) belong to one joint alone. The rest is
    derived: a body's pose or motion may answer to every joint above it; forces and inertias, and
    what the root reads, to any joint.
    """
    env, _ = shaken(name)
    model, data = data_of(env)
    before = observe(env)
    nodes = {node.name: node for node in env.graph.nodes}
    anywhere = {"cfrc_ext", "cinert", "cvel", "qfrc_constraint", "qfrc_actuator", "sensordata"}
    for joint in range(model.njnt):
        if model.jnt_type[joint] in (0, 1):
            continue
        label, moved = model.joint(joint).name, moved_bodies(model, joint)
        for field, address in (("qpos", model.jnt_qposadr), ("qvel", model.jnt_dofadr)):
            array, place = getattr(data, field), int(address[joint])
            state = data.qpos.copy(), data.qvel.copy()
            array[place] += 1e-3
            changed = set(np.flatnonzero(observe(env) != before))
            data.qpos[:], data.qvel[:] = state
            own = {i for i, c in enumerate(env.columns) if (c.field, c.index) == (field, place)}
            reader = nodes.get(label, env.graph.nodes[0])
            assert own <= changed & set(reader.columns)
            for i in changed - own:
                column = env.columns[i]
                assert column.field not in ("qpos", "qvel"), (label, field, column)
                if column.field in anywhere or i in env.graph.nodes[0].columns:
                    continue
                frame = {main_body(model)} if "extremity" in column.feature else set()
                assert ({column.index} | frame) & moved, (label, field, column)
    np.testing.assert_array_equal(observe(env), before)
    env.close()


@pytest.mark.parametrize("name", BODIES.values(), ids=BODIES)
def test_every_motor_has_the_node_of_its_joint(name: str) -> None:
    env: Any = with_graph(gym.make(name))
    model, _ = data_of(env)
    driven = {node.action: node.name for node in env.graph.nodes if node.action is not None}
    joints = [model.joint(int(model.actuator_trnid[a, 0])).name for a in range(model.nu)]
    assert [driven[a] for a in range(model.nu)] == joints
    assert env.action_space.shape == (model.nu,) and env.graph.dropped == ()
    assert env.action_space == env.env.action_space
    env.close()


@pytest.mark.parametrize(
    "name", ["Ant-v5", "dm_control/hopper-hop-v0", "InvertedDoublePendulum-v5"]
)
def test_wrapped_environments_behave_as_before(name: str) -> None:
    """Same seed, same rewards and ends; observations flat, fresh and equal but for the dtype."""
    plain, wrapped = gym.make(name), with_graph(gym.make(name))
    assert isinstance(wrapped.observation_space, MorphologySpace)
    order = wrapped.get_wrapper_attr("entries")
    plain.action_space.seed(1)
    first, second = plain.reset(seed=1)[0], wrapped.reset(seed=1)[0]
    seen = []
    for _ in range(5):
        flat = np.concatenate([np.ravel(first[e]) for e in order]) if order else first
        assert second.dtype == np.float32 and second in wrapped.observation_space
        np.testing.assert_array_equal(second, flat.astype(np.float32))
        seen.append(second)
        action = plain.action_space.sample()
        first, *rest = plain.step(action)
        second, *others = wrapped.step(action)
        assert rest[:3] == others[:3]
    assert not any(np.shares_memory(a, b) for a, b in zip(seen, seen[1:], strict=False))
    plain.close(), wrapped.close()


def test_stated_order_of_a_dict_observation() -> None:
    """The order is dm_control's, not the alphabet in which Gymnasium keeps a Dict."""
    env: Any = with_graph(gym.make("dm_control/hopper-stand-v0"))
    assert list(env.env.observation_space) == ["position", "touch", "velocity"]
    assert env.entries == ("position", "velocity", "touch")
    env.close()


def test_options_of_a_body_are_followed() -> None:
    """Positions kept, forces left out: the graph follows `observation_structure`."""
    env: Any = with_graph(
        gym.make(
            "Ant-v5",
            exclude_current_positions_from_observation=False,
            include_cfrc_ext_in_observation=False,
        )
    )
    assert env.graph.observation_size == 15 + 14
    assert env.graph.nodes[0].features[:3] == ("root.qpos[0]", "root.qpos[1]", "root.qpos[2]")
    assert env.graph.features("joint") == ("qpos[0]", "qvel[0]")
    few: Any = with_graph(gym.make("Humanoid-v5", include_cinert_in_observation=False))
    assert not [name for name in few.graph.features("joint") if "cinert" in name]
    env.close(), few.close()


def test_node_type_and_ours() -> None:
    swimmer = gym.make("Swimmer-v5")
    assert graph_of(with_graph(swimmer).observation_space).types == (
        "motor1_rot", "motor2_rot", "root",
    )  # fmt: skip
    merged = with_graph(swimmer, node_type=lambda name: "motor")
    assert graph_of(merged.observation_space).types == ("motor", "root")
    ours = gym.make("morphzoo/Centipede-4-v0")
    assert morphzoo.with_graph(ours) is ours
    with pytest.raises(ValueError, match="carries its graph already"):
        with_graph(ours, node_type=lambda name: name)
    swimmer.close(), ours.close()


def test_actuator_nodes_reach_the_graph() -> None:
    env = gym.make("Hopper-v5")
    with pytest.raises(ValueError, match="'motor'"):
        with_graph(env, actuator_nodes={"motor": "leg_joint"})
    env.close()


def test_inside_vector_environments() -> None:
    """As one of make_vec's wrappers; the graph is on the single space."""
    envs = gym.make_vec("Hopper-v5", 2, "sync", wrappers=[with_graph])
    assert graph_of(envs.single_observation_space).num_nodes == 4
    assert type(envs.observation_space) is spaces.Box
    assert envs.reset(seed=0)[0].dtype == np.float32
    with pytest.raises(ValueError, match="make_vec"):
        with_graph(envs)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="graph"):
        graph_of(envs.observation_space)
    envs.close()


REFUSED = {
    "Reacher-v5": "target or an object",
    "Pusher-v5": "target or an object",
    "CartPole-v1": "no.* MuJoCo model|MuJoCo model .* found none",
    "dm_control/ball_in_cup-catch-v0": "the ball, a tree",
    "dm_control/dog-stand-v0": "'lumbar_extend'.*tendon",
    "dm_control/finger-spin-v0": "the spinner, a tree",
    "dm_control/fish-swim-v0": "'fins_flap'.*tendon",
    "dm_control/lqr-lqr_2_1-v0": "drawn at random",
    "dm_control/manipulator-bring_ball-v0": "'grasp'.*tendon",
    "dm_control/point_mass-easy-v0": "'t1'.*tendon",
    "dm_control/quadruped-walk-v0": "'lift_front_left'.*tendon",
    "dm_control/reacher-easy-v0": "finger to a target",
    "dm_control/stacker-stack_2-v0": "'grasp'.*tendon",
    "dm_control/reach_site_features-v0": "dm_control.manipulation",
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_rest_is_refused_with_the_reason(name: str) -> None:
    env = gym.make(name, disable_env_checker=True)
    with pytest.raises(ValueError, match=REFUSED[name]) as refusal:
        with_graph(env)
    assert str(refusal.value).startswith(name)
    env.close()


def test_version_4_is_refused() -> None:
    with pytest.warns(DeprecationWarning):
        env = gym.make("Hopper-v4")
    with pytest.raises(ValueError, match="make version 5"):
        with_graph(env)
    env.close()


def with_unknown_entry(env: gym.Env) -> gym.Env:
    extra = spaces.Dict({**env.observation_space.spaces, "x": spaces.Box(-1, 1, (1,), np.float32)})
    return gym.wrappers.TransformObservation(env, lambda o: o | {"x": np.zeros(1)}, extra)


def halved(env: gym.Env) -> gym.Env:
    less = spaces.Dict({**env.observation_space.spaces, "velocity": spaces.Box(-1, 1, (4,))})
    return gym.wrappers.TransformObservation(env, lambda o: o | {"velocity": np.zeros(4)}, less)


@pytest.mark.parametrize(
    ("name", "change"),
    [("Hopper-v5", lambda env: gym.wrappers.FrameStackObservation(env, 2)),
     ("Hopper-v5", gym.wrappers.TimeAwareObservation),
     ("dm_control/walker-run-v0", gym.wrappers.FlattenObservation),
     ("dm_control/walker-run-v0", with_unknown_entry), ("dm_control/walker-run-v0", halved)],
    ids=["stacked", "with time", "flat", "unknown entry", "entry cut"],
)  # fmt: skip
def test_changed_observations_are_refused(name: str, change: Any) -> None:
    env = change(gym.make(name))
    with pytest.raises(ValueError, match="leave out"):
        with_graph(env)
    env.close()


def test_changed_actions_are_refused() -> None:
    """An action that is not one number a motor cannot be dealt out."""
    half = spaces.Box(-1, 1, (1,), np.float32)
    env = gym.wrappers.TransformAction(gym.make("Hopper-v5"), lambda a: np.repeat(a, 3), half)
    with pytest.raises(ValueError, match="3 motors"):
        with_graph(env)
    env.close()


@pytest.mark.parametrize(
    "structure",
    [{"skipped_qpos": 2, "qpos": 5, "qvel": 6}, {"skipped_qpos": 1, "qpos": 5, "ten_length": 6},
     {"skipped_qpos": 1, "qpos": 5, "cfrc_ext": 5}, {"skipped_qpos": 1, "qpos": 5, "qvel": 60},
     {"skipped_qpos": 1, "qpos": 5, "qvel": 5}],
    ids=["skip", "tendon", "part of a row", "too many", "too few"],
)  # fmt: skip
def test_structures_that_do_not_fit_are_refused(structure: dict[str, int]) -> None:
    env = gym.make("Hopper-v5")
    env.unwrapped.observation_structure = structure  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="Hopper-v5: expected"):
        with_graph(env)
    env.close()


def test_what_is_no_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="found str"):
        with_graph("Ant-v5")  # type: ignore[arg-type]


def test_spec_rebuilds_the_wrapper() -> None:
    """Gymnasium can make the wrapped environment again from its specification."""
    env = with_graph(gym.make("Hopper-v5"))
    again = gym.make(env.spec)
    assert isinstance(again, GraphObservation)
    assert again.observation_space == env.observation_space
    env.close(), again.close()


def test_graphs_of_one_robot_family_share_features() -> None:
    """The six- and the fifteen-part swimmer differ in size only, so weights fit both."""
    small, large = (
        with_graph(gym.make(f"dm_control/swimmer-swimmer{n}-v0")).observation_space for n in (6, 15)
    )
    graphs: list[MorphologyGraph] = [graph_of(small), graph_of(large)]
    assert [graph.num_nodes for graph in graphs] == [6, 15]
    assert graphs[0].types == graphs[1].types == ("joint", "root")
    for kind in ("root", "joint"):
        assert graphs[0].features(kind) == graphs[1].features(kind)


def test_page_is_up_to_date() -> None:
    path = Path(__file__).parents[1] / "docs/bodies.md"
    assert path.read_text() == page(), "run: python -m morphzoo.envs.bodies_page > docs/bodies.md"


@pytest.mark.parametrize("name", BODIES.values(), ids=BODIES)
def test_snowflake_trains(name: str) -> None:
    """2,048 steps of SB3's unchanged PPO: finite actions, and weights that moved."""
    envs = make_vec_env(lambda: with_graph(gym.make(name)), n_envs=4, seed=0)
    schedule = {"n_steps": 128, "batch_size": 512, "n_epochs": 1}  # four updates
    model = PPO(SnowflakePolicy, envs, **schedule, seed=0, device="cpu")
    before = {key: value.clone() for key, value in model.policy.named_parameters()}
    model.learn(2_048)
    assert model.num_timesteps == 2_048
    moved = [key for key, value in model.policy.named_parameters() if value.ne(before[key]).any()]
    assert any("update" in key or "gru" in key.lower() for key in moved), moved
    assert all(torch.isfinite(value).all() for value in model.policy.parameters())
    actions, _ = model.predict(envs.reset())
    assert all(action in envs.action_space for action in actions)
    envs.close()
