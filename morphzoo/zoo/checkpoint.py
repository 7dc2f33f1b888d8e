"""Checkpoints: folders of plain JSON and safetensors that run on any body of their node types."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.utils import get_device

from morphzoo.files import PathLike
from morphzoo.policies import POLICIES
from morphzoo.policies.transferring import transfer
from morphzoo.spaces import graph_of
from morphzoo.zoo.address import address_in
from morphzoo.zoo.catalogue import locate
from morphzoo.zoo.folder import CARD, CARD_LIMIT, LIMITS, pack_folder, read_folder, write_folder
from morphzoo.zoo.media import read_media
from morphzoo.zoo.metadata import license_in
from morphzoo.zoo.records import CURVE, CURVE_LIMIT, RECIPE, RESULTS, read_record
from morphzoo.zoo.schema import read_config_of
from morphzoo.zoo.source import describe
from morphzoo.zoo.untrusted import CheckpointError, read_bytes, shown
from morphzoo.zoo.weights import WEIGHTS, pack

_log = logging.getLogger("morphzoo.zoo")
_NEVER_READ = ".bin .ckpt .joblib .npy .npz .pkl .pickle .pt .pth .py .zip".split()


def save(
    model_or_policy: Any,
    folder: PathLike,
    *,
    env_id: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    seed: int | None = None,
    steps: int | None = None,
    results: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    curve: PathLike | None = None,
    command: str | None = None,
    license: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Save a policy as a checkpoint folder: config.json, model.safetensors, README.md; no pickle.

    The folder appears whole or not at all, and one that it replaces stays whole until then. What
    `load` would refuse is refused here, before anything is written.

    Args:
        model_or_policy: A Stable-Baselines3 model whose policy is one of
            `morphzoo.policies.POLICIES`, or such a policy.
        folder: Where to save; its name is the checkpoint's name. Parents are made.
        env_id: Id of the environment trained on; by default that of the recipe or the model.
        env_kwargs: Its keywords; by default likewise.
        seed: Seed of the training; by default that of the recipe or the model.
        steps: Environment steps trained for; by default those of the model.
        results: Scores, as `zoo_scripts/evaluate_transfer.py --json` writes them.
        recipe: The settings of the training, as `zoo_scripts/train.py` uses them.
        curve: CSV file of the training curve; it is copied.
        command: The command line that trained it, for the card.
        license: Licence of the weights, for the card: an identifier of the Hub's, such as mit.
        overwrite: Replace a checkpoint that is already there.

    Returns:
        The folder's absolute path.

    Raises:
        ValueError: The policy, an id, the results or the recipe is not of a kind that `load`
            takes; or the folder holds files that no `save` wrote.
        FileExistsError: The folder holds a checkpoint and `overwrite` is False.
        OSError: The folder cannot be written, or the disk is full; nothing has changed.
    """
    folder = Path(folder).expanduser().resolve()
    given = {"env_id": env_id, "env_kwargs": env_kwargs, "seed": seed, "steps": steps}
    policy, config = describe(model_or_policy, recipe, given, command)
    data = None if curve is None else Path(curve).read_bytes()
    files = pack_folder(
        folder.name, config, pack(policy.state_dict()), results, recipe, data, license=license
    )
    return write_folder(folder, files, overwrite=overwrite)


def load(name_or_folder: PathLike, env: Any, device: str | torch.device = "cpu") -> Any:
    """Load a checkpoint onto a body, the one it was trained on or another.

    Everything is checked before anything is built, and no code of the folder is ever run: other
    files in it, such as pickles, are not opened. Tensors that fit the training body alone (a flat
    value head's) keep their first values; they are listed in `policy.transfer_dropped` and logged.

    Args:
        name_or_folder: A name of `bundled()`, a checkpoint's folder, or user/repo[@revision] on a
            hub, in this order; see `catalogue.locate`, and `pull` for what a hub is asked.
        env: The body: a Gymnasium environment or vector environment, a Stable-Baselines3 vector
            environment, or a pair `(observation_space, action_space)`.
        device: Device of the policy; "auto" takes a GPU where there is one.

    Returns:
        A Stable-Baselines3 policy in evaluation mode; `policy.predict(observation)` acts.

    Raises:
        CheckpointError: The checkpoint is not sound, or does not fit the body; a ValueError.
        TypeError: `env` is none of these.
        ValueError: The body has no graph, or there is no such device.
    """
    observation_space, action_space = spaces_of(env)
    graph_of(observation_space)  # a space without a graph is not the checkpoint's fault
    target = _device(device)
    folder = locate(name_or_folder)
    config, state = read_folder(folder)
    for name in (RESULTS, RECIPE):
        read_record(folder, name)
    _say_what_is_ignored(folder)
    policy: Any
    try:
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
            policy, dropped = transfer(
                POLICIES[config["policy"]],
                state,
                config["policy_schema"],
                config["policy_kwargs"],
                observation_space,
                action_space,
            )
    except (ValueError, TypeError, KeyError, IndexError, RuntimeError) as error:
        why = f"it has no tensor {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{folder} cannot be put on this body: {why}") from error
    _check_dtypes(policy, state, folder)
    policy.transfer_dropped = tuple(dropped)
    if dropped:
        _log.warning(
            "%s: left at first values, since they fit the training body only: %s. Actions are not "
            "affected; train before you use these.",
            folder.name,
            ", ".join(sorted({name.split(".")[0] for name in dropped})),
        )
    return policy.to(target)


