"""One random generator a row: seeded as Gymnasium seeds one environment, saved as plain words."""

from collections.abc import Sequence

import numpy as np
from gymnasium.utils import seeding

_WORD = 64
_MASK = (1 << _WORD) - 1


class RowGenerators:
    """The generators of `num` rows; each is made when it is first needed.

    Attributes:
        seeds: what each generator was made with: None before that, -1 where it was restored.
    """

    def __init__(self, num: int) -> None:
        """Make no generator yet."""
        self._rngs: list[np.random.Generator | None] = [None] * num
        self.seeds: list[int | None] = [None] * num

    def seed(self, ids: np.ndarray, seed: int | Sequence[int | None] | None) -> None:
        """Make new generators.

        Args:
            ids: the rows.
            seed: row i gets seed + i, or the i-th of a list of one a row; None leaves the rows'
                generators as they are.

        Raises:
            ValueError: if a list has not one entry a row.
            gymnasium.error.Error: if a seed is negative.
        """
        num = len(self._rngs)
        if seed is None or isinstance(seed, int | np.integer):
            seeds = [None if seed is None else int(seed) + row for row in range(num)]
        else:
            seeds = list(seed)
        if len(seeds) != num:
            raise ValueError(f"Expected one seed or a list of {num}, found a list of {len(seeds)}.")
        for row in ids:
            wanted = seeds[row]
            if wanted is not None:
                self._rngs[row], self.seeds[row] = seeding.np_random(int(wanted))

    def of(self, ids: Sequence[int] | np.ndarray) -> list[np.random.Generator]:
        """Return the rows' generators; one that no seed was given for starts from entropy."""
        rngs = []
        for row in ids:
            rng = self._rngs[row]
            if rng is None:
                rng, self.seeds[row] = seeding.np_random()
                self._rngs[row] = rng
            rngs.append(rng)
        return rngs

    def words(self) -> np.ndarray:
        """Write the state of all generators, uint64[num, 6]."""
        rngs = self.of(range(len(self._rngs)))
        return np.stack([generator_words(rng) for rng in rngs])

    def restore(self, words: np.ndarray) -> None:
        """Go on from what :meth:`words` wrote, uint64[num, 6]."""
        self._rngs = [generator_from_words(row) for row in words]
        self.seeds = [-1] * len(words)


def generator_words(rng: np.random.Generator) -> np.ndarray:
    """Write a generator's state as numbers.

    Returns:
        uint64[6]: PCG64's state and increment, high word before low word, then whether half a word
        is left over, and that half.

    Raises:
        ValueError: if the generator is not a PCG64, the one that Gymnasium makes.
    """
    state = rng.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise ValueError(
            f"Only a PCG64 generator can be saved, found {state['bit_generator']}. Make it with "
            "numpy.random.default_rng, or let reset(seed=...) make it."
        )
    inner = state["state"]
    words = [part for key in ("state", "inc") for part in (inner[key] >> _WORD, inner[key] & _MASK)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def generator_from_words(words: np.ndarray) -> np.random.Generator:
    """Make the generator whose state :func:`generator_words` wrote, uint64[6].

    Raises:
        ValueError: if no PCG64 can be in that state.
    """
    high, low, inc_high, inc_low, has_half, half = (int(word) for word in words)
    if inc_low % 2 == 0 or has_half > 1 or half >> 32:
        raise ValueError(
            f"Expected the words of a PCG64 generator (an odd increment, 0 or 1, and half a word), "
            f"found {[int(word) for word in words]}. The saved state is damaged; use another."
        )
    bits = np.random.PCG64(0)
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << _WORD | low, "inc": inc_high << _WORD | inc_low},
        "has_uint32": has_half,
        "uinteger": half,
    }
    return np.random.Generator(bits)
