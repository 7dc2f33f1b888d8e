"""The poster's tables, row by row, and the columns that we add, worked by hand."""

from __future__ import annotations

import math
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import pytest

import morphzoo  # noqa: F401
from morphzoo.policies import ChromaticMlpPolicy, ChromaticPolicy, DeterministicPolicy
from morphzoo.policies.chromatic import Coloring, unstructured_policy
from morphzoo.policies.chromatic.compactness import compactness, compactness_report

H41 = {"Striker": (23, 41, 7), "HalfCheetah": (17, 41, 6), "Hopper": (11, 41, 3)}
H41["Walker2d"] = H41["HalfCheetah"]

# Song et al. (2019), second table: environment, kind, # weight-params, compression (%), # bits.
SECOND = [
    ("Striker", "chromatic", 23, 95, 8198),
    ("Striker", "masked", 25, 95, 8262),
    ("Striker", "toeplitz", 110, 88, 4832),
    ("Striker", "circulant", 82, 90, 3936),
    ("Striker", "unstructured", 1230, 0, 40672),
    ("HalfCheetah", "chromatic", 17, 94, 6571),
    ("HalfCheetah", "masked", 40, 92, 8250),
    ("HalfCheetah", "toeplitz", 103, 85, 4608),
    ("HalfCheetah", "circulant", 82, 88, 3936),
    ("HalfCheetah", "unstructured", 943, 0, 31488),
    ("Hopper", "chromatic", 11, 92, 3960),
    ("Hopper", "masked", 17, 91, 4726),
    ("Hopper", "toeplitz", 94, 78, 4320),
    ("Hopper", "circulant", 82, 80, 3936),
    ("Hopper", "unstructured", 574, 0, 19680),
    ("Walker2d", "chromatic", 17, 94, 6571),
    ("Walker2d", "masked", 19, 94, 6635),
    ("Walker2d", "toeplitz", 103, 85, 4608),
    ("Walker2d", "circulant", 82, 88, 3936),
    ("Walker2d", "unstructured", 943, 0, 31488),
]


@pytest.mark.parametrize("row", SECOND, ids=lambda row: f"{row[0]}-{row[1]}")
def test_the_second_table(row: tuple[str, str, int, int, int]) -> None:
    env, kind, weights, percent, bits = row
    free = weights if kind in ("chromatic", "masked") else None
    found = compactness(Coloring.make(kind, H41[env], free))
    assert (found.weights, found.percent, found.bits) == (weights, percent, bits)


class First(NamedTuple):
    """A row of the first table: sizes and partitions, and what follows from them."""

    env: str
    sizes: tuple[int, ...]
    colors: int
    edges: int
    biases: int
    compression: str
    bits: int
    toeplitz: tuple[int, int]
    circulant: tuple[int, int]
    unstructured: int


CHEETAH, MINITAUR = ((17, 6), (17, 41, 6), (17, 41, 41, 6)), ((7, 13), (7, 41, 13))
H41_CHEETAH = (943, 41, "94.1%", 6571, (103, 4608), (82, 3936), 31488)
H41_ARM = (1230, 41, "95.0%", 8198, (110, 4832), (82, 3936), 40672)
FIRST = [
    First("Swimmer", (8, 2), 8, 16, 0, "50.0%", 304, (9, 288), (8, 256), 512),
    First("Reacher", (11, 2), 11, 22, 0, "50.0%", 440, (12, 384), (11, 352), 704),
    First("Hopper", (11, 3), 11, 33, 0, "66.7%", 484, (13, 416), (11, 352), 1056),
    First("Hopper", (11, 41, 3), 11, 574, 41, "91.5%", 3960, (94, 4320), (82, 3936), 19680),
    First("HalfCheetah", CHEETAH[0], 17, 102, 0, "83.3%", 1054, (22, 704), (17, 544), 3264),
    First("HalfCheetah", CHEETAH[0], 50, 102, 0, "51.0%", 2212, (22, 704), (17, 544), 3264),
    First("HalfCheetah", CHEETAH[1], 17, *H41_CHEETAH),
    First("HalfCheetah", CHEETAH[2], 17, 2624, 82, "96.3%", 16288, (184, 8512), (123, 6560), 86592),
    First("Walker2d", CHEETAH[1], 17, *H41_CHEETAH),
    First("Pusher", (23, 41, 7), 23, *H41_ARM),
    First("Striker", (23, 41, 7), 23, *H41_ARM),
    First("Thrower", (23, 41, 7), 23, *H41_ARM),
    First("Ant", (111, 41, 41, 8), 50, 6560, 82, "98.0%", 43584, (280, 11584), (193, 8800), 212544),
    First("Minitaur", MINITAUR[0], 13, 91, 0, "85.7%", 780, (19, 608), (13, 416), 2912),
    First("Minitaur", MINITAUR[0], 50, 91, 0, "45.1%", 2146, (19, 608), (13, 416), 2912),
    First("Minitaur", MINITAUR[1], 13, 820, 41, "93.7%", 5008, (100, 4512), (82, 3936), 27552),
]


