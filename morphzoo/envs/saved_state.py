"""The state of an environment as plain arrays, checked before it is used."""

from collections.abc import Mapping

import numpy as np


def check_state(state: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Refuse a saved state that does not fit.

    Args:
        state: what was saved.
        expected: arrays of the names, shapes and types that are needed.

    Raises:
        ValueError: naming the first array that is missing, unknown or of another shape or type.
    """
    for name in sorted(expected.keys() ^ state.keys()):
        kind = "lacks" if name in expected else "has an unknown"
        raise ValueError(
            f"The state {kind} array {name!r}: it was saved by another task or another version of "
            "morphzoo. Restore it with the one that saved it."
        )
    for name, wanted in expected.items():
        found = np.asarray(state[name])
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise ValueError(
                f"The state's {name!r} must be {wanted.dtype}{list(wanted.shape)}, found "
                f"{found.dtype}{list(found.shape)}. Make the environment with the body and the "
                "number of environments that the state was saved with."
            )
