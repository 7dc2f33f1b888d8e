"""model.safetensors: a policy's tensors, written whole and read only after the header is proven."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch

from morphzoo.zoo.untrusted import CheckpointError, open_plain, parse_json, refuse, said, shown

WEIGHTS = "model.safetensors"
WEIGHTS_LIMIT = 512_000_000  # bytes
HEADER_LIMIT = 1_000_000  # bytes; a morphzoo policy needs about 10,000
TENSORS_LIMIT = 10_000
AXES_LIMIT = 4

# Policies hold parameters and statistics in these; 16-bit and 8-bit floats would load rounded.
# Colours of edges are unsigned.
ITEM_SIZES = {"F32": 4, "F64": 8, "I64": 8, "I32": 4, "U16": 2, "U8": 1, "BOOL": 1}

# Last part of a tensor's name -> its smallest legal value. Statistics outside would turn a policy's
# observations into something else without an error.
_LOWEST = {"count": 0.0, "sum_squares": 0.0, "pending_count": 0.0, "pending_squares": 0.0}
_POSITIVE = ("std", "var", "variance")

_NO_WEIGHTS = (
    (b"PK", "a zip archive (an SB3 model, or torch.save)"),
    (b"\x80", "a pickle"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"version https://git-lfs", "a git-lfs pointer, not the file it stands for"),
)
_NO_PICKLE = "morphzoo never reads pickles: load it where you trust it and use morphzoo.zoo.save"


def pack(state: Mapping[str, torch.Tensor]) -> bytes:
    """Turn a state dict into the bytes of a safetensors file; equal tensors give equal bytes.

    Args:
        state: Tensor name -> tensor, on any device, contiguous or not, shared or not.

    Returns:
        The file's contents.

    Raises:
        ValueError: A tensor is of a kind that morphzoo does not load, or holds impossible values,
            so that what is written could not be read again.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    # One metadata entry: the order of several is random, and the bytes with it.
    data = safetensors.torch.save(tensors, metadata={"format": "pt"})
    length = int.from_bytes(data[:8], "little")
    if len(data) > WEIGHTS_LIMIT or length > HEADER_LIMIT:
        raise ValueError(
            f"the policy's weights take {len(data):,} bytes with a header of {length:,}; a "
            f"checkpoint holds at most {WEIGHTS_LIMIT:,} and {HEADER_LIMIT:,}. Make it smaller."
        )
    try:
        header = parse_json(data[8 : 8 + length], WEIGHTS)
        check_layout(header, len(data) - 8 - length, Path(WEIGHTS))
        check_values(tensors, Path(WEIGHTS))
    except CheckpointError as error:
        raise ValueError(f"this policy cannot be saved, nothing was written: {error}") from error
    return data


