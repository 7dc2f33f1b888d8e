"""What every test stands on: a quiet, offline, one-threaded process; and whether GL is at hand."""

from __future__ import annotations

import ctypes.util
import functools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

README = Path(__file__).parents[1] / "README.md"
GL_PACKAGES = (
    "apt-get install -y libegl1 libopengl0 libgl1-mesa-dri (MUJOCO_GL=egl), "
    "or libosmesa6 (MUJOCO_GL=osmesa)"
)
DRAW_ONE_FRAME = """
import mujoco
renderer = mujoco.Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8)
renderer.render()
renderer.close()
"""


def _choose_gl() -> None:
    """Name a headless GL back end before MuJoCo is first imported, where there is no display."""
    if sys.platform != "linux" or any(os.environ.get(k) for k in ("DISPLAY", "WAYLAND_DISPLAY")):
        return
    backends = {"egl": ("EGL", "OpenGL"), "osmesa": ("OSMesa",), "off": ()}
    find = ctypes.util.find_library
    found = (b for b, libraries in backends.items() if all(map(find, libraries)))
    os.environ.setdefault("MUJOCO_GL", next(found))


# Whoever is started in the background ignores Ctrl-C, and so does all that it starts: the tests of
# what Ctrl-C does would wait for ever. A handler of our own is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Before numpy, torch, MuJoCo and matplotlib are imported by a test; worker processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
_choose_gl()

# The same examples in every run, and no time limit: two workers share two cores.
settings.register_profile(
    "morphzoo", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("morphzoo")


@functools.cache
def gl_problem() -> str | None:
    """Why no frame can be drawn here, or None; asked of a process of its own."""
    probe = subprocess.run(
        [sys.executable, "-c", DRAW_ONE_FRAME], capture_output=True, text=True, timeout=120
    )
    if probe.returncode == 0:
        return None
    last = (probe.stderr.strip().splitlines() or ["no message"])[-1]
    return f"no frame can be drawn ({last[:120]}): {GL_PACKAGES}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GL library where there is none; fail it under `make test-render`."""
    if item.get_closest_marker("render") is None or (problem := gl_problem()) is None:
        return
    if os.environ.get("MORPHZOO_REQUIRE_GL"):
        pytest.fail(problem, pytrace=False)
    pytest.skip(problem)


@pytest.fixture(scope="session")
def readme_snippets() -> list[str]:
    """The README's Python blocks in order, the training cut down to two rollouts."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    long, short = "model.learn(1_000_000, ", "model.learn(2_048, "
    assert sum(long in block for block in blocks) == 1, "the README trains exactly once"
    return [block.replace(long, short) for block in blocks]
