"""The training curve: one CSV row an update, and the evaluation returns in it."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from morphzoo.body_text import read_body
from morphzoo.files import write_text_atomic
from morphzoo.policies.transferring import policy_schema, transfer
from morphzoo.recipe import Recipe
from morphzoo.results import ACTIONS
from morphzoo.training.state import seeded_generators
from morphzoo.transfer import evaluate

COLUMNS = (
    "step",
    "updates",
    "return_mean",
    "length_mean",
    "approx_kl",
    "clip_fraction",
    "explained_variance",
    "value_loss",
    "log_std_mean",
    "learning_rate",
)

Scores = dict[str, dict[str, float]]  # body -> "sampled" or "mean" -> mean return


class Curve:
    """Rows of numbers in a CSV file that is the same, bit for bit, however often a run was killed.

    No times are in it, and numbers are written so that they read back exactly. Empty cells: no
    episode has ended yet, or this update was not followed by an evaluation.

    Args:
        path: The CSV file.
        bodies: Ids of the bodies evaluated on.
        text: The rows so far, with the header; None starts anew.
        extra: Columns of the algorithm at hand, between the common ones and the evaluations.
    """

    def __init__(
        self,
        path: Path,
        bodies: Sequence[str],
        text: str | None = None,
        *,
        extra: Sequence[str] = (),
    ) -> None:
        """Write the file as it begins."""
        self.path = path
        evaluations = [f"{body}:{actions}" for body in bodies for actions in ACTIONS]
        self.columns = (*COLUMNS, *extra, "score", *evaluations)
        self._lines = [self._line(self.columns) if text is None else text]
        write_text_atomic(path, self.text)

    @property
    def text(self) -> str:
        """The whole file."""
        self._lines = ["".join(self._lines)]
        return self._lines[0]

    def append(self, values: Mapping[str, float | int]) -> None:
        """Add one row; columns without a value stay empty.

        Raises:
            OSError: The disk is full.
        """
        line = self._line([_number(values.get(column)) for column in self.columns])
        self._lines.append(line)
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            file.write(line)

    @staticmethod
    def _line(cells: Sequence[str]) -> str:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(cells)
        return buffer.getvalue()


def read_curve(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a curve file.

    Args:
        path: The CSV file.

    Returns:
        Column name to float64[rows]; an empty cell is NaN.
    """
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    cells = [[float(cell) if cell else np.nan for cell in row] for row in rows]
    table = np.asarray(cells, dtype=np.float64).reshape(len(rows), len(header))
    return dict(zip(header, table.T, strict=True))


def extra_columns(model: Any) -> dict[str, str]:
    """Return the columns that a model's algorithm adds: column -> name in SB3's log."""
    return getattr(model, "curve_columns", {})


def update_values(model: Any) -> dict[str, float | int]:
    """Return the curve's columns that describe the update a model has just made.

    Args:
        model: An on-policy SB3 model between `train` and the next rollout, or a search for policies
            between two generations.
    """
    logged = model.logger.name_to_value
    values: dict[str, float | int] = {
        "step": int(model.num_timesteps),
        "updates": int(model._n_updates),
    }
    for column in ("approx_kl", "clip_fraction", "explained_variance", "value_loss"):
        if f"train/{column}" in logged:
            values[column] = float(logged[f"train/{column}"])
    for column, name in extra_columns(model).items():
        if name in logged:
            values[column] = float(logged[name])
    if "train/learning_rate" in logged:  # not before learning starts
        values["learning_rate"] = float(logged["train/learning_rate"])
    if model.ep_info_buffer:
        for column, key in (("return_mean", "r"), ("length_mean", "l")):
            values[column] = float(np.mean([float(info[key]) for info in model.ep_info_buffer]))
    log_std = getattr(model.policy, "log_std", None)
    if isinstance(log_std, torch.Tensor):
        values["log_std_mean"] = float(log_std.detach().double().mean())
    return values


def check_bodies(policy: Any, recipe: Recipe) -> None:
    """Make sure, before training, that the policy can be evaluated on each of the recipe's bodies.

    Raises:
        ValueError: A body is unknown or has parts that the policy's weights do not know.
    """
    for body in recipe.evaluate_on:
        with seeded_generators(recipe.evaluate_seed):
            _copy_for(body, policy, recipe)


def evaluate_bodies(policy: Any, recipe: Recipe, threads: int = 1) -> Scores:
    """Evaluate a copy of a policy on the recipe's bodies; the policy and all generators stay as is.

    Every call makes its environments anew with the same seeds, so an evaluation depends on the
    weights alone, and a continued run repeats it exactly.

    Args:
        policy: The policy in training, on any device.
        recipe: Bodies, episodes and seed.
        threads: CPU threads of the simulation.

    Returns:
        Mean return of each body, with sampled and with mean actions.
    """
    scores: Scores = {}
    for body in recipe.evaluate_on:
        with seeded_generators(recipe.evaluate_seed):
            env_id, arguments = _made(body, recipe)
            copy = _copy_for(body, policy, recipe)
            for actions in ACTIONS:
                table = evaluate(
                    copy,
                    env_id,
                    recipe.evaluate_episodes,
                    recipe.evaluate_seed,
                    actions == "mean",
                    num_threads=threads,
                    env_kwargs=arguments,
                )
                scores.setdefault(body, {})[actions] = float(table.returns.mean())
    return scores


def _made(body: str, recipe: Recipe) -> tuple[str, dict[str, Any]]:
    """Return a body's id and arguments: the recipe's, and before them the body's own."""
    env_id, own = read_body(body)
    return env_id, {**recipe.env_kwargs, **own}


def _copy_for(body: str, policy: Any, recipe: Recipe) -> Any:
    """Return a copy of a policy, on the CPU, for another body or the same."""
    state = {name: tensor.detach().cpu() for name, tensor in policy.state_dict().items()}
    try:
        env_id, arguments = _made(body, recipe)
        with contextlib.closing(gymnasium.make(env_id, **arguments)) as env:
            copy, _ = transfer(
                type(policy),
                state,
                policy_schema(policy),
                policy.kwargs_received,
                env.observation_space,
                env.action_space,
            )
    except (gymnasium.error.Error, TypeError, ValueError) as error:
        raise ValueError(f"cannot evaluate on '{body}': {error}") from error
    return copy


def score(scores: Scores, recipe: Recipe) -> float:
    """Return the one number that picks the best checkpoint.

    The weighted mean, over the bodies of `evaluate_on`, of the mean return with sampled or mean
    actions or the mean of both (`score_actions`); see `Recipe.score_weights`.
    """
    kinds = ACTIONS if recipe.score_actions == "both" else (recipe.score_actions,)
    weights = recipe.score_weights or dict.fromkeys(recipe.evaluate_on, 1.0)
    total = sum(
        weight * float(np.mean([scores[body][kind] for kind in kinds]))
        for body, weight in weights.items()
    )
    return total / sum(weights.values())


def evaluation_values(scores: Scores, recipe: Recipe) -> dict[str, float]:
    """Return an evaluation as columns of the curve."""
    values = {
        f"{body}:{actions}": value
        for body, kinds in scores.items()
        for actions, value in kinds.items()
    }
    return {"score": score(scores, recipe), **values}


def _number(value: float | int | None) -> str:
    """Return a number's shortest exact text; empty for None."""
    return "" if value is None else repr(int(value) if isinstance(value, int) else float(value))
