"""A part of JSON Schema, enough for `config.schema.json`; a refusal says what was expected."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from morphzoo.zoo.untrusted import Where, refuse, shown

Schema = Mapping[str, Any]

#: What this file understands; a test holds that the published schema uses nothing else.
UNDERSTOOD = {
    "type", "enum", "pattern", "minLength", "maxLength", "minimum", "items", "maxItems",
    "uniqueItems", "properties", "required", "additionalProperties", "propertyNames", "$ref",
    "$defs", "$schema", "$comment", "title", "description",
}  # fmt: skip

# Whole numbers are those written without a point: type(True) is not int, and 1.0 is no count.
_KINDS: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


def check_schema(value: object, schema: Schema, where: Where, root: Schema | None = None) -> None:
    """Refuse what a schema does not allow.

    Args:
        value: Plain JSON.
        schema: What it must be; `description` is what a message says was expected.
        where: What to call it in messages.
        root: The schema that `$ref` refers to; by default this one.

    Raises:
        CheckpointError: It is something else.
    """
    root = schema if root is None else root
    schema = _followed(schema, root)
    if not _fits(value, schema):
        names = [name for name in schema.get("enum", ()) if isinstance(name, str)]
        remedy = (suggestion(value, names),) if names else ()
        refuse(where, schema["description"], shown(value), *remedy)
    if isinstance(value, list):
        _check_list(value, schema, where, root)
    elif isinstance(value, dict):
        _check_object(value, schema, where, root)


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


def _followed(schema: Schema, root: Schema) -> Schema:
    """Return the definition that a schema refers to, or the schema itself."""
    reference = schema.get("$ref")
    return schema if reference is None else root["$defs"][reference.removeprefix("#/$defs/")]


def _fits(value: object, schema: Schema) -> bool:
    """Tell whether a value is right, not looking into lists and objects."""
    if "type" in schema:
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(type(value) in _KINDS[kind] for kind in kinds):
            return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str):
        # Patterns end in $(?!\n): Python's $ is before a last line break too, JSON Schema's is not.
        found = "pattern" not in schema or re.search(schema["pattern"], value)
        longest = schema.get("maxLength", len(value))
        return bool(found) and schema.get("minLength", 0) <= len(value) <= longest
    return not isinstance(value, int | float) or value >= schema.get("minimum", value)


def _check_list(value: list[Any], schema: Schema, where: Where, root: Schema) -> None:
    """Refuse a list for what is in it."""
    items = _followed(schema.get("items", {}), root)
    if not all(_fits(item, items) for item in value):
        refuse(where, schema["description"], shown(value))
    if len(value) > (limit := schema.get("maxItems", len(value))):
        refuse(where, f"at most {limit:,} names", f"{len(value):,}")
    if schema.get("uniqueItems") and len(set(value)) != len(value):
        twice = Counter(value).most_common(1)[0][0]
        refuse(where, "each name once", f"{shown(twice)} twice")


def _check_object(value: dict[str, Any], schema: Schema, where: Where, root: Schema) -> None:
    """Refuse an object for its keys, or for what is under them."""
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    listed = f"the keys {', '.join(known)}"
    if others is False and (unknown := sorted(set(value) - set(known))):
        refuse(where, listed, f"also {shown(unknown)}")
    if missing := sorted(set(schema.get("required", ())) - set(value)):
        refuse(where, listed, f"none named {', '.join(missing)}")
    names = schema.get("propertyNames", {})
    for key, inner in value.items():
        if not _fits(key, names):
            refuse(where, names["description"], shown(key))
        part = key if key in known else shown(key)
        rule = known.get(key, others or {})
        if rule:
            check_schema(inner, rule, f"{os.fspath(where)}: {part}", root)
