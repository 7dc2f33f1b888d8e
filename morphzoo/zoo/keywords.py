"""The keywords of a policy, checked before the policy is built: names, types, and sizes."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from morphzoo.zoo.untrusted import Where, refuse, shown

SMALL = 64  # widths and rounds up to here are never too large

# The schema has a place of its own in a checkpoint; one truth, one place.
_NOT_SAVED = ("schema",)


def policy_keywords(policy_class: type) -> dict[str, Any]:
    """List the keywords of a policy class, through every base that it hands its own on to.

    Args:
        policy_class: One of `morphzoo.policies.POLICIES`.

    Returns:
        Keyword -> its type hint; `typing.Any` where there is none.
    """
    found: dict[str, Any] = {}
    for base in policy_class.__mro__:
        if "__init__" not in vars(base):
            continue
        hints = typing.get_type_hints(base.__init__)
        parameters = inspect.signature(base.__init__).parameters.values()
        for parameter in parameters:
            if parameter.kind is parameter.KEYWORD_ONLY:
                found.setdefault(parameter.name, hints.get(parameter.name, Any))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return {name: hint for name, hint in found.items() if name not in _NOT_SAVED}


def check_keywords(kwargs: Mapping[str, Any], policy_class: type, where: Where) -> None:
    """Refuse keywords that the policy does not have, and values of the wrong type.

    Args:
        kwargs: The keywords, plain JSON.
        policy_class: The policy.
        where: What to call them in messages.

    Raises:
        CheckpointError: One does not fit; the message names it.
    """
    known = policy_keywords(policy_class)
    for name, value in kwargs.items():
        if name not in known:
            expected = f"keywords of {policy_class.__name__}: {', '.join(sorted(known))}"
            refuse(where, expected, shown(name))
        if not _fits(value, known[name]):
            hint = known[name]
            kind = hint.__name__ if isinstance(hint, type) else str(hint)
            refuse(where, f"{name} of type {kind.replace('typing.', '')}", shown(value))


def check_sizes(
    kwargs: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    where: Where,
) -> None:
    """Refuse sizes that the weights at hand cannot be of, before a policy that large is built.

    A layer between widths a and b is a tensor of a * b numbers in the weights. So widths that
    multiply to more numbers than the weights hold are a mistake or an attack on the memory.

    Args:
        kwargs: The policy's keywords, of the right types.
        shapes: Tensor name -> shape, as the header of the weights says.
        where: What to call the keywords in messages.

    Raises:
        CheckpointError: A size, or a list of sizes, is larger than the weights allow.
    """
    total = sum(math.prod(shape) for shape in shapes.values())
    expected = f"sizes of a policy of {total:,} weights in {len(shapes):,} tensors"
    for name, value in _numbers(kwargs.items()):
        if isinstance(value, int):
            # Every width of ours is that of at least 8 square matrices (GRU, message, decoder).
            if value > SMALL and 8 * value**2 > total:
                refuse(where, expected, f"{name} = {shown(value)}")
        elif len(value) > len(shapes) or sum(map(math.prod, zip(value, value[1:]))) > total:  # noqa: B905
            refuse(where, expected, f"{name} = {shown(value)}")
        elif value and max(value) > total:
            refuse(where, expected, f"{name} = {shown(value)}")


def check_axes(
    asked: Mapping[str, tuple[int, str, int]], shapes: Mapping[str, tuple[int, ...]], where: Where
) -> None:
    """Refuse sizes that are not those of the tensors that have them.

    Args:
        asked: Keyword -> its value, the tensor's name, and the axis whose size it is.
        shapes: Tensor name -> shape.
        where: What to call the keywords in messages.

    Raises:
        CheckpointError: A tensor has another size there, or is not there.
    """
    for key, (value, name, axis) in asked.items():
        found = shapes.get(name, ())
        if len(found) <= axis or found[axis] != value:
            refuse(where, f"{key} of the tensor {name} of shape {shown(found)}", shown(value))


def _numbers(items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, int | list[int]]]:
    """Find the whole numbers, and the lists of them, among keywords and in objects in them."""
    for name, value in items:
        if type(value) is int:
            yield name, value
        elif isinstance(value, dict):
            yield from _numbers((f"{name}.{key}", item) for key, item in value.items())
        elif isinstance(value, list | tuple):
            yield name, [item for item in value if type(item) is int]


def _fits(value: object, hint: Any) -> bool:
    """Tell whether a JSON value can be meant by a type hint; unknown hints take anything."""
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is typing.Literal:
        return value in parts
    if origin is type(None):
        return value is None
    if origin in (bool, str, int):
        return type(value) is origin
    if origin is float:
        return type(value) in (int, float)
    if not isinstance(origin, type):
        return True
    if issubclass(origin, Mapping):
        return isinstance(value, dict) and all(_fits(v, parts[1]) for v in value.values() if parts)
    if issubclass(origin, Collection):
        return isinstance(value, list | tuple) and all(_fits(v, parts[0]) for v in value if parts)
    return True
