"""Some rows of dicts of arrays that hold one row a simulation."""

from collections.abc import Mapping, Sequence

import numpy as np


def ascending(ids: Sequence[int] | np.ndarray, num: int) -> np.ndarray:
    """Return the row numbers as int32[n], n >= 1.

    Raises:
        ValueError: if they are not ascending, different integers in 0..num - 1.
    """
    array = np.asarray(ids)
    integers = array.ndim == 1 and array.size > 0 and array.dtype.kind in "iu"
    inside = integers and array[0] >= 0 and array[-1] < num
    if not inside or (array[1:] <= array[:-1]).any():
        raise ValueError(
            f"ids must be one or more ascending, different integers in 0..{num - 1}, found {ids!r}."
        )
    return array.astype(np.int32)


def taken(arrays: Mapping[str, np.ndarray], ids: np.ndarray) -> dict[str, np.ndarray]:
    """Return copies of some rows of every array."""
    return {name: values[ids] for name, values in arrays.items()}


def scatter(
    target: Mapping[str, np.ndarray], ids: np.ndarray, rows: Mapping[str, np.ndarray]
) -> None:
    """Write the rows of every array to their places."""
    for name, values in rows.items():
        target[name][ids] = values


def copied(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Copy arrays that a task returned: they may be views of a field, which a step overwrites."""
    return {name: np.array(values) for name, values in arrays.items()}


def chosen(mask: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return a fresh array: whole rows of one where the mask bool[n] holds, else of the other."""
    return np.where(mask.reshape(len(mask), *[1] * (np.ndim(rows) - 1)), rows, others)
