"""The shape of the code: who imports whom, what an import costs, what must be documented."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

import morphzoo

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "morphzoo"

# Room (file or folder of the package) -> rooms that it may import, besides itself. A new room needs
# a row here and a place in docs/architecture.md.
SCORES = {"body_text", "estimates", "files", "published", "results", "tables"}
ACTING = {"morphology", "spaces", "envs", "sb3", "policies", "algorithms"}
ARROWS: dict[str, set[str]] = {
    "entry": {"envs"},
    "body_text": set(),
    "cluster": set(),
    "estimates": set(),
    "files": set(),
    "progress": set(),
    "folder_hub": {"files"},
    "testing": {"files", "folder_hub"},
    "published": set(),
    "results": {"body_text", "estimates", "files"},
    "tables": SCORES - {"tables"},
    "markdown": SCORES,
    "recipe": {"results"},
    "morphology": set(),
    "spaces": {"morphology"},
    "envs": {"body_text", "morphology", "spaces"},
    "sb3": {"morphology", "spaces", "envs"},
    "policies": {"morphology", "spaces"},
    "algorithms": {"cluster"} | ACTING - {"algorithms"},
    "zoo": ACTING | SCORES | {"folder_hub", "progress"},
    "actors": SCORES,
    "transfer": ACTING | SCORES | {"actors", "progress", "zoo"},
    "training": ACTING | SCORES | {"actors", "cluster", "recipe", "transfer", "zoo"},
    "checking": ACTING | SCORES | {"progress", "transfer", "zoo"},
    "plots": SCORES,
    "curves": SCORES | {"plots", "training", "zoo"},
    "video": ACTING | SCORES | {"actors", "progress", "transfer"},
    "inspection": ACTING | SCORES | {"transfer", "zoo"},
    "drawing": {"files", "inspection", "morphology", "plots"},
    "goal_pictures": {"envs", "files", "plots", "zoo"},
    "study_report": {"curves", "files", "markdown", "plots", "tables", "training"},
    "publishing": {"curves", "files", "plots", "progress", "results", "video", "zoo"},
    "cli": {"drawing", "entry", "files", "inspection", "plots", "progress", "publishing"}
    | {"recipe", "results", "tables", "training", "transfer", "video", "zoo"},
    "__main__": {"cli"},
}
# Files that are one room with another: the graph is read off a model in three steps.
SAME_ROOM = {"columns": "morphology", "kinematics": "morphology"}

# Packages that a room must not import, not even inside a function.
TORCH = {"torch", "stable_baselines3", "sb3_contrib", "safetensors"}
FORBIDDEN: dict[str, set[str]] = {
    **dict.fromkeys(("morphology", "spaces", "envs", "recipe", *SCORES), TORCH),
    "policies": {"mujoco", "dm_control"},
}
ALLOWED = {"warp_simulation.py": {"torch"}}  # what is simulated on a GPU is tensors
UNSAFE = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}

ENV_HEADINGS = (
    "Description", "Action Space", "Observation Space", "Rewards",
    "Starting State", "Episode End", "Arguments", "Version History",
)  # fmt: skip

FILE_LINES, FUNCTION_LINES, SCRIPT_LINES, POSITIONAL = 300, 40, 60, 7


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def room_of(path: Path) -> str:
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return SAME_ROOM.get(name, name)


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names that a file imports anywhere, `from x import y` as `x.y`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*parts[: -node.level]] if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))


MODULES = [path for path in python_files("morphzoo") if path != PACKAGE / "__init__.py"]
SOURCES = python_files("morphzoo", "zoo_scripts", "benchmarks", "website")


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_what_is_imported_of_ours_exists(path: Path) -> None:
    """Also inside functions, where nothing else looks before they are called."""
    for name in imports_of(path):
        if name.partition(".")[0] not in ("morphzoo", "benchmarks", "website"):
            continue
        module, _, attribute = name.rpartition(".")
        if not module:
            continue
        found = hasattr(importlib.import_module(module), attribute)
        assert found or importlib.util.find_spec(name), f"{short(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_imports_point_one_way(path: Path) -> None:
    room = room_of(path)
    assert room in ARROWS, f"{room} has no row in ARROWS"
    ours = {name.split(".")[1] for name in imports_of(path) if name.startswith("morphzoo.")}
    rooms = {SAME_ROOM.get(name, name) for name in ours - {"__version__"}}
    assert rooms - {room} <= ARROWS[room]


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_forbidden_packages(path: Path) -> None:
    imported = {name.split(".")[0] for name in imports_of(path)}
    assert not imported & (FORBIDDEN.get(room_of(path), set()) - ALLOWED.get(path.name, set()))
    assert not imported & UNSAFE
    assert not imported & {"tests", "zoo_scripts", "benchmarks", "website"}


@pytest.mark.parametrize(
    ("packages", "files"),
    [
        ({"ray"}, ["cluster.py", "training/ray_pool.py"]),
        ({"warp", "mujoco_warp"}, ["envs/warp_contacts.py", "envs/warp_worlds.py"]),
    ],
    ids=["ray", "mujoco-warp"],
)
def test_extras_are_imported_only_where_they_are_used(packages: set[str], files: list[str]) -> None:
    importing = [p for p in SOURCES if packages & {name.split(".")[0] for name in imports_of(p)}]
    assert importing == [PACKAGE / file for file in files]


@pytest.mark.parametrize("room", ["folder_hub", "testing"])
def test_the_hub_on_loopback_needs_the_standard_library_alone(room: str) -> None:
    paths = [path for path in MODULES if room_of(path) == room]
    names = {name.split(".")[0] for path in paths for name in imports_of(path)}
    assert paths and names - sys.stdlib_module_names <= {"morphzoo"}


def test_arrows_have_no_circle() -> None:
    """A row may name only rooms whose own rows do not lead back to it."""
    reached = {room: set(targets) for room, targets in ARROWS.items()}
    for _ in ARROWS:
        reached = {r: t | {u for x in t for u in reached[x]} for r, t in reached.items()}
    assert not [room for room, targets in reached.items() if room in targets]
    assert {room_of(path) for path in MODULES} == ARROWS.keys()


def test_every_file_has_its_place_in_the_architecture() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    names = {path.name for path in MODULES} | {
        f"{room_of(p)}/" for p in MODULES if p.parent != PACKAGE
    }
    shown = set(re.findall(r"[\w.]+(?:\.py|/)", page))
    within = {path.name for path in (PACKAGE / "training").glob("*.py")}  # shown as one folder
    assert names - shown - within == set()


def test_scripts_import_only_the_package() -> None:
    for path in python_files("zoo_scripts"):
        names = {name.split(".")[0] for name in imports_of(path)}
        assert names - sys.stdlib_module_names <= {"morphzoo"}, short(path)


@pytest.fixture(scope="module")
def fresh_import() -> dict:
    """What `import morphzoo` loads and how much CPU time it takes, best of three processes."""
    code = (
        "import time, sys, json; start = time.process_time(); import morphzoo; "
        "print(json.dumps([time.process_time() - start, sorted(sys.modules)]))"
    )
    runs = [
        json.loads(
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        )
        for _ in range(3)
    ]
    return {"seconds": min(run[0] for run in runs), "modules": set(runs[0][1])}


def test_import_is_light(fresh_import: dict) -> None:
    heavy = {"torch", "stable_baselines3", "mujoco", "dm_control", "matplotlib", "huggingface_hub"}
    assert "gymnasium" in fresh_import["modules"]
    assert not heavy & fresh_import["modules"]
    assert fresh_import["seconds"] < 1.0


def entry_points() -> dict[str, str]:
    """Each entry point of our ids -> the family that the README speaks of (digits as n)."""
    ours = {i: s for i, s in gymnasium.registry.items() if i.startswith("morphzoo/")}
    assert ours, "importing morphzoo registered nothing"
    assert all(re.fullmatch(r"morphzoo/[A-Z]\w*(-\d+)?-v\d+", i) for i in ours)
    return {str(s.entry_point): re.sub(r"-\d+(?=-v)", "-{n}", i) for i, s in ours.items()}


def test_environments_are_documented() -> None:
    readme = (ROOT / "README.md").read_text()
    for entry_point, family in entry_points().items():
        module, name = entry_point.split(":")
        page = getattr(importlib.import_module(module), name).__doc__ or ""
        missing = [h for h in ENV_HEADINGS if not re.search(rf"^\s*#+ {h}\b", page, re.M)]
        assert not missing, f"{entry_point} lacks {missing}"
        assert family in readme, f"the README's table lacks {family}"


def test_policies_are_documented() -> None:
    from morphzoo.policies import POLICIES

    readme, page = (ROOT / "README.md").read_text(), (ROOT / "docs/policies.md").read_text()
    for name, policy in POLICIES.items():
        assert (
            f'`"{name}"`' in page
            and f"`{policy.__name__}`" in page
            and f"`{policy.__name__}`" in readme
        )
        assert "Source:" in (policy.__doc__ or ""), (
            f"{policy.__name__} does not say where it is from"
        )


def test_algorithms_are_documented() -> None:
    from morphzoo.algorithms import ALGORITHMS

    page = (ROOT / "docs/policies.md").read_text()
    for name, algorithm in ALGORITHMS.items():
        assert f'`"{name}"`' in page and algorithm.__name__ in page


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body: neither its signature, a keyword a line, nor its docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_a_file_is_readable_at_a_sitting(path: Path) -> None:
    limit = SCRIPT_LINES if path.is_relative_to(ROOT / "zoo_scripts") else FILE_LINES
    assert len(path.read_text().splitlines()) <= limit
    lengths = {node.name: code_lines(node) for node in functions_of(path)}
    assert {name: n for name, n in lengths.items() if n > FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_no_long_row_of_arguments(path: Path) -> None:
    for node in functions_of(path):
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        assert len([n for n in names if n not in ("self", "cls")]) <= POSITIONAL, node.name


def test_no_drawers_for_everything() -> None:
    vague = {"utils.py", "util.py", "common.py", "helpers.py", "misc.py"}
    assert not [short(path) for path in SOURCES if path.name in vague]


def test_no_path_of_a_machine() -> None:
    """Tracked text names no folder of the machine that it was written on."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    home = re.compile(rb"(?<![\w./-])/(?:home|Users|root|work)/\w")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix in {
            ".py",
            ".md",
            ".json",
            ".toml",
            ".xml",
            ".txt",
            ".csv",
        }:
            assert not home.search(path.read_bytes()), name


def test_version_is_one_number() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.*)$", citation, re.M).group(1) == morphzoo.__version__
    assert f"## [{morphzoo.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert (PACKAGE / "py.typed").is_file()