def annotate(
    name_or_folder: PathLike,
    *,
    results: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    curve: PathLike | None = None,
    media: Mapping[str, PathLike] | None = None,
    license: str | None = None,
    into: PathLike | None = None,
    overwrite: bool = False,
) -> Path:
    """Add results, recipe, curve or media to a finished checkpoint and write its card anew.

    Args:
        name_or_folder: The checkpoint.
        results: Scores that replace those in it; a training's account in it, and that of what
            the clips show, are kept.
        recipe: The settings of the training.
        curve: CSV file of the training curve.
        media: Pictures and clips to add: a name in `media.MEDIA` -> a file. Those in it are kept.
        license: Licence of the weights; by default the one that its card names already.
        into: Another folder to write the result to; by default the checkpoint's own.
        overwrite: Replace a checkpoint in `into`.

    Returns:
        The folder's absolute path.

    Raises:
        CheckpointError: The checkpoint is not sound.
        ValueError, FileExistsError, OSError: As `save`.
    """
    source = locate(name_or_folder).resolve()
    if into is None and not Path(name_or_folder).is_dir() and address_in(name_or_folder):
        raise ValueError(
            f"{name_or_folder} is what a hub has, which is not changed here: give into=, a folder"
        )
    folder = source if into is None else Path(into).expanduser().resolve()
    old = read_record(source, RESULTS)
    if results is not None and old is not None:
        results = {**old, **results}
    if curve is not None:
        data = Path(curve).read_bytes()
    else:
        has_curve = os.path.lexists(source / CURVE)
        data = read_bytes(source, CURVE, CURVE_LIMIT) if has_curve else None
    config, state = read_folder(source)
    files = pack_folder(
        folder.name,
        config,
        pack(state),
        old if results is None else results,
        read_record(source, RECIPE) if recipe is None else recipe,
        data,
        media=read_media(source) | {n: Path(p).read_bytes() for n, p in (media or {}).items()},
        license=license or _license_of(source),
    )
    return write_folder(folder, files, overwrite=overwrite or folder == source)


def read_config(name_or_folder: PathLike) -> dict[str, Any]:
    """Read a checkpoint's configuration: policy, keywords, body, score, versions.

    Args:
        name_or_folder: As for `load`.

    Returns:
        The contents of config.json, checked.

    Raises:
        CheckpointError: There is no such checkpoint, or its configuration is not sound.
    """
    return read_config_of(locate(name_or_folder))


def read_results(name_or_folder: PathLike) -> dict[str, Any] | None:
    """Read a checkpoint's results, for `morphzoo.results.tables_of`.

    Args:
        name_or_folder: As for `load`.

    Returns:
        The contents of results.json, checked; None where it has none.

    Raises:
        CheckpointError: There is no such checkpoint, or its results are not sound.
    """
    return read_record(locate(name_or_folder), RESULTS)


def spaces_of(env: Any) -> tuple[spaces.Space, spaces.Space]:
    """Return the spaces of one body, whatever kind of environment it comes as.

    Args:
        env: As for `load`.

    Returns:
        Observation and action space of a single robot.

    Raises:
        TypeError: It has none.
    """
    if isinstance(env, tuple) and len(env) == 2:
        observed, action = env
    else:
        prefix = "single_" if hasattr(env, "single_observation_space") else ""
        observed = getattr(env, f"{prefix}observation_space", None)
        action = getattr(env, f"{prefix}action_space", None)
    if not isinstance(observed, spaces.Space) or not isinstance(action, spaces.Space):
        raise TypeError(
            f"expected an environment, or a pair (observation_space, action_space), found "
            f"{type(env).__name__}: give gymnasium.make('morphzoo/Centipede-8-v0')"
        )
    return observed, action


def _license_of(folder: Path) -> str | None:
    """Return the licence that a checkpoint's card names."""
    if not os.path.lexists(folder / CARD):
        return None
    return license_in(read_bytes(folder, CARD, CARD_LIMIT).decode("utf-8", "replace"))


def _device(device: str | torch.device) -> torch.device:
    """Return the device, or say before any work that there is none of it."""
    try:
        target = get_device(device)
        wanted = target if device == "auto" else torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device: expected 'cpu', 'cuda' or 'auto', found {device!r}") from error
    if wanted.type != target.type:
        raise ValueError(f"device: {device!r} is not available here; give 'cpu' or 'auto'")
    return target


def _check_dtypes(policy: Any, state: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Refuse weights that were converted, and maybe rounded, on their way into the policy."""
    own = policy.state_dict()
    for name, tensor in state.items():
        if name in own and own[name].dtype != tensor.dtype:
            raise CheckpointError(
                f"{folder / WEIGHTS}: expected {shown(name)} of {own[name].dtype}; found "
                f"{tensor.dtype}. Save the policy anew with morphzoo.zoo.save."
            )


def _say_what_is_ignored(folder: Path) -> None:
    """Log which files of the folder look like code or pickles; they are never opened."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name not in LIMITS)
    if found := [shown(name) for name in names if Path(name).suffix.lower() in _NEVER_READ]:
        listed = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        _log.warning("%s: ignored, never opened: %s", folder, listed)
