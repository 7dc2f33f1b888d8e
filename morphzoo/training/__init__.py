"""Training: from a recipe to a zoo folder, on SB3's unchanged algorithms; survives a kill."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

from morphzoo.actors import torch_threads
from morphzoo.files import PathLike, check_writable, locked
from morphzoo.recipe import Recipe
from morphzoo.training.curve import check_bodies
from morphzoo.training.model import build_model
from morphzoo.training.parts import others_bytes
from morphzoo.training.run import TrainingRun, Watch

__all__ = ["build_model", "train"]

_MARGIN = 20_000_000  # bytes kept free for curve, cards and logs
_COPIES = 12  # weights, Adam's two moments, in two states, `best` in each, `best` and `final`
_STATES = 2  # at once, each with the replay buffer and with what else a model has


def train(
    recipe: Recipe,
    out: PathLike,
    *,
    resume: bool = False,
    progress: bool = True,
    threads: int = 1,
    tensorboard: bool = False,
    pause_at: int | None = None,
    watch: Watch | None = None,
) -> Path:
    """Train a policy and write `<out>/final` and `<out>/best`, two zoo folders.

    `<out>` also holds `recipe.json`, `curve.csv`, `times.csv` (seconds, apart from the curve, which
    is reproducible) and `state/`, the newest training state. After a kill at any moment,
    `resume=True` ends with the weights and the curve that the uninterrupted run would have given,
    bit for bit on the CPU with one thread. `best` is the checkpoint with the highest score; see
    `Recipe.score_weights`.

    Args:
        recipe: What to train.
        out: Folder of the run.
        resume: Continue the run in `out`; one that had not yet saved a state begins again.
        progress: Show a progress bar.
        threads: CPU threads of torch and of the simulation.
        tensorboard: Also log to `<out>/tensorboard`; needs the extra `train`.
        pause_at: Save the training state after so many steps, rounded up to whole rollouts, and
            stop there, to be continued with `resume`; None trains to the end.
        watch: Called with the step, the best score so far (None before the first evaluation) and
            whether the training state has just been saved: when learning begins, and after every
            row of the curve. An exception from it ends the training.

    Returns:
        The folder of the final checkpoint; after a pause it does not exist yet.

    Raises:
        ValueError: A body, policy or keyword does not fit; or `out` holds another run.
        OSError: `out` is not writable, or the disk has too little room.
        ImportError: `tensorboard` is asked for and not installed.
    """
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, found {threads}")
    with torch_threads(threads):
        model = build_model(recipe, threads)
        try:
            check_bodies(model.policy, recipe)
            folder = check_writable(out, needed_bytes(model))
            with one_process(folder):
                run = TrainingRun(
                    recipe,
                    folder,
                    threads=threads,
                    progress=progress,
                    pause_at=pause_at,
                    watch=watch,
                )
                run.begin(model, resume)
                model.set_logger(Logger(None, _writers(folder, tensorboard)))
                remaining = recipe.steps - model.num_timesteps
                if remaining > 0:
                    model.learn(remaining, callback=run, reset_num_timesteps=False)
                run.finish()
        finally:
            model.env.close()
    return folder / "final"


def needed_bytes(model: Any) -> int:
    """Return the room on disk that the folder of a model's run will take at most (bytes)."""
    weights = sum(t.numel() * t.element_size() for t in model.policy.state_dict().values())
    buffer = getattr(model, "replay_buffer", None)
    kept = others_bytes(model) + (0 if buffer is None else buffer.nbytes)
    return _COPIES * weights + _STATES * kept + _MARGIN


@contextlib.contextmanager
def one_process(folder: Path) -> Iterator[None]:
    """Hold the folder of a training, or say that another process does.

    Args:
        folder: A folder that exists.

    Raises:
        ValueError: Another process holds it.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, wait=False))
        except BlockingIOError as error:
            raise ValueError(
                f"another process is training in '{folder}'. Wait for it or give another --out"
            ) from error
        yield


def _writers(folder: Path, tensorboard: bool) -> list[Any]:
    """Return SB3's log writers."""
    if not tensorboard:
        return []
    try:
        return [TensorBoardOutputFormat(str(folder / "tensorboard"))]
    except AssertionError as error:
        raise ImportError(
            "TensorBoard is not installed: pip install 'morphzoo[train]', or train without it"
        ) from error
