"""The two scripts and the server as programs of their own, and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hub_fixtures import *  # noqa: F403  fixtures
from hub_fixtures import REPO, TOKEN, files_of, leftovers

from morphzoo import zoo
from morphzoo.folder_hub import FolderHub
from morphzoo.testing.faults import Fault
from morphzoo.testing.hub import HubServer
from morphzoo.zoo.card import addressed

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def clean_env(tmp_path: Path) -> dict[str, str]:
    """The surroundings of a user who has logged in, and has no other hub."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "MORPHZOO_"))}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**kept, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN, "PYTHONPATH": path}


def run(command: list[str] | str, env: dict[str, str], cwd: Path, status: int = 0) -> str:
    done = subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, timeout=300,
        shell=isinstance(command, str),
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def script(name: str) -> list[str]:
    return [sys.executable, str(ROOT / "zoo_scripts" / f"{name}.py")]


def test_publish_and_download_as_programs(
    server: HubServer, checkpoint: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    env = {**clean_env, "HF_ENDPOINT": server.url}
    printed = run([*script("publish"), str(checkpoint), REPO, "--tag", "v1"], env, tmp_path)
    commit = server.hub.resolve(REPO, "v1")
    assert f"zoo.load('{REPO}@{commit}', env)" in printed and f"/commit/{commit}" in printed
    folder, again = run([*script("download"), REPO, f"{REPO}@v1"], env, tmp_path).splitlines()
    assert folder == again and Path(folder).name == commit
    assert Path(folder).is_relative_to(tmp_path / "home")
    sent = {name: (checkpoint / name).read_bytes() for name in files_of(Path(folder))}
    sent["README.md"] = addressed(sent["README.md"], REPO)
    assert files_of(Path(folder)) == sent and len(sent) == 3
    # The program of the card, as a reader of the hub's page copies it.
    (program,) = re.findall(r"```python\n(.*?)```", sent["README.md"].decode(), re.S)
    assert f'zoo.load("{REPO}", env)' in program
    shape = "print(action.shape, policy.transfer_dropped)"
    assert run([sys.executable, "-c", program + shape], env, tmp_path) == "(10,) ()\n"


def test_a_script_says_what_is_wrong_in_one_line(
    server: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv("MORPHZOO_HUB", server.url)
    server.faults[:] = [Fault("403", "/create"), Fault("echo", "GET /api")]
    for name, arguments in (("publish", [str(checkpoint), REPO]), ("download", [REPO])):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments, "--no-progress"])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(ROOT / "zoo_scripts" / f"{name}.py"), run_name="__main__")
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"{name}.py: ") and "may not do that (403). Log in with" in line
        assert TOKEN not in line


def test_the_readmes_two_commands(clean_env: dict[str, str], tmp_path: Path) -> None:
    """From a clone to a rehearsed publication and back, as the README has it."""
    section = README[README.index("## Publish and pull") :]
    (block,) = re.findall(r"```sh\n(.*?)```", section.split("\n## ")[0], re.S)[:1]
    commands = [line for line in block.splitlines() if "zoo_scripts/" in line]
    assert len(commands) == 2 and "export MORPHZOO_HUB=file://$PWD/hub" in block
    text = block.replace(".venv/bin/python zoo_scripts", f"{sys.executable} {ROOT}/zoo_scripts")
    printed = run(f"set -e\n{text}", clean_env, tmp_path)
    hub = FolderHub(tmp_path / "hub")
    (repo,) = hub.repos()
    assert f"{repo}@{hub.resolve(repo)}" in printed and repo.endswith("morphzoo-Centipede-6-v0")
    folder = Path(printed.splitlines()[-1])
    assert zoo.read_config(folder) == zoo.read_config("snowflake-centipede-6")


