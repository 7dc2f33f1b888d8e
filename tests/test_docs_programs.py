"""The programs of the pages run, one page after another in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
# Page -> what its programs print.
PAGES = {
    "faq.md": [],
    "goals.md": ["4.16 m; at most 181 of 200 steps at the goal"],
    "own-policy.md": ["(1, 28) []"],
    "own-robot.md": ["('hip', 'knee', 'root')", "('ankle', 'hip', 'root')"],
}


@pytest.mark.parametrize("page", PAGES)
def test_programs_run(page: str, tmp_path: Path) -> None:
    """Warnings are errors, trainings are cut short; what they print stands on the page."""
    text = (DOCS / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text.replace("100_000", "1_024"), re.S)
    command = [sys.executable, "-W", "error", "-c", "\n".join(blocks)]
    env = {**os.environ, "MUJOCO_GL": "off"}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines() == PAGES[page]
    assert all(f"# {line}\n" in text for line in PAGES[page])
