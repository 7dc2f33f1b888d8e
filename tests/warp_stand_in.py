"""Stands in for warp and mujoco-warp: MuJoCo computes, the state is kept as float32 as there.

With it, everything around mujoco-warp can be tested in a second and without it.
"""

from __future__ import annotations

import contextlib
import enum
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import torch


class Array(np.ndarray):
    """Knows how many bytes it takes by the name that warp's arrays have for it."""

    @property
    def capacity(self) -> int:
        return self.nbytes


def zeros(*shape: int, dtype: Any = np.float32) -> Array:
    return np.zeros(shape, dtype).view(Array)


@dataclass
class Constraints:
    J: Array


@dataclass
class Data:
    qpos: Array
    qvel: Array
    act: Array
    ctrl: Array
    qacc_warmstart: Array
    overflow: Array
    efc: Constraints
    nworld: int


class OverflowType(enum.IntFlag):
    NEFC = 1
    NARROWPHASE = 8
    ITERATIONS = 512
    LS_ITERATIONS = 1024
    ALL = 1 | 8 | 512 | 1024


class MujocoWarp:
    """Attributes: steps, how many have been taken; broken, step -> worlds that come out as NaN."""

    OverflowType = OverflowType

    def __init__(self) -> None:
        self.steps = 0
        self.broken: dict[int, list[int]] = {}

    def put_model(self, model: mujoco.MjModel) -> Any:
        self.options = SimpleNamespace(warn_overflow=int(OverflowType.ALL))
        self.callbacks = SimpleNamespace(contactfilter=None)
        return SimpleNamespace(
            opt=self.options,
            callback=self.callbacks,
            model=model,
            scratch=mujoco.MjData(model),
        )

    def make_data(self, model: mujoco.MjModel, nworld: int, nconmax: int, njmax: int) -> Data:
        assert nconmax > 0 and njmax > 0
        sizes = (model.nq, model.nv, model.na, model.nu, model.nv)
        return Data(
            *(zeros(nworld, size) for size in sizes),
            overflow=zeros(nworld, dtype=np.int32),
            efc=Constraints(zeros(nworld, njmax, model.nv)),
            nworld=nworld,
        )

    def forward(self, model: Any, data: Data) -> None:
        self._each(model, data, mujoco.mj_forward)

    def step(self, model: Any, data: Data) -> None:
        self._each(model, data, mujoco.mj_step)
        data.qvel[self.broken.get(self.steps, [])] = np.nan
        self.steps += 1

    def _each(self, model: Any, data: Data, function: Any) -> None:
        scratch = model.scratch
        names = ("qpos", "qvel", "act", "ctrl", "qacc_warmstart")
        for world in range(data.nworld):
            mujoco.mj_resetData(model.model, scratch)
            for name in names:
                getattr(scratch, name)[:] = getattr(data, name)[world]
            function(model.model, scratch)
            for name in names:
                getattr(data, name)[world] = getattr(scratch, name)


class Warp:
    """The few functions of warp that arrays and devices need on a CPU."""

    ScopedDevice = contextlib.nullcontext
    to_torch = staticmethod(torch.from_numpy)

    def __init__(self) -> None:
        self.devices: list[str] = []

    def init(self) -> None:
        self.devices = ["cpu"]

    def device_from_torch(self, device: torch.device) -> str:
        return self.devices[self.devices.index(str(device))]  # none is known before init()
