"""The twins of Gymnasium's bodies against the originals: bit for bit, where that can be."""

import copy
import importlib
import inspect
import subprocess
import sys

import gymnasium as gym
import mujoco
import numpy as np
import pytest
import torch
from gymnasium.envs.mujoco.humanoid_v5 import mass_center
from stable_baselines3 import PPO

from morphzoo.envs.bodies import gymnasium_body
from morphzoo.envs.existing import with_graph
from morphzoo.policies import SnowflakePolicy
from morphzoo.sb3 import make_vec_env

BODIES = ("Swimmer", "Hopper", "HalfCheetah", "Walker2d", "Ant", "Humanoid")
TOUCHING = ("Ant", "Humanoid")

# Body and arguments. Beside the defaults stand ranges that end an episode for every reason there
# is; every argument of every body differs from its default somewhere.
SHOWN = {"exclude_current_positions_from_observation": False}
WEIGHTS = {"forward_reward_weight": 2.5, "ctrl_cost_weight": 0.03}
CASES = {
    **{body: (body, {}) for body in BODIES},
    "Swimmer changed": ("Swimmer", {**SHOWN, **WEIGHTS, "frame_skip": 2, "reset_noise_scale": 0.3}),
    "HalfCheetah changed": (
        "HalfCheetah",
        {**SHOWN, **WEIGHTS, "frame_skip": 3, "reset_noise_scale": 0.3},
    ),
    "Hopper changed": (
        "Hopper",
        {
            **SHOWN,
            **WEIGHTS,
            "frame_skip": 6,
            "healthy_reward": 0.7,
            "healthy_state_range": (-4.0, 5.0),
            "healthy_z_range": (1.2, 1.257),
            "healthy_angle_range": (-0.15, 0.3),
            "reset_noise_scale": 0.01,
        },
    ),
    "Hopper endless": ("Hopper", {"terminate_when_unhealthy": False}),
    "Walker2d changed": (
        "Walker2d",
        {
            **SHOWN,
            **WEIGHTS,
            "frame_skip": 6,
            "healthy_reward": 0.7,
            "healthy_z_range": (1.0, 1.27),
            "healthy_angle_range": (-0.3, 0.2),
            "reset_noise_scale": 0.01,
        },
    ),
    "Walker2d of version 4": (
        "Walker2d",
        {"xml_file": "walker2d.xml", "terminate_when_unhealthy": False},
    ),
    "Ant changed": (
        "Ant",
        {
            **SHOWN,
            **WEIGHTS,
            "contact_cost_weight": 0.02,
            "contact_force_range": (-3.0, 20.0),
            "frame_skip": 3,
            "healthy_reward": 0.7,
            "healthy_z_range": (0.4, 0.8),
            "main_body": "aux_1",
            "reset_noise_scale": 0.05,
        },
    ),
    "Ant unfeeling": (
        "Ant",
        {
            "contact_cost_weight": 0.0,
            "include_cfrc_ext_in_observation": False,
            "terminate_when_unhealthy": False,
        },
    ),
    "Humanoid changed": (
        "Humanoid",
        {
            **SHOWN,
            **WEIGHTS,
            "contact_cost_weight": 1e-4,
            "contact_cost_range": (0.5, 3.0),
            "frame_skip": 3,
            "healthy_reward": 0.7,
            "healthy_z_range": (1.2, 1.45),
            "include_cvel_in_observation": False,
            "include_qfrc_actuator_in_observation": False,
            "reset_noise_scale": 0.05,
        },
    ),
    "Humanoid unfeeling": (
        "Humanoid",
        {
            "contact_cost_weight": 0.0,
            "include_cfrc_ext_in_observation": False,
            "include_cinert_in_observation": False,
            "terminate_when_unhealthy": False,
        },
    ),
}
EXACT = [case for case, (body, _) in CASES.items() if body not in TOUCHING]
TOUCHED = [case for case, (body, _) in CASES.items() if body in TOUCHING]
# Gymnasium takes the root of a dot product, whose last bit is the linear algebra library's.
ROUNDED = "distance_from_origin"


