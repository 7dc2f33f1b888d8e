"""Fingerprint: the first 10,000 steps of a recipe, reproduced bit for bit and named by a hash.

`python -m morphzoo.training --fingerprint snowflake-centipede-6` prints the entry for this machine
of the recipe's `fingerprint_10000`: platform -> {"sha256": ..., "curve": [row, ...]}.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from morphzoo.training.state import read_state

STEPS = 10_000
ROWS = 3  # rows of the curve kept beside the hash, for platforms whose last bits differ


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
        Versions of torch and MuJoCo, processor architecture and maker, the instruction set that
        torch uses, and the device's name where it is not the CPU.
    """
    parts = [
        f"torch {torch.__version__}",
        f"mujoco {metadata.version('mujoco')}",
        platform.machine(),
        _processor_maker(),
        torch.backends.cpu.get_cpu_capability(),
    ]
    if torch.device(device).type == "cuda":
        parts.append(torch.cuda.get_device_name(device))
    return ", ".join(parts)


def _processor_maker() -> str:
    """Return the processor's maker, such as `AuthenticAMD`."""
    info = Path("/proc/cpuinfo")
    if sys.platform.startswith("linux") and info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("vendor_id", "CPU implementer"):
                return value.strip()
    return platform.processor() or "unknown processor"
