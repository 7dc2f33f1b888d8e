"""Scores of policies on bodies: one record for every episode, and the results file they live in.

The file is described in `docs/results.md`. Nothing here needs torch or a simulator.
"""

from __future__ import annotations

import json
import math
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from morphzoo.body_text import body_text
from morphzoo.estimates import Estimate, estimate
from morphzoo.files import PathLike, write_text_atomic

FORMAT_VERSION = 1
ACTIONS = ("sampled", "mean")  # drawn from the policy's distribution, or its mean
RANDOM = "random"  # the name of the policy that draws uniformly from the action space
TEST_SEED = 10_000  # seeds from here up are reserved for scoring; training and tuning stay below
QUANTITIES = ("return", "return_unclipped_cost", "length", "distance")
_PACKAGES = ("morphzoo", "torch", "stable-baselines3", "gymnasium", "mujoco", "numpy", "scipy")
_NUMBER_LIST = re.compile(r"\[[-\s\w.+,]*\]")  # in JSON text: a list of numbers, flags or nulls
_LARGEST_FILE = 64 * 1024 * 1024  # bytes; 100 episodes on 100 bodies take about 2 MB


@dataclass(frozen=True, eq=False)
class EpisodeTable:
    """Every episode of one policy on one body.

    Attributes:
        policy: Name of the policy: a bundled one, a folder, or `random`.
        env: Id of the environment, as registered.
        actions: One of `ACTIONS`.
        seeds: int64[N]; the seed of each episode.
        returns: float64[N]; sum of the rewards, actions clipped to the action space (as SB3 does).
        returns_unclipped_cost: float64[N]; the same episodes with the control cost charged on the
            action before clipping, as the papers' code does.
        lengths: int64[N]; steps.
        distances: float64[N]; advance along +x (m); NaN where the body has no x position.
        failed: bool[N]; whether the physics failed and ended the episode.
        env_kwargs: Keywords that the environment was made with.
        num_envs: Bodies simulated side by side.
        policy_class: Class of the policy, or `random`.
        trained_on: The body that the policy was trained on, as `body` spells it, where it is known.
    """

    policy: str
    env: str
    actions: str
    seeds: np.ndarray
    returns: np.ndarray
    returns_unclipped_cost: np.ndarray
    lengths: np.ndarray
    distances: np.ndarray
    failed: np.ndarray
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    num_envs: int = 1
    policy_class: str = ""
    trained_on: str | None = None

    def __post_init__(self) -> None:
        """Check that every episode has one number of each kind.

        Raises:
            ValueError: An unknown kind of action, no episode, or columns of unequal length.
        """
        if self.actions not in ACTIONS:
            raise ValueError(f"actions must be one of {ACTIONS}, found {self.actions!r}")
        shapes = {name: np.shape(getattr(self, name)) for name in _COLUMNS.values()}
        if len(self.seeds) == 0 or set(shapes.values()) != {(len(self.seeds),)}:
            raise ValueError(f"expected one number an episode in every column, found {shapes}")

    @property
    def body(self) -> str:
        """The environment with its arguments, as one line."""
        return body_text(self.env, self.env_kwargs)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.seeds)

    def values(self, quantity: str) -> np.ndarray:
        """Return one number an episode, float64[N]; `quantity` is one of `QUANTITIES`."""
        return np.asarray(getattr(self, _COLUMNS[quantity]), dtype=np.float64)

    def estimate(self, quantity: str = "return") -> Estimate | None:
        """Summarise one of `QUANTITIES`; None where the environment does not report it."""
        values = self.values(quantity)
        return None if np.isnan(values).any() else estimate(values)

    def to_json(self) -> dict[str, Any]:
        """Return the table and its summaries as plain JSON values."""
        estimates = {name: self.estimate(name) for name in QUANTITIES}
        return {
            "policy": self.policy,
            "policy_class": self.policy_class,
            "trained_on": self.trained_on,
            "env": self.env,
            "env_kwargs": dict(self.env_kwargs),
            "actions": self.actions,
            "num_envs": self.num_envs,
            "episodes": self.episodes,
            "failed": int(np.count_nonzero(self.failed)),
            "estimates": {name: _estimate_json(value) for name, value in estimates.items()},
            "per_episode": {
                name: [_number(value) for value in getattr(self, column).tolist()]
                for name, column in _COLUMNS.items()
            },
        }

    @classmethod
    def from_json(cls, score: Mapping[str, Any]) -> EpisodeTable:
        """Rebuild the table from one entry of a results file.

        Raises:
            ValueError: A field is missing, of the wrong type, or the columns do not fit.
        """
        try:
            columns = {
                column: np.asarray(
                    [math.nan if v is None else v for v in score["per_episode"][name]],
                    dtype=_DTYPES.get(name, np.float64),
                )
                for name, column in _COLUMNS.items()
            }
            return cls(
                policy=_text(score["policy"]),
                env=_text(score["env"]),
                actions=_text(score["actions"]),
                env_kwargs=dict(score["env_kwargs"]),
                num_envs=int(score["num_envs"]),
                policy_class=_text(score["policy_class"]),
                trained_on=score["trained_on"] and _text(score["trained_on"]),
                **columns,
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"this is no score of a results file: {error!r}") from error


