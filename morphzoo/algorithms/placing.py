"""Where a model's generations are played, by what it was given: here, a GPU or a Ray cluster."""

from __future__ import annotations

from functools import partial
from typing import Any

from morphzoo.algorithms.memory import check_memory
from morphzoo.algorithms.players import Here, Players
from morphzoo.algorithms.ray_players import RayPlayers
from morphzoo.algorithms.rollouts import DeviceRows, Rows
from morphzoo.algorithms.stages import device_memory, device_rows_of, rows_of
from morphzoo.cluster import import_ray

#: Rows of each worker, where a single environment is given that is made anew.
_ROWS = 8
_RAY_KEYWORDS = {"retries": 0, "seconds": 1}  # and the least that each may be


def check_ray(model: Any) -> None:
    """Refuse keywords of playing on Ray that are out of range.

    Raises:
        ValueError: naming what was found.
        ImportError: if Ray is asked for and not installed.
    """
    if model.workers is not None and model.workers < 1:
        raise ValueError(f"workers must be at least 1, found {model.workers}")
    for name, value in model.ray_kwargs.items():
        if name not in _RAY_KEYWORDS:
            raise ValueError(f"ray_kwargs: expected keys of {list(_RAY_KEYWORDS)}, found {name!r}")
        if not value >= _RAY_KEYWORDS[name]:
            least = _RAY_KEYWORDS[name]
            raise ValueError(f"ray_kwargs: {name} must be at least {least}, found {value}")
    if model.ray is None and (model.workers is not None or model.ray_kwargs):
        raise ValueError("workers and ray_kwargs are of playing on Ray: give ray='local' or so")
    if model.ray is not None and model.backend == "warp":
        raise ValueError("backend='warp' plays on the model's own device: leave ray out")
    if model.ray is not None:
        import_ray()


def check_room(model: Any) -> None:
    """Refuse what does not fit into memory, before any of it is made.

    Raises:
        ValueError: with what each part takes.
    """
    needed = model._memory()
    if model.env is not None and model.backend == "warp":
        needed |= device_memory(model, _side_by_side(model))
    check_memory(needed, model.device)


def _side_by_side(model: Any) -> int:
    """Return how many policies are played side by side at most."""
    return max(model._num_played, model.evaluate_episodes)


def place(model: Any) -> tuple[Rows | DeviceRows, Players] | tuple[None, None]:
    """Find where a model plays.

    Returns:
        Rows of environments in this process, and who plays generations; nothing for a model
        without an environment.

    Raises:
        ValueError: see `rows_of` and `device_rows_of`; or if all of a generation is one batch,
            which cannot be spread.
    """
    if model.env is None:
        return None, None
    if model.ray is None:
        wanted = _side_by_side(model)
        on_device = model.backend == "warp"
        here = device_rows_of(model, wanted) if on_device else rows_of(model.env, wanted)
        return here, Here(here)
    rows = rows_of(model.env, _ROWS)
    if model._num_played <= rows.num:
        raise ValueError(
            f"a worker on Ray plays as many policies as the environment has rows, {rows.num}, and "
            f"a generation has {model._num_played}: give an environment of fewer rows, "
            "make_vec_env(..., n_envs=8), or a larger population_size"
        )
    make_policy = partial(type(model.policy), **model.policy._get_constructor_parameters())
    making = rows.elsewhere(), make_policy
    return rows, RayPlayers(model.ray, model.workers, making, rows.num, **model.ray_kwargs)