def pair(case: str, **kwargs):
    """(Gymnasium's own environment, its twin)."""
    body, options = CASES[case]
    return [gym.make(f"{name}-v5", **options, **kwargs) for name in (body, f"morphzoo/{body}")]


def play(theirs, ours, steps: int, seed: int):
    """Act alike on both, through every reset, also beyond the control range; yield both results.

    Of a reset the result is (observation, info), of a step all five.
    """
    rng = np.random.default_rng(seed)
    yield theirs.reset(seed=seed), ours.reset(seed=seed)
    for _ in range(steps):
        action = rng.uniform(-1.3, 1.3, ours.action_space.shape).astype(np.float32)
        expected, found = theirs.step(action), ours.step(action)
        yield expected, found
        if expected[2] or expected[3]:
            yield theirs.reset(), ours.reset()


def same_info(expected: dict, found: dict, spared: tuple[str, ...] = ()) -> None:
    """All that Gymnasium's info says, ours says bit for bit."""
    for name, value in expected.items():
        if name == ROUNDED:
            assert found[name] == pytest.approx(value, rel=1e-15)
        elif name not in spared:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


# --- against the originals ------------------------------------------------------------------------


@pytest.mark.parametrize("case", EXACT)
def test_trajectories_are_gymnasiums_bit_for_bit(case: str) -> None:
    """Observation, reward, ends and info, through falls and time limits."""
    theirs, ours = pair(case, max_episode_steps=25)
    ends = {2: 0, 3: 0}
    for seed in (0, 7):
        for expected, found in play(theirs, ours, 200, seed):
            assert found[0].dtype == np.float32
            np.testing.assert_array_equal(expected[0].astype(np.float32), found[0])
            assert expected[1:-1] == found[1:-1]
            same_info(expected[-1], found[-1])
            for flag in ends if len(expected) == 5 else ():
                ends[flag] += bool(expected[flag])
    falls = CASES[case][0] in ("Hopper", "Walker2d") and "endless" not in case and "4" not in case
    assert ends[2] > 3 if falls else ends[3] > 3, ends


@pytest.mark.parametrize("case", TOUCHED)
def test_physics_is_gymnasiums_bit_for_bit(case: str) -> None:
    """State, ends and what is made of the state alone; the fields of the last substep are not."""
    theirs, ours = pair(case, max_episode_steps=60)
    model = ours.unwrapped.model
    numbers = model.nq + model.nv - (0 if "changed" in case else 2)
    late = ("reward_forward", "reward_contact", "x_velocity", "y_velocity")
    late += ("tendon_length", "tendon_velocity")
    falls = 0
    for seed in (0, 7):
        for expected, found in play(theirs, ours, 150, seed):
            for field in ("qpos", "qvel", "time"):
                state = getattr(theirs.unwrapped.data, field)
                np.testing.assert_array_equal(state, getattr(ours.unwrapped.data, field))
            assert expected[0].shape == found[0].shape and found[0].dtype == np.float32
            np.testing.assert_array_equal(
                expected[0][:numbers].astype(np.float32), found[0][:numbers]
            )
            same_info(expected[-1], found[-1], late)
            if len(expected) == 5:
                assert expected[2:4] == found[2:4]
                falls += expected[2]
    assert (falls > 0) == ("unfeeling" not in case)


def formulas_of(env, fresh, before):
    """What Gymnasium's own code makes of fresh fields: observation, reward terms and velocity."""
    base = env.unwrapped
    kept, base.data = base.data, fresh
    main = base._main_body if hasattr(base, "_main_body") else None
    place = mass_center(base.model, fresh) if main is None else fresh.body(main).xpos[:2].copy()
    terms = base._get_rew(0.0, np.zeros(base.model.nu, np.float32))[1]
    result = base._get_obs(), terms, place, (place - before) / base.dt
    base.data = kept
    return result


