"""What a model is made of as named arrays: optimizers, and critics and buffers of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.save_util import recursive_getattr

from morphzoo.envs.generators import generator_from_words, generator_words

Arrays = dict[str, np.ndarray]


def part_of(arrays: Arrays, name: str) -> Arrays:
    """Return the arrays under `name/`, without that prefix."""
    prefix = f"{name}/"
    return {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}


def array_of(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's values as a numpy array of its own."""
    return tensor.detach().cpu().numpy().copy()


def _others(model: Any) -> dict[str, Any]:
    """Return what a model saves by its state dict besides the policy and its optimizer."""
    names, _ = model._get_torch_save_params()
    parts = {name: recursive_getattr(model, name) for name in names if name != "policy"}
    own = getattr(model.policy, "optimizer", None)
    return {name: part for name, part in parts.items() if part is not own}


def observation_arrays(observation: np.ndarray | Mapping[str, np.ndarray]) -> Arrays:
    """Return an observation as arrays by name; a Dict's entries as `last_obs/<key>`."""
    if isinstance(observation, Mapping):
        return {f"last_obs/{key}": np.asarray(value) for key, value in observation.items()}
    return {"last_obs": np.asarray(observation)}


def observation_of(arrays: Arrays) -> Any:
    """Return the observation that `observation_arrays` wrote."""
    if "last_obs" in arrays:
        return arrays["last_obs"].copy()
    return {key: value.copy() for key, value in part_of(arrays, "last_obs").items()}


def replay_arrays(model: Any) -> Arrays:
    """Return a model's replay buffer, and the generator of its first, random actions."""
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return {}
    words = generator_words(model.action_space.np_random)
    return {f"replay/{name}": array for name, array in buffer.get_state().items()} | {
        "action_space": words
    }


def restore_replay(model: Any, arrays: Arrays) -> None:
    """Load what `replay_arrays` returned.

    Raises:
        ValueError: if the buffer is of another size or kind.
    """
    if "action_space" in arrays:
        model.replay_buffer.set_state(part_of(arrays, "replay"))
        model.action_space._np_random = generator_from_words(arrays["action_space"])


def others_bytes(model: Any) -> int:
    """Return how much `others_state` takes once everything is full (bytes)."""
    total = 0
    for part in _others(model).values():
        if isinstance(part, torch.optim.Optimizer):  # of Adam, which has two moments
            tensors = [p for group in part.param_groups for p in group["params"] for _ in range(2)]
        elif hasattr(part, "nbytes"):
            total += part.nbytes
            continue
        else:
            tensors = list(part.state_dict().values())
        total += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return total


def others_state(model: Any) -> tuple[Arrays, dict[str, list[dict[str, Any]]]]:
    """Return the tensors of `_others` by `<name>/<key>`, and optimizers' groups by name."""
    arrays: Arrays = {}
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, part in _others(model).items():
        if isinstance(part, torch.optim.Optimizer):
            own, groups[name] = optimizer_state(part)
        else:
            own = {key: array_of(value) for key, value in part.state_dict().items()}
        arrays |= {f"{name}/{key}": array for key, array in own.items()}
    return arrays, groups


def restore_others(model: Any, arrays: Arrays, groups: dict[str, list[dict[str, Any]]]) -> None:
    """Load what `others_state` returned."""
    for name, part in _others(model).items():
        own = part_of(arrays, name)
        if isinstance(part, torch.optim.Optimizer):
            restore_optimizer(part, own, groups[name])
        else:
            state = {key: torch.from_numpy(array.copy()) for key, array in own.items()}
            part.load_state_dict(state, strict=True)


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[Arrays, list[dict[str, Any]]]:
    """Return an optimizer's tensors by `<parameter>/<name>` and its groups as JSON values."""
    state = optimizer.state_dict()
    arrays = {
        f"{index}/{name}": array_of(torch.as_tensor(value))
        for index, values in state["state"].items()
        for name, value in values.items()
    }
    groups = json.loads(json.dumps(state["param_groups"]))
    return arrays, groups


def restore_optimizer(
    optimizer: torch.optim.Optimizer, arrays: Arrays, groups: list[dict[str, Any]]
) -> None:
    """Load what `optimizer_state` returned; every extra key of a group comes back too."""
    fresh = optimizer.state_dict()["param_groups"]
    if [sorted(group) for group in fresh] != [sorted(group) for group in groups]:
        raise ValueError("the training state's optimizer has other groups or keys")
    groups = [
        {key: tuple(group[key]) if isinstance(new[key], tuple) else group[key] for key in new}
        for group, new in zip(groups, fresh, strict=True)
    ]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, array in arrays.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = torch.from_numpy(array.copy())
    optimizer.load_state_dict({"state": state, "param_groups": groups})
