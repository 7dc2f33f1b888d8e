"""The published JSON schema and our own check of config.json are one: no verdict differs."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from test_zoo_hostile import CONFIG_ROWS, SCHEMA_ROWS

from morphzoo import zoo
from morphzoo.algorithms import ALGORITHMS
from morphzoo.policies import POLICIES
from morphzoo.zoo import json_schema
from morphzoo.zoo.catalogue import PRETRAINED
from morphzoo.zoo.json_schema import check_schema
from morphzoo.zoo.schema import FIELDS, FORMAT_VERSION, SCHEMA, check_config
from morphzoo.zoo.untrusted import CheckpointError, parse_json

VALIDATOR = Draft202012Validator(SCHEMA)

# What the schema cannot say: names that must be registered, keywords of a class, sizes against
# weights, and one list against another. Everything else it refuses by itself.
BEYOND = {
    "policy of other weights", "a class as keyword", "a base's keyword",
    "schema as keyword", "spaces as keyword", "size as text", "size as truth", "size broken",
    "size of 30 TB", "size of 100 MB", "endless rounds", "negative size", "another size",
    "an unknown part", "freeze as text", "scales of text", "an unknown id",
    "a motor more", "a motor without type", "a type renamed", "a type more", "a feature less",
    "a column less", "a feature renamed", "100 digits", "17 levels",
}  # fmt: skip

# Of each kind of JSON, what is near to right and what is not.
VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2, 1.5, -0.5, "", "ppo", "mlp", "mean", "2.0", "a b", "2.0\n",
    "morphzoo/Ant-v5", "morphzoo/Ant-v5\n", "x" * 10_001, "\u0660", [], ["a"], ["a", "a"], [""],
    [1], [["a"]], {}, {"a": 1}, {"a b": 1}, {"a\n": 1}, {"a": "1.0"}, {"a": "1 0"},
)  # fmt: skip


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    config = zoo.read_config("snowflake-centipede-6")
    assert config["score"] and config["policy_kwargs"]
    lists = config["policy_schema"]
    few = {key: names[:3] for key, names in lists.items() if key != "features"}
    few["features"] = {key: names[:3] for key, names in lists["features"].items()}
    return {**config, "policy_schema": few}


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place of a configuration that the schema speaks of."""
    if path:
        yield path
    if isinstance(value, dict) and path != ("policy_kwargs",):
        for key, inner in value.items():
            yield from places(inner, (*path, key))


def put(config: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def ours(config: Any) -> bool:
    try:
        check_schema(config, SCHEMA, "config.json")
    except CheckpointError as error:
        assert str(error).startswith("config.json") and "expected" in str(error)
        return False
    return True


def test_it_is_a_json_schema_and_we_understand_all_of_it() -> None:
    Draft202012Validator.check_schema(SCHEMA)

    def words(schema: Any, inside: bool = False) -> Iterator[str]:
        if isinstance(schema, dict):
            for key, value in schema.items():
                if not inside:
                    yield key
                yield from words(value, inside=not inside and key in ("properties", "$defs"))

    assert set(words(SCHEMA)) <= json_schema.UNDERSTOOD


def test_its_names_are_those_of_the_tables() -> None:
    assert set(FIELDS["policy"]["enum"]) == set(POLICIES)
    assert set(FIELDS["algorithm"]["enum"]) == {*ALGORITHMS, None}
    assert FIELDS["format_version"]["enum"] == [FORMAT_VERSION]
    assert SCHEMA["required"] == list(FIELDS)


@pytest.mark.parametrize("name", zoo.bundled())
def test_bundled_configurations_are_valid(name: str) -> None:
    config = json.loads((PRETRAINED / name / "config.json").read_bytes())
    VALIDATOR.validate(config)
    check_config(config, "config.json")


def test_both_agree_wherever_one_value_is_changed(good: dict[str, Any]) -> None:
    paths = list(places(good))
    assert len(paths) > 30
    verdicts: set[bool] = set()
    for path in paths:
        for value in VALUES:
            changed = put(good, path, value)
            verdict = VALIDATOR.is_valid(changed)
            assert ours(changed) == verdict, (path, value)
            verdicts.add(verdict)
        less = put(good, path, None)
        inner = less
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        assert ours(less) == VALIDATOR.is_valid(less), path
        more = put(good, (*path[:-1], "another"), 1)
        assert ours(more) == VALIDATOR.is_valid(more), path
    assert verdicts == {True, False}


def test_whole_numbers_are_written_without_a_point(good: dict[str, Any]) -> None:
    """The one place where we are stricter; the schema's comment says so."""
    changed = put(good, ("seed",), 1.0)
    assert VALIDATOR.is_valid(changed) and not ours(changed)


@pytest.mark.parametrize(
    "row", [*CONFIG_ROWS, *SCHEMA_ROWS], ids=lambda row: row.name.replace(" ", "-")
)
def test_the_schema_alone_refuses_hostile_configurations(
    row, good: dict[str, Any], tmp_path: Path
) -> None:
    sized = put(good, ("policy_kwargs", "hidden_size"), 32)
    text = json.dumps({**sized, "seed": 3, "env_id": "morphzoo/Centipede-4-v0"})
    (tmp_path / "config.json").write_text(text)
    (tmp_path / "model.safetensors").write_bytes(b"")
    row.spoil(tmp_path)
    if row.name in ("config missing", "config sparse and huge"):
        return
    try:
        config = parse_json((tmp_path / "config.json").read_bytes(), "config.json")
    except CheckpointError:
        return  # no JSON at all, or not of the kind that any JSON schema is about
    assert VALIDATOR.is_valid(config) == (row.name in BEYOND)
