"""Fingerprint: the first 10,000 steps of a recipe, reproduced bit for bit and named by a hash.

`python -m morphzoo.training --fingerprint snowflake-centipede-6` prints the entry for this machine
of the recipe's `fingerprint_10000`: platform -> {"sha256": ..., "curve": [row, ...], "opening":
{"rewards": [...], ...}}. Where the platform is another one, its opening steps are what is compared.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from morphzoo.training.state import read_state

STEPS = 10_000
ROWS = 3  # rows of the curve kept beside the hash: they tie a bundled curve to its recipe
OPENING = 8  # environment steps before the physics has amplified how a platform rounds


def fingerprint(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Name the training state of a run's folder.

    Args:
        folder: The `out` of `train`, finished or paused.

    Returns:
        "sha256" over the weights, the normaliser, the optimizer's moments and the curve, and
        "curve", the curve's first `ROWS` rows as text, header first.

    Raises:
        ValueError: The folder holds no training state, or a damaged one.
    """
    state = read_state(Path(folder) / "state")
    if state is None:
        raise ValueError(f"no training state in '{folder}'; expected the folder of a training run")
    arrays, _, curve, _ = state
    digest = hashlib.sha256()
    for name in sorted(name for name in arrays if name.startswith(("policy/", "optimizer/"))):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    digest.update(curve.encode())
    return {"sha256": digest.hexdigest(), "curve": curve.splitlines()[: ROWS + 1]}


def opening(name: str) -> dict[str, list[float]]:
    """Return the means over the environments of a recipe's first `OPENING` steps.

    They depend on everything that a training starts with (bodies, seeds, initial weights, first
    actions) and, unlike later steps, hardly on how a platform rounds.

    Args:
        name: Bundled recipe, or a recipe file.

    Returns:
        "rewards", "values" and "log_probs", one number a step; of a search "actions" and
        "observations" of its first policies; of contrastive RL "actions" and "goals", achieved.

    Raises:
        ValueError: As `read_recipe` and `build_model`.
    """
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    from morphzoo.algorithms import ALGORITHMS
    from morphzoo.algorithms.population import PopulationAlgorithm
    from morphzoo.recipe import read_recipe
    from morphzoo.training.model import build_model

    recipe = read_recipe(name)
    algorithm = ALGORITHMS[recipe.algorithm]
    if issubclass(algorithm, OnPolicyAlgorithm):
        sizes = {"n_steps": OPENING, "batch_size": OPENING * recipe.n_envs}
        recipe, steps = recipe.override(sizes), _rollout_opening
    else:
        search = issubclass(algorithm, PopulationAlgorithm)
        steps = _search_opening if search else _goal_opening
    model = build_model(recipe)
    try:
        return steps(model)
    finally:
        model.env.close()


def _rollout_opening(model: Any) -> dict[str, list[float]]:
    """Return the means over the environments of a first rollout, step by step."""
    _, callback = model._setup_learn(OPENING, None)
    buffer = model.rollout_buffer
    model.collect_rollouts(model.env, callback, buffer, OPENING)
    return {
        key: [float(mean) for mean in getattr(buffer, key).astype(float).mean(1)]
        for key in ("rewards", "values", "log_probs")
    }


def _goal_opening(model: Any) -> dict[str, list[float]]:
    """Return the means over the environments of the first policy's mean actions, step by step."""
    found: dict[str, list[float]] = {"actions": [], "goals": []}
    observations = model.env.reset()
    for _ in range(OPENING):
        actions, _ = model.policy.predict(observations, deterministic=True)
        observations = model.env.step(actions)[0]
        for key, values in (("actions", actions), ("goals", observations["achieved_goal"])):
            found[key].append(float(values.astype(float).mean()))
    return found


def _search_opening(model: Any) -> dict[str, list[float]]:
    """Return the means over the first batch of a search's first generation, step by step."""
    bank, _, seeds = model._draw()
    bank, found = bank.take(slice(model.rows.num)), {"actions": [], "observations": []}
    observations = model.rows.begin(seeds[: len(bank)])
    for _ in range(OPENING):
        actions = bank.act(observations)
        observations = model.rows.step(np.arange(len(bank)), actions)[0]
        for key, values in (("actions", actions), ("observations", observations)):
            found[key].append(float(values.astype(float).mean()))
    return found


def reproduce(name: str, out: str | os.PathLike[str], steps: int = STEPS) -> dict[str, Any]:
    """Train a recipe's first steps on one thread and return their fingerprint.

    Args:
        name: Bundled recipe, or a recipe file.
        out: Folder for the run.
        steps: Steps, rounded up to whole rollouts.

    Raises:
        ValueError: As `read_recipe` and `train`.
    """
    from morphzoo.recipe import read_recipe
    from morphzoo.training import train

    train(read_recipe(name), out, progress=False, threads=1, pause_at=steps)
    return fingerprint(out)


def platform_signature(device: str = "cpu") -> str:
    """Return what the last bits of a training depend on, besides the recipe.

    Args:
        device: The policy's device.

    Returns:
        Versions of torch and MuJoCo, processor architecture, maker and model, the instruction set
        that torch uses, and the device's name where it is not the CPU.
    """
    parts = [
        f"torch {torch.__version__}",
        f"mujoco {metadata.version('mujoco')}",
        platform.machine(),
        _processor(),
        torch.backends.cpu.get_cpu_capability(),
    ]
    if torch.device(device).type == "cuda":
        parts.append(torch.cuda.get_device_name(device))
    return ", ".join(parts)


def _processor() -> str:
    """Return the processor's maker, family and model, such as `AuthenticAMD 25/17`.

    Linear algebra libraries choose their kernels, and so the order of their sums, by these.
    """
    info = Path("/proc/cpuinfo")
    if not sys.platform.startswith("linux") or not info.is_file():
        return platform.processor() or "unknown processor"
    facts: dict[str, str] = {}
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    maker = facts.get("vendor_id") or facts.get("CPU implementer") or "unknown maker"
    family = facts.get("cpu family") or facts.get("CPU architecture") or "?"
    return f"{maker} {family}/{facts.get('model') or facts.get('CPU part') or '?'}"
