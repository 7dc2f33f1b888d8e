"""The keywords that a policy was given, kept in one place for everything that saves it."""

from __future__ import annotations

import inspect
from typing import Any

_NOT_KEYWORDS = (
    "self",
    "kwargs",
    "observation_space",
    "action_space",
    "lr_schedule",
    "use_sde",
)


class ReceivedKeywords:
    """Base of policies whose keywords are plain JSON values.

    Attributes:
        kwargs_received: the keywords as received, defaults filled in.
    """

    kwargs_received: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Keep the keywords as received, defaults filled in, here and nowhere else, for saving."""
        policy = super().__new__(cls)
        if args or kwargs:  # copy and pickle call without arguments
            bound = inspect.signature(cls.__init__).bind(policy, *args, **kwargs).arguments
            received = {**_keyword_defaults(cls), **bound, **bound.get("kwargs", {})}
            for name in _NOT_KEYWORDS:
                received.pop(name, None)
            object.__setattr__(policy, "kwargs_received", received)
        return policy


def _keyword_defaults(cls: type) -> dict[str, Any]:
    """Keyword-only defaults of a policy class and its bases; the most derived class wins."""
    defaults: dict[str, Any] = {}
    for base in (c for c in cls.__mro__ if issubclass(c, ReceivedKeywords)):
        for name, parameter in inspect.signature(base.__init__).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                defaults.setdefault(name, parameter.default)
    return defaults


def one_of(keyword: str, value: str, allowed: Any) -> str:
    """Return a keyword's value.

    Raises:
        ValueError: if it is not one of those allowed.
    """
    if value not in allowed:
        raise ValueError(f"{keyword}: expected one of {list(allowed)}, found {value!r}")
    return value
