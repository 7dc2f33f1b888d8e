"""What a model is made of as named arrays: optimizers, and critics and buffers of its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

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
    parts = {name: getattr(model, name) for name in names if "." not in name and name != "policy"}
    own = model.policy.optimizer
    return {name: part for name, part in parts.items() if part is not own}


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