def read_header(folder: Path) -> dict[str, tuple[int, ...]]:
    """Read and check which tensors a weights file holds, without reading any of them.

    Args:
        folder: The checkpoint's folder.

    Returns:
        Tensor name -> shape.

    Raises:
        CheckpointError: The file or its header is not sound.
    """
    with open_plain(folder, WEIGHTS, WEIGHTS_LIMIT) as (file, size):
        return _header(file, size, folder / WEIGHTS)


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a checkpoint, on the CPU, after every check that needs no policy.

    Args:
        folder: The checkpoint's folder.

    Returns:
        Tensor name -> tensor with memory of its own.

    Raises:
        CheckpointError: The file is not sound, or holds impossible values.
    """
    path = folder / WEIGHTS
    with open_plain(folder, WEIGHTS, WEIGHTS_LIMIT) as (file, size):
        _header(file, size, path)
        file.seek(0)
        data = file.read(size)
    try:
        state = safetensors.torch.load(data)
    except (safetensors.SafetensorError, RuntimeError, ValueError) as error:
        refuse(path, "a safetensors file", said(error))
    check_values(state, path)
    return state


def check_layout(header: Mapping[str, Any], room: int, path: Path) -> dict[str, tuple[int, ...]]:
    """Check that tensors fill the data after the header exactly: no gap, overlap or overhang.

    Args:
        header: The file's header.
        room: Bytes after the header.
        path: The file, for messages.

    Returns:
        Tensor name -> shape.

    Raises:
        CheckpointError: They do not, or an entry is malformed.
    """
    entries = {name: value for name, value in header.items() if name != "__metadata__"}
    if not 1 <= len(entries) <= TENSORS_LIMIT:
        refuse(path, f"1 to {TENSORS_LIMIT:,} tensors", f"{len(entries):,}")
    spans = sorted(_span(name, entry, path) for name, entry in entries.items())
    end = 0
    for begin, stop, name in spans:
        if begin != end:
            fault = "overlaps the one before it" if begin < end else "leaves a gap before it"
            refuse(path, "tensors one after another", f"{shown(name)}, which {fault}")
        end = stop
    if end != room:
        kind = "truncated" if room < end else "longer than its tensors"
        refuse(path, f"{end:,} bytes of tensors", f"{room:,}: the file is {kind}")
    return {name: tuple(entry["shape"]) for name, entry in entries.items()}


def check_values(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse what no training leaves in a policy: NaN, infinity, negative spreads and counts.

    Args:
        state: Tensor name -> tensor.
        path: The file, for messages.

    Raises:
        CheckpointError: A tensor holds such a value.
    """
    for name, tensor in state.items():
        if not tensor.numel():
            continue
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            found = f"{int((~tensor.isfinite()).sum()):,} NaN or infinite ones in {shown(name)}"
            remedy = "The training that wrote it has diverged; use an earlier checkpoint"
            refuse(path, "finite numbers", found, remedy)
        last, lowest = name.rsplit(".", 1)[-1], _minimum(tensor)
        if last in _POSITIVE and lowest <= 0:
            refuse(path, f"{shown(name)} above 0", f"{lowest:g}")
        if last in _LOWEST and lowest < _LOWEST[last]:
            refuse(path, f"{shown(name)} of at least {_LOWEST[last]:g}", f"{lowest:g}")


def _minimum(tensor: torch.Tensor) -> float:
    """Return the smallest value; torch knows none of unsigned 16-bit numbers."""
    return float((tensor.int() if tensor.dtype == torch.uint16 else tensor).min())


def _header(file: BinaryIO, size: int, path: Path) -> dict[str, tuple[int, ...]]:
    """Read the header at the start of an open file and check it against the file's size."""
    start = file.read(32)
    for magic, kind in _NO_WEIGHTS:
        if start.startswith(magic) and not _plausible(start, size):
            refuse(path, "a safetensors file", kind, _NO_PICKLE)
    if size < 10:
        refuse(path, "a safetensors file", f"{size} bytes, an empty or truncated file")
    length = int.from_bytes(start[:8], "little")
    if length > HEADER_LIMIT:
        refuse(path, f"a safetensors header of at most {HEADER_LIMIT:,} bytes", f"{length:,}")
    if length > size - 8:
        refuse(path, f"a header of {length:,} bytes", f"{size - 8:,} bytes: the file is truncated")
    file.seek(8)
    header = parse_json(file.read(length), f"{os.fspath(path)} (header)")
    return check_layout(header, size - 8 - length, path)


def _plausible(start: bytes, size: int) -> bool:
    """Tell whether a file starts like safetensors: a header length that fits, then a brace."""
    return int.from_bytes(start[:8], "little") <= size - 8 and start[8:9] == b"{"


def _span(name: str, entry: object, path: Path) -> tuple[int, int, str]:
    """Check one tensor's entry and return where its data begin and end (bytes)."""
    where = f"{os.fspath(path)} (tensor {shown(name)})"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        refuse(where, "dtype, shape and data_offsets", shown(entry))
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        refuse(where, f"a dtype of {', '.join(ITEM_SIZES)}", shown(dtype))
    if not _counts(shape) or len(shape) > AXES_LIMIT:
        refuse(where, f"a shape of at most {AXES_LIMIT} axes", shown(shape))
    if not _counts(offsets) or len(offsets) != 2:
        refuse(where, "data_offsets [begin, end]", shown(offsets))
    begin, end = offsets
    if end - begin != (needed := math.prod(shape) * ITEM_SIZES[dtype]):
        found = f"{end - begin:,} bytes"
        refuse(where, f"{needed:,} bytes for shape {shown(shape)} of {dtype}", found)
    return begin, end, name


def _counts(value: object) -> bool:
    """Tell whether a value is a list of whole numbers of at least 0."""
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
