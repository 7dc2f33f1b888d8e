"""The back end on mujoco-warp: agreement with MuJoCo, failures, playing and learning on a device.

All but the last test run without mujoco-warp, on a stand-in (`warp_stand_in.py`) that has its
functions' names and MuJoCo's physics.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils import seeding
from stable_baselines3.common.vec_env import DummyVecEnv
from warp_stand_in import MujocoWarp, Warp

from morphzoo.algorithms import memory
from morphzoo.algorithms.epvf import EPVF
from morphzoo.algorithms.es import ES
from morphzoo.algorithms.rollouts import play
from morphzoo.algorithms.stages import SimulationRows
from morphzoo.algorithms.warp_rows import WarpRows
from morphzoo.envs.centipede_task import CentipedeTask
from morphzoo.envs.gymnasium_bodies.half_cheetah import HalfCheetahTask
from morphzoo.envs.simulation import Simulation
from morphzoo.envs.velocity import AntVelocityTask
from morphzoo.envs.warp_simulation import WarpSimulation
from morphzoo.envs.warp_worlds import simulation_bytes, world_sizes
from morphzoo.policies import DeterministicPolicy, PolicyBank
from morphzoo.sb3 import make_vec_env

ANT = "morphzoo/AntVelocity-v0"
TASKS = {
    "torque": lambda: AntVelocityTask(reset_noise_scale=0.1),
    "servo": lambda: AntVelocityTask(6, actuators="position", reset_noise_scale=0.05),
    "command": lambda: AntVelocityTask(command_range=((0.5, 2.5), (-0.5, 0.5))),
}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> MujocoWarp:
    stand_in = MujocoWarp()
    monkeypatch.setitem(sys.modules, "warp", Warp())
    monkeypatch.setitem(sys.modules, "mujoco_warp", stand_in)
    kernels: Any = SimpleNamespace(align="aligns")  # not to be compiled
    monkeypatch.setitem(sys.modules, "morphzoo.envs.warp_contacts", kernels)
    return stand_in


def generators(num: int) -> list[np.random.Generator]:
    return [seeding.np_random(seed)[0] for seed in range(num)]


def agree(task: Any, device: str, tolerance: float, steps: int = 50) -> None:
    """Hold 50 steps of random actions on both back ends side by side, from the same seeds."""
    num = 4
    here, there = Simulation(task, num, num_threads=1), WarpSimulation(task, num + 1, device)
    first, begun = here.reset(np.arange(num), generators(num)), there.reset(generators(num))
    np.testing.assert_allclose(begun.cpu(), first, atol=1e-5, rtol=0)
    for name, values in here.variables.items():
        np.testing.assert_allclose(there.variables[name].cpu(), values, atol=1e-6)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        actions = rng.uniform(-1, 1, (num, task.model.nu)).astype(np.float32)
        expected = here.step(actions)
        found = there.step(torch.from_numpy(actions).to(there.device))
        assert found.observation.dtype == torch.float32 and found.observation.device == there.device
        np.testing.assert_array_equal(found.terminated.cpu(), expected.terminated)
        np.testing.assert_allclose(found.reward.cpu(), expected.reward, atol=tolerance, rtol=0)
    positions = there.fields["qpos"][:num].cpu().numpy()
    np.testing.assert_allclose(positions, here.fields["qpos"], atol=tolerance, rtol=0)
    assert np.ptp(positions, axis=0).max() > 1e-2, "nothing moved apart"
    assert not expected.failed.any() and not found.failed.any() and there.failures == 0
    there.check()


@pytest.mark.parametrize("kind", TASKS)
def test_what_is_around_the_physics_agrees_with_the_cpus_simulation(kind, stand_in) -> None:
    agree(TASKS[kind](), "cpu", 1e-3)
    assert stand_in.options.warn_overflow == stand_in.OverflowType(1 | 8)  # of room alone
    assert stand_in.callbacks.contactfilter == "aligns"


def test_room_for_contacts_and_constraints_by_hand() -> None:
    """A foot touches the floor in 2 points of 4 rows; hips and ankles have limits."""
    assert world_sizes(AntVelocityTask().model) == (8, 8 * 4 + 2 * 8)
    # Six legs of servos: 12 joints, friction loss in all of them and in the root's six.
    assert world_sizes(AntVelocityTask(6, actuators="position").model) == (12, 48 + 18 + 24)
    assert world_sizes(HalfCheetahTask().model).contacts <= 64


def test_a_failed_world_ends_its_own_episode_and_disturbs_no_other(stand_in) -> None:
    task = TASKS["torque"]()
    whole, broken = WarpSimulation(task, 3, "cpu"), WarpSimulation(task, 3, "cpu")
    actions = torch.full((3, 8), 0.5)
    runs = []
    for simulation, worlds in ((whole, []), (broken, [1])):
        simulation.reset(generators(3))
        stand_in.steps, stand_in.broken = 0, {2: worlds}
        runs.append([simulation.step(actions) for _ in range(5)])
    for step, (expected, found) in enumerate(zip(*runs, strict=True)):
        others = [0, 2]
        for name in expected._fields:
            torch.testing.assert_close(
                getattr(found, name)[others], getattr(expected, name)[others], rtol=0, atol=0
            )
        assert found.failed.tolist() == found.terminated.tolist() == [False, step >= 2, False]
        if step >= 2:
            assert found.reward[1] == 0.0
            assert torch.equal(found.observation[1], runs[1][1].observation[1])
    assert (whole.failures, broken.failures) == (0, 1)
    assert torch.isfinite(broken.fields["qvel"]).all()
    broken.reset(generators(3))
    assert not broken.step(actions).failed.any() and broken.failures == 1


def test_actions_that_are_not_finite_fail_their_row_and_wrong_shapes_are_refused(stand_in) -> None:
    simulation = WarpSimulation(TASKS["torque"](), 3, "cpu")
    simulation.reset(generators(2))
    actions = torch.zeros(2, 8)
    actions[1, 3] = torch.nan
    assert simulation.step(actions).failed.tolist() == [False, True]
    with pytest.raises(ValueError, match=r"shape \(2, 8\).*found \(3, 8\)"):
        simulation.step(torch.zeros(3, 8))
    for wrong in (0, 4):
        with pytest.raises(ValueError, match=f"1 to 3 generators, found {wrong}"):
            simulation.reset(generators(wrong))


def test_contacts_that_found_no_room_are_an_error_and_a_patient_solver_is_none(stand_in) -> None:
    simulation = WarpSimulation(TASKS["torque"](), 3, "cpu")
    simulation._overflow[1] = int(stand_in.OverflowType.ITERATIONS)
    simulation.check()
    simulation._overflow[2] = int(stand_in.OverflowType.NARROWPHASE)
    with pytest.raises(RuntimeError, match="in 1 of 3 simulations .*8 contacts .*48 constraints"):
        simulation.check()
    simulation.reset(generators(3))
    simulation.check()


# Playing.


def bank_of(task: Any, num: int, **kwargs: Any) -> PolicyBank:
    torch.manual_seed(0)
    policy = DeterministicPolicy(task.observation_space, task.action_space, len, **kwargs)
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(num, policy.num_parameters, generator=generator)
    return PolicyBank(policy, policy.theta + 0.5 * noise)


@pytest.mark.parametrize("kwargs", [{}, {"squash": False}, {"normalize": True}], ids=str)
def test_a_bank_does_with_tensors_what_it_does_with_arrays(kwargs) -> None:
    bank = bank_of(TASKS["servo"](), 9, **kwargs)
    observations = np.random.default_rng(0).normal(size=(9, 46)).astype(np.float32)
    bank.policy.observe(torch.from_numpy(observations))
    bank.policy.commit()
    actions = bank.act(torch.from_numpy(observations))
    assert isinstance(actions, torch.Tensor)
    np.testing.assert_allclose(actions, bank.act(observations), atol=1e-6, rtol=0)
    assert actions.abs().max() > 1, "servos' actions reach from -5 to 5"


def test_a_bank_of_discrete_actions_takes_tensors_too() -> None:
    policy = DeterministicPolicy(spaces.Box(-1, 1, (3,)), spaces.Discrete(4, start=2), len)
    bank = PolicyBank(policy, torch.randn(5, policy.num_parameters))
    seen = torch.randn(5, 3)
    assert torch.equal(bank.act(seen), torch.from_numpy(bank.act(seen.numpy())))


@pytest.mark.parametrize("rows", [7, 3])
def test_playing_on_a_device_equals_playing_on_the_cpu(rows: int, stand_in) -> None:
    """Episodes of different lengths; also with fewer rows than policies.

    Of 30 steps: after 60, weights that differ by 1e-6 already make another return of one policy.
    """
    task = AntVelocityTask(reset_noise_scale=0.3)
    bank, seeds = bank_of(task, 7), np.array([11, 5, 5, 99, 2, 3, 4])
    stages = (
        SimulationRows(Simulation(task, rows, num_threads=1), 30),
        WarpRows(WarpSimulation(task, rows, "cpu"), 30),
    )
    played, steps, seen = [], [], []
    for stage in stages:
        counts: list[int] = []
        observed: list[int] = []
        played.append(
            play(
                stage, bank, seeds, observe=lambda x, observed=observed: observed.append(len(x)),
                on_step=lambda n, counts=counts: counts.append(n) or True,
            )
        )  # fmt: skip
        steps.append(counts)
        seen.append(observed)
    expected, found = played
    assert len(set(expected.lengths)) > 1, "lengths must differ"
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    np.testing.assert_allclose(found.returns, expected.returns, atol=1e-3, rtol=1e-2)
    assert found.returns.dtype == np.float64 and found.lengths.dtype == np.int64
    assert steps[0] == steps[1] == seen[0] == seen[1]


def test_a_callback_stops_playing_and_diverged_policies_are_an_error(stand_in) -> None:
    task = TASKS["torque"]()
    rows, bank = WarpRows(WarpSimulation(task, 2, "cpu"), 20), bank_of(task, 2)
    assert play(rows, bank, np.arange(2), on_step=lambda n: False) is None
    assert stand_in.steps == 1
    bank.thetas[1] = torch.nan
    with pytest.raises(ValueError, match="1 of 2 policies acted by NaN or infinity"):
        play(rows, PolicyBank(bank.policy, bank.thetas), np.arange(2))


def test_what_cannot_be_trusted_is_said_when_all_are_done(stand_in) -> None:
    rows = WarpRows(WarpSimulation(TASKS["torque"](), 2, "cpu"), 3)
    rows.simulation.check = lambda: (_ for _ in ()).throw(RuntimeError("no room"))  # type: ignore
    with pytest.raises(RuntimeError, match="no room"):
        play(rows, bank_of(rows.simulation.task, 2), np.arange(2))


# Learning.


def model_of(algorithm: Any = EPVF, env: Any = None, **changes: Any) -> Any:
    env = gym.make(ANT, max_episode_steps=6, reset_noise_scale=0.1) if env is None else env
    keywords = {"population_size": 6, "backend": "warp", "seed": 0, "evaluate_episodes": 2}
    kwargs = {"hidden_sizes": [4], "normalize": True}
    return algorithm("MlpPolicy", env, policy_kwargs=kwargs, **{**keywords, **changes})


@pytest.mark.parametrize("algorithm", [ES, EPVF])
def test_learning_on_a_device_goes_on_where_it_was_saved(algorithm, stand_in, tmp_path: Path):
    whole, half = model_of(algorithm), model_of(algorithm)
    assert isinstance(whole.rows, WarpRows) and (whole.rows.num, whole.rows.max_steps) == (6, 6)
    first = whole.policy.theta
    whole.learn(72)
    half.learn(36)
    half.save(tmp_path / "half.zip")
    env = gym.make(ANT, max_episode_steps=6, reset_noise_scale=0.1)
    half = algorithm.load(tmp_path / "half.zip", env=env, device="cpu")
    assert isinstance(half.rows, WarpRows)
    half.learn(36, reset_num_timesteps=False)
    assert whole.num_timesteps == half.num_timesteps == 72 and whole._n_updates == 2
    assert torch.equal(whole.policy.theta, half.policy.theta)
    assert not torch.equal(whole.policy.theta, first)
    # What six policies saw of four ankles in six steps, before the second generation.
    assert whole.policy.normalizer.count.max() == 6 * 4 * 6
    onto_the_cpu = algorithm.load(tmp_path / "half.zip", env=env, device="cpu", backend="mujoco")
    assert isinstance(onto_the_cpu.rows, SimulationRows)


def test_a_batched_environment_only_says_which_body(stand_in) -> None:
    model = model_of(env=make_vec_env(ANT, 2, num_threads=1, max_episode_steps=6))
    assert isinstance(model.rows, WarpRows) and (model.rows.num, model.rows.max_steps) == (6, 6)
    model = model_of(env=make_vec_env(ANT, 2, num_threads=1), population_size=None)
    assert model.rows.num == 2


def test_what_does_not_fit_is_refused_with_its_parts(stand_in, monkeypatch) -> None:
    task = gym.make(ANT).unwrapped.task
    # State of 15 + 14 + 8 + 14 numbers, a flag, and 48 rows of 14: 4 bytes each.
    world = 4 * (15 + 14 + 8 + 14 + 1 + 48 * 14)
    assert simulation_bytes(task, 1) == world and simulation_bytes(task, 4096) == 4096 * world
    monkeypatch.setattr(memory, "available_bytes", lambda device: 6 * world)
    with pytest.raises(ValueError, match=r"GiB on cpu \(.*6 simulations 0.00 GiB\)"):
        model_of()
    assert stand_in.steps == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backend": "brax"}, r"backend: expected one of \('mujoco', 'warp'\), found 'brax'"),
        ({"env": lambda: "CartPole-v1"}, "own bodies alone, found CartPoleEnv"),
        ({"env": lambda: DummyVecEnv([lambda: gym.make(ANT)] * 2)}, "alone, found DummyVecEnv"),
        ({"env": lambda: "morphzoo/Centipede-6-v0"}, "CentipedeTask, which reads qpos, qvel, xpos"),
        ({"env": lambda: make_vec_env(ANT, 1, max_episode_steps=-1)}, "no time limit"),
    ],
)
def test_what_it_cannot_simulate_is_refused(change, message: str, stand_in) -> None:
    if "env" in change:
        change = {"env": change["env"]()}
    with pytest.raises(ValueError, match=message):
        model_of(**change)


def test_a_task_that_is_not_written_for_tensors_is_refused(stand_in) -> None:
    class Numpy(AntVelocityTask):
        def terminated(self, fields, variables):
            return fields["qpos"][:, 2].numpy() < 0.2

    class Broken(AntVelocityTask):
        def reward(self, fields, action, variables):
            return {"reward_velocity": fields["qpos"].astype(np.float64)[:, 0]}

    with pytest.raises(ValueError, match=r"Numpy is none \(terminated\(\) gives bool\[2\]\)"):
        WarpSimulation(Numpy(), 2, "cpu")
    with pytest.raises(ValueError, match=r"Broken is none \(.*astype"):
        WarpSimulation(Broken(), 2, "cpu")
    with pytest.raises(ValueError, match="reads qpos, qvel, xpos"):
        WarpSimulation(CentipedeTask(6), 2, "cpu")
    with pytest.raises(ValueError, match="at least 1 row, found num=0"):
        WarpSimulation(TASKS["torque"](), 0, "cpu")


def test_a_body_that_mujoco_warp_does_not_know_is_refused(stand_in, monkeypatch) -> None:
    def put_model(model: Any) -> Any:
        raise NotImplementedError("Body plugins not supported.")

    monkeypatch.setattr(stand_in, "put_model", put_model)
    with pytest.raises(ValueError, match=r"this body \(Body plugins.*backend='mujoco'"):
        model_of()


def test_without_mujoco_warp_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco_warp", None)
    monkeypatch.setitem(sys.modules, "warp", Warp())
    with pytest.raises(ImportError, match=r"pip install 'morphzoo\[gpu\]'"):
        model_of()


# Mujoco-warp itself.


def missing(device: str) -> str | None:
    """Why mujoco-warp cannot be tested on a device, or None."""
    if importlib.util.find_spec("mujoco_warp") is None:
        return "mujoco-warp is not installed: pip install 'morphzoo[gpu]'"
    return "no GPU here" if device == "cuda" and not torch.cuda.is_available() else None


DEVICES = [
    pytest.param(device, marks=[pytest.mark.skip(reason=reason)] if reason else [])
    for device, reason in ((device, missing(device)) for device in ("cpu", "cuda"))
]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("device", DEVICES)
def test_mujoco_warp_agrees_over_50_steps(device: str, kind: str) -> None:
    """Float32 rounds a state by 1e-7, and the ground's contacts let that grow.

    On the CPU's device 3e-5 was seen after 50 steps; without `warp_contacts` it was 0.15.
    """
    agree(TASKS[kind](), device, 5e-3)