@pytest.mark.parametrize("case", TOUCHED)
def test_fresh_fields_are_those_of_the_state_after_the_step(case: str) -> None:
    """Gymnasium's formulas on a copy of its data, after `mj_forward` and `mj_rnePostConstraint`."""
    theirs, ours = pair(case)
    weight = CASES[case][1].get("forward_reward_weight", {"Ant": 1.0}.get(case[:3], 1.25))
    place, touched = np.zeros(2), 0
    for expected, found in play(theirs, ours, 100, seed=1):
        fresh = copy.copy(theirs.unwrapped.data)
        mujoco.mj_forward(theirs.unwrapped.model, fresh)
        mujoco.mj_rnePostConstraint(theirs.unwrapped.model, fresh)
        observation, terms, place, velocity = formulas_of(theirs, fresh, place)
        np.testing.assert_array_equal(observation.astype(np.float32), found[0])
        info = found[-1]
        if len(expected) == 5:
            assert info["reward_contact"] == terms["reward_contact"]
            assert info["reward_survive"] == terms["reward_survive"]
            assert info["x_velocity"] == pytest.approx(velocity[0], rel=1e-12, abs=1e-12)
            assert info["y_velocity"] == pytest.approx(velocity[1], rel=1e-12, abs=1e-12)
            assert info["reward_forward"] == pytest.approx(weight * info["x_velocity"], rel=1e-15)
            touched += not np.array_equal(observation, expected[0])
        for name in {"tendon_length", "tendon_velocity"} & info.keys():
            np.testing.assert_array_equal(info[name], getattr(fresh, name.replace("don", "")))
    assert touched or "Ant unfeeling" in case  # all that this one observes is exact anyway


@pytest.mark.parametrize("body", BODIES)
def test_arguments_and_defaults_are_gymnasiums(body: str) -> None:
    """And together the cases above change every one of them."""
    ours = gym.make(f"morphzoo/{body}-v5").unwrapped
    theirs = gym.make(f"{body}-v5").unwrapped
    expected, found = (
        {
            name: parameter.default
            for name, parameter in inspect.signature(made).parameters.items()
            if name not in ("default_camera_config", "kwargs")
        }
        for made in (type(theirs), type(ours.task))
    )
    assert found == expected
    page = type(ours).__doc__
    assert all(f"| `{name}` |" in page for name in expected)
    changed = {name for one, options in CASES.values() if one == body for name in options}
    assert set(expected) - changed <= {"xml_file"}


@pytest.mark.parametrize("case", CASES)
def test_graph_is_that_of_with_graph(case: str) -> None:
    theirs, ours = pair(case)
    expected, graph = with_graph(theirs).graph, ours.unwrapped.graph
    assert graph == expected  # nodes, edges, types, columns, motors, constants
    assert ours.observation_space.graph is not None
    assert graph.dropped == ()
    assert ours.action_space == theirs.action_space


@pytest.mark.parametrize("case", CASES)
def test_every_number_is_what_its_column_says(case: str) -> None:
    _, ours = pair(case)
    env = ours.unwrapped
    env.reset(seed=2)
    for _ in range(12):
        observation = env.step(env.action_space.sample())[0]
    limits = {"cfrc_ext": CASES[case][1].get("contact_force_range", (-1.0, 1.0))}
    if CASES[case][0] != "Ant":
        limits = {"qvel": (-10.0, 10.0)} if CASES[case][0] in ("Hopper", "Walker2d") else {}
    for column, number in zip(env.task.columns, observation, strict=True):
        value = np.ravel(getattr(env.data, column.field)[column.index])[column.component]
        low, high = limits.get(column.field, (-np.inf, np.inf))
        assert number == np.float32(min(max(value, low), high)), column.name


# --- the model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["ant", "humanoid"])
def test_the_sensor_changes_nothing_but_itself(body: str) -> None:
    """Every array and number of the compiled model, beside names, sites and sensors."""
    original = mujoco.MjModel.from_xml_path(
        gym.envs.mujoco.mujoco_env.expand_model_path(f"{body}.xml")
    )
    model = gymnasium_body(f"{body}.xml", contact_forces=True)
    spared = ("name", "nname", "site", "nsite", "sensor", "nsensor", "nbuffer", "signature", "_")
    compared = 0
    for part in (lambda m: m, lambda m: m.opt, lambda m: m.stat):
        one, other = part(original), part(model)
        for name in dir(one):
            value = getattr(one, name)
            if not name.startswith(spared) and isinstance(value, np.ndarray | int | float):
                np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
                compared += 1
    assert compared > 300
    assert model.nsensor == model.nsite == 1 and not model.site_rgba.any()


