"""What a recipe may hold; every refusal says what was found and what is known."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from morphzoo.results import TEST_SEED

if TYPE_CHECKING:
    from morphzoo.recipe import Recipe


def did_you_mean(word: str, known: Iterable[str], listed: Iterable[str] | None = None) -> str:
    """Return a sentence with the closest known words, or all of them when none is close.

    Args:
        word: what was given.
        known: what there is.
        listed: what stands for all of it, where that is too much.
    """
    known = list(known)
    close = difflib.get_close_matches(word, known, n=3)
    if close:
        return f" Did you mean {' or '.join(repr(match) for match in close)}?"
    everything = list(known if listed is None else listed)
    return f" Known: {', '.join(everything)}." if everything else ""


def typed(name: str, value: Any, annotation: str) -> Any:
    """Return `value` as the type that the field's annotation names, or raise ValueError."""
    kind = {"s": str, "i": int, "f": float, "l": list, "d": dict}[annotation[0]]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(
            f"recipe key '{name}' must be {annotation}, found {value!r} ({type(value).__name__})"
        )
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"recipe key '{name}' must hold plain JSON values: {error}") from error


def choice(name: str, value: str, known: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of the known words."""
    known = list(known)
    if value not in known:
        raise ValueError(f"recipe key '{name}' is '{value}'.{did_you_mean(value, known)}")


def check_seeds(settings: Any) -> None:
    """Raise ValueError where evaluations in training reach into the seeds of final scores."""
    if settings.evaluate_seed + settings.evaluate_episodes > TEST_SEED:
        raise ValueError(
            f"'evaluate_seed' + 'evaluate_episodes' must be at most {TEST_SEED}: the seeds from "
            f"there up are reserved for final scores, found {settings.evaluate_seed} + "
            f"{settings.evaluate_episodes}"
        )


def check_numbers(recipe: Recipe) -> None:
    """Raise ValueError where a number is out of range or sizes do not fit each other."""
    choice("schedule", recipe.schedule, ("linear", "constant", "exponential"))
    choice("score_actions", recipe.score_actions, ("sampled", "mean", "both"))
    for name in ("steps", "n_envs", "checkpoint_every", "evaluate_episodes"):
        if getattr(recipe, name) <= 0:
            raise ValueError(f"'{name}' must be positive, found {getattr(recipe, name)}")
    for name in ("seed", "evaluate_seed", "evaluate_every"):
        if not 0 <= getattr(recipe, name) < 2**32:
            raise ValueError(f"'{name}' must be in 0..2**32-1, found {getattr(recipe, name)}")
    check_seeds(recipe)
    kwargs = recipe.algorithm_kwargs
    for name in ("n_steps", "batch_size", "n_epochs", "learning_rate", "clip_range"):
        value = kwargs.get(name, 1)
        whole = name in ("n_steps", "batch_size", "n_epochs")
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or value <= 0 or not math.isfinite(value):
            kind = "a positive integer" if whole else "a positive number"
            raise ValueError(f"algorithm keyword '{name}' must be {kind}, found {value!r}")
    batch = kwargs.get("batch_size", 1)
    if "n_steps" in kwargs and (recipe.rollout % batch or batch == 1):
        raise ValueError(
            f"batch_size must be above 1 and divide n_envs * n_steps = {recipe.n_envs} * "
            f"{kwargs['n_steps']} = {recipe.rollout}, found {batch}: the last minibatch of each "
            "epoch would be smaller and count for more"
        )


def check_log_std_bound(knots: list[Any]) -> None:
    """Raise ValueError unless the knots are pairs of finite numbers, shares rising in 0..1."""
    pairs = all(isinstance(knot, list) and len(knot) == 2 for knot in knots)
    if not pairs or not all(type(x) in (int, float) for knot in knots for x in knot):
        raise ValueError(
            f"'log_std_bound' must hold pairs [share of steps, log_std], found {knots!r}"
        )
    shares = [share for share, _ in knots]
    if sorted(set(shares)) != shares or any(not 0 <= share <= 1 for share in shares):
        raise ValueError(f"'log_std_bound': shares must rise within 0..1, found {shares}")


def check_score(recipe: Recipe) -> None:
    """Raise ValueError where the score speaks of bodies that are not evaluated."""
    for body in recipe.evaluate_on:
        if not isinstance(body, str):
            raise ValueError(f"'evaluate_on' must hold environment ids, found {body!r}")
    for body, weight in recipe.score_weights.items():
        if body not in recipe.evaluate_on:
            known = did_you_mean(body, recipe.evaluate_on)
            raise ValueError(f"'score_weights' names '{body}', not in 'evaluate_on'.{known}")
        if not isinstance(weight, int | float) or isinstance(weight, bool) or weight < 0:
            raise ValueError(f"the weight of '{body}' must be 0 or more, found {weight!r}")
    if recipe.score_weights and not sum(recipe.score_weights.values()) > 0:
        raise ValueError("'score_weights' must have one weight above 0")
