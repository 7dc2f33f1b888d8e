"""One line of text for a body: an environment's id and, behind commas, arguments of it."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

_WORDS = {"true": True, "false": False, "null": None}  # JSON's, beside Python's own
_FORM = "expected an id and arguments behind commas, such as 'morphzoo/Ant-v5,frame_skip=2'"


def body_text(env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> str:
    """Write a body as one line: the same for the same body, whatever the order of its arguments.

    Args:
        env_id: Id of the environment.
        env_kwargs: Arguments that it is made with: plain JSON values, and tuples.

    Returns:
        ``morphzoo/AntVelocity-v0`` or ``morphzoo/AntVelocity-v0,num_legs=6``; values are JSON.
    """
    arguments = sorted((env_kwargs or {}).items())
    values = [f"{key}={json.dumps(value, separators=(',', ':'))}" for key, value in arguments]
    return ",".join([env_id, *values])


def read_body(text: str) -> tuple[str, dict[str, Any]]:
    """Read what `body_text` writes, or a person types.

    Values are Python's or JSON's literals; a bare word is a string. Nothing is evaluated, and the
    id is not looked up.

    Args:
        text: ``morphzoo/AntVelocity-v0,num_legs=6,disabled_joints=[ankle_2]``.

    Returns:
        The id and the arguments, as JSON would hold them: tuples as lists.

    Raises:
        ValueError: The text has another form.
    """
    env_id, comma, rest = text.partition(",")
    if not comma:
        return env_id, {}
    try:
        call = ast.parse(f"_({rest})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not rest.strip():
            raise ValueError("no arguments by name")
        if not isinstance(call.func, ast.Name):
            raise ValueError("more than arguments")
        words = [word for word in call.keywords if word.arg]
        found = {word.arg: ast.literal_eval(_Words().visit(word.value)) for word in words}
        if len(found) < len(call.keywords):
            raise ValueError("'**'")
        return env_id, json.loads(json.dumps(found, allow_nan=False))
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ValueError(f"cannot read the body '{text}': {_FORM}; found {reason}") from error


class _Words(ast.NodeTransformer):
    """Makes bare words literals: JSON's names for themselves, any other a string."""

    def visit_Name(self, node: ast.Name) -> ast.Constant:
        return ast.Constant(_WORDS.get(node.id, node.id))
