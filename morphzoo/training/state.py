"""Training state: all that the next step depends on, as arrays and plain JSON, never pickle."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from morphzoo.files import folder_atomic, recover_folder, write_text_atomic
from morphzoo.training.parts import (
    Arrays,
    array_of,
    observation_arrays,
    observation_of,
    optimizer_state,
    others_state,
    part_of,
    replay_arrays,
    restore_optimizer,
    restore_others,
    restore_replay,
)

FORMAT = 1
_DIGITS = 12
_PLAIN = (bool, int, float)


def capture(model: Any) -> tuple[Arrays, dict[str, Any]]:
    """Read the state of a model between two rollouts.

    Between rollouts a rollout buffer holds nothing that is still needed, so it is left out. A
    replay buffer, and what else a model saves by its state dict (a critic, its optimizer, a buffer
    of policies), is in it.

    Args:
        model: The model; its environment has `get_state() -> dict[str, np.ndarray]`.

    Returns:
        Named arrays (policy with its normaliser, optimizer, environments, last observations,
        episode statistics, generators), and plain JSON values (counters, optimizer groups).
    """
    own = getattr(model.policy, "optimizer", None)
    optimizer, groups = ({}, []) if own is None else optimizer_state(own)
    arrays = {
        **{f"policy/{name}": array_of(value) for name, value in model.policy.state_dict().items()},
        **{f"optimizer/{name}": array for name, array in optimizer.items()},
        **{f"env/{name}": np.asarray(value) for name, value in model.env.get_state().items()},
        **{f"generators/{name}": array for name, array in generators().items()},
        **observation_arrays(model._last_obs),
        **replay_arrays(model),
        "last_episode_starts": np.asarray(model._last_episode_starts),
        "success": np.asarray(list(model.ep_success_buffer), dtype=np.float64),
    }
    others, other_groups = others_state(model)
    arrays |= {f"others/{name}": array for name, array in others.items()}
    for key in ("r", "l", "t"):
        values = [info[key] for info in model.ep_info_buffer]
        arrays[f"episodes/{key}"] = np.asarray(values, dtype=np.float64)
    counters = {
        "num_timesteps": int(model.num_timesteps),
        "n_updates": int(model._n_updates),
        "episode_num": int(model._episode_num),
        "progress_remaining": float(model._current_progress_remaining),
        "optimizer_groups": groups,
        "policy_attributes": _plain_attributes(model.policy),
        "other_groups": other_groups,
        "attributes": {name: getattr(model, name) for name in _attributes(model)},
    }
    return arrays, counters


def restore(model: Any, arrays: Arrays, counters: dict[str, Any]) -> None:
    """Put a captured state into a freshly made model of the same recipe.

    The generators come last, since everything before may draw from them.

    Args:
        model: A model that has not learned yet; its environment has `set_state`.
        arrays: As returned by `capture`.
        counters: As returned by `capture`.

    Raises:
        ValueError: The state belongs to another policy, optimizer or environment.
    """
    try:
        policy = {
            name: torch.from_numpy(array) for name, array in part_of(arrays, "policy").items()
        }
        model.policy.load_state_dict(policy, strict=True)
        if counters["optimizer_groups"]:
            restore_optimizer(
                model.policy.optimizer, part_of(arrays, "optimizer"), counters["optimizer_groups"]
            )
        _set_plain_attributes(model.policy, counters["policy_attributes"])
        restore_others(model, part_of(arrays, "others"), counters.get("other_groups", {}))
        restore_replay(model, arrays)
        model.env.set_state(part_of(arrays, "env"))
    except (RuntimeError, KeyError) as error:
        raise ValueError(f"the training state does not fit this recipe: {error}") from error
    model._last_obs = observation_of(arrays)
    model._last_episode_starts = arrays["last_episode_starts"].copy()
    window = model._stats_window_size
    episodes = zip(*(arrays[f"episodes/{key}"] for key in ("r", "l", "t")), strict=True)
    model.ep_info_buffer = deque(
        ({"r": float(r), "l": int(length), "t": float(t)} for r, length, t in episodes),
        maxlen=window,
    )
    model.ep_success_buffer = deque(map(bool, arrays["success"]), maxlen=window)
    for name in _attributes(model):
        setattr(model, name, counters["attributes"].get(name, getattr(model, name)))
    model.num_timesteps = counters["num_timesteps"]
    model._n_updates = counters["n_updates"]
    model._episode_num = counters["episode_num"]
    model._current_progress_remaining = counters["progress_remaining"]
    set_generators(part_of(arrays, "generators"))


def generators() -> Arrays:
    """Return the state of every global generator: torch (CPU, CUDA if used), numpy, Python.

    SB3 shuffles minibatches with numpy's and samples actions with torch's.
    """
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    version, words, cached = random.getstate()
    arrays = {
        "torch": torch.get_rng_state().numpy().copy(),
        "numpy_keys": np.asarray(keys, dtype=np.int64),
        "numpy_position": np.asarray([position, has_gauss], dtype=np.int64),
        "numpy_gauss": np.asarray([gauss], dtype=np.float64),
        "python_words": np.asarray([version, *words], dtype=np.int64),
        "python_gauss": np.asarray([] if cached is None else [cached], dtype=np.float64),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        for index, state in enumerate(torch.cuda.get_rng_state_all()):
            arrays[f"cuda{index}"] = state.numpy().copy()
    return arrays


def set_generators(arrays: Arrays) -> None:
    """Set every global generator as `generators` returned them.

    CUDA generators that this machine lacks, or that the state lacks, are left alone: such a
    continuation runs on another device, where bit-equality is not to be had anyway.
    """
    torch.set_rng_state(torch.from_numpy(arrays["torch"].copy()))
    position, has_gauss = (int(value) for value in arrays["numpy_position"])
    keys = arrays["numpy_keys"].astype(np.uint32)
    gauss = float(arrays["numpy_gauss"][0])
    np.random.set_state(("MT19937", keys, position, has_gauss, gauss))
    version, *words = (int(word) for word in arrays["python_words"])
    cached = [float(value) for value in arrays["python_gauss"]]
    random.setstate((version, tuple(words), cached[0] if cached else None))
    for index in range(torch.cuda.device_count()):
        if f"cuda{index}" in arrays:
            torch.cuda.set_rng_state(torch.from_numpy(arrays[f"cuda{index}"].copy()), index)


@contextlib.contextmanager
def seeded_generators(seed: int) -> Iterator[None]:
    """Seed every global generator inside the block and put it back afterwards.

    Args:
        seed: Seed (0..2**32-1).
    """
    before = generators()
    try:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        yield
    finally:
        set_generators(before)


def write_state(
    folder: Path, arrays: Arrays, record: dict[str, Any], curve: str, best: Path | None
) -> None:
    """Write a training state as `folder/<step>`, whole, then delete the ones before it.

    Args:
        folder: Folder of the states.
        arrays: As returned by `capture`.
        record: Plain JSON values; `record["counters"]` as returned by `capture`.
        curve: The curve's text up to this step.
        best: The zoo folder of the best checkpoint so far.

    Raises:
        OSError: The disk is full or the folder not writable; the state before is still there.
    """
    step = record["counters"]["num_timesteps"]
    path = folder / f"{step:0{_DIGITS}d}"
    with folder_atomic(path) as aside:
        contiguous = {name: np.array(array, order="C") for name, array in arrays.items()}
        save_file(contiguous, aside / "state.safetensors")
        text = json.dumps({"format": FORMAT, **record}, indent=1)
        write_text_atomic(aside / "state.json", text)
        write_text_atomic(aside / "curve.csv", curve)
        if best is not None:
            shutil.copytree(best, aside / "best")
    for old in complete_states(folder):
        if old != path:
            shutil.rmtree(old, ignore_errors=True)


def read_state(folder: Path) -> tuple[Arrays, dict[str, Any], str, Path | None] | None:
    """Read the newest complete training state; what a kill left unfinished is deleted.

    Args:
        folder: Folder of the states.

    Returns:
        What `write_state` was given, or None if there is no state.

    Raises:
        ValueError: A file of the state is missing or damaged.
    """
    if not folder.is_dir():
        return None
    for name in {entry.name.rpartition("-")[2] for entry in folder.iterdir()}:
        recover_folder(folder / name)
    states = complete_states(folder)
    if not states:
        return None
    path = states[-1]
    try:
        record = json.loads((path / "state.json").read_text(encoding="utf-8"))
        arrays = load_file(path / "state.safetensors")
        curve = (path / "curve.csv").read_bytes().decode("utf-8")
    except Exception as error:  # safetensors raises its own, undocumented kinds
        raise ValueError(
            f"the training state '{path}' is damaged ({error}); start again in another folder"
        ) from error
    if record.get("format") != FORMAT:
        raise ValueError(
            f"the training state '{path}' has format {record.get('format')}, expected {FORMAT}; "
            "continue it with the version of morphzoo that wrote it"
        )
    best = path / "best"
    return arrays, record, curve, best if best.is_dir() else None


def complete_states(folder: Path) -> list[Path]:
    """Return the complete states of a folder, oldest first; each is named by its step."""
    named = (entry for entry in folder.iterdir() if entry.name.isdigit() and entry.is_dir())
    return sorted(entry for entry in named if len(entry.name) == _DIGITS)


def _plain_attributes(policy: torch.nn.Module) -> dict[str, dict[str, bool | int | float]]:
    """Return the flags and numbers that a policy's modules keep outside their state dict."""
    return {
        path: {name: value for name, value in vars(module).items() if type(value) in _PLAIN}
        for path, module in policy.named_modules()
    }


def _set_plain_attributes(policy: torch.nn.Module, attributes: dict[str, dict[str, Any]]) -> None:
    """Set what `_plain_attributes` returned; KeyError if the policy has other modules."""
    modules = dict(policy.named_modules())
    if modules.keys() != attributes.keys():
        raise KeyError(f"modules {sorted(modules.keys() ^ attributes.keys())}")
    for path, values in attributes.items():
        vars(modules[path]).update(values)


def _attributes(model: Any) -> tuple[str, ...]:
    """Return the names of plain numbers that a model must go on with, besides SB3's counters."""
    return getattr(model, "state_attributes", ())