def test_no_log_of_the_compilers_is_written(tmp_path) -> None:
    """MuJoCo's compiler warns of HalfCheetah's file, before any environment exists."""
    code = "import gymnasium, morphzoo; gymnasium.make('morphzoo/HalfCheetah-v5')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "options", "error", "message"),
    [
        ("Hopper", {"xml_file": "hoper.xml"}, OSError, "hoper.xml does not exist"),
        ("Hopper", {"healthy_z_range": (2.0, 1.0)}, ValueError, "healthy_z_range: expected low <"),
        ("Hopper", {"healthy_state_range": (1, 1)}, ValueError, "healthy_state_range: expected"),
        ("Walker2d", {"healthy_angle_range": (1, 1)}, ValueError, "healthy_angle_range: expected"),
        ("Walker2d", {"healthy_state_range": (1, 2)}, TypeError, "healthy_state_range"),
        ("Ant", {"contact_force_range": (1, -1)}, ValueError, "contact_force_range: expected low"),
        ("Ant", {"main_body": "head"}, ValueError, "main_body: expected a body .* found 'head'"),
        ("Ant", {"main_body": 14}, ValueError, "main_body: expected a body .* found 14"),
        ("Humanoid", {"contact_cost_range": (1, 1)}, ValueError, "contact_cost_range: expected"),
        ("Humanoid", {"frame_skip": 0}, ValueError, "frame_skip must be at least 1, found 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(body, options, error, message) -> None:
    for make in (gym.make, gym.make_vec):
        with pytest.raises(error, match=message):
            make(f"morphzoo/{body}-v5", **options)


# --- rows, other array libraries, vectors in info -------------------------------------------------


def some_states(env, num: int) -> dict[str, np.ndarray]:
    """Fields of `num` states, some of them on the floor."""
    rows = []
    for seed in range(num):
        env.reset(seed=seed)
        for _ in range(12 * seed):
            env.step(np.full(env.model.nu, 0.3))
        rows.append({name: getattr(env.data, name).copy() for name in env.task.fields})
    return {name: np.stack([row[name] for row in rows]) for name in env.task.fields}


def results_of(task, fields, action) -> dict:
    variables = task.begin(fields, [])
    variables["position"] = variables["position"] - 0.01
    terms = task.reward(fields, action, variables)
    return {
        **terms,
        **task.metrics(fields, variables),
        "total": task.total(terms),
        "observation": task.observe(fields, variables),
        "terminated": task.terminated(fields, variables),
    }


@pytest.mark.parametrize("body", BODIES)
def test_rows_stand_alone_and_torch_gives_the_same_numbers(body: str) -> None:
    env = gym.make(f"morphzoo/{body}-v5").unwrapped
    task, fields = env.task, some_states(env, 5)
    action = np.random.default_rng(0).normal(size=(5, env.model.nu))
    together = results_of(task, fields, action)
    for row in range(5):
        one = slice(row, row + 1)
        alone = results_of(task, {name: f[one] for name, f in fields.items()}, action[one])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][row], err_msg=name)
    none = results_of(task, {name: f[:0] for name, f in fields.items()}, action[:0])
    assert all(len(values) == 0 for values in none.values())
    tensors = {name: torch.from_numpy(values) for name, values in fields.items()}
    for name, values in results_of(task, tensors, torch.from_numpy(action)).items():
        assert isinstance(values, torch.Tensor), name
        tolerance = 1e-6 if name in ("reward_ctrl", "total", "observation") else 1e-12
        np.testing.assert_allclose(values.numpy(), together[name], rtol=tolerance, err_msg=name)


