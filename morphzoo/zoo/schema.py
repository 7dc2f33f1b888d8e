"""config.json: which keys it has, what each may hold, and whether it fits the weights beside it."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from morphzoo.envs.ids import own_ids
from morphzoo.policies import POLICIES
from morphzoo.zoo.colors import COLOR_KEYWORDS, check_colors, is_colored
from morphzoo.zoo.json_schema import check_schema
from morphzoo.zoo.keywords import check_axes, check_keywords, check_sizes
from morphzoo.zoo.untrusted import Where, read_json, refuse, shown

CONFIG = "config.json"
CONFIG_LIMIT = 1_000_000  # bytes

#: What config.json must be; anybody may check against the same file with another program.
SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("config.schema.json").read_bytes())
FIELDS: dict[str, Any] = SCHEMA["properties"]
FORMAT_VERSION: int = FIELDS["format_version"]["enum"][-1]

_ENV_ID = FIELDS["env_id"]
_UPGRADE = "Upgrade morphzoo: pip install --upgrade morphzoo"


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
    check_schema(config, SCHEMA, where)
    place = os.fspath(where)
    check_env_id(config["env_id"], f"{place}: env_id")
    if config["score"] is not None:
        check_env_id(config["score"]["env"], f"{place}: score: env")
    _check_motors(config["policy_schema"], f"{place}: policy_schema")
    policy_class = POLICIES[config["policy"]]
    check_keywords(config["policy_kwargs"], policy_class, f"{place}: policy_kwargs")


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
    keywords, place = config["policy_kwargs"], f"{os.fspath(where)}: policy_kwargs"
    if is_colored(config["policy"]):
        check_colors(config, shapes, place)
        keywords = {key: keywords[key] for key in keywords if key not in COLOR_KEYWORDS}
    exact = getattr(POLICIES[config["policy"]], "sizes_in", {})
    check_axes(
        {key: (keywords[key], *exact[key]) for key in exact if key in keywords}, shapes, place
    )
    check_sizes({key: keywords[key] for key in keywords if key not in exact}, shapes, place)
    schema = config["policy_schema"]
    types, columns, motors = (len(schema[key]) for key in ("types", "columns", "motors"))
    statistics = types * sum(len(names) for names in schema["features"].values())
    outputs = [name for name in shapes if re.fullmatch(r"actor\.\d{1,5}\.bias", name)]
    last = max(outputs, key=lambda name: int(name.split(".")[1]), default="")
    claims = (
        ("normalizer.mean", 0, (statistics, columns), "types times features or columns"),
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
    check_schema(value, _ENV_ID, where)
    assert isinstance(value, str)
    if value not in gym.registry:
        close = ", ".join(difflib.get_close_matches(value, own_ids(), n=2)) or "none alike"
        refuse(where, "a registered environment", f"{shown(value)} (known: {close})", _UPGRADE)


def _check_motors(schema: Mapping[str, Any], where: str) -> None:
    """Refuse motors without a type, and types that no node has."""
    if len(schema["motor_types"]) != len(schema["motors"]):
        found = f"{len(schema['motor_types'])} for {len(schema['motors'])} motors"
        refuse(f"{where}: motor_types", "one type a motor", found)
    if strange := sorted(set(schema["motor_types"]) - set(schema["types"])):
        refuse(f"{where}: motor_types", "names of 'types'", shown(strange))
