"""The hub's tests under the other major version of its client, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import huggingface_hub
import pytest

ROOT = Path(__file__).parents[1]
PYTHON = "MORPHZOO_HUB1_PYTHON"


@pytest.mark.slow
def test_with_version_1_of_the_client() -> None:
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(f"{PYTHON} names no interpreter with huggingface_hub 1: run make test-hub1")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ask = [python, "-c", "import huggingface_hub; print(huggingface_hub.__version__)"]
    asked = subprocess.run(ask, env=env, capture_output=True, text=True, check=True)
    found, own = asked.stdout.strip(), huggingface_hub.__version__
    assert found.split(".")[0] == "1" and own.split(".")[0] == "2", (found, own)
    names = ("hub", "hub_hostile", "hub_large_files", "hub_scripts")
    files = [f"tests/test_{name}.py" for name in names]
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
