"""train(): from a recipe to a zoo folder, on SB3's unchanged algorithms, continued after a kill."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import torch
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

from morphzoo.algorithms import ALGORITHMS
from morphzoo.curve import check_bodies
from morphzoo.files import check_writable
from morphzoo.recipe import Recipe, did_you_mean
from morphzoo.training_run import TrainingRun

_MARGIN = 20_000_000  # bytes kept free for curve, cards and logs
_COPIES = 12  # weights, Adam's two moments, in two states, `best` in each, `best` and `final`

# Keywords of the algorithms that the recipe says elsewhere, or that are not plain values.
_TAKEN = {
    "self",
    "policy",
    "env",
    "seed",
    "device",
    "policy_kwargs",
    "tensorboard_log",
    "verbose",
    "monitor_wrapper",
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    "use_sde",
    "sde_sample_freq",
    "_init_setup_model",
}


def train(
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: bool = True,
    threads: int = 1,
    tensorboard: bool = False,
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

    Returns:
        The folder of the final checkpoint.

    Raises:
        ValueError: A body, policy or keyword does not fit; or `out` holds another run.
        OSError: `out` is not writable, or the disk has too little room.
        ImportError: `tensorboard` is asked for and not installed.
    """
    with _threads(threads):
        model = build_model(recipe, threads)
        try:
            check_bodies(model.policy, recipe)
            weights = sum(t.numel() * t.element_size() for t in model.policy.state_dict().values())
            folder = check_writable(out, _COPIES * weights + _MARGIN)
            with _one_process(folder):
                run = TrainingRun(recipe, folder, threads=threads, progress=progress)
                run.begin(model, resume)
                model.set_logger(Logger(None, _writers(folder, tensorboard)))
                remaining = recipe.steps - model.num_timesteps
                if remaining > 0:
                    model.learn(remaining, callback=run, reset_num_timesteps=False)
                run.finish()
        finally:
            model.env.close()
    return folder / "final"


def build_model(recipe: Recipe, threads: int = 1) -> Any:
    """Make the recipe's environments, policy and algorithm, all seeded.

    Args:
        recipe: What to train.
        threads: CPU threads of the simulation.

    Returns:
        An SB3 on-policy model that has not learned yet.

    Raises:
        ValueError: A name is unknown; a keyword, body, policy and algorithm do not fit each other;
            or the device is missing.
    """
    algorithm = ALGORITHMS[recipe.algorithm]
    _check_algorithm(recipe, algorithm)
    _check_device(recipe.device)
    policy_class = _policy_class(recipe)
    env = _make_env(recipe, threads)
    kwargs = dict(recipe.algorithm_kwargs)
    kwargs["learning_rate"] = _schedule(float(kwargs["learning_rate"]), recipe.schedule)
    try:
        return algorithm(
            policy_class,
            env,
            policy_kwargs=dict(recipe.policy_kwargs),
            seed=recipe.seed,
            device=recipe.device,
            **kwargs,
        )
    except (ValueError, TypeError, AssertionError) as error:
        env.close()
        raise ValueError(
            f"policy '{recipe.policy}' with {recipe.policy_kwargs or 'its defaults'} does not fit "
            f"'{recipe.env}' and '{recipe.algorithm}': {error}"
        ) from error


def _schedule(rate: float, kind: str) -> Callable[[float], float]:
    """Return SB3's kind of schedule: remaining progress (1 to 0) to learning rate.

    The last rollout may end beyond the recipe's steps, where SB3's progress is below 0.
    """
    if kind == "constant":
        return lambda remaining: rate
    return lambda remaining: rate * max(remaining, 0.0)


def _check_algorithm(recipe: Recipe, algorithm: type) -> None:
    """Raise ValueError where a keyword is unknown or the algorithm cannot be continued."""
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    if not issubclass(algorithm, OnPolicyAlgorithm):
        raise ValueError(
            f"algorithm '{recipe.algorithm}' cannot be trained from a recipe: the policies are "
            "actor-critics for on-policy algorithms, and a replay buffer is not saved. Use 'ppo'"
        )
    known = [name for name in inspect.signature(algorithm).parameters if name not in _TAKEN]
    for name in recipe.algorithm_kwargs:
        if name not in known:
            raise ValueError(
                f"algorithm '{recipe.algorithm}' has no keyword '{name}' that a recipe can set."
                f"{did_you_mean(name, known)}"
            )


def _check_device(device: str) -> None:
    """Raise ValueError if the device's name is unknown or the machine lacks it."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device '{device}' cannot be used here ({reason}); use 'cpu' or another --device"
        ) from error


def _policy_class(recipe: Recipe) -> Any:
    """Return the recipe's policy class."""
    from morphzoo.policies import POLICIES

    if recipe.policy not in POLICIES:
        raise ValueError(
            f"unknown policy '{recipe.policy}'.{did_you_mean(recipe.policy, POLICIES)}"
        )
    return POLICIES[recipe.policy]


def _make_env(recipe: Recipe, threads: int) -> Any:
    """Return the recipe's batched environment."""
    from morphzoo.sb3 import make_vec_env

    try:
        return make_vec_env(
            recipe.env, recipe.n_envs, recipe.seed, num_threads=threads, **recipe.env_kwargs
        )
    except (gymnasium.error.Error, TypeError, ValueError) as error:
        known = [name for name in gymnasium.registry if name.startswith("morphzoo/")]
        hint = "" if recipe.env in known else did_you_mean(recipe.env, known)
        raise ValueError(
            f"cannot make '{recipe.env}' with {recipe.env_kwargs or 'its defaults'}: {error}{hint}"
        ) from error


@contextlib.contextmanager
def _threads(threads: int) -> Iterator[None]:
    """Let torch use so many threads inside the block."""
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, found {threads}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _one_process(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with open(folder / ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