def test_a_killed_pull_is_repeated_cleanly(
    server: HubServer, checkpoint: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    zoo.push(checkpoint, REPO, endpoint=server.url)
    server.faults[:] = [Fault("stall", "resolve/.*safetensors")]
    server.struck.clear()
    code = f"from morphzoo import zoo; zoo.pull({REPO!r}, cache_dir='cache')"
    env = {**clean_env, "MORPHZOO_HUB": server.url, "HF_HUB_DOWNLOAD_TIMEOUT": "300"}
    process = subprocess.Popen([sys.executable, "-c", code], env=env, cwd=tmp_path)
    try:
        assert server.struck.wait(280), "it did not come as far as the weights"
    finally:
        process.kill()
        process.wait(60)
    cache = tmp_path / "cache"
    assert [f for f in cache.rglob(".part-*") if f.is_dir()] and zoo.cached(cache) == []
    server.faults.clear()
    folder = zoo.pull(REPO, cache_dir=cache, endpoint=server.url)
    assert files_of(folder).keys() == {"config.json", "model.safetensors", "README.md"}
    assert [f.relative_to(folder.parent).parts[0] for f in leftovers(cache)].count("refs.json") == 1
    assert list(cache.rglob(".part-*")) == []


def test_a_killed_push_is_repeated_cleanly(
    server: HubServer, checkpoint: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """Killed while the hub has all of the commit and has not answered yet."""
    server.faults[:] = [Fault("stall", "/commit/")]
    env = {**clean_env, "HF_ENDPOINT": server.url, "HF_HUB_DOWNLOAD_TIMEOUT": "300"}
    command = [*script("publish"), str(checkpoint), REPO, "--tag", "v1"]
    process = subprocess.Popen(command, env=env, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        assert server.struck.wait(280), "it did not come as far as the commit"
    finally:
        process.kill()
        process.wait(60)
    assert server.hub.state(REPO) == {"private": False, "branches": {}, "tags": {}, "pulls": {}}
    server.faults.clear()
    published = zoo.push(checkpoint, REPO, tag="v1", endpoint=server.url)
    assert server.hub.state(REPO)["tags"] == {"v1": published.revision}
    assert server.hub.commit_of(REPO, published.revision).parent is None


@pytest.mark.parametrize("call", range(1, 4))
def test_an_interrupted_pull_is_repeated_cleanly(
    call: int, server: HubServer, checkpoint: Path, online: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at each of its renames, the cache has all of a commit or nothing of it."""
    commit = zoo.push(checkpoint, REPO, endpoint=server.url).revision
    real, calls = os.replace, []

    def stopping(*args: str) -> None:
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(os, "replace", stopping)
    try:
        zoo.pull(REPO, endpoint=server.url)
    except KeyboardInterrupt:
        pass
    else:
        assert call > len(calls), "an interruption was swallowed"
    monkeypatch.setattr(os, "replace", real)
    (shelf,) = online.rglob("user--legs")
    (shelf / f".part-0badcafe-{'0' * 40}").mkdir()  # of a commit that nobody asks for again
    (shelf / f".part-0badcafe-{'0' * 40}" / "config.json").write_text("{")
    for entry in zoo.cached():
        assert entry.revision == commit and len(files_of(entry.folder)) == 3
    folder = zoo.pull(REPO, endpoint=server.url)
    assert folder.name == commit and len(files_of(folder)) == 3
    assert zoo.pull(REPO, local_files_only=True, endpoint=server.url) == folder
    assert list(online.rglob(".part-*")) == []


@pytest.mark.parametrize("call", range(1, 8))
def test_an_interrupted_push_into_a_folder_is_repeated_cleanly(
    call: int, checkpoint: Path, online: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at each of its renames, the hub has all of a commit or nothing of it."""
    address, hub = (tmp_path / "hub").as_uri(), FolderHub(tmp_path / "hub")
    real, calls = os.replace, []

    def stopping(*args: str) -> None:
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(os, "replace", stopping)
    try:
        zoo.push(checkpoint, REPO, tag="v1", endpoint=address)
    except KeyboardInterrupt:
        pass
    else:
        assert call > len(calls), "an interruption was swallowed"
    for repo in hub.repos():
        for commit in hub.state(repo)["branches"].values():
            assert len(hub.commit_of(repo, commit).files) == 3
            assert all(hub.read(repo, commit, name) for name in hub.commit_of(repo, commit).files)
    monkeypatch.setattr(os, "replace", real)
    published = zoo.push(checkpoint, REPO, tag="v1", endpoint=address)
    assert hub.state(REPO)["tags"] == {"v1": published.revision}
    assert hub.commit_of(REPO, published.revision).parent is None
    assert zoo.pull(REPO, endpoint=address).name == published.revision
    assert list(tmp_path.rglob(".part-*")) == []


def test_the_server_as_a_program(tmp_path: Path, clean_env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "morphzoo.testing.hub", "--root", str(tmp_path / "hub")]
    env = {**clean_env, "MORPHZOO_TEST_HUB_TOKENS": TOKEN}
    told = run([*command, "--fault", "gremlin"], env, tmp_path, status=2)
    assert "no fault 'gremlin': there are 401, 403," in told
    faulty = [*command, "--port", "0", "--fault", "503@user/legs"]
    with subprocess.Popen(faulty, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout is not None
        url = re.match(r"http://127\.0\.0\.1:\d+", line := p.stdout.readline())
        assert url and TOKEN not in line
        with urllib.request.urlopen(f"{url[0]}/api/models", timeout=60) as answer:
            assert json.load(answer) == []
        create = urllib.request.Request(f"{url[0]}/api/repos/create", b'{"name": "x"}')
        for asked, status in ((f"{url[0]}/api/models/user/legs", 503), (create, 401)):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(asked, timeout=60)
            caught.value.close()
            assert caught.value.code == status
        p.send_signal(signal.SIGINT)
        assert p.wait(60) == 0
