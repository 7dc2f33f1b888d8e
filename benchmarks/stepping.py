"""Speed of batched stepping: against bare mujoco.batch, and against SB3's SubprocVecEnv.

Every contender steps the same bodies with the same uniform random actions, one after another, round
by round, so that what else the machine does touches all of them alike; ratios are taken within a
round. Bare stepping runs `Batch.step(nstep, stage=mjSTAGE_ACC)` on the very states that complete
stepping went through, with the same fields bound.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import mujoco
import numpy as np
from mujoco.batch import Batch
from stable_baselines3.common.env_util import make_vec_env as make_single_envs
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv

from morphzoo.sb3 import MorphologyVecEnv, make_vec_env

RESULTS = Path(__file__).parent / "results" / "stepping.json"
ROWS = 64
WORKERS = (2, 4, 64)
STEPS = {6: 60, 20: 30}  # of 64 rows, in a round
ACC = int(mujoco.mjtStage.mjSTAGE_ACC)
# (numerator, denominator, legs) -> what the ratio of steps per second must reach at least.
GOALS = {
    ("complete", "bare", 6): 0.85,
    ("complete", "bare", 20): 0.85,
    ("complete", "subproc", 6): 1.7,
    ("complete", "subproc", 20): 1.2,
}


class Contenders:
    """All ways to step one body, each as a function of the round that returns steps per second."""

    def __init__(self, num_legs: int, seed: int) -> None:
        """Start the worker processes, then the native threads."""
        env_id = f"morphzoo:morphzoo/Centipede-{num_legs}-v0"
        self.num_steps = STEPS[num_legs]
        # Forked before there are native threads; a worker needs nothing that this process lacks.
        self.workers: dict[int, VecEnv] = {
            num: make_single_envs(
                env_id,
                num,
                seed=seed,
                vec_env_cls=SubprocVecEnv,
                vec_env_kwargs={"start_method": "fork"},
            )
            for num in WORKERS
        }
        self.complete: MorphologyVecEnv = make_vec_env(env_id, ROWS, seed=seed)
        self.vector = make_vec_env(env_id, ROWS, seed=seed).vector_env
        task = self.complete.vector_env.task
        self.frame_skip = task.frame_skip
        self.batch = Batch(task.model, ROWS)
        self.bound = [self.batch.bind(name) for name in task.fields]
        for env in (*self.workers.values(), self.complete):
            env.reset()
        self.rng = np.random.default_rng(seed)

    def draw(self) -> None:
        """Draw a round's actions, and record the states that complete stepping goes through."""
        motors = self.complete.action_space.shape
        assert motors is not None
        shape = (self.num_steps, ROWS, *motors)
        self.actions = self.rng.uniform(-1, 1, shape).astype(np.float32)
        self.start = self.complete.get_state()
        physics = self.complete.vector_env.simulation.batch.state
        self.states = []
        for action in self.actions:
            self.states.append(physics.copy())
            self.complete.step(action)
        self.end = self.complete.get_state()

    def names(self) -> dict[str, Callable[[], float]]:
        """Return the contenders by name."""
        pools = {f"subproc-{num}": self._pool(num) for num in WORKERS}
        return {"bare": self.bare, "complete": self.sb3, "vector": self.gymnasium, **pools}

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

    def _pool(self, num: int) -> Callable[[], float]:
        """Step as many single environments as there are workers, for as many steps in all."""
        actions = self.actions.reshape(-1, num, self.actions.shape[-1])
        return lambda: _rate(lambda index, action: self.workers[num].step(action), actions)

    def close(self) -> None:
        """End the worker processes."""
        for env in self.workers.values():
            env.close()


def _rate(step: Callable[[int, np.ndarray], object], actions: np.ndarray) -> float:
    """Time a loop over actions [T, n, A]: environment steps per second."""
    start = time.perf_counter()
    for index, action in enumerate(actions):
        step(index, action)
    return actions.shape[0] * actions.shape[1] / (time.perf_counter() - start)


def measure(num_legs: int, rounds: int, seed: int) -> dict[str, list[float]]:
    """Return steps per second of every contender, one number a round."""
    contenders = Contenders(num_legs, seed)
    rates: dict[str, list[float]] = {}
    try:
        for index in range(rounds + 1):
            contenders.draw()
            order = list(contenders.names().items())
            turn = index % len(order)  # nobody always goes first
            for name, run in order[turn:] + order[:turn]:
                rate = run()
                if index:  # the first round warms up
                    rates.setdefault(name, []).append(rate)
    finally:
        contenders.close()
    best = max((f"subproc-{num}" for num in WORKERS), key=lambda name: np.median(rates[name]))
    return {**rates, "subproc": rates[best]}


def summary(values: list[float]) -> dict[str, float]:
    """Return the median, the quartiles and the extremes."""
    names = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")
    return dict(zip(names, np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist(), strict=True))


def ratios(num_legs: int, rates: dict[str, list[float]]) -> list[dict]:
    """Return the ratios that have a goal, taken round by round."""
    found = []
    for (above, below, legs), goal in GOALS.items():
        if legs == num_legs:
            values = [one / other for one, other in zip(rates[above], rates[below], strict=True)]
            spread = summary(values)
            row = {"num_legs": legs, "ratio": f"{above} / {below}", "goal": goal}
            found.append(row | spread | {"reached": spread["median"] >= goal})
    return found


def report(bodies: dict[int, dict], found: list[dict]) -> None:
    """Print the tables."""
    print(f"\n{'legs':>4}  {'contender':12} {'steps/s':>9}   quartiles")
    for legs, rates in bodies.items():
        for name, row in rates.items():
            spread = f"{row['lower_quartile']:.0f} .. {row['upper_quartile']:.0f}"
            print(f"{legs:>4}  {name:12} {row['median']:>9.0f}   {spread}")
    print(f"\n{'legs':>4}  {'ratio':20} {'median':>7}   {'quartiles':15} {'goal':>5}")
    for row in found:
        spread = f"{row['lower_quartile']:.3f} .. {row['upper_quartile']:.3f}"
        verdict = "reached" if row["reached"] else "MISSED"
        line = f"{row['num_legs']:>4}  {row['ratio']:20} {row['median']:>7.3f}   {spread:15}"
        print(f"{line} {row['goal']:>5.2f}  {verdict}")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Measure the speed of batched stepping.")
    parser.add_argument("--legs", type=int, nargs="+", choices=sorted(STEPS), default=sorted(STEPS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file to write")
    arguments = parser.parse_args()
    load = os.getloadavg()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load {load[0]:.2f} (1 min) before; idle is what this needs.")
    rates = {legs: measure(legs, arguments.rounds, arguments.seed) for legs in arguments.legs}
    bodies = {legs: {name: summary(r) for name, r in body.items()} for legs, body in rates.items()}
    found = [row for legs, body in rates.items() for row in ratios(legs, body)]
    report(bodies, found)
    packages = ("mujoco", "gymnasium", "stable-baselines3", "numpy")
    document = {
        "rows": ROWS,
        "rounds": arguments.rounds,
        "seed": arguments.seed,
        "steps_per_round": {legs: STEPS[legs] for legs in arguments.legs},
        "unit": "environment steps per second",
        "cores": cores,
        "processor": _processor(),
        "load_before": load,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "steps_per_second": bodies,
        "ratios": found,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=2) + "\n")
    print(f"\nWritten to {arguments.out.name}.")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
