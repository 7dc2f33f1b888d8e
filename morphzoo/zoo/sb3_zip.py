"""Weights out of a Stable-Baselines3 zip, without running what else is in it."""

from __future__ import annotations

import io
import logging
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch

from morphzoo.files import PathLike
from morphzoo.zoo.untrusted import CheckpointError, open_plain, refuse, said, shown
from morphzoo.zoo.weights import TENSORS_LIMIT, WEIGHTS_LIMIT, check_values

POLICY = "policy.pth"
ZIP_LIMIT = 2 * WEIGHTS_LIMIT  # bytes; the optimizer's state is in it too
ENTRIES_LIMIT = 10_000

_OWN = "Save the model again with a current Stable-Baselines3, where you trust it"
_TRUST = (
    "If the file is your own, trust_pickle=True unpickles it, which runs whatever code is in it. "
    "Never do that with a file from somebody else"
)

_log = logging.getLogger("morphzoo.zoo")


def import_sb3_zip(path: PathLike, trust_pickle: bool = False) -> dict[str, torch.Tensor]:
    """Read the policy's weights out of a zip that Stable-Baselines3's `model.save` wrote.

    Nothing else of it is opened: neither `data`, whose values are pickles, nor the optimizer. To
    make a checkpoint of it, put the weights into a model that you build as that one was built:

        model = PPO(SnowflakePolicy, env, policy_kwargs=...)
        model.policy.load_state_dict(zoo.import_sb3_zip("model.zip"))
        zoo.save(model, "runs/my-policy")

    Args:
        path: The zip.
        trust_pickle: Unpickle weights that are wrapped in something else than tensors, which can
            run any code. For files of your own alone.

    Returns:
        Tensor name -> tensor on the CPU, finite, with memory of its own.

    Raises:
        CheckpointError: It is no such zip, too large, or holds more than tensors.
    """
    path = Path(path).expanduser()
    data = _entry(path)
    where = f"{os.fspath(path)}: {POLICY}"
    _check_inner(data, where)
    if trust_pickle:
        _log.warning("%s: unpickled, as you asked: any code in it runs", where)
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=not trust_pickle)
    except Exception as error:  # of unpickling: there is no end to what it may raise
        _refuse_pickle(where, f"something else ({type(error).__name__}: {said(error)[:80]})")
    return _tensors(state, where)


def _entry(path: Path) -> bytes:
    """Read the policy's entry of a zip, bounded whatever its directory says."""
    with open_plain(path.parent, path.name, ZIP_LIMIT) as (file, _):
        try:
            with zipfile.ZipFile(file) as archive:
                found = [info for info in archive.infolist() if info.filename == POLICY]
                if len(found) != 1 or len(archive.infolist()) > ENTRIES_LIMIT:
                    refuse(path, f"a zip of Stable-Baselines3 with one {POLICY}", "another", _OWN)
                if found[0].file_size > WEIGHTS_LIMIT:
                    size = f"{found[0].file_size:,}"
                    refuse(path, f"{POLICY} of at most {WEIGHTS_LIMIT:,} bytes", size, _OWN)
                with archive.open(found[0]) as entry:
                    return entry.read(found[0].file_size)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
            refuse(path, "a zip of Stable-Baselines3", said(error), _OWN)


def _check_inner(data: bytes, where: str) -> None:
    """Refuse what is not torch's own zip, or would grow when it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        refuse(where, "a file of torch.save", said(error), _OWN)
    if any(info.compress_type != zipfile.ZIP_STORED for info in entries):
        refuse(where, "tensors that are not compressed", "compressed ones", _OWN)
    if sum(info.file_size for info in entries) > len(data):
        refuse(where, f"at most {len(data):,} bytes of tensors", "more", _OWN)


def _tensors(state: Any, where: str) -> dict[str, torch.Tensor]:
    """Refuse what is not plain dense tensors by name, and detach them from the file."""
    if not isinstance(state, Mapping) or not 1 <= len(state) <= TENSORS_LIMIT:
        _refuse_pickle(where, type(state).__name__)
    size = 0
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            _refuse_pickle(where, f"{shown(name)} of type {type(tensor).__name__}")
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            refuse(where, "dense tensors", f"another kind under {shown(name)}", _OWN)
        size += tensor.numel() * tensor.element_size()
    if size > WEIGHTS_LIMIT:  # a view can seem larger than the file
        refuse(where, f"at most {WEIGHTS_LIMIT:,} bytes of weights", f"{size:,}", _OWN)
    tensors = {str(name): tensor.detach().contiguous().clone() for name, tensor in state.items()}
    check_values(tensors, Path(where))
    return tensors


def _refuse_pickle(where: str, found: str) -> NoReturn:
    """Refuse what only a full unpickling can read."""
    raise CheckpointError(f"{where}: expected names and tensors; found {found}. {_TRUST}.")
