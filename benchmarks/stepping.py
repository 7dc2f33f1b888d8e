"""Speed of stepping: ours, batched, against bare `mujoco.batch` and every other way to step.

Every contender steps the same body with the same uniform random actions. Bare stepping runs
`Batch.step(nstep, stage=mjSTAGE_ACC)` on the very states that complete stepping went through, with
the same fields bound.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from mujoco.batch import Batch
from stable_baselines3.common.env_util import make_vec_env as make_single_envs
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

import morphzoo  # noqa: F401  (registers the environments)
from benchmarks.measuring import alternate, ratio, summaries
from morphzoo.sb3 import make_vec_env

ACC = int(mujoco.mjtStage.mjSTAGE_ACC)
WORKERS = (2, 4, 64)  # processes of the pools that step 64 bodies' worth
MANY = 64  # more bodies than this, and only what is batched runs: one process each is hopeless

# Which of ours each of the others is compared with: the one that is used in the same way.
OVER = {
    "bare": "complete",
    "subproc": "complete",
    "dummy": "complete",
    "sync": "vector",
    "async": "vector",
    "envpool": "vector",
}

Measure = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class Case:
    """One body, so many side by side, on so many threads.

    Attributes:
        body: "6" for the Centipede with 6 legs, or "ant".
        rows: Bodies side by side.
        threads: Native threads.
        steps: Steps of all rows in a round.
    """

    body: str
    rows: int
    threads: int
    steps: int

    @property
    def ours(self) -> str:
        """Our environment's id."""
        if self.body == "ant":
            return "morphzoo/Ant-v5"
        return f"morphzoo/Centipede-{self.body}-v0"

    @property
    def single(self) -> str:
        """The id that others step: Gymnasium's own Ant, our single Centipede."""
        return "Ant-v5" if self.body == "ant" else f"morphzoo:{self.ours}"


# About the bodies stepped in a round, so that one takes a fraction of a second and more.
_BODY_STEPS = {"ant": 4096, "6": 2048, "20": 1024, "50": 128, "100": 64}
_ROWS = {"ant": (8, 64, 256, 1024), "6": (8, 64, 256, 1024), "20": (8, 64, 256, 1024)}


