"""config.json: which keys it has, what each may hold, and whether it fits the weights beside it."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from morphzoo.algorithms import ALGORITHMS
from morphzoo.policies import POLICIES
from morphzoo.zoo.keywords import check_keywords, check_sizes
from morphzoo.zoo.untrusted import Where, read_json, refuse, shown

CONFIG = "config.json"
CONFIG_LIMIT = 1_000_000  # bytes
FORMAT_VERSION = 1
TEXT_LIMIT = 10_000  # characters of a command line
NAMES_LIMIT = 100_000  # columns, motors, types, features

_ENV_ID = re.compile(r"morphzoo/[A-Za-z0-9][A-Za-z0-9_.-]*-v[0-9]{1,6}", re.ASCII)
_UPGRADE = "Upgrade morphzoo: pip install --upgrade morphzoo"
_SCHEMA_KEYS = ("types", "features", "columns", "motors", "motor_types")


def read_config_of(folder: Path) -> dict[str, Any]:
    """Read and check a checkpoint's config.json.

    Args:
        folder: The checkpoint's folder.

    Returns:
        The configuration; every key of `FIELDS`.

    Raises:
        CheckpointError: It cannot be read, or a key or value is not what `FIELDS` says.
    """
    config = read_json(folder, CONFIG, CONFIG_LIMIT)
    check_config(config, folder / CONFIG)
    return config


def check_config(config: Mapping[str, Any], where: Where) -> None:
    """Refuse a configuration that is not exactly of our form.

    Args:
        config: Plain JSON.
        where: What to call it in messages.

    Raises:
        CheckpointError: As `read_config_of`.
    """
    version = config.get("format_version")
    if type(version) is not int or version < 1:
        refuse(where, f"format_version {FORMAT_VERSION}", shown(version))
    if version > FORMAT_VERSION:
        refuse(where, f"format_version {FORMAT_VERSION} or older", str(version), _UPGRADE)
    _keys(config, FIELDS, where)
    for name, check in FIELDS.items():
        check(config[name], f"{os.fspath(where)}: {name}")
    policy_class = POLICIES[config["policy"]]
    check_keywords(config["policy_kwargs"], policy_class, f"{os.fspath(where)}: policy_kwargs")


def check_against_weights(
    config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], where: Where
) -> None:
    """Refuse a configuration whose sizes and names are not those of the weights beside it.

    Args:
        config: A configuration that has passed `check_config`.
        shapes: Tensor name -> shape.
        where: What to call the configuration in messages.

    Raises:
        CheckpointError: The two disagree.
    """
    check_sizes(config["policy_kwargs"], shapes, f"{os.fspath(where)}: policy_kwargs")
    schema = config["policy_schema"]
    types, columns, motors = (len(schema[key]) for key in ("types", "columns", "motors"))
    statistics = types * sum(len(names) for names in schema["features"].values())
    outputs = [name for name in shapes if re.fullmatch(r"actor\.\d{1,5}\.bias", name)]
    last = max(outputs, key=lambda name: int(name.split(".")[1]), default="")
    claims = (
        ("normalizer.mean", 0, (statistics,), "types times features"),
        ("network.embedding.table", 0, (types,), "types"),
        ("actor.0.weight", 1, (columns,), "columns"),
        (last, 0, (motors,), "motors"),
        ("value.network.0.0.weight", 1, (columns,), "columns"),
        ("log_std", 0, (types, motors), "types or motors"),
    )
    for name, axis, allowed, kind in claims:
        if name in shapes and (len(shapes[name]) <= axis or shapes[name][axis] not in allowed):
            numbers = " or ".join(map(str, allowed))
            expected = f"{kind} of the tensor {name}, whose shape is {shown(shapes[name])}"
            refuse(f"{os.fspath(where)}: policy_schema", expected, numbers)


def suggestion(word: object, known: Iterable[str]) -> str:
    """Say which known name may have been meant, or which ones there are.

    Args:
        word: What was asked for.
        known: What there is.

    Returns:
        The start of a sentence without a full stop.
    """
    known = sorted(known)
    close = difflib.get_close_matches(word.lower(), known, n=2) if isinstance(word, str) else []
    if close:
        meant = " or ".join(repr(name) for name in close)
        return f"Did you mean {meant}? There are: {', '.join(known)}"
    return f"There are: {', '.join(known) or 'none'}"


def check_env_id(value: object, where: Where) -> None:
    """Refuse an environment id that is not one of ours, registered and spelled in full.

    Args:
        value: The id, or None for a body from outside morphzoo.
        where: What to call it in messages.

    Raises:
        CheckpointError: It is something else.
    """
    if value is None:
        return
    if not isinstance(value, str) or not _ENV_ID.fullmatch(value):
        refuse(where, "an id morphzoo/<Body>-<n>-v<k>, or null", shown(value))
    if value not in gym.registry:
        ours = [name for name in gym.registry if name.startswith("morphzoo/")]
        close = ", ".join(difflib.get_close_matches(value, ours, n=2)) or "none alike"
        refuse(where, "a registered environment", f"{shown(value)} (known: {close})", _UPGRADE)


def _keys(value: Mapping[str, Any], known: Iterable[str], where: Where) -> None:
    """Refuse missing and unknown keys."""
    known = list(known)
    if unknown := sorted(set(value) - set(known)):
        refuse(where, f"the keys {', '.join(known)}", f"also {shown(unknown)}")
    if missing := sorted(set(known) - set(value)):
        refuse(where, f"the keys {', '.join(known)}", f"none named {', '.join(missing)}")


def _one_of(table: Mapping[str, Any], *, optional: bool = False) -> Callable[[object, str], None]:
    """Make a check that a value is a name of a table, or null where `optional`."""

    def check(value: object, where: str) -> None:
        if optional and value is None:
            return
        if not isinstance(value, str) or value not in table:
            refuse(where, "a known name", shown(value), suggestion(value, table))

    return check


def _whole(value: object, where: str) -> None:
    """Refuse what is neither a whole number of at least 0 nor null."""
    if value is not None and (type(value) is not int or value < 0):
        refuse(where, "a whole number of at least 0, or null", shown(value))


def _text(value: object, where: str) -> None:
    """Refuse what is neither text of a sensible length nor null."""
    if value is not None and (not isinstance(value, str) or len(value) > TEXT_LIMIT):
        refuse(where, f"text of at most {TEXT_LIMIT:,} characters, or null", shown(value))


def _object(value: object, where: str) -> None:
    """Refuse what is not a JSON object."""
    if not isinstance(value, dict):
        refuse(where, "an object", shown(value))


def _env_kwargs(value: object, where: str) -> None:
    """Refuse what is not keyword -> value; the card prints them as a call."""
    _object(value, where)
    assert isinstance(value, dict)
    if strange := [key for key in value if not (key.isascii() and key.isidentifier())]:
        refuse(where, "keywords", shown(strange[0]))


def _versions(value: object, where: str) -> None:
    """Refuse what is not package name -> version."""
    _object(value, where)
    assert isinstance(value, dict)
    for name, version in value.items():
        if not isinstance(version, str) or not re.fullmatch(r"[\w.+!-]{1,60}", version, re.ASCII):
            refuse(f"{where}: {shown(name)}", "a version", shown(version))


def _score(value: object, where: str) -> None:
    """Refuse what is neither null nor a score: mean, std, episodes, and how they came about."""
    if value is None:
        return
    _object(value, where)
    assert isinstance(value, dict)
    _keys(value, ("actions", "env", "episodes", "first_seed", "mean", "std"), where)
    if value["actions"] not in ("sampled", "mean"):
        refuse(f"{where}: actions", "'sampled' or 'mean'", shown(value["actions"]))
    check_env_id(value["env"], f"{where}: env")
    if type(value["episodes"]) is not int or value["episodes"] < 1:
        refuse(f"{where}: episodes", "a whole number of at least 1", shown(value["episodes"]))
    _whole(value["first_seed"], f"{where}: first_seed")
    if type(value["mean"]) not in (int, float):
        refuse(f"{where}: mean", "a number", shown(value["mean"]))
    std = value["std"]
    if std is not None and (type(std) not in (int, float) or std < 0):
        refuse(f"{where}: std", "a number of at least 0, or null", shown(std))


def _policy_schema(value: object, where: str) -> None:
    """Refuse what is not a policy schema: types, features, columns, motors, motor_types."""
    _object(value, where)
    assert isinstance(value, dict)
    _keys(value, _SCHEMA_KEYS, where)
    _object(value["features"], f"{where}: features")
    _keys(value["features"], ("root", "joint"), f"{where}: features")
    lists = {key: value[key] for key in _SCHEMA_KEYS if key != "features"}
    lists |= {f"features.{kind}": names for kind, names in value["features"].items()}
    for key, names in lists.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            refuse(f"{where}: {key}", "a list of names", shown(names))
        if len(names) > NAMES_LIMIT:
            refuse(f"{where}: {key}", f"at most {NAMES_LIMIT:,} names", f"{len(names):,}")
        if key != "motor_types" and len(set(names)) != len(names):
            twice = Counter(names).most_common(1)[0][0]
            refuse(f"{where}: {key}", "each name once", f"{shown(twice)} twice")
    if len(value["motor_types"]) != len(value["motors"]):
        found = f"{len(value['motor_types'])} for {len(value['motors'])} motors"
        refuse(f"{where}: motor_types", "one type a motor", found)
    if strange := sorted(set(value["motor_types"]) - set(value["types"])):
        refuse(f"{where}: motor_types", "names of 'types'", shown(strange))


#: Key of config.json -> what refuses a value that does not belong there.
FIELDS: dict[str, Callable[[object, str], None]] = {
    "algorithm": _one_of(ALGORITHMS, optional=True),
    "command": _text,
    "env_id": check_env_id,
    "env_kwargs": _env_kwargs,
    "format_version": _whole,
    "policy": _one_of(POLICIES),
    "policy_kwargs": _object,
    "policy_schema": _policy_schema,
    "score": _score,
    "seed": _whole,
    "steps": _whole,
    "versions": _versions,
}