_COLUMNS = {
    "seed": "seeds",
    "return": "returns",
    "return_unclipped_cost": "returns_unclipped_cost",
    "length": "lengths",
    "distance": "distances",
    "failed": "failed",
}
_DTYPES = {"seed": np.int64, "length": np.int64, "failed": np.bool_}


def episode_seeds(episodes: int, seeds: int | Sequence[int] = TEST_SEED) -> np.ndarray:
    """Return the seed of each episode: base, base + 1, ... for every base seed.

    Args:
        episodes: Episodes for each base seed.
        seeds: Base seed or seeds.

    Returns:
        int64[len(seeds) * episodes].

    Raises:
        ValueError: No episode, a negative seed, or base seeds so near that episodes would repeat.
    """
    bases = [seeds] if isinstance(seeds, int) else list(seeds)
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, found {episodes}")
    if not bases or min(bases) < 0 or max(bases) > 2**62:
        raise ValueError(f"seeds must be at least one number from 0 to 2**62, found {bases}")
    result = np.concatenate([np.arange(base, base + episodes, dtype=np.int64) for base in bases])
    if len(np.unique(result)) != len(result):
        raise ValueError(
            f"base seeds {bases} with {episodes} episodes each would count some episodes twice: "
            f"space the seeds at least {episodes} apart"
        )
    return result


def results_document(
    tables: Iterable[EpisodeTable], *, command: str | None = None
) -> dict[str, Any]:
    """Return what a results file holds: format, versions, command and every score.

    Args:
        tables: The scores, in the order in which they are to be shown.
        command: The command line that made them.

    Returns:
        Plain JSON values.
    """
    return {
        "format_version": FORMAT_VERSION,
        "command": command,
        "versions": versions(),
        "scores": [table.to_json() for table in tables],
    }


def tables_of(document: Any) -> list[EpisodeTable]:
    """Return the scores of a results document, or say what is wrong with it.

    Raises:
        ValueError: Not a results document, or one of another format version.
    """
    if not isinstance(document, dict) or not isinstance(document.get("scores"), list):
        raise ValueError(
            "expected an object with a list of 'scores': write the file with "
            "zoo_scripts/evaluate_transfer.py --json"
        )
    if document.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"expected results of format_version {FORMAT_VERSION}, found "
            f"{document.get('format_version')!r}: read it with the morphzoo that wrote it"
        )
    return [EpisodeTable.from_json(score) for score in document["scores"]]


def read_results(path: PathLike) -> list[EpisodeTable]:
    """Read the scores of a results file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a results file, or is larger than any could be.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise ValueError(f"'{path}' has {size} bytes; a results file has at most {_LARGEST_FILE}")
    try:
        return tables_of(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"'{path}' is not a results file: {error}") from error


def write_results(
    path: PathLike, tables: Iterable[EpisodeTable], *, command: str | None = None
) -> None:
    """Write a results file, whole or not at all.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full.
    """
    text = json.dumps(results_document(tables, command=command), indent=1, allow_nan=False)
    write_text_atomic(path, _NUMBER_LIST.sub(_on_one_line, text) + "\n")


def versions() -> dict[str, str]:
    """Return the versions that a score depends on, by package name, and Python's."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def _estimate_json(value: Estimate | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "mean": value.mean,
        "std": value.std,
        "iqm": value.iqm,
        "iqm_low": _number(value.low),
        "iqm_high": _number(value.high),
    }


def _number(value: Any) -> Any:
    """Return a JSON number; NaN, which JSON lacks, becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _on_one_line(numbers: re.Match[str]) -> str:
    return " ".join(numbers[0].split()).replace("[ ", "[").replace(" ]", "]")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {value!r}")
    return value
