"""Random numbers that follow from a seed and the number of a generation alone."""

from __future__ import annotations

import numpy as np
import torch

NOISE, EPISODES, EVALUATION, BATCHES, CRITIC, COLORS, EXACT = range(7)


class Streams:
    """Streams of random numbers, apart from one another, anew in each generation.

    A training that is continued draws what the uninterrupted one would have drawn, and has no
    state of a generator to keep.

    Args:
        seed: None draws one from entropy.

    Attributes:
        seed: the one given or drawn.
    """

    def __init__(self, seed: int | None) -> None:
        entropy = np.random.SeedSequence().generate_state(1)[0] if seed is None else seed
        self.seed = int(entropy)

    def words(self, generation: int, stream: int, num: int) -> np.ndarray:
        """Return random numbers below 2**31, int64[num]."""
        sequence = np.random.SeedSequence([self.seed, generation, stream])
        return (sequence.generate_state(num) >> 1).astype(np.int64)

    def generator(
        self, generation: int, stream: int, device: torch.device | str = "cpu"
    ) -> torch.Generator:
        """Return a torch generator on a device."""
        return torch.Generator(device).manual_seed(int(self.words(generation, stream, 1)[0]))

    def episode_seeds(
        self, generation: int, num: int, num_policies: int, antithetic: bool
    ) -> np.ndarray:
        """Return the seeds of a generation's episodes.

        Args:
            generation: which.
            num: M, the shares of all policies together.
            num_policies: how many have a share each.
            antithetic: whether the second half of a share mirrors the first, with equal seeds.

        Returns:
            int64[M], policy after policy.
        """
        halves = 2 if antithetic else 1
        pairs = num // num_policies // halves
        words = self.words(generation, EPISODES, num // halves)
        words = words.reshape(num_policies, 1, pairs)
        return np.broadcast_to(words, (num_policies, halves, pairs)).reshape(-1)
