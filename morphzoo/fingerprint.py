"""Fingerprint: the first 10,000 steps of a recipe, reproduced bit for bit and named by a hash."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

import torch


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
