"""Features of weight space: what must not change them, what must, and what they cost."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from morphzoo.policies.weight_space import MlpLayout, UniversalNeuralFunctional, symmetries
from morphzoo.policies.weight_space.equivariant import EquivariantLinear, unit_means

# One, two and three hidden layers; the last but one is the target-velocity Ant's policy.
SIZES = [(3, 4, 2), (1, 2, 1), (5, 4, 3, 2), (3, 2, 5, 3, 2), (34, 64, 64, 8), (2, 3, 3, 3, 3, 1)]
SMALL = [sizes for sizes in SIZES if max(sizes) < 10]


def mlp(sizes, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, dtype=torch.float64), activation()]
    return nn.Sequential(*layers[:-1])


def policies(sizes, num: int) -> torch.Tensor:
    """Parameters `float64[num, P]` of torch's own MLPs, as freshly made."""
    return torch.stack([parameters_to_vector(mlp(sizes).parameters()) for _ in range(num)]).detach()


def act(theta: torch.Tensor, sizes, observations, activation=nn.Tanh) -> torch.Tensor:
    """Actions of each policy, by a torch module of its own; in theta's type."""
    model, actions = mlp(sizes, activation).to(theta.dtype), []
    for row in theta:
        vector_to_parameters(row, model.parameters())
        actions.append(model(observations).detach())
    return torch.stack(actions)


def reordering(sizes, orders) -> torch.Tensor:
    """Index `int64[P]` so that theta[:, index] has its units in these orders.

    `orders` are those of observation, hidden layers and action; found by moving the rows and
    columns of torch's own modules, not by the code under test.
    """
    model = mlp(sizes)
    number = sum(p.numel() for p in model.parameters())
    vector_to_parameters(torch.arange(number, dtype=torch.float64), model.parameters())
    for layer, (before, after) in zip(model[::2], itertools.pairwise(orders), strict=True):
        layer.weight.data = layer.weight.data[after][:, before]
        layer.bias.data = layer.bias.data[after]
    return parameters_to_vector(model.parameters()).long()


def hidden_orders(sizes) -> list[torch.Tensor]:
    """Orders that move every hidden unit, and neither observation nor action."""
    return [
        torch.arange(n) if i in (0, len(sizes) - 1) else torch.arange(n).roll(1 + i % (n - 1))
        for i, n in enumerate(sizes)
    ]


def functional(sizes, seed: int = 0, **kwargs) -> UniversalNeuralFunctional:
    torch.manual_seed(seed)
    made = UniversalNeuralFunctional(sizes, **kwargs).double()
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):  # they start at zero, where a wrong sum would not be seen
            nn.init.normal_(parameter, std=0.3)
    return made


