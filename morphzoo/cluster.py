"""A Ray cluster: the module imported where it is needed, the cluster joined or started."""

from __future__ import annotations

import importlib
import logging
import os
import socket
from typing import Any

_REACH = 10.0  # for a cluster's address to answer (s)

#: Environment of every process that computes on one core.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def import_ray() -> Any:
    """Return the module `ray`.

    Raises:
        ImportError: Ray is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ImportError(
            f"Ray cannot be imported ({error}): pip install 'morphzoo[ray]', or run without ray"
        ) from error


def connect(ray: Any, address: str, workers: int | None) -> bool:
    """Join a cluster or start one; processes' own output stays in Ray's logs.

    Args:
        ray: The module.
        address: A cluster's address, "auto", or "local" to start one here.
        workers: Cores of a cluster started here; None: all.

    Returns:
        Whether this has connected, and so is to disconnect; a process that is connected already
        stays where it is.

    Raises:
        OSError: The cluster cannot be reached.
    """
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": logging.WARNING}
    try:
        if address == "local":
            # A cluster of our own has no need to be counted by its makers.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init("local", num_cpus=workers, include_dashboard=False, **quiet)
        else:
            _probe(address)
            ray.init(address, **quiet)
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        raise OSError(
            f"cannot join the Ray cluster '{address}' ({last_line(error)}): start one with `ray "
            "start --head`, give its HOST:PORT, or take 'local'"
        ) from error
    return True


def _probe(address: str) -> None:
    """Raise OSError if nothing listens at HOST:PORT: Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), _REACH).close()


def last_line(error: Exception) -> str:
    """Return the last line of an error's message: Ray puts the cause at the end."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
