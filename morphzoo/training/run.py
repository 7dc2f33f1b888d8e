"""TrainingRun: what happens between two rollouts: curve, evaluation, checkpoints, state."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from morphzoo import zoo
from morphzoo.files import folder_atomic, recover_folder, write_text_atomic
from morphzoo.recipe import FREE_KEYWORDS, FREE_ON_RESUME, Recipe, read_recipe
from morphzoo.results import versions
from morphzoo.training.curve import (
    Curve,
    Scores,
    evaluate_bodies,
    evaluation_values,
    extra_columns,
    score,
    update_values,
)
from morphzoo.training.fingerprint import platform_signature
from morphzoo.training.state import capture, read_state, restore, write_state

Json = dict[str, Any]
Watch = Callable[[int, float | None, bool], None]  # step, best score, whether the state was saved


class TrainingRun(BaseCallback):
    """Keeps one run's folder while an on-policy SB3 model or a search for policies learns.

    Everything happens when a rollout (or a generation) is about to start, where the rollout buffer
    is empty and the environments stand still: a row of the curve for the update before, an
    evaluation if one is due, `best` if its score is the highest, and the training state last, with
    all of these in it.

    Args:
        recipe: What is trained.
        folder: The run's folder; it exists and is writable.
        threads: CPU threads, for the record.
        progress: Show a progress bar.
        pause_at: Stop with the first rollout that reaches so many steps; None: do not.
        watch: Told where the run is, when it begins to learn and after every row of the curve.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        threads: int,
        progress: bool,
        pause_at: int | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Hold the settings; `begin` touches the folder."""
        super().__init__()
        self.recipe = recipe
        self.folder = folder
        self.threads = threads
        self.progress = progress
        self.pause_at = math.inf if pause_at is None else pause_at
        self.watch = watch
        self.best: Json | None = None
        self.scores: Scores = {}
        self.stretches: list[Json] = []
        self._recorded = 0  # step of the last row
        self._paused = False
        self._bar: tqdm | None = None
        self._started = time.monotonic()

    def begin(self, model: Any, resume: bool) -> None:
        """Start the folder anew, or put the newest training state into the model.

        Args:
            model: The recipe's model, before `learn`.
            resume: Continue what the folder holds.

        Raises:
            ValueError: The folder holds a run and `resume` is False, or a run of another recipe.
        """
        self.model = model
        for name in ("best", "final", "recipe.json", "curve.csv", "times.csv"):
            recover_folder(self.folder / name)
        state = self._stored_state(resume)
        if state is None:
            write_text_atomic(self.folder / "recipe.json", self.recipe.to_json())
            shutil.rmtree(self.folder / "best", ignore_errors=True)
            if not (resume and (self.folder / "times.csv").exists()):
                write_text_atomic(self.folder / "times.csv", "step,seconds\n")
            self.curve = self._curve(model)
        else:
            arrays, record, text, best = state
            restore(model, arrays, record["counters"])
            self.best, self.scores = record["best"], record["scores"]
            self.stretches = record["stretches"]
            self._recorded = model.num_timesteps
            self.curve = self._curve(model, text)
            if best is None:
                shutil.rmtree(self.folder / "best", ignore_errors=True)
            else:
                with folder_atomic(self.folder / "best") as aside:
                    shutil.copytree(best, aside, dirs_exist_ok=True)
        self._add_stretch()

    def _curve(self, model: Any, text: str | None = None) -> Curve:
        """Return the curve's file, begun anew or as far as a text goes."""
        columns = tuple(extra_columns(model))
        return Curve(self.folder / "curve.csv", self.recipe.evaluate_on, text, extra=columns)

    def finish(self) -> None:
        """Record the last update if that is still to do, and write the final checkpoint."""
        if self._bar is not None:
            self._bar.close()
        if not self._paused:
            self._record(last=True)
            self._save("final", self.model.num_timesteps, self.scores)

    def _on_training_start(self) -> None:
        """Show the bar, and write when this process began to learn."""
        self._started = time.monotonic()
        self._log_time(self.model.num_timesteps, {})  # 0.000
        self._bar = tqdm(
            total=self.recipe.steps,
            initial=self.model.num_timesteps,
            unit="step",
            disable=not self.progress,
            dynamic_ncols=True,
        )
        self._tell(saved=False)

    def _on_rollout_start(self) -> None:
        """Record the update before this rollout; none has been made before the first."""
        if self.model.num_timesteps > self._recorded:
            self._record(last=False)
        bound = self.recipe.log_std_bound_at(self.model.num_timesteps)
        if bound is not None:
            cast(Any, self.model.policy).log_std.data.clamp_(max=bound)
        self._paused = self.model.num_timesteps >= self.pause_at

    def _on_step(self) -> bool:
        """Move the bar; False to stop, which SB3 asks for after a step: the state is saved."""
        if self._paused:
            return False
        if self._bar is not None:
            self._bar.update(self.model.num_timesteps - self._bar.n)
        return True

    def _record(self, *, last: bool) -> None:
        """Write the row of the last update, evaluate, save what is due."""
        step = self.model.num_timesteps
        if step == self._recorded:
            return
        before = self._recorded
        row = update_values(self.model)
        evaluated = last or _due(before, step, self.recipe.evaluate_every)
        if evaluated:
            self.scores = evaluate_bodies(self.model.policy, self.recipe, self.threads)
            row.update(evaluation_values(self.scores, self.recipe))
        self.curve.append(row)
        self._recorded = step
        if evaluated:
            self._keep_best(step)
        self._log_time(step, row)
        saved = last or step >= self.pause_at or _due(before, step, self.recipe.checkpoint_every)
        if saved:
            self._write_state()
        self._tell(saved)

    def _tell(self, saved: bool) -> None:
        """Tell the watcher, if there is one, where the run is."""
        if self.watch is not None:
            best = self.best["score"] if self.best else None
            self.watch(self.model.num_timesteps, best, saved)

    def _keep_best(self, step: int) -> None:
        """Save the policy as `best` if no score was higher."""
        value = score(self.scores, self.recipe)
        if self.best is None or value > self.best["score"]:
            self.best = {"step": step, "score": value, "scores": self.scores}
            self._save("best", step, self.scores)

    def _save(self, name: str, step: int, scores: Scores) -> None:
        """Write a zoo folder of the policy as it is now."""
        training: Json = {
            "step": step,
            "score": score(scores, self.recipe),
            "evaluations": scores,
            "best_step": self.best["step"] if self.best else None,
            "stretches": self._stretches(step),
        }
        zoo.save(
            self.model,
            self.folder / name,
            results={"training": training},
            recipe=self.recipe.to_dict(),
            curve=self.curve.path,
            overwrite=True,
        )

    def _write_state(self) -> None:
        """Write the training state; from here a killed run continues."""
        arrays, counters = capture(self.model)
        record = {
            "recipe": self.recipe.to_dict(),
            "counters": counters,
            "best": self.best,
            "scores": self.scores,
            "stretches": self._stretches(self.model.num_timesteps),
        }
        best = self.folder / "best"
        write_state(
            self.folder / "state", arrays, record, self.curve.text, best if self.best else None
        )

    def _stored_state(self, resume: bool) -> Any:
        """Return the newest state of the folder, checked against the recipe; None to begin."""
        if (self.folder / "recipe.json").exists() and not resume:
            raise ValueError(
                f"'{self.folder}' holds a run already: continue it with --resume, or give another "
                "--out"
            )
        return read_state(self.folder / "state") if holds_run(self.folder, self.recipe) else None

    def _add_stretch(self) -> None:
        """Note where and with what the steps from here on run."""
        self.stretches.append(
            {
                "from_step": self.model.num_timesteps,
                "device": self.recipe.device,
                "threads": self.threads,
                "platform": platform_signature(self.recipe.device),
                "versions": versions(),
            }
        )

    def _stretches(self, step: int) -> list[Json]:
        """Return the stretches up to a step, each with its last step, those of no step left out."""
        ends = [stretch["from_step"] for stretch in self.stretches[1:]] + [step]
        return [
            {**stretch, "to_step": end}
            for stretch, end in zip(self.stretches, ends, strict=True)
            if stretch["from_step"] < end
        ]

    def _log_time(self, step: int, row: dict[str, float | int]) -> None:
        """Append the seconds since this process began to learn, and show the return on the bar."""
        with open(self.folder / "times.csv", "a", encoding="utf-8") as file:
            file.write(f"{step},{time.monotonic() - self._started:.3f}\n")
        if self._bar is not None:
            mean, best = row.get("return_mean", math.nan), self.best
            shown = f"return {mean:.0f}" + (f", best score {best['score']:.0f}" if best else "")
            self._bar.set_postfix_str(shown, refresh=False)