def features_and_gradients(made, theta) -> list[torch.Tensor]:
    """Features; gradients of a weighted sum of them by theta and by each weight."""
    made.zero_grad()
    theta = theta.clone().requires_grad_()
    features = made(theta)
    (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
    return [features.detach(), theta.grad, *(p.grad for p in made.parameters())]


# The order of the parameters.


@pytest.mark.parametrize("sizes", [*SIZES, (4, 2)])
def test_layout_is_that_of_torch(sizes):
    layout, model = MlpLayout(sizes), mlp(sizes)
    theta = parameters_to_vector(model.parameters())
    assert layout.num_parameters == len(theta)
    split = layout.split(theta)
    names = [f"{kind}{i}" for i in range(1, len(sizes)) for kind in ("weight", "bias")]
    assert list(split) == names
    for ours, theirs in zip(split.values(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    batch = torch.stack([theta, 2 * theta])
    assert torch.equal(layout.join(layout.split(batch)), batch)


def test_layout_by_hand():
    layout = MlpLayout((2, 3, 1))
    found = [(t.name, t.start, t.shape, t.layers) for t in layout.tensors]
    assert found == [
        ("weight1", 0, (3, 2), (1, None)),
        ("bias1", 6, (3,), (1,)),
        ("weight2", 9, (1, 3), (None, 1)),
        ("bias2", 12, (1,), (None,)),
    ]
    assert layout.num_parameters == 13 and layout.hidden_sizes == (3,)


# What must not change the features, and what must.


@pytest.mark.parametrize("sizes", SIZES)
def test_equal_policies_have_equal_features(sizes):
    made, theta = functional(sizes), policies(sizes, 3)
    made.update_statistics(theta)
    moved = theta[:, reordering(sizes, hidden_orders(sizes))]
    assert (moved - theta).abs().max() > 0.1
    observations = torch.randn(7, sizes[0], dtype=torch.float64)
    torch.testing.assert_close(
        act(moved, sizes, observations), act(theta, sizes, observations), atol=1e-14, rtol=0
    )
    features = made(theta)
    assert features.shape == (3, made.num_features) == (3, 16 * 2 * (len(sizes) - 1))
    assert (features[0] - features[1]).abs().max() > 1e-3, "all policies look alike"
    torch.testing.assert_close(made(moved), features, atol=1e-13, rtol=0)


NOT_SYMMETRIES = {
    "observation": lambda sizes: reordering(
        sizes, [torch.arange(sizes[0]).roll(1), *map(torch.arange, sizes[1:])]
    ),
    "action": lambda sizes: reordering(
        sizes, [*map(torch.arange, sizes[:-1]), torch.arange(sizes[-1]).roll(1)]
    ),
    "rows of weight1 alone": lambda sizes: torch.cat(
        [
            torch.arange(sizes[0] * sizes[1]).view(sizes[1], -1).roll(1, 0).flatten(),
            torch.arange(sizes[0] * sizes[1], MlpLayout(sizes).num_parameters),
        ]
    ),
    "units within weight2's rows alone": lambda sizes: torch.cat(
        [
            torch.arange(start := sizes[1] * (sizes[0] + 1)),
            start + torch.arange(sizes[1] * sizes[2]).view(sizes[2], -1).roll(1, 1).flatten(),
            torch.arange(start + sizes[1] * sizes[2], MlpLayout(sizes).num_parameters),
        ]
    ),
}


@pytest.mark.parametrize("sizes", [(3, 4, 2), (5, 4, 3, 2), (3, 2, 5, 3, 2), (34, 64, 64, 8)])
@pytest.mark.parametrize("change", NOT_SYMMETRIES)
def test_other_policies_have_other_features(sizes, change):
    made, theta = functional(sizes), policies(sizes, 2)
    made.update_statistics(theta)
    index = NOT_SYMMETRIES[change](sizes)
    assert sorted(index.tolist()) == list(range(theta.shape[1])) != index.tolist()
    assert (made(theta[:, index]) - made(theta)).abs().amax(1).min() > 1e-4


@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_move_with_the_units(sizes):
    made, theta = functional(sizes), policies(sizes, 2)
    made.update_statistics(theta)
    index = reordering(sizes, hidden_orders(sizes))
    features, gradient, *weights = features_and_gradients(made, theta)
    _, moved, *others = features_and_gradients(made, theta[:, index])
    scale = float(gradient.abs().max())
    assert scale > 1e-4 and features.isfinite().all()
    torch.testing.assert_close(moved, gradient[:, index], atol=1e-13 * max(scale, 1), rtol=0)
    for one, other in zip(weights, others, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("sizes", SIZES)
def test_layers_are_equivariant(sizes):
    torch.manual_seed(1)
    sets = functional(sizes).index_sets
    layer = EquivariantLinear(sets, dict.fromkeys(sets, 3), 2).double()
    orders = hidden_orders(sizes)
    x = {n: torch.randn(2, *(sizes[i] for i in s), 3).double() for n, s in sets.items()}

    def move(features):
        moved = dict(features)
        for name, index_set in sets.items():
            for axis, i in enumerate(index_set, start=1):
                moved[name] = moved[name].index_select(axis, orders[i])
        return moved

    expected, found = move(layer(x)), layer(move(x))
    assert found.keys() == expected.keys() == x.keys()
    for name in x:
        assert found[name].shape == (*x[name].shape[:-1], 2)
        torch.testing.assert_close(found[name], expected[name], atol=1e-13, rtol=0)


def test_a_layer_by_hand():
    sets = {"weight1": (1,), "bias1": (1,), "weight2": (1,), "bias2": ()}
    layer = EquivariantLinear(sets, dict.fromkeys(sets, 1), 1).double()
    state = {
        "maps.weight1.all.weight": [[1000, 0, 0, 0.5]],  # of the four means
        "maps.weight1.all.bias": [0.25],
        "maps.weight1.1.weight": [[1, 10, 100]],  # of the three tensors with units
        "maps.bias2.all.weight": [[2, 3, 5, 7]],
        "maps.bias2.all.bias": [0.5],
    }
    layer.load_state_dict({k: torch.tensor(v).double() for k, v in state.items()}, strict=False)
    values = {"weight1": [1, 3], "bias1": [0, 2], "weight2": [5, 7], "bias2": 4}
    out = layer({k: torch.tensor(v).double()[None, ..., None] for k, v in values.items()})
    # The means are 2, 1, 6 and 4: 2000 + 2 + 0.25 for both units of weight1, beside their own part.
    assert out["weight1"].flatten().tolist() == [2002.25 + 501, 2002.25 + 723]
    assert out["bias2"].tolist() == [[2 * 2 + 3 * 1 + 5 * 6 + 7 * 4 + 0.5]]


@pytest.mark.parametrize("index_set", [(), (1,), (2, 1)])
def test_means_of_a_constant_are_that_constant(index_set):
    constant = torch.tensor([2.5, -1.0]).double()
    feature = constant.expand(3, *(4 + i for i in index_set), 2)
    means = unit_means(index_set, feature)
    assert len(means) == 2 ** len(index_set)
    for s, mean in means.items():
        assert mean.shape == (3, *(4 + i for i in s), 2)
        torch.testing.assert_close(mean, constant.expand_as(mean), atol=1e-15, rtol=0)


def test_means_by_hand():
    feature = torch.tensor([[[1.0, 2.0, 6.0], [3.0, 5.0, 7.0]]]).unsqueeze(-1)  # layers (2, 1)
    means = unit_means((2, 1), feature)
    assert means[(2,)].flatten().tolist() == [3.0, 5.0]
    assert means[(1,)].flatten().tolist() == [2.0, 3.5, 6.5]
    assert means[()].flatten().tolist() == [4.0]


# Weights and what they see.


def test_first_weights_are_the_references():
    torch.manual_seed(0)
    made = UniversalNeuralFunctional((34, 64, 64, 8))
    per_layer = [sum(p.numel() for p in layer.parameters()) for layer in made.layers]
    assert per_layer == [7_408, 14_176]
    # W1: the means of all, 34 + 1 + 1 + 1 + 8 + 8, and what its own units have, 34 + 1 + 1.
    fan_in = {"weight1": 89, "bias1": 89, "weight2": 100, "bias2": 63, "weight3": 63, "bias3": 53}
    for name, maps in made.layers[0].maps.items():
        assert sum(m.weight.shape[1] for m in maps.values()) == fan_in[name]
        weights = torch.cat([m.weight.detach().flatten() for m in maps.values()])
        assert float(weights.std()) * math.sqrt(fan_in[name]) == pytest.approx(1, abs=0.08)
    assert all((p == 0).all() for n, p in made.named_parameters() if n.endswith("bias"))


@pytest.mark.parametrize("sizes", SMALL)
def test_every_weight_and_every_parameter_gets_a_gradient(sizes):
    made, theta = functional(sizes, channels=(8, 4, 8)), policies(sizes, 16)
    made.update_statistics(theta)
    _, by_theta, *by_weight = features_and_gradients(made, theta)
    assert len(by_weight) == len(list(made.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in by_weight)
    assert (by_theta.abs().amax(0) > 0).all()


@pytest.mark.parametrize("sizes", SIZES)
def test_single_precision(sizes):
    made, theta = functional(sizes), policies(sizes, 4)
    made.update_statistics(theta)
    exact = made(theta)
    found = made.float()(theta.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, atol=1e-5, rtol=0)


def test_state_comes_back_whole():
    sizes, kwargs = (5, 4, 3, 2), {"channels": [3, 7], "micro_batch": 2}
    made, theta = functional(sizes, **kwargs), policies(sizes, 5)
    made.update_statistics(theta)
    other = functional(sizes, seed=1, **kwargs)
    other.load_state_dict(made.state_dict())
    assert torch.equal(other(theta), made(theta)) and other.num_features == 6 * 7
    other.update_statistics(theta + 1)
    made.update_statistics(theta + 1)
    assert torch.equal(other(theta), made(theta))


# Standardisation.


def test_statistics_by_hand():
    made = functional((1, 1, 1))  # four tensors of one number each
    made.update_statistics(torch.tensor([[1.0, 5.0, 0.0, -2.0], [3.0, 5.0, 0.0, 2.0]]).double())
    assert made.mean.tolist() == [2, 5, 0, 0] and made.variance.tolist() == [1, 0, 0, 4]
    made.update_statistics(torch.tensor([[8.0, 5.0, 3.0, 0.0]]).double())
    # 1, 3, 8: mean 4, variance 26/3. 0, 0, 3: mean 1, variance 2. -2, 2, 0: mean 0, variance 8/3.
    torch.testing.assert_close(made.mean, torch.tensor([4.0, 5.0, 1.0, 0.0]).double())
    torch.testing.assert_close(made.variance, torch.tensor([26 / 3, 0, 2, 8 / 3]).double())


@pytest.mark.parametrize("sizes", SMALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_are_of_all_policies_ever_given(sizes, dtype):
    made = UniversalNeuralFunctional(sizes).to(dtype)
    theta = (policies(sizes, 11) + torch.arange(11).unsqueeze(1) / 7).to(dtype)
    for part in theta.split([1, 0, 4, 6]):
        made.update_statistics(part)
    split = made.layout.split(theta)
    mean = torch.stack([part.double().mean() for part in split.values()])
    variance = torch.stack([part.double().var(correction=0) for part in split.values()])
    tolerance = {"atol": 1e-12 if dtype == torch.float64 else 1e-6, "rtol": 1e-6}
    assert made.count == 11
    torch.testing.assert_close(made.mean.double(), mean, **tolerance)
    torch.testing.assert_close(made.variance.double(), variance, **tolerance)


def test_features_are_those_of_standardised_parameters():
    sizes, plain = (5, 4, 3, 2), functional((5, 4, 3, 2))
    made, theta = functional(sizes), 0.03 * policies(sizes, 6) + 0.01
    assert torch.equal(made(theta), plain(theta)), "nothing seen yet, nothing standardised"
    made.update_statistics(theta)
    split = plain.layout.split(theta)
    split = {n: (x - x.mean()) / x.std(correction=0) for n, x in split.items()}
    standard = plain.layout.join(split)
    torch.testing.assert_close(made(theta), plain(standard), atol=1e-13, rtol=0)
    assert (made(theta) - plain(theta)).abs().max() > 0.1


def test_a_tensor_that_never_moved_is_not_blown_up():
    made, theta = functional((3, 4, 2)), policies((3, 4, 2), 4)
    made.layout.split(theta)["bias1"].zero_()
    made.update_statistics(theta)
    before = made(theta)
    made.layout.split(theta)["bias1"].fill_(1e-6)
    change = (made(theta) - before).abs().max()
    assert 0 < change < 0.01


def test_statistics_may_change_before_the_backward_pass():
    sizes = (3, 4, 2)
    made, theta = functional(sizes, micro_batch=2), policies(sizes, 5)
    made.update_statistics(theta)
    expected = features_and_gradients(made, theta)[1]
    theta = theta.requires_grad_()
    features = made(theta)
    made.update_statistics(100 * theta)
    (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
    torch.testing.assert_close(theta.grad, expected, atol=1e-14, rtol=0)


# Batches and memory.


@pytest.mark.parametrize("sizes", SMALL)
def test_a_batch_is_its_policies_one_by_one(sizes):
    made, theta = functional(sizes), policies(sizes, 5)
    one_by_one = torch.cat([made(row[None]) for row in theta])
    torch.testing.assert_close(made(theta), one_by_one, atol=1e-14, rtol=0)
    assert made(theta[:0]).shape == (0, made.num_features)


@pytest.mark.parametrize("sizes", [*SMALL, (34, 64, 64, 8)])
@pytest.mark.parametrize("micro_batch", [1, 3, 7])
def test_micro_batches_change_nothing(sizes, micro_batch):
    theta = policies(sizes, 7)
    whole = features_and_gradients(functional(sizes, micro_batch=100), theta)
    parts = features_and_gradients(functional(sizes, micro_batch=micro_batch), theta)
    for one, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_the_policy_step_needs_no_gradient_of_the_weights():
    made = functional((3, 4, 2), micro_batch=2)
    theta = policies((3, 4, 2), 5)
    expected = features_and_gradients(made, theta)[1]
    made.requires_grad_(False)
    theta.requires_grad_()
    features = made(theta)
    (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
    assert torch.equal(theta.grad, expected)


def test_default_micro_batch_is_16_mebibytes():
    made = UniversalNeuralFunctional((34, 64, 64, 8))
    assert made.micro_batch * 64 * 64 * 16 * 4 == 16 * 2**20
    assert UniversalNeuralFunctional((34, 4096, 4096, 8), channels=[4]).micro_batch == 1
    assert UniversalNeuralFunctional((34, 32, 8), channels=[4, 2]).micro_batch == 2**22 // (32 * 4)


def allocations(tmp_path: Path, made, batch: int, *, backward: bool = True) -> tuple[int, int]:
    """Peak and largest single piece of memory (bytes) of a pass over `batch` policies."""
    theta = policies(made.layout.sizes, batch).requires_grad_(backward)
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True) as profile:
        if backward:
            made(theta).sum().backward()
        else:
            with torch.no_grad():
                made(theta)
    profile.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    events = sorted((e for e in events if e["name"] == "[memory]"), key=lambda e: e["ts"])
    pieces = np.array([event["args"]["Bytes"] for event in events])
    return int(pieces.cumsum().max()), int(pieces.max())


WIDE = (3, 24, 24, 2)
ACTIVATION = 24 * 24 * 16 * 8  # bytes a policy


@pytest.mark.parametrize("backward", [True, False])
def test_memory_is_that_of_a_micro_batch(tmp_path, backward):
    per_policy = 8 * MlpLayout(WIDE).num_parameters
    small, whole = functional(WIDE, micro_batch=4), functional(WIDE, micro_batch=64)
    few, many = (allocations(tmp_path, small, n, backward=backward)[0] for n in (4, 32))
    # Beside a micro-batch: theta standardised, what leads there, and the gradients of both.
    assert many < few + 28 * 4 * per_policy
    at_once = allocations(tmp_path, whole, 32, backward=backward)[0]
    assert at_once > 32 * ACTIVATION and at_once > 3 * many


def test_nothing_is_larger_than_one_activation(tmp_path):
    """What joins before it multiplies would need 13 of them in one piece."""
    peak, largest = allocations(tmp_path, functional(WIDE, micro_batch=64), 16)
    assert largest == 16 * ACTIVATION
    assert peak < 8 * 16 * ACTIVATION


# Other parameters of the same policy.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", SIZES)
def test_flipped_policies_act_bit_for_bit_alike(sizes, dtype):
    theta = policies(sizes, 3).to(dtype)
    flipped = symmetries(MlpLayout(sizes), theta, torch.Generator().manual_seed(5), permute=False)
    assert torch.equal(flipped.abs(), theta.abs()) and not torch.equal(flipped, theta)
    observations = torch.randn(9, sizes[0], dtype=dtype)
    assert torch.equal(act(flipped, sizes, observations), act(theta, sizes, observations))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("flip", [True, False])
def test_moved_policies_act_alike(sizes, flip):
    theta = policies(sizes, 3)
    moved = symmetries(MlpLayout(sizes), theta, torch.Generator().manual_seed(6), flip=flip)
    assert not torch.equal(moved, theta)
    same_numbers = torch.equal(moved.abs().sort(1)[0], theta.abs().sort(1)[0])
    assert same_numbers and torch.equal(moved.sort(1)[0], theta.sort(1)[0]) is not flip
    observations = torch.randn(9, sizes[0], dtype=torch.float64)
    torch.testing.assert_close(
        act(moved, sizes, observations), act(theta, sizes, observations), atol=1e-14, rtol=0
    )
    made = functional(sizes)
    difference = (made(moved) - made(theta)).abs().max()
    assert difference > 1e-3 if flip else difference < 1e-13


def test_signs_are_for_odd_activations_only():
    sizes = (5, 4, 3, 2)
    theta, observations = policies(sizes, 3), torch.randn(9, 5, dtype=torch.float64)
    before = act(theta, sizes, observations, nn.ReLU)
    for flip in (False, True):
        moved = symmetries(MlpLayout(sizes), theta, torch.Generator().manual_seed(6), flip=flip)
        difference = (act(moved, sizes, observations, nn.ReLU) - before).abs().max()
        assert difference > 1e-2 if flip else difference < 1e-14


def test_all_symmetries_are_drawn_and_from_the_generator_alone():
    layout = MlpLayout((1, 3, 1))
    theta = torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10]).double().expand(2000, -1)
    drawn = symmetries(layout, theta, torch.Generator().manual_seed(0))
    counts = torch.unique(drawn, dim=0, return_counts=True)[1]
    assert len(counts) == 6 * 8
    assert counts.min() > 20  # 2000 / 48 = 42 expected
    torch.manual_seed(3)
    assert torch.equal(drawn, symmetries(layout, theta, torch.Generator().manual_seed(0)))
    assert not torch.equal(drawn, symmetries(layout, theta, torch.Generator().manual_seed(1)))
    assert torch.equal(symmetries(layout, theta, permute=False, flip=False), theta)


def test_symmetries_pass_gradients_on():
    layout = MlpLayout((3, 4, 3, 2))
    theta = policies(layout.sizes, 1)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: symmetries(layout, x, torch.Generator().manual_seed(1))[0], theta
    )[:, 0]
    ones = torch.ones(layout.num_parameters).double()
    assert torch.equal(jacobian.abs().sum(0), ones) and torch.equal(jacobian.abs().sum(1), ones)
    assert set(jacobian.unique().tolist()) == {-1, 0, 1}
    moved = symmetries(layout, theta, torch.Generator().manual_seed(1))[0]
    assert torch.equal(jacobian @ theta[0], moved)


# Hostile input.

BAD_THETA = {
    "wrong P": (torch.zeros(4, 25), r"expected floating\[B, 26\] for layers of \(3, 4, 2\), found"),
    "one policy": (torch.zeros(26), r"theta\[None\]"),
    "three axes": (torch.zeros(1, 4, 26), r"found shape \(1, 4, 26\)"),
    "integers": (torch.zeros(4, 26, dtype=torch.int64), r"int64; convert it with \.float\(\)"),
    "complex": (torch.zeros(4, 26, dtype=torch.complex64), "complex64"),
    "an array": (np.zeros((4, 26)), "found ndarray"),
    "NaN": (torch.zeros(4, 26).index_fill(0, torch.tensor([2]), math.nan), r"rows \[2\]"),
    "infinite": (torch.zeros(4, 26).index_fill(1, torch.tensor([7]), -math.inf), "4 of 4 policies"),
}


@pytest.mark.parametrize("name", BAD_THETA)
@pytest.mark.parametrize("use", ["forward", "update_statistics", "symmetries"])
def test_bad_parameters_are_refused_before_anything_changes(name, use):
    made = UniversalNeuralFunctional((3, 4, 2))
    before = {k: v.clone() for k, v in made.state_dict().items()}
    theta, message = BAD_THETA[name]
    with pytest.raises(ValueError, match=f"theta: .*{message}"):
        if use == "symmetries":
            symmetries(made.layout, theta)
        else:
            getattr(made, use)(theta)
    assert all(torch.equal(v, before[k]) for k, v in made.state_dict().items())


def test_another_precision_is_named():
    made = UniversalNeuralFunctional((3, 4, 2))
    with pytest.raises(ValueError, match=r"expected torch\.float32.*found torch\.float64"):
        made(torch.zeros(1, 26, dtype=torch.float64))


@pytest.mark.parametrize(
    ("sizes", "kwargs", "message"),
    [
        ((3, 2), {}, r"sizes: expected a hidden layer, found \(3, 2\)"),
        ((3,), {}, "sizes: expected those of observation and action"),
        ((), {}, "sizes: expected positive integers"),
        ((3, 0, 2), {}, r"sizes: expected positive integers, found \(3, 0, 2\)"),
        ((3, -4, 2), {}, "sizes: expected positive integers"),
        ((3, 2.0, 2), {}, "sizes: expected positive integers"),
        ("342", {}, "sizes: expected positive integers, found '342'"),
        (7, {}, "sizes: expected positive integers, found 7"),
        ((3, 4, 2), {"channels": ()}, "channels: expected positive integers"),
        ((3, 4, 2), {"channels": (16, 0)}, "channels: expected positive integers"),
        ((3, 4, 2), {"channels": 16}, "channels: expected positive integers, found 16"),
        ((3, 4, 2), {"micro_batch": 0}, r"micro_batch: expected positive integers, found \[0\]"),
        ((3, 4, 2), {"micro_batch": 2.5}, "micro_batch: expected positive integers"),
    ],
)
def test_bad_arguments_are_refused(sizes, kwargs, message):
    with pytest.raises(ValueError, match=message):
        UniversalNeuralFunctional(sizes, **kwargs)