def cases() -> list[Case]:
    """Return all cases; what takes longest comes last."""
    return [
        Case(body, rows, threads, max(1, work // rows))
        for body, work in _BODY_STEPS.items()
        for rows in _ROWS.get(body, (8, 64))
        for threads in (1, 2)
    ]


class Contenders:
    """All ways to step one case, each as a function of the round that returns steps per second.

    Args:
        case: What is stepped.
        seed: Of environments and actions.
    """

    def __init__(self, case: Case, seed: int) -> None:
        """Start the worker processes, then the native threads."""
        self.case = case
        self.others: dict[str, Any] = {}
        if case.rows <= MANY and case.threads == 2:
            self._start_others(seed)
        self.complete = make_vec_env(case.ours, case.rows, seed, num_threads=case.threads)
        self.vector = make_vec_env(case.ours, case.rows, seed, num_threads=case.threads).vector_env
        task = self.complete.vector_env.task
        self.frame_skip = task.frame_skip
        self.batch = Batch(task.model, case.rows, case.threads)
        self.bound = [self.batch.bind(name) for name in task.fields]
        self.complete.reset()
        if case.body == "ant" and importlib.util.find_spec("envpool"):
            make = importlib.import_module("envpool").make_gymnasium
            self.others["envpool"] = make(
                "Ant-v5", num_envs=case.rows, num_threads=case.threads, seed=seed
            )
            self.others["envpool"].reset()
        self.rng = np.random.default_rng(seed)

    def _start_others(self, seed: int) -> None:
        """Make what steps single environments; forked before there are native threads."""
        case = self.case
        for num in sorted({*WORKERS, case.rows} if case.rows == MANY else {case.rows}):
            self.others[f"subproc-{num}"] = make_single_envs(
                case.single,
                num,
                seed=seed,
                vec_env_cls=SubprocVecEnv,
                vec_env_kwargs={"start_method": "fork"},
            )
        self.others["dummy"] = make_single_envs(
            case.single, case.rows, seed=seed, vec_env_cls=DummyVecEnv
        )
        for mode in ("sync", "async"):
            self.others[mode] = gym.make_vec(
                case.single, num_envs=case.rows, vectorization_mode=mode
            )
        for env in self.others.values():
            env.reset()

    def draw(self) -> None:
        """Draw a round's actions, and record the states that complete stepping goes through."""
        motors = self.complete.action_space.shape
        assert motors is not None
        shape = (self.case.steps, self.case.rows, *motors)
        self.actions = self.rng.uniform(-1, 1, shape).astype(np.float32)
        self.start = self.complete.get_state()
        physics = self.complete.vector_env.simulation.batch.state
        self.states = []
        for action in self.actions:
            self.states.append(physics.copy())
            self.complete.step(action)
        self.end = self.complete.get_state()

    def named(self) -> dict[str, Measure]:
        """Return the contenders by name."""
        others = {name: self._other(env) for name, env in self.others.items()}
        return {"bare": self.bare, "complete": self.sb3, "vector": self.gymnasium, **others}

    def bare(self) -> float:
        """Step `mujoco.batch` alone."""
        ctrl, state = self.batch.bind("ctrl"), self.batch.state

        def step(index: int, action: np.ndarray) -> None:
            state[:] = self.states[index]
            ctrl[:] = action
            self.batch.step(nstep=self.frame_skip, stage=ACC)

        return _rate(step, self.actions)

    def sb3(self) -> float:
        """Step as Stable-Baselines3 does: observations, rewards, resets, episode statistics."""
        self.complete.set_state(self.start)
        rate = _rate(lambda index, action: self.complete.step(action), self.actions)
        end = self.complete.get_state()
        assert all(np.array_equal(end[name], self.end[name]) for name in end), "not the same run"
        return rate

    def gymnasium(self) -> float:
        """Step as Gymnasium does: as before, with every term and metric in the infos."""
        self.vector.set_state(self.start)
        return _rate(lambda index, action: self.vector.step(action), self.actions)

    def _other(self, env: Any) -> Measure:
        """Step so many single environments, for as many steps in all."""
        actions = self.actions.reshape(-1, env.num_envs, self.actions.shape[-1])
        if isinstance(env.action_space, gym.spaces.Box) and env.action_space.dtype == np.float64:
            actions = actions.astype(np.float64)
        return lambda: _rate(lambda index, action: env.step(action), actions)

    def close(self) -> None:
        """End the worker processes."""
        for env in self.others.values():
            env.close()


def _rate(step: Callable[[int, np.ndarray], object], actions: np.ndarray) -> float:
    """Time a loop over actions [T, n, A]: environment steps per second."""
    start = time.perf_counter()
    for index, action in enumerate(actions):
        step(index, action)
    return actions.shape[0] * actions.shape[1] / (time.perf_counter() - start)


def measure(case: Case, rounds: int, seed: int) -> dict[str, list[float]]:
    """Return steps per second of every contender, one number a round."""
    contenders = Contenders(case, seed)
    contenders.draw()
    names = contenders.named()

    def turn(name: str) -> Measure:
        return lambda: contenders.named()[name]()  # on the round's own actions

    try:
        rates = alternate({name: turn(name) for name in names}, rounds, contenders.draw)
    finally:
        contenders.close()
    pools = [name for name in rates if name.startswith("subproc")]
    if pools:
        rates["subproc"] = rates[max(pools, key=lambda name: float(np.median(rates[name])))]
    return rates


def run(rounds: int, seed: int) -> list[dict[str, Any]]:
    """Measure all cases; each row holds steps per second, and ratios taken round by round."""
    rows = []
    for case in cases():
        rates = measure(case, rounds, seed)
        ratios = {
            f"{ours} / {other}": ratio(rates[ours], rates[other])
            for other, ours in OVER.items()
            if other in rates
        }
        shown = {name: round(found["median"], 2) for name, found in ratios.items()}
        print(f"{case.body:>4} x {case.rows:<5} threads {case.threads}: {shown}", flush=True)
        row = {**dataclasses.asdict(case), "steps_per_second": summaries(rates), "ratios": ratios}
        rows.append(row)
    return rows