def holds_run(folder: Path, recipe: Recipe) -> bool:
    """Return whether a folder holds a run that was begun with this recipe.

    Args:
        folder: Folder of a run, or of one to come.
        recipe: What is, or is to be, trained there.

    Raises:
        ValueError: The folder holds a run of another recipe, or a baseline.
    """
    path = folder / "recipe.json"
    if (folder / "baseline.json").exists():
        raise ValueError(f"'{folder}' holds a baseline's training: give another --out")
    if not path.exists():
        return False
    stored = _binding(read_recipe(path))  # older files lack younger keys: their defaults count
    differing = [
        f"{key}: {stored[key]!r} there, {value!r} asked for"
        for key, value in _binding(recipe).items()
        if stored[key] != value
    ]
    if differing:
        raise ValueError(
            f"'{folder}' holds a run of another recipe ({'; '.join(differing)}). Continue it with "
            "its own recipe, or give another --out"
        )
    return True


def _binding(recipe: Recipe) -> Json:
    """Return the settings of a recipe that its continuation must have too."""
    values = {k: v for k, v in recipe.to_dict().items() if k not in FREE_ON_RESUME}
    kwargs = values["algorithm_kwargs"].items()
    return {**values, "algorithm_kwargs": {k: v for k, v in kwargs if k not in FREE_KEYWORDS}}


def _due(before: int, step: int, every: int) -> bool:
    """Return whether a multiple of `every` lies in (before, step]; never for every = 0."""
    return every > 0 and step // every > before // every
