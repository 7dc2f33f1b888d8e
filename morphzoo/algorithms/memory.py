"""What a population takes in memory, compared with what there is, before anything is allocated."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_LIMITS = (  # of a container: how much it may use, how much it does (cgroup 2, then 1)
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
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
    for limit, used in _LIMITS:
        if Path(limit).is_file() and (text := Path(limit).read_text(encoding="utf-8")).strip():
            if text.strip() != "max":
                found.append(int(text) - int(Path(used).read_text(encoding="utf-8")))
            break
    return min(found) if found else None


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
