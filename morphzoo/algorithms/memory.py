"""What a population takes in memory, compared with what there is, before anything is allocated."""

from __future__ import annotations

import os
from pathlib import Path

import torch

# Of a container (cgroup 2, then 1): how much it may use, how much it does, and the name under which
# `memory.stat` counts what of that are files read lately, which make room when it is needed.
_LIMITS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def available_bytes(device: torch.device) -> int | None:
    """Return how much memory a device has left (bytes); None where that cannot be told."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = []
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = meminfo.read_text(encoding="utf-8").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    elif hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    container = container_bytes(Path("/sys/fs/cgroup"))
    found += [] if container is None else [container]
    return min(found) if found else None


def container_bytes(folder: Path) -> int | None:
    """Return how much memory a container has left (bytes); None outside of one.

    Args:
        folder: where its control group is mounted.
    """
    for limit, used, cache in _LIMITS:
        path = folder / limit
        if path.is_file() and (text := path.read_text(encoding="utf-8").strip()):
            if text == "max":
                return None
            taken = int((folder / used).read_text(encoding="utf-8"))
            stat = (folder / used).with_name("memory.stat")
            lines = stat.read_text(encoding="utf-8").splitlines() if stat.is_file() else []
            counted = dict(line.split() for line in lines)
            return int(text) - taken + int(counted.get(cache, 0))
    return None


def check_memory(parts: dict[str, int], device: torch.device) -> None:
    """Refuse what does not fit.

    Args:
        parts: name of each part -> its size (bytes).
        device: where they are to be.

    Raises:
        ValueError: listing the parts, if they take more than is left.
    """
    needed, left = sum(parts.values()), available_bytes(device)
    if left is None or needed <= left:
        return
    listed = ", ".join(f"{name} {size / 2**30:.2f} GiB" for name, size in parts.items())
    raise ValueError(
        f"this needs {needed / 2**30:.2f} GiB on {device} ({listed}), and {left / 2**30:.2f} GiB "
        "are left: make population_size, buffer_size or the policy's hidden_sizes smaller"
    )