@pytest.mark.parametrize("row", FIRST, ids=lambda row: f"{row.env}-{row.sizes}-{row.colors}")
def test_all_that_follows_from_the_first_table(row: First) -> None:
    assert len(FIRST) == 16
    found = compactness(Coloring.make("chromatic", row.sizes, row.colors))
    assert (found.edges, found.biases, found.bits) == (row.edges, row.biases, row.bits)
    assert f"{found.compression:.1%}" == row.compression
    for kind, expected in (("toeplitz", row.toeplitz), ("circulant", row.circulant)):
        other = compactness(Coloring.make(kind, row.sizes))
        assert (other.weights, other.bits) == expected
    assert compactness(Coloring.make("unstructured", row.sizes)).bits == row.unstructured


@pytest.mark.parametrize(
    ("env", "chromatic", "masked"),
    [("Striker", 7612, 2387), ("HalfCheetah", 5711, 2992), ("Hopper", 3650, 2026)]
    + [("Walker2d", 5711, 2110)],
)
def test_tight_bits(env: str, chromatic: int, masked: int) -> None:
    """Striker: 32 (23 + 41) + 1230 log2 23 = 2048 + 5564; 32 (25 + 41) + 25 * 11 = 2387."""
    rows = {kind: weights for e, kind, weights, *_ in SECOND if e == env}
    for kind, bits in (("chromatic", chromatic), ("masked", masked)):
        found = compactness(Coloring.make(kind, H41[env], rows[kind]))
        assert found.tight_bits == bits
    # A random colouring is written down as its seed: 32 bits in place of 943 times 5.
    random = compactness(Coloring.make("random", H41[env], rows["chromatic"]))
    assert random.tight_bits == 32 * (rows["chromatic"] + 41 + 1)
    for kind in ("toeplitz", "circulant", "unstructured"):
        other = compactness(Coloring.make(kind, H41[env]))
        assert other.tight_bits == other.bits


def test_operations_and_bytes_by_hand() -> None:
    """Two layers, 3-2-1, two colours.

    Rows (0, 0, 1), (1, 1, 1), and (0, 1): 2 + 1 + 2 multiplications; 2 + 2 + 1 additions and two
    biases. 4 bytes for each of 2 weights and 2 biases, and one for each of 8 edges.
    """
    coloring = Coloring((3, 2, 1), "chromatic", 2, np.array([0, 0, 1, 1, 1, 1, 0, 1]))
    found = compactness(coloring)
    assert (found.multiplications, found.additions, found.stored_bytes) == (5, 7, 24)
    assert found.bits == 32 * 4 + 8 and found.compression == 1 - 4 / 10
    # Without the edges that are 1 of the first row and all of the second: 1 + 0 + 2 and 1 + 0 + 1.
    masked = Coloring((3, 2, 1), "masked", 4, np.array([0, 1, 4, 4, 4, 4, 2, 3]))
    found = compactness(masked)
    assert (found.multiplications, found.additions) == (4, 4)
    implied = compactness(Coloring.make("toeplitz", (3, 2)))
    assert implied.stored_bytes == 16 and implied.multiplications == 6 and implied.additions == 4


def test_colours_without_edges_and_edges_without_colour_are_counted() -> None:
    found = compactness(Coloring((2, 2), "chromatic", 3, np.array([0, 0, 3, 2])))
    assert (found.weights, found.used) == (3, 2)
    assert found.bits == 32 * 3 + 4 * 2  # four symbols: three colours and none
    assert found.tight_bits == 32 * 3 + 8
    assert "3, 2 of them used" in str(found)


def test_reports_of_policies() -> None:
    with gym.make("morphzoo/HalfCheetah-v5") as env:
        spaces = env.observation_space, env.action_space
    found = compactness_report(ChromaticPolicy(*spaces))
    assert (found.bits, found.weights, found.statistics) == (6571, 17, 0)
    text = str(found)
    assert "6,571" in text and "94%" in text and "17-41-6" in text
    ours = compactness_report(ChromaticPolicy(*spaces, output_bias=True, normalize=True))
    assert ours.biases == 47 and ours.statistics > 0
    actor = ChromaticMlpPolicy(*spaces, lambda _: 0.0, hidden_sizes=[])
    assert compactness_report(actor).bits == 1054
    dense = DeterministicPolicy(*spaces, lambda _: 0.0, hidden_sizes=[])
    with pytest.raises(ValueError, match="unstructured_policy"):
        compactness_report(dense)
    assert compactness_report(unstructured_policy(dense)).bits == 32 * (102 + 6)


def test_the_claims_that_the_pages_make() -> None:
    """In bits a circulant net is smaller than a chromatic one in all four tasks of the poster."""
    bits = {(env, kind): b for env, kind, _, _, b in SECOND}
    assert all(bits[env, "circulant"] < bits[env, "chromatic"] for env in H41)
    assert min(bits[env, "chromatic"] - bits[env, "circulant"] for env in H41) == 24
    # An uncompressed linear policy is smaller than the chromatic net of 41 units.
    assert compactness(Coloring.make("unstructured", (17, 6))).bits == 3264 < 6571
    assert math.isclose((103 + 41) / (17 + 41), 2.48, abs_tol=0.01)
