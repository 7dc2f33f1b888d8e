"""The console command: what it waits for, what it shares with the scripts, what it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import morphzoo
from morphzoo.cli import COMMANDS, main
from morphzoo.entry import command_line

ROOT = Path(__file__).parents[1]
SCRIPTS = {  # script -> its subcommand
    "train.py": "train", "evaluate_transfer.py": "transfer",
    "publish.py": "push", "download.py": "pull",
}  # fmt: skip

WATCHED = """
import json, os, sys, time

class Watch:
    seen = {}
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "mujoco"):
            self.seen.setdefault(name, os.environ.get("OMP_WAIT_POLICY"))

sys.meta_path.insert(0, Watch())
from morphzoo.cli import main
start = time.process_time()
try:
    status = main()
except SystemExit as ended:
    status = ended.code
seconds = time.process_time()
print(json.dumps({"status": status, "seen": Watch.seen, "seconds": seconds,
                  "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Run the command in this process; its status, output and error stream."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/morphzoo", *words])
    try:
        status = main()
    except SystemExit as ended:  # argparse
        status = int(ended.code or 0)
    out, err = capsys.readouterr()
    return status, out, err


def watched(*words: str) -> dict:
    """Run the command in a process that tells what was imported, and under which settings."""
    hidden = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    code = WATCHED.replace(
        "import json,", f"import sys; sys.argv = {['morphzoo', *words]!r}\nimport json,", 1
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1]) | {"out": done.stdout}


def test_help_waits_for_nothing_heavy() -> None:
    found = watched("--help")
    heavy = {"torch", "mujoco", "scipy", "matplotlib", "huggingface_hub", "stable_baselines3", "av"}
    assert found["status"] == 0
    assert not heavy & set(found["modules"])
    assert found["seconds"] < 1.0  # CPU time of the whole process
    assert all(re.search(rf"^    {name} ", found["out"], re.M) for name in COMMANDS)


def test_threads_are_told_how_to_wait_before_torch_is_imported() -> None:
    found = watched("inspect", "morphzoo/Centipede-3", "--policy", "snowflake-centipede-6")
    assert found["status"] == 0
    assert found["seen"] == {"torch": "PASSIVE", "mujoco": "PASSIVE"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_says_what_it_does(name: str, monkeypatch, capsys) -> None:
    status, out, err = run(monkeypatch, capsys, name, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: morphzoo {name} ")
    lines = run(monkeypatch, capsys, "--help")[1]
    about = " ".join(out.split("\n\n")[1].split())
    assert about.split()[:4] == re.search(rf"^    {name} +(.*)$", lines, re.M)[1].split()[:4]


@pytest.mark.parametrize("words", [("--token", "hf_secret"), ("--token=hf_secret",)])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_token_on_the_command_line_is_refused_unread(name, words, monkeypatch, capsys) -> None:
    """Before or behind what the subcommand wants; argparse would print what it does not know."""
    for line in ((*words, "a", "b"), ("a", "b", *words)):
        status, out, err = run(monkeypatch, capsys, name, *line)
        assert status == 2 and "HF_TOKEN" in err
        assert "hf_secret" not in out + err


@pytest.mark.parametrize(("script", "name"), SCRIPTS.items())
def test_a_script_has_the_subcommands_options(script: str, name: str, monkeypatch, capsys) -> None:
    command = [sys.executable, str(ROOT / "zoo_scripts" / script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ours = run(monkeypatch, capsys, name, "--help")[1]
    assert done.stdout.startswith(f"usage: {script} ")
    assert done.stdout.partition("options:")[2] == ours.partition("options:")[2] != ""


@pytest.mark.parametrize(
    ("argv", "typed"),
    [
        (["/usr/bin/morphzoo", "transfer", "--csv", "a b"], "morphzoo transfer --csv 'a b'"),
        (["/x/morphzoo/__main__.py", "list"], "python -m morphzoo list"),
        (["zoo_scripts/train.py", "--out", "runs"], "python zoo_scripts/train.py --out runs"),
    ],
)
def test_the_command_line_can_be_typed_again(argv, typed, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == typed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["transfer", "--envs", "Centipede-8"], "Did you mean 'morphzoo/Centipede-8-v0'?"),
        (["train", "--out", "x", "--env", "morphzoo/Centipede-3", "--policy", "mpl"], "'mlp'?"),
        (["inspect", "Centipede-8"], "Did you mean 'morphzoo/Centipede-8-v0'?"),
        (["inspect", "robot.xml"], "'robot.xml' is no file"),
        (["inspect", "Reacher-v5"], "no observation_structure"),
        (["inspect", "morphzoo/Ant", "--drives", "x"], "expected ACTUATOR=JOINT, found 'x'"),
        (["inspect", "morphzoo/Ant", "-o", "graph.jpg"], "ends in .png"),
        (
            ["inspect", "morphzoo/Ant", "--policy", "snowflake-centipede"],
            "Did you mean 'snowflake-centi",
        ),
        (["render", "random", "morphzoo/Ant", "-o", "a.mp4", "--size", "big"], "such as 640x360"),
        (["render", "random", "morphzoo/Ant"], "required: -o/--out"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_what_is_refused(words, message, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(monkeypatch, capsys, *words)
    assert (status, out) == (2, "")
    assert message in err and "Traceback" not in err
    assert re.search(r"^morphzoo[ \w]*: ", err, re.M)
    assert not list(tmp_path.iterdir())


def test_the_installed_command_and_the_module_are_this() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"morphzoo": f"{main.__module__}:{main.__name__}"}
    command = [sys.executable, "-m", "morphzoo", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"morphzoo {morphzoo.__version__}\n"
