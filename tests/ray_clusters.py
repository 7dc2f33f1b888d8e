"""A Ray cluster of two nodes on this machine, and how what runs on it is found and killed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Nodes = tuple[str, list[int], dict[str, str]]  # address, the nodes' processes, environment
PATIENCE = 300.0  # for what takes seconds on a quiet core (s)

CLUSTER = """
import json, sys
from ray.cluster_utils import Cluster
quick = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
head = {"num_cpus": 0, "include_dashboard": False, "_system_config": quick}
cluster = Cluster(initialize_head=True, head_node_args=head)
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
print(json.dumps([cluster.address, raylets]), flush=True)
sys.stdin.read()  # until the test is over, however it ends
cluster.shutdown()
"""


@contextlib.contextmanager
def two_nodes() -> Iterator[Nodes]:
    """Start two nodes of one core each; skips the test where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'morphzoo[ray]'")
    # Sockets live in it, and their paths must be short: pytest's folders are too deep.
    with tempfile.TemporaryDirectory(prefix="mz-", ignore_cleanup_errors=True) as folder:
        env = {**os.environ, "TMPDIR": folder, "RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}  # nobody else's
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [sys.executable, "-c", CLUSTER], stdin=pipe, stdout=pipe, env=env, text=True
        ) as nodes:
            assert nodes.stdin and nodes.stdout
            try:
                started = next((line for line in nodes.stdout if line.startswith("[")), None)
                assert started, "the cluster did not start"
                yield (*json.loads(started), env)
            finally:
                nodes.stdin.close()


def until(answer: Callable[[], Any], alive: Callable[[], bool] = lambda: True) -> Any:
    """Ask until there is an answer; not longer than the one that it is to come from lives."""
    deadline = time.monotonic() + PATIENCE
    while not (found := answer()):
        assert alive() and time.monotonic() < deadline, answer
        time.sleep(0.005)
    return found


def processes() -> Iterator[tuple[int, int, list[str]]]:
    """Number, parent's number and command line of every process."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended meanwhile
            continue
        yield int(entry.name), int(parent), words


def kill(pid: int | None, blow: signal.Signals) -> None:
    """Send a signal to one process that a test has started."""
    assert pid is not None and pid > 1, "the run was over before it could be killed"
    os.kill(pid, blow)
