"""One spelling for each environment id."""

import difflib
import re
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id

from morphzoo.body_text import read_body

NAMESPACE = "morphzoo"


def canonical_id(env_id: str) -> str:
    """Return the registered id, with its version, that an id means.

    ``morphzoo/Centipede-20`` and ``morphzoo:morphzoo/Centipede-20-v0`` both mean
    ``morphzoo/Centipede-20-v0``. Gymnasium's ``make`` reads them too, but warns about the first,
    and its ``spec`` knows neither. No module is imported on behalf of an id.

    Args:
        env_id: an id, of ours or of any other registered environment.

    Raises:
        ValueError: if the id is no string, or names another module to import.
        gymnasium.error.Error: if no such environment is registered; Gymnasium's own message, which
            suggests what may have been meant.
    """
    if not isinstance(env_id, str):
        raise ValueError(f"An environment id must be a string, found {env_id!r}.")
    module, _, name = env_id.rpartition(":")
    if module not in ("", NAMESPACE):
        raise ValueError(
            f"The id {env_id!r} asks to import the module {module!r}. Import it yourself, then "
            f"give the id {name!r} alone."
        )
    namespace, stem, version = parse_env_id(name)
    if version is None:
        name = get_env_id(namespace, stem, find_highest_version(namespace, stem))
    return gym.spec(name).id


def own_ids() -> list[str]:
    """Return the ids that morphzoo has registered."""
    return [name for name in gym.registry if name.startswith(f"{NAMESPACE}/")]


def id_families() -> list[str]:
    """Return the ids that morphzoo has registered, those that differ by a number as one.

    For example ``morphzoo/Centipede-{3..100}-v0``.
    """
    numbers: dict[str, list[int]] = {}
    for name in own_ids():
        found = re.fullmatch(r"(.*-)(\d+)(-v\d+)", name)
        family = f"{found[1]}{{}}{found[3]}" if found else name
        numbers.setdefault(family, []).extend([int(found[2])] if found else [])
    return [
        family.replace("{}", f"{{{min(found)}..{max(found)}}}") if found else family
        for family, found in numbers.items()
    ]


def known_id(env_id: str) -> str:
    """Return the registered id that is meant, or say which one is near.

    Args:
        env_id: As for `canonical_id`.

    Raises:
        ValueError: No such environment is registered.
    """
    try:
        return canonical_id(env_id)
    except gym.error.Error as error:
        name = f"{NAMESPACE}/{env_id.rpartition('/')[2]}-v0"
        near = difflib.get_close_matches(name, own_ids(), n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"'{env_id}' is no environment: {error}{hint}") from error


def known_body(text: str) -> tuple[str, dict[str, Any]]:
    """Return the registered id and the arguments that a body's text means.

    Args:
        text: An id, as for `canonical_id`, and arguments behind commas; see `read_body`.

    Raises:
        ValueError: No such environment is registered, or the text has another form.
    """
    env_id, arguments = read_body(text)
    return known_id(env_id), arguments
