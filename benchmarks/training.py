"""End-to-end training: steps per second and memory, each contender in a process of its own.

`python -m benchmarks.training POLICY ENVS LEGS NUM_ENVS` is one measurement.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import morphzoo  # noqa: F401  (registers the environments)
from benchmarks.measuring import alternate, ratio, summaries

# Policy and environments; the last is what a user without this package would put together.
CONTENDERS = {
    "snowflake": ("fused", "batched"),
    "mlp": ("mlp", "batched"),
    "plain": ("geometric", "subproc"),
}
BATCH, MINIBATCH, EPOCHS = 1024, 256, 5
_WARM, _TIMED = 1, 2  # iterations of collecting and updating
_GIB = 2**30


def run(rounds: int, seed: int) -> list[dict[str, Any]]:
    """Measure 6 and 20 legs with 16 environments, and 20 legs with 64 for the memory."""
    rows = []
    for legs, num_envs in ((6, 16), (20, 16), (20, 64)):
        memory: dict[str, list[float]] = {name: [] for name in CONTENDERS}

        def contender(name: str, legs: int = legs, num: int = num_envs, kept: Any = memory) -> Any:
            def measure() -> float:
                found = _in_a_process(name, legs, num, seed)
                kept[name].append(found["peak_gib"])
                return found["steps_per_second"]

            return measure

        turns = {name: contender(name) for name in CONTENDERS}
        rates = alternate(turns, rounds, warm_up=False)  # each process warms itself up
        row = {
            "legs": legs,
            "num_envs": num_envs,
            "steps_per_second": summaries(rates),
            "peak_gib": {name: max(values) for name, values in memory.items()},
            "ratios": {"snowflake / plain": ratio(rates["snowflake"], rates["plain"])},
        }
        print(f"{legs:>4} legs, {num_envs} environments: {_shown(row)}", flush=True)
        rows.append(row)
    return rows


def _shown(row: dict[str, Any]) -> str:
    rates = {name: round(found["median"]) for name, found in row["steps_per_second"].items()}
    peaks = {name: round(value, 2) for name, value in row["peak_gib"].items()}
    over = row["ratios"]["snowflake / plain"]["median"]
    return f"{rates} steps/s, {peaks} GiB, {over:.2f} times plain"


def _in_a_process(name: str, legs: int, num_envs: int, seed: int) -> dict[str, float]:
    """Start a process that trains, and return what it measured."""
    policy, envs = CONTENDERS[name]
    arguments = [policy, envs, str(legs), str(num_envs), str(seed)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", *arguments],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def train(policy: str, envs: str, legs: int, num_envs: int, seed: int) -> dict[str, float]:
    """Train for some iterations; return steps per second, and the peak of memory (GiB)."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env as make_single_envs
    from stable_baselines3.common.vec_env import SubprocVecEnv

    from morphzoo.sb3 import make_vec_env

    env_id = f"morphzoo:morphzoo/Centipede-{legs}-v0"
    if envs == "batched":
        env = make_vec_env(env_id, num_envs, seed)
    else:
        env = make_single_envs(
            env_id,
            num_envs,
            seed,
            vec_env_cls=SubprocVecEnv,
            vec_env_kwargs={"start_method": "fork"},
        )
    from benchmarks.networks import POLICIES

    model = PPO(
        POLICIES[policy],
        env,
        n_steps=BATCH // num_envs,
        batch_size=MINIBATCH,
        n_epochs=EPOCHS,
        seed=seed,
        device="cpu",
    )
    model.learn(_WARM * BATCH)
    start = time.perf_counter()
    model.learn(_TIMED * BATCH, reset_num_timesteps=False)
    seconds = time.perf_counter() - start
    peak = _kib("/proc/self/status", "VmHWM:") * 1024 + _workers_bytes()
    env.close()
    return {"steps_per_second": _TIMED * BATCH / seconds, "peak_gib": peak / _GIB}


def _workers_bytes() -> int:
    """Memory of this process's children, pages that they share counted by shares (bytes)."""
    total = 0
    for task in Path("/proc/self/task").glob("*/children"):
        for child in task.read_text().split():
            total += _kib(f"/proc/{child}/smaps_rollup", "Pss:") * 1024
    return total


def _kib(path: str, name: str) -> int:
    """Return a number of KiB that Linux tells of a process.

    The peak is VmHWM and not getrusage's, which a process inherits from the one that started it.
    """
    lines = Path(path).read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    policy, envs, *numbers = sys.argv[1:]
    print(json.dumps(train(policy, envs, *map(int, numbers))))
