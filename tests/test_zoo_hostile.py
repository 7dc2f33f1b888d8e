"""Checkpoints that an attacker or an accident wrote: each is refused by name, and nothing runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import safetensors.torch
import torch

import morphzoo  # noqa: F401
from morphzoo import zoo
from morphzoo.policies import MlpPolicy, SnowflakePolicy
from morphzoo.policies.transferring import transfer
from morphzoo.results import EpisodeTable, results_document
from morphzoo.zoo import checkpoint
from morphzoo.zoo.folder import LIMITS

HOME = "morphzoo/Centipede-4-v0"
MEMORY = 96 * 1024  # kB that any refusal may take at its peak


class Row(NamedTuple):
    """One way to spoil a good checkpoint."""

    name: str
    spoil: Callable[[Path], None]
    message: str  # a part of the error's message
    built: bool = False  # whether only building the policy can show the fault


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


# Ways to spoil config.json.


def edited(*path: str | int, to: Any, name: str = "config.json") -> Callable[[Path], None]:
    """Set one value of a JSON file; a function gets the value that was there."""

    def spoil(folder: Path) -> None:
        whole = json.loads((folder / name).read_text())
        inner = whole
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to(inner[path[-1]]) if callable(to) else to
        (folder / name).write_text(json.dumps(whole))

    return spoil


def removed(key: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        del config[key]
        (folder / "config.json").write_text(json.dumps(config))

    return spoil


def rewritten(old: str, new: str, name: str = "config.json") -> Callable[[Path], None]:
    """Replace a part of a file's text, which must be there."""

    def spoil(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return spoil


def written(name: str, data: bytes | str) -> Callable[[Path], None]:
    data = data.encode() if isinstance(data, str) else data
    return lambda folder: void((folder / name).write_bytes(data))


def void(_: object) -> None:
    return None


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


# Ways to spoil the files as such.


def pipe(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return spoil


def subfolder(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


def linked_out(name: str) -> Callable[[Path], None]:
    """Move a good file out of the folder and link to it."""

    def spoil(folder: Path) -> None:
        (folder / name).rename(folder.parent / "outside")
        (folder / name).symlink_to(folder.parent / "outside")

    return spoil


def linked_in_a_circle(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(folder / "other")
    (folder / "other").symlink_to(folder / "config.json")


def sparse(name: str, size: int) -> Callable[[Path], None]:
    """Make a file that seems large and takes no disk."""
    return lambda folder: os.truncate(folder / name, size) if (folder / name).exists() else None


# Ways to spoil model.safetensors.


def header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change the header and leave the data as they are."""

    def spoil(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        head = json.loads(data[8 : 8 + length])
        change(head)
        text = json.dumps(head).encode()
        rest = data[8 + length :]
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + rest)

    return spoil


def raw_header(text: bytes, length: int | None = None) -> Callable[[Path], None]:
    number = struct.pack("<Q", len(text) if length is None else length)
    return written("model.safetensors", number + text + bytes(64))


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Change the tensors and write a file that is sound as such."""

    def spoil(folder: Path) -> None:
        state = safetensors.torch.load_file(folder / "model.safetensors")
        change(state)
        safetensors.torch.save_file(state, folder / "model.safetensors")

    return spoil


def entry(name: str, **values: Any) -> Callable[[Path], None]:
    return header(lambda head: head[name].update(values))


def filled(name: str, value: float) -> Callable[[Path], None]:
    return tensors(lambda state: state[name].view(-1)[:1].fill_(value))


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Payload(folder.parent / "ran")))


def torch_zip(folder: Path) -> None:
    torch.save({"payload": Payload(folder.parent / "ran")}, folder / "model.safetensors")


def numpy_file(folder: Path) -> None:
    buffer = io.BytesIO()
    payload = np.array([Payload(folder.parent / "ran")], dtype=object)
    np.save(buffer, payload, allow_pickle=True)
    (folder / "model.safetensors").write_bytes(buffer.getvalue())


def cut(by: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(
        folder / "model.safetensors", (folder / "model.safetensors").stat().st_size - by
    )


def appended(folder: Path) -> None:
    with open(folder / "model.safetensors", "ab") as file:
        file.write(b"x")


def overlapping(head: dict[str, Any]) -> None:
    """Let two tensors of one size share their data, and a gap stay where one of them was."""
    first, second = "normalizer.sum", "normalizer.sum_squares"
    assert head[first]["shape"] == head[second]["shape"]
    head[second]["data_offsets"] = head[first]["data_offsets"]


TABLE = "network.embedding.table"
CONFIG_ROWS = (
    Row("config missing", lambda f: (f / "config.json").unlink(), "none that can be opened"),
    Row("config empty", written("config.json", b""), "strict JSON"),
    Row("config huge", written("config.json", b" " * 1_000_001), "at most 1,000,000 bytes"),
    Row("config sparse and huge", sparse("config.json", 10**12), "at most 1,000,000 bytes"),
    Row("config of no text", written("config.json", b"\xff\xfe\x00"), "bytes that are not text"),
    Row("config with a mark", written("config.json", b"\xef\xbb\xbf{}"), "strict JSON"),
    Row("config truncated", written("config.json", '{"policy": "snow'), "strict JSON"),
    Row("config a list", written("config.json", "[1]"), "a JSON object"),
    Row("config of brackets", written("config.json", "[" * 900_000), "16 levels"),
    Row("config of braces", written("config.json", '{"a":' * 150_000), "16 levels"),
    Row("17 levels", edited("env_kwargs", to={"a": deep(17)}), "16 levels"),
    Row("not a number", edited("seed", to=float("nan")), "not finite"),
    Row("infinity", edited("steps", to=float("inf")), "not finite"),
    Row("overflow", rewritten('"seed": 3', '"seed": 1e999'), "not finite"),
    Row("a key twice", rewritten('"seed": 3', '"seed": 3, "seed": 3'), "the key 'seed' twice"),
    Row("5,000 digits", rewritten('"seed": 3', f'"seed": {"9" * 5000}'), "strict JSON"),
    Row("100 digits", edited("seed", to=10**100), "64 bits"),
    Row("half a letter", edited("command", to="\ud800"), "plain JSON"),
    Row("endless command", edited("command", to="x" * 10_001), "at most 10,000 characters"),
    Row("a path to weights", edited("weights_file", to="../../etc/passwd"), "['weights_file']"),
    Row("a key missing", removed("seed"), "none named seed"),
    Row("no version", removed("format_version"), "format_version 1; found None"),
    Row("newer version", edited("format_version", to=2), "Upgrade morphzoo"),
    Row("version true", edited("format_version", to=True), "found True"),
    Row("version text", edited("format_version", to="1"), "found '1'"),
    Row("policy misspelled", edited("policy", to="snowflak"), "Did you mean 'snowflake'?"),
    Row("policy in capitals", edited("policy", to="Snowflake"), "Did you mean 'snowflake'"),
    Row("policy with a look-alike", edited("policy", to="snowfl\u0430ke"), "'snowfl\\u0430ke'"),
    Row("policy with a space", edited("policy", to="snowflake "), "found 'snowflake '"),
    Row("policy a path", edited("policy", to="../../evil"), "a known name"),
    Row("policy an import", edited("policy", to="os.system"), "a known name"),
    Row("policy a class", edited("policy", to="morphzoo.policies:MlpPolicy"), "a known name"),
    Row("policy a list", edited("policy", to=["snowflake"]), "a known name"),
    Row("policy of other weights", edited("policy", to="mlp"), "keywords of MlpPolicy"),
    Row("algorithm unknown", edited("algorithm", to="ppo2"), "Did you mean 'ppo'?"),
    Row("a class as keyword", edited("policy_kwargs", to={"optimizer_class": "os.system"}),
        "found 'optimizer_class'"),
    Row("a base's keyword", edited("policy_kwargs", to={"net_arch": [64]}), "found 'net_arch'"),
    Row("schema as keyword", edited("policy_kwargs", to={"schema": {}}), "found 'schema'"),
    Row("spaces as keyword", edited("policy_kwargs", to={"use_sde": True}), "found 'use_sde'"),
    Row("keywords a list", edited("policy_kwargs", to=[]), "an object"),
    Row("size as text", edited("policy_kwargs", "hidden_size", to="32"), "hidden_size of type int"),
    Row("size as truth", edited("policy_kwargs", "hidden_size", to=True), "found True"),
    Row("size broken", edited("policy_kwargs", "hidden_size", to=32.5), "found 32.5"),
    Row("size of 30 TB", edited("policy_kwargs", "hidden_size", to=10**9), "hidden_size = 1000000"),
    Row("size of 100 MB", edited("policy_kwargs", "hidden_size", to=1000), "hidden_size = 1000"),
    Row("endless rounds", edited("policy_kwargs", "num_layers", to=10**9), "num_layers = 1000000"),
    Row("negative size", edited("policy_kwargs", "hidden_size", to=-2), "an even number", True),
    Row("another size", edited("policy_kwargs", "hidden_size", to=16), "not of a Snow", True),
    Row("an unknown part", edited("policy_kwargs", "freeze", to=["all"]), "found 'all'", True),
    Row("freeze as text", edited("policy_kwargs", "freeze", to="update"), "freeze of type"),
    Row("scales of text", edited("policy_kwargs", "part_lr_scale", to={"update": "1"}),
        "part_lr_scale of type"),
    Row("someone else's id", edited("env_id", to="CartPole-v1"), "found 'CartPole-v1'"),
    Row("an id that imports", edited("env_id", to=f"evil:{HOME}"), "found 'evil:morphzoo"),
    Row("an id with a path", edited("env_id", to="morphzoo/../x-v0"), "an id morphzoo/<Body>"),
    Row("an id of two lines", edited("env_id", to=HOME + "\n"), "Centipede-4-v0\\n'"),
    Row("an id in other digits", edited("env_id", to="morphzoo/Centipede-\uff14-v0"), "\\uff14"),
    Row("an id without version", edited("env_id", to="morphzoo/Centipede-4"), "an id morphzoo/"),
    Row("an unknown id", edited("env_id", to="morphzoo/Centipede-101-v0"), "a registered"),
    Row("code as a keyword", edited("env_kwargs", to={"a=exit()": 1}), "found 'a=exit()'"),
    Row("negative seed", edited("seed", to=-1), "at least 0"),
    Row("broken steps", edited("steps", to=1.5), "a whole number"),
    Row("colours in versions", edited("versions", "torch", to="\x1b[31m2"), "\\x1b[31m2"),
    Row("score of text", edited("score", "mean", to="9999"), "found '9999'"),
    Row("negative spread", edited("score", "std", to=-1.0), "at least 0, or null"),
    Row("score of no episode", edited("score", "episodes", to=0), "at least 1"),
    Row("score with more", edited("score", "rank", to=1), "also ['rank']"),
)  # fmt: skip

SCHEMA_ROWS = (
    Row("schema missing", removed("policy_schema"), "none named policy_schema"),
    Row("schema with more", edited("policy_schema", "code", to="x"), "also ['code']"),
    Row("schema of numbers", edited("policy_schema", "types", to=[1, 2]), "a list of names"),
    Row("schema of letters", edited("policy_schema", "types", to="root"), "a list of names"),
    Row("schema without joints", edited("policy_schema", "features", to={"root": []}),
        "none named joint"),
    Row("a type twice", edited("policy_schema", "types", to=lambda t: [*t[1:], t[1]]), "twice"),
    Row("a type more", edited("policy_schema", "types", to=lambda t: [*t, "wing"]),
        "types times features"),
    Row("a feature less", edited("policy_schema", "features", "joint", to=lambda f: f[1:]),
        "types times features"),
    Row("a column less", edited("policy_schema", "columns", to=lambda c: c[1:]),
        "columns of the tensor value.network.0.0.weight"),
    Row("a motor more", edited("policy_schema", "motors", to=lambda m: [*m, "tail"]),
        "one type a motor"),
    Row("a motor without type", edited("policy_schema", "motor_types", to=lambda t: ["x", *t[1:]]),
        "names of 'types'"),
    Row("a type renamed", edited("policy_schema", "types", to=lambda t: ["wing", *t[1:]]),
        "names of 'types'"),
    Row("a feature renamed",
        edited("policy_schema", "features", "joint", to=lambda f: ["smell", *f[1:]]),
        "which the weights never saw", True),
    Row("100,001 columns", edited("policy_schema", "columns", to=[str(i) for i in range(100_001)]),
        "at most 100,000 names"),
)  # fmt: skip

RETURNS = ("scores", 0, "per_episode", "return")
FILE_ROWS = (
    Row("config a folder", subfolder("config.json"), "found a folder"),
    Row("config a pipe", pipe("config.json"), "found a pipe"),
    Row("config elsewhere", linked_out("config.json"), "a link that leads out of it"),
    Row("config in a circle", linked_in_a_circle, "none that can be opened"),
    Row("weights a folder", subfolder("model.safetensors"), "found a folder"),
    Row("weights a pipe", pipe("model.safetensors"), "found a pipe"),
    Row("weights elsewhere", linked_out("model.safetensors"), "a link that leads out of it"),
    Row("weights missing", lambda f: (f / "model.safetensors").unlink(), "none that can be opened"),
    Row("results a pipe", pipe("results.json"), "found a pipe"),
    Row("results elsewhere", linked_out("results.json"), "a link that leads out of it"),
    Row("results huge", sparse("results.json", 10**9), "at most 16,000,000 bytes"),
    Row("results a list", written("results.json", "[]"), "a JSON object"),
    Row("results not a number", rewritten("1500.0", "NaN", "results.json"), "not finite"),
    Row("results without episodes", rewritten("per_episode", "x", "results.json"), "no score of"),
    Row("results uneven", edited(*RETURNS, to=[1.0], name="results.json"), "one number an e"),
    Row("results of text", edited(*RETURNS, to=["1", 2.0], name="results.json"), "found something"),
    Row("results of a look-alike", edited("scores", 0, "actions", to="s\u0430mpled",
        name="results.json"), "s\\u0430mpled"),
    Row("scores no list", edited("scores", to={}, name="results.json"), "a list of 'scores'"),
    Row("results with more", rewritten("{", '{"code": 1,', "results.json"), "also ['code']"),
    Row("results newer", rewritten('"format_version": 1', '"format_version": 9', "results.json"),
        "format_version 1"),
    Row("recipe without body", written("recipe.json", '{"policy": "mlp"}'), "text under 'env'"),
    Row("recipe a pipe", pipe("recipe.json"), "found a pipe"),
)  # fmt: skip

WEIGHTS_ROWS = (
    Row("weights empty", written("model.safetensors", b""), "0 bytes, an empty or truncated"),
    Row("weights of 9 bytes", written("model.safetensors", bytes(9)), "9 bytes"),
    Row("weights of zeros", written("model.safetensors", bytes(999)), "strict JSON"),
    Row("weights sparse and huge", sparse("model.safetensors", 10**12), "at most 512,000,000"),
    Row("weights sparse and large", sparse("model.safetensors", 500_000_000), "longer than its"),
    Row("weights a pickle", pickled, "found a pickle"),
    Row("weights a zip of pickles", torch_zip, "found a zip archive"),
    Row("weights an object array", numpy_file, "found a NumPy file"),
    Row("weights a pointer", written("model.safetensors", "version https://git-lfs.github.com/x"),
        "a git-lfs pointer"),
    Row("one byte short", cut(1), "the file is truncated"),
    Row("header cut", lambda f: os.truncate(f / "model.safetensors", 100), "file is truncated"),
    Row("one byte more", appended, "longer than its tensors"),
    Row("header of 8 EB", raw_header(b"{}", 2**63), "at most 1,000,000 bytes"),
    Row("header of 2 MB", raw_header(b"{" + b" " * 2_000_000 + b"}"), "at most 1,000,000 bytes"),
    Row("header past the end", raw_header(b"{}", 999), "the file is truncated"),
    Row("header no JSON", raw_header(b"{'a': 1}"), "strict JSON"),
    Row("header a list", raw_header(b"[]"), "a JSON object"),
    Row("header deep", raw_header(b'{"a":' * 20 + b"1" + b"}" * 20), "16 levels"),
    Row("header without tensors", raw_header(b"{}"), "1 to 10,000 tensors"),
    Row("a tensor twice", raw_header(b'{"a":{},"a":{}}'), "the key 'a' twice"),
    Row("notes of numbers", header(lambda h: h.update(__metadata__={"a": 1})), "safetensors file"),
    Row("10,001 tensors", header(lambda h: h.update({str(i): {} for i in range(10_001)})),
        "1 to 10,000 tensors"),
    Row("an entry with more", entry(TABLE, code="x"), "dtype, shape and data_offsets"),
    Row("an entry of text", header(lambda h: h.update({TABLE: "x"})), "dtype, shape and"),
    Row("a strange dtype", entry(TABLE, dtype="PICKLE"), "found 'PICKLE'"),
    Row("16-bit floats", entry(TABLE, dtype="F16"), "found 'F16'"),
    Row("dtype a list", entry(TABLE, dtype=["F32"]), "found ['F32']"),
    Row("negative shape", entry(TABLE, shape=[-6, -16]), "a shape of at most"),
    Row("overflowing shape", entry(TABLE, shape=[2**62, 4]), "bytes for shape"),
    Row("shape of truths", entry(TABLE, shape=[True, True]), "a shape of at most"),
    Row("nine axes", entry(TABLE, shape=[1] * 9), "a shape of at most"),
    Row("offsets reversed", header(lambda h: h[TABLE]["data_offsets"].reverse()), "bytes for"),
    Row("offsets negative", entry(TABLE, data_offsets=[-384, 0]), "data_offsets [begin, end]"),
    Row("offsets past the end", entry(TABLE, data_offsets=[10**12, 10**12 + 384]), "a gap before"),
    Row("offsets shared", header(overlapping), "which overlaps the one before it"),
    Row("a tensor hidden", header(lambda h: h.pop("normalizer.sum")), "leaves a gap before it"),
    Row("a weight not a number", filled(TABLE, float("nan")), "1 NaN or infinite ones in"),
    Row("an infinite statistic", filled("normalizer.mean", float("inf")), "finite numbers"),
    Row("a negative spread", filled("normalizer.std", -1.0), "'normalizer.std' above 0"),
    Row("a spread of nothing", filled("normalizer.std", 0.0), "'normalizer.std' above 0"),
    Row("a negative count", filled("normalizer.count", -1.0), "of at least 0; found -1"),
    Row("a tensor missing", tensors(lambda s: s.pop("decoder.0.bias")), "['decoder.0.bias']", True),
    Row("a tensor more", tensors(lambda s: s.update(extra=torch.ones(2))), "['extra']", True),
    Row("a tensor turned",
        tensors(lambda s: s.update({"decoder.4.weight": s["decoder.4.weight"].T.contiguous()})),
        "missing, unknown or of another shape", True),
    Row("a table of another length", tensors(lambda s: s.update({TABLE: s[TABLE][1:].clone()})),
        "types of the tensor network.embedding.table"),
    Row("a table of no axes", tensors(lambda s: s.update({TABLE: torch.tensor(1.0)})),
        "types of the tensor network.embedding.table"),
    Row("64-bit weights", tensors(lambda s: s.update({TABLE: s[TABLE].double()})),
        "expected 'network.embedding.table' of torch.float32", True),
    Row("whole numbers", tensors(lambda s: s.update({TABLE: s[TABLE].int()})),
        "of torch.float32; found torch.int32", True),
)  # fmt: skip

# Of a flat policy, which is placed by name: on another body its layers are of another size anyway.
FLAT_ROWS = (
    Row("a column less", edited("policy_schema", "columns", to=lambda c: c[:-1]),
        "columns of the tensor actor.0.weight"),
    Row("a column more", edited("policy_schema", "columns", to=lambda c: [*c, "x"]),
        "columns of the tensor actor.0.weight"),
    Row("a motor less", lambda f: [edited("policy_schema", key, to=lambda m: m[:-1])(f)
        for key in ("motors", "motor_types")] and None, "motors of the tensor actor.4.bias"),
    Row("a spread less", tensors(lambda s: s.update(log_std=s["log_std"][1:].clone())),
        "types or motors of the tensor log_std"),
    Row("no actor", tensors(lambda s: s.pop("actor.0.weight")), "no tensor 'actor.0.weight'", True),
    Row("no spread", tensors(lambda s: s.pop("log_std")), "no tensor 'log_std'", True),
    Row("widths of nothing", edited("policy_kwargs", "hidden_sizes", to=[]), "hidden_sizes", True),
    Row("a huge width", edited("policy_kwargs", "hidden_sizes", to=[10**9]), "hidden_sizes = ["),
    Row("wide layers", edited("policy_kwargs", "hidden_sizes", to=[9000] * 2), "hidden_sizes = ["),
    Row("countless layers", edited("policy_kwargs", "hidden_sizes", to=[1] * 99_999),
        "hidden_sizes = ["),
    Row("widths of text", edited("policy_kwargs", "hidden_sizes", to=["8"]), "hidden_sizes of ty"),
)  # fmt: skip

ROWS = (*CONFIG_ROWS, *SCHEMA_ROWS, *FILE_ROWS, *WEIGHTS_ROWS)

# What Python tells of itself while `watched` is set: code run, programs started, files opened.
_RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")
_seen: list[str] = []
_watched: list[Path] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _watched:
        return
    if event in _RUNS or event == "pickle.find_class":
        _seen.append(event)
    elif event == "open" and isinstance(args[0], str) and Path(args[0]).parent == _watched[0]:
        _seen.append(Path(args[0]).name)


sys.addaudithook(_hook)


class Watch:
    """Watches calls: which policies they build, and what Python tells of itself meanwhile."""

    def __init__(self) -> None:
        self.built: list[str] = []

    def transfer(self, policy_class: type, *args: Any) -> Any:
        """Stand in for `transfer` and note which policy it builds."""
        self.built.append(policy_class.__name__)
        return transfer(policy_class, *args)

    def run(self, folder: Path, call: Callable[[], object]) -> tuple[list[str], list[str]]:
        """Return what was run, or opened in the folder, and which policies were built."""
        _seen.clear()
        _watched[:] = [folder]
        try:
            call()
        finally:
            _watched.clear()
        return _seen, self.built


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(checkpoint, "transfer", watch.transfer)
    return watch


def peak_memory(reset: bool = False) -> int | None:
    """Return the process's peak memory (kB), after setting it back to the present one if asked."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0])


@pytest.fixture(scope="module")
def spaces():
    env = gym.make(HOME)
    pair = env.observation_space, env.action_space
    env.close()
    return pair


@pytest.fixture(scope="module")
def good(spaces, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a checkpoint that loads, with every file that a checkpoint may have."""
    torch.manual_seed(0)
    policy = SnowflakePolicy(
        *spaces, lambda _: 0.0, hidden_size=32, num_layers=2, freeze=["encoder"], part_lr_scale={}
    )
    scored = EpisodeTable(
        policy="policy",
        env=HOME,
        actions="sampled",
        seeds=np.array([0, 1]),
        returns=np.array([1500.0, 500.0]),
        returns_unclipped_cost=np.array([1400.0, 400.0]),
        lengths=np.array([900, 800]),
        distances=np.array([3.0, 2.0]),
        failed=np.array([False, False]),
    )
    folder = zoo.save(
        policy,
        tmp_path_factory.mktemp("good") / "policy",
        env_id=HOME,
        seed=3,
        steps=7,
        command="zoo_scripts/train.py",
        results=results_document([scored]),
        recipe={"env": HOME, "policy": "snowflake"},
    )
    zoo.load(folder, spaces)  # and so imports everything that a load needs
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def folder(good: dict[str, bytes], tmp_path: Path) -> Path:
    """A good checkpoint of its own for each test, with pickles and code lying beside."""
    folder = tmp_path / "policy"
    folder.mkdir()
    for name, data in good.items():
        (folder / name).write_bytes(data)
    payload = pickle.dumps(Payload(tmp_path / "ran"))
    for name in ("policy.pkl", "policy.pt", "pytorch_model.bin", "optimizer.pth"):
        (folder / name).write_bytes(payload)
    with zipfile.ZipFile(folder / "ppo.zip", "w") as archive:
        archive.writestr("data", payload)
    (folder / "snowflake.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (folder / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    return folder


def test_payload_would_run(tmp_path: Path) -> None:
    """The proof below stands on this: the payload does make a file where it is unpickled."""
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_good_folder_loads_and_nothing_else_in_it_is_opened(
    folder: Path, spaces, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    seen, built = watch.run(folder, lambda: zoo.load(folder, spaces))
    assert built == ["SnowflakePolicy"]
    assert {"config.json", "model.safetensors"} <= set(seen) <= set(LIMITS)
    assert not (folder.parent / "ran").exists()
    (record,) = caplog.records
    assert "ignored, never opened: '__init__.py', 'optimizer.pth', 'policy.pkl'" in record.message


def test_rows_are_many_and_distinct() -> None:
    assert len(ROWS) == len({row.name for row in ROWS}) >= 100
    assert len(FLAT_ROWS) == len({row.name for row in FLAT_ROWS})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_hostile_folder_is_refused_and_runs_nothing(
    row: Row, folder: Path, spaces, watch: Watch
) -> None:
    assert_refused(row, folder, spaces, watch)


@pytest.mark.parametrize("row", FLAT_ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_hostile_flat_policy_is_refused_on_another_body(
    row: Row, tmp_path: Path, watch: Watch
) -> None:
    with gym.make(HOME) as home, gym.make("morphzoo/Centipede-5-v0") as other:
        spaces = other.observation_space, other.action_space
        policy = MlpPolicy(
            home.observation_space, home.action_space, lambda _: 0.0, value_head="graph"
        )
    folder = zoo.save(policy, tmp_path / "policy")
    assert zoo.load(folder, spaces).transfer_dropped == ()
    assert_refused(row, folder, spaces, watch)


def assert_refused(row: Row, folder: Path, spaces, watch: Watch) -> None:
    """Spoil a folder, load it, and hold that nothing ran, was built or took much memory."""
    watch.built.clear()
    row.spoil(folder)
    before = peak_memory(reset=True)

    def call() -> None:
        with pytest.raises(zoo.CheckpointError, match=re.escape(row.message)) as caught:
            zoo.load(folder, spaces)
        message = str(caught.value)
        assert str(folder) in message and len(message) < 1000
        assert message.isprintable() or row.built

    seen, built = watch.run(folder, call)
    after = peak_memory()
    assert not (folder.parent / "ran").exists(), "a payload ran"
    assert set(seen) <= set(LIMITS), "a program, a pickle or a file beside was touched"
    assert bool(built) == row.built, "refused too late, or not where it was expected"
    assert before is None or after is None or after - before < MEMORY
