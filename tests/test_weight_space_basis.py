"""The equivariant layer against the definition, and against all equivariant maps there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

import pytest
import torch

from morphzoo.policies.weight_space import UniversalNeuralFunctional
from morphzoo.policies.weight_space.equivariant import EquivariantLinear

BELL = (1, 1, 2, 5, 15)
Labels = Mapping[str, Sequence[int]]


def labels(num_hidden: int, *, everywhere: bool = False) -> dict[str, tuple[int, ...]]:
    """Labels of the axes of W1, b1, W2, ...; observation and action have one if `everywhere`."""
    marked = range(num_hidden + 2) if everywhere else range(1, num_hidden + 1)
    found = {}
    for layer in range(1, num_hidden + 2):
        found[f"weight{layer}"] = tuple(i for i in (layer, layer - 1) if i in marked)
        found[f"bias{layer}"] = tuple(i for i in (layer,) if i in marked)
    return found


def terms_by_bell(axes: Labels) -> dict[str, int]:
    """Blocks of each output by the rule: Bell numbers of how often a label occurs in both."""
    return {
        out: sum(
            prod(BELL[[*axes[out], *axes[j]].count(n)] for n in {*axes[out], *axes[j]})
            for j in axes
        )
        for out in axes
    }


def partitions(items: Sequence) -> Iterator[list[list]]:
    """All set partitions."""
    if not items:
        yield []
        return
    first, *rest = items
    for partition in partitions(rest):
        yield [[first], *partition]
        for i, block in enumerate(partition):
            yield [*partition[:i], [first, *block], *partition[i + 1 :]]


def basis(out: Sequence[int], into: Sequence[int], sizes: Sequence[int]) -> Iterator[torch.Tensor]:
    """One matrix a partition of the axes of an output and an input into blocks of one label.

    An entry counts where all axes of a block stand at the same unit, and is divided by the
    number of ways to choose the units of the blocks that are only in the input: their mean.
    """
    axes = [("out", i, n) for i, n in enumerate(out)] + [("in", i, n) for i, n in enumerate(into)]
    for partition in partitions(axes):
        if any(len({n for _, _, n in block}) > 1 for block in partition):
            continue
        only_in = [block for block in partition if all(side == "in" for side, _, _ in block)]
        weight = 1 / prod(sizes[block[0][2]] for block in only_in)
        rows = list(itertools.product(*(range(sizes[n]) for n in out)))
        columns = list(itertools.product(*(range(sizes[n]) for n in into)))
        matrix = torch.zeros(len(rows), len(columns), dtype=torch.float64)
        for (r, row), (c, column) in itertools.product(enumerate(rows), enumerate(columns)):
            unit = {"out": row, "in": column}
            if all(len({unit[side][i] for side, i, _ in block}) == 1 for block in partition):
                matrix[r, c] = weight
        yield matrix


def slices(axes: Labels, sizes: Sequence[int]) -> dict[str, slice]:
    """Where each tensor stands in one vector of all of them."""
    ends = list(itertools.accumulate(prod(sizes[n] for n in a) for a in axes.values()))
    return {n: slice(s, e) for n, s, e in zip(axes, [0, *ends[:-1]], ends, strict=True)}


def definition(axes: Labels, sizes: Sequence[int]) -> dict[str, list[torch.Tensor]]:
    """The layer as it is defined, with one channel: for each output its maps from all inputs."""
    place = slices(axes, sizes)
    total = max(s.stop for s in place.values())
    maps: dict[str, list[torch.Tensor]] = {name: [] for name in axes}
    for out, j in itertools.product(axes, axes):
        for matrix in basis(axes[out], axes[j], sizes):
            whole = torch.zeros(total, total, dtype=torch.float64)
            whole[place[out], place[j]] = matrix
            maps[out].append(whole)
    return maps


def maps_of(layer: torch.nn.Module, features, output) -> dict[str, list[torch.Tensor]]:
    """The linear map of each single weight of a layer, by output tensor.

    `features` are one unit vector a row; `output` joins what the layer returns to `[B, numbers]`.
    """
    for parameter in layer.parameters():
        parameter.data.zero_()
    maps: dict[str, list[torch.Tensor]] = {name: [] for name in layer.maps}
    for name, blocks in layer.maps.items():
        for weight in (block.weight for block in blocks.values()):
            for i in range(weight.numel()):
                weight.data.view(-1)[i] = 1
                maps[name].append(output(layer(features)).detach().T)
                weight.data.view(-1)[i] = 0
    return maps


def ours(axes: Labels, sizes: Sequence[int]) -> dict[str, list[torch.Tensor]]:
    """The maps of our layer with one channel."""
    place = slices(axes, sizes)
    unit = torch.eye(max(s.stop for s in place.values()), dtype=torch.float64)
    features = {
        n: unit[:, s].reshape(-1, *(sizes[i] for i in axes[n]), 1) for n, s in place.items()
    }
    layer = EquivariantLinear(axes, dict.fromkeys(axes, 1), 1).double()
    return maps_of(layer, features, lambda y: torch.cat([y[n].flatten(1) for n in axes], dim=1))


def group(axes: Labels, sizes: Sequence[int], channels: Mapping[str, int]) -> list[torch.Tensor]:
    """Every reordering of hidden units, as an index into one vector of all tensors."""
    orders = [itertools.permutations(range(n)) for n in sizes[1:-1]]
    elements = []
    for element in itertools.product(*orders):
        start, parts = 0, []
        for name, labelled in axes.items():
            shape = (*(sizes[n] for n in labelled), channels[name])
            part = start + torch.arange(prod(shape)).view(shape)
            for axis, n in enumerate(labelled):
                part = part.index_select(axis, torch.tensor(element[n - 1]))
            parts.append(part.flatten())
            start += prod(shape)
        elements.append(torch.cat(parts))
    return elements


def equivariant_maps(out: list[torch.Tensor], into: list[torch.Tensor], num: int) -> torch.Tensor:
    """Random linear maps averaged over the group: float64[num, out, in], all equivariant."""
    generator = torch.Generator().manual_seed(0)
    shape = (num, len(out[0]), len(into[0]))
    random = torch.randn(shape, generator=generator, dtype=torch.float64)
    moved = [random[:, o][:, :, i] for o, i in zip(out, into, strict=True)]
    return torch.stack(moved).mean(0)


def rank(maps: torch.Tensor) -> int:
    flat = maps.flatten(1)
    return int(torch.linalg.matrix_rank(flat / flat.norm(dim=1, keepdim=True), rtol=1e-9))


@pytest.mark.parametrize(("size", "number"), list(enumerate(BELL)))
def test_the_test_knows_all_partitions(size, number):
    found = [sorted(map(sorted, p)) for p in partitions(range(size))]
    assert len(found) == number == len({str(p) for p in found})


# Blocks of W1, b1, W2, ...: worked out by hand, as 2 for each label that output and input share.
BLOCKS = {
    1: [7, 7, 7, 4],
    2: [9, 9, 13, 9, 9, 6],
    3: [11, 11, 15, 11, 15, 11, 11, 8],
}


@pytest.mark.parametrize("num_hidden", BLOCKS)
def test_number_of_blocks(num_hidden):
    axes, sizes = labels(num_hidden), [2, *[2] * num_hidden, 2]
    by_hand = dict(zip(axes, BLOCKS[num_hidden], strict=True))
    assert terms_by_bell(axes) == by_hand
    assert {n: len(maps) for n, maps in definition(axes, sizes).items()} == by_hand
    assert {n: len(maps) for n, maps in ours(axes, sizes).items()} == by_hand
    made = UniversalNeuralFunctional(sizes)
    assert {n: tuple(s) for n, s in made.index_sets.items()} == axes


def test_the_page_has_these_numbers():
    page = (Path(__file__).parents[1] / "docs/weight_space.md").read_text()
    for num_hidden, blocks in BLOCKS.items():
        assert f"| {num_hidden} | {', '.join(map(str, blocks))} | {sum(blocks)} |" in page


def test_the_test_counts_as_the_papers_code_does():
    """With observation and action marked too; the counts that UNF prints for two hidden layers."""
    axes = labels(2, everywhere=True)
    assert list(terms_by_bell(axes).values()) == [11, 9, 13, 9, 12, 8]
    assert [len(m) for m in definition(axes, [2, 2, 2, 2]).values()] == [11, 9, 13, 9, 12, 8]


HIDDEN = [(3,), (2, 3), (3, 2, 2)]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_layer_is_the_definition(hidden):
    """Weight by weight: each has the map of one partition, and each partition its weight."""
    axes, sizes = labels(len(hidden)), [1, *hidden, 1]
    expected, found = definition(axes, sizes), ours(axes, sizes)
    for name in axes:
        left = list(expected[name])
        for matrix in found[name]:
            same = [i for i, m in enumerate(left) if torch.allclose(m, matrix, atol=1e-15, rtol=0)]
            assert len(same) == 1, f"{name}: a map that is no partition's, or one twice"
            left.pop(same[0])
        assert not left, f"{name}: {len(left)} partitions without a weight"


@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_layer_spans_all_equivariant_maps(hidden):
    axes, sizes = labels(len(hidden)), [1, *hidden, 1]
    elements = group(axes, sizes, dict.fromkeys(axes, 1))
    maps = torch.stack([m for per_output in ours(axes, sizes).values() for m in per_output])
    for element in elements:
        torch.testing.assert_close(maps[:, element][:, :, element], maps, atol=1e-15, rtol=0)
    every = equivariant_maps(elements, elements, len(maps) + 10)
    assert rank(maps) == rank(every) == rank(torch.cat([maps, every])) == len(maps)
    assert rank(maps[1:]) < rank(every)


@pytest.mark.parametrize("sizes", [(2, 3, 2), (2, 2, 3, 2), (3, 2, 2, 2, 1)])
def test_the_first_layer_spans_all_equivariant_maps_of_parameters(sizes):
    """Observation and action have channels of their own here, so every entry counts by itself."""
    made = UniversalNeuralFunctional(sizes, channels=[1]).double()
    layout, axes = made.layout, made.index_sets
    unit = torch.eye(layout.num_parameters, dtype=torch.float64)
    into = made._folded(unit)
    maps = torch.stack([
        m for per_output in maps_of(
            made.layers[0], into, lambda y: torch.cat([y[n].flatten(1) for n in axes], dim=1)
        ).values() for m in per_output
    ])  # fmt: skip
    out = group(axes, sizes, dict.fromkeys(axes, 1))
    ins = group(axes, sizes, {n: x.shape[-1] for n, x in into.items()})
    # Parameters as they are stored -> in the order of the features, where the group acts simply.
    order = torch.cat([x.flatten(1) for x in into.values()], dim=1).argmax(0)
    every = equivariant_maps(out, ins, len(maps) + 5)
    maps = maps[:, :, order]
    assert order.sort()[0].tolist() == list(range(layout.num_parameters))
    assert rank(maps) == rank(every) == rank(torch.cat([maps, every])) == len(maps)