def test_the_control_cost_is_that_of_an_action_of_the_action_space() -> None:
    """Gymnasium's cost depends on the action's type; ours is the one of float32, whatever comes."""
    theirs, ours = pair("Hopper")
    costs = []
    for kind in (np.float32, np.float64):
        ours.reset(seed=0), theirs.reset(seed=0)
        action = np.array([0.1, 0.2, 0.3], dtype=kind)
        costs.append([env.step(action)[4]["reward_ctrl"] for env in (theirs, ours)])
    assert costs[0][0] == costs[0][1] == costs[1][1] != costs[1][0]
    assert costs[1][0] == pytest.approx(-1e-3 * 0.14, rel=1e-12)


def test_vectors_in_info_reach_everybody_and_belong_to_the_caller() -> None:
    """The Humanoid's two tendons: of single, batched and Stable-Baselines3's environments."""
    action = np.zeros((2, 17), np.float32)
    single = gym.make("morphzoo/Humanoid-v5", max_episode_steps=2)
    batched = gym.make_vec("morphzoo/Humanoid-v5", num_envs=2, max_episode_steps=2)
    learner = make_vec_env("morphzoo/Humanoid-v5", 2, seed=0, max_episode_steps=2)
    first = single.reset(seed=1)[1]
    both = batched.reset(seed=0)[1]
    learner.reset()
    for name in ("tendon_length", "tendon_velocity"):
        assert first[name].shape == (2,) and both[name].shape == (2, 2)
        np.testing.assert_array_equal(first[name], both[name][1])
        np.testing.assert_array_equal(first[name], learner.reset_infos[1][name])
        for given in (first[name], both[name]):
            given[:] = np.nan
    for _ in range(2):
        info, infos = single.step(action[1])[4], batched.step(action)[4]
        ends = learner.step(action)[3]
    for name in ("tendon_length", "tendon_velocity"):
        assert np.isfinite(info[name]).all()
        np.testing.assert_array_equal(info[name], infos["final_info"][name][1])
        np.testing.assert_array_equal(info[name], ends[1][name])
        np.testing.assert_array_equal(first[name], np.nan)


def test_failed_physics_repeats_the_last_valid_vectors() -> None:
    single = gym.make("morphzoo/Humanoid-v5", disable_env_checker=True)
    batched = gym.make_vec("morphzoo/Humanoid-v5", num_envs=2)
    single.reset(seed=1), batched.reset(seed=0)
    action = np.full((2, 17), 0.2, np.float32)
    *_, valid = single.step(action[1])
    batched.step(action)
    single.unwrapped.data.qvel[3] = np.inf
    batched.simulation.batch.bind("qvel")[1, 3] = np.inf
    observation, reward, terminated, _, info = single.step(action[1])
    found = batched.step(action)
    assert (reward, terminated, info["simulation_failed"]) == (0.0, True, True)
    np.testing.assert_array_equal(found[4]["final_obs"][1], observation)
    for name in ("tendon_length", "tendon_velocity", "x_position"):
        np.testing.assert_array_equal(info[name], valid[name])
        np.testing.assert_array_equal(found[4]["final_info"][name][1], valid[name])


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES)
def test_snowflake_trains(body: str) -> None:
    """2,048 steps of PPO on batched simulation: finite actions, and weights that moved."""
    env = make_vec_env(f"morphzoo/{body}", 16, seed=0, num_threads=1)
    schedule = {"n_steps": 32, "batch_size": 512, "n_epochs": 1}  # four updates
    model = PPO(SnowflakePolicy, env, **schedule, seed=0, device="cpu")
    before = {key: value.clone() for key, value in model.policy.named_parameters()}
    model.learn(2_048)
    assert model.num_timesteps == 2_048
    assert any(value.ne(before[key]).any() for key, value in model.policy.named_parameters())
    assert all(torch.isfinite(value).all() for value in model.policy.parameters())
    actions, _ = model.predict(env.reset())
    assert all(action in env.action_space for action in actions)
    module = importlib.import_module(type(env.vector_env).__module__)
    assert type(env.vector_env) is getattr(module, f"{body}VectorEnv")
    env.close()
