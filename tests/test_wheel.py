"""The built wheel, installed into another environment and used from a foreign folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import morphzoo
from morphzoo.envs.bodies import xml_folder

ROOT = Path(__file__).parents[1]


def run(*command: object, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as a package index would build it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    assert len(list(folder.glob("*.tar.gz"))) == 1
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel, and sees the tests' other packages."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = (sys.executable, "-m", "pip", "--python", interpreter, "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    site = Path(
        run(interpreter, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip()
    )
    # Written after the installation: pip would take the tests' own morphzoo for the installed one.
    # Paths that a .pth file names are searched last, and .pth files inside them are not read.
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "tests_environment.pth").write_text("\n".join(sorted(paths)))
    return interpreter


@pytest.fixture
def clean_env() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = [name for name in archive.namelist() if ".dist-info/" in name]
    listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    files = run(*listed, "morphzoo", "xml", cwd=ROOT).splitlines()
    assert files
    assert names == {f"morphzoo/{name}" if name.startswith("xml/") else name for name in files}
    for notice in ("LICENSE", "THIRD_PARTY.md"):
        assert [name for name in metadata if name.endswith(f"licenses/{notice}")]
    assert "morphzoo/py.typed" in names


@pytest.mark.parametrize("name", ["snowflake-centipede-6", "mlp-centipede-6"])
def test_wheel_holds_the_checkpoint(wheel: Path, name: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for file in ("config.json", "model.safetensors", "README.md", "results.json", "recipe.json"):
        assert f"morphzoo/zoo/pretrained/{name}/{file}" in names


def test_wheel_brings_its_own_bodies(
    python: Path, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    code = """
import morphzoo
from morphzoo.envs.bodies import xml_folder
print(morphzoo.__file__, xml_folder(), sep="\\n")
"""
    module, xml = map(Path, run(python, "-c", code, cwd=tmp_path, env=clean_env).splitlines())
    assert module.is_relative_to(python.parents[1])
    assert xml == module.parent / "xml"
    assert {file.name for file in xml.iterdir()} == {file.name for file in xml_folder().iterdir()}
    assert module != Path(morphzoo.__file__)


def test_quick_start_runs_from_the_wheel(
    python: Path, tmp_path: Path, clean_env: dict[str, str], readme_snippets: list[str]
) -> None:
    """Offline, from a folder that holds nothing; and afterwards still holds nothing."""
    printed = run(python, "-c", readme_snippets[0], cwd=tmp_path, env=clean_env)
    assert "20 legs" in printed
    assert list(tmp_path.iterdir()) == []
