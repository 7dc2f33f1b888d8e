"""Deep residual networks: the paper's block written out, costs counted, 1,024 layers trained."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import mpmath
import pytest
import torch
from torch.nn import functional

from morphzoo.policies import residual
from morphzoo.policies.compiled import compiled
from morphzoo.policies.residual import NORMS, ResidualTrunk, TrunkSettings
from morphzoo.policies.residual_cost import StepCost, kept_bytes, trunk_flops, trunk_weights
from morphzoo.policies.squashed import log_slope, squashed

INPUTS = (5, 3)


def trunk(inputs: tuple[int, ...] = INPUTS, seed: int = 0, **changes: Any) -> ResidualTrunk:
    """A small trunk none of whose numbers has its first value."""
    torch.manual_seed(seed)
    made = ResidualTrunk(inputs, TrunkSettings(**{"depth": 8, "width": 6, **changes}))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def rows(size: int, batch: int = 7) -> torch.Tensor:
    return torch.randn(batch, size, generator=torch.Generator().manual_seed(size))


def written_out(made: ResidualTrunk, member: int, x: torch.Tensor) -> torch.Tensor:
    """The paper's figure 2 in plain torch: dense, norm, swish; four of them and the identity."""
    how = made.settings

    def layer(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, norm: int):
        x = x @ weight.T + bias
        return functional.silu(after(x, norm))

    def after(x: torch.Tensor, norm: int) -> torch.Tensor:
        if how.norm == "none":
            return x
        scale, shift = made.scale[norm, member], made.shift[norm, member]
        if how.norm == "layer":
            x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-6).sqrt()
        else:
            x = x * math.sqrt(x.shape[1]) / (x.square().sum(1, keepdim=True) + 6e-6).sqrt()
        return x * scale + shift

    x = layer(x, made.first[member].weight, made.first[member].bias, 0)
    for start in range(0, how.depth, 4):
        y = x
        for i in range(start, start + 4):
            y = layer(y, made.weight[i, member], made.bias[i, member], i + 1)
        scale = {"one": 1.0, "sqrt": 2**-0.5, "mean": 0.5, "none": 0.0}[how.residual]
        x = x + scale * y if scale else y
    return after(x, -1) if how.final_norm else x


VARIANTS = [
    {},
    {"norm": "hypersphere", "final_norm": True},
    {"norm": "none", "residual": "sqrt"},
    {"residual": "none"},
    {"residual": "mean", "final_norm": True},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("inputs", [INPUTS, (5,)], ids=["two", "one"])
def test_the_papers_network_written_out(inputs: tuple[int, ...], changes: dict) -> None:
    made = trunk(inputs, **changes)
    found = made(*map(rows, inputs))
    assert found.shape == ((2, 7, 6) if len(inputs) == 2 else (7, 6))
    for member, size in enumerate(inputs):
        wanted = written_out(made, member, rows(size))
        one = found[member] if len(inputs) == 2 else found
        torch.testing.assert_close(one, wanted, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(made.frozen(member, rows(size)), wanted, rtol=1e-5, atol=1e-5)


def test_networks_side_by_side_share_nothing() -> None:
    made = trunk()
    first, second = map(rows, INPUTS)
    made(first, second)[0].sum().backward()
    for parameter in (made.weight, made.bias, made.scale, made.shift):
        assert parameter.grad is not None
        assert parameter.grad[:, 0].abs().sum(-1).min() > 0 and not parameter.grad[:, 1].any()


def test_frozen_gives_a_gradient_to_its_input_alone() -> None:
    made, x = trunk(), rows(5).requires_grad_()
    made.frozen(0, x).square().sum().backward()
    frozen, x.grad = x.grad, None
    assert all(p.grad is None for p in made.parameters())
    made(x, rows(3))[0].square().sum().backward()
    torch.testing.assert_close(frozen, x.grad, rtol=1e-4, atol=1e-6)


def test_first_values_are_the_papers() -> None:
    torch.manual_seed(0)
    made = ResidualTrunk([9, 4], TrunkSettings(depth=8, width=64))
    for weight, fan_in in ((made.first[0].weight, 9), (made.first[1].weight, 4), (made.weight, 64)):
        bound = fan_in**-0.5
        assert 0.97 * bound < weight.abs().max() <= bound
        assert weight.var().item() == pytest.approx(1 / (3 * fan_in), rel=0.15)
    assert not made.bias.any() and not made.shift.any() and bool((made.scale == 1).all())
    assert not made.first[0].bias.any()  # type: ignore[union-attr]


def test_identity_blocks_hand_on_what_enters_and_still_learn() -> None:
    made = ResidualTrunk([5], TrunkSettings(depth=16, width=6, block_init="identity"))
    x = rows(5)
    entered = functional.silu(functional.layer_norm(made.first[0](x), (6,), eps=1e-6))
    torch.testing.assert_close(made(x), entered)
    made(x).square().sum().backward()
    assert made.scale.grad is not None
    assert made.scale.grad[4::4].abs().sum(-1).min() > 0  # what opens the blocks


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 10}, "depth: expected a multiple of 4.* found 10; take 8 or 12"),
        ({"depth": 0}, "found 0; take 4"),
        ({"depth": -8}, "found -8; take 4"),
        ({"width": 0}, "width"),
        ({"norm": "batch"}, "hypersphere"),
        ({"activation": "tanh"}, "swish"),
        ({"residual": "2"}, "sqrt"),
        ({"block_init": "zero"}, "identity"),
        ({"norm": "none", "final_norm": True}, "has no scales"),
        ({"norm": "none", "block_init": "identity"}, "has no scales"),
        ({"residual": "none", "block_init": "identity"}, "would hand on nothing"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrunkSettings(**changes)
    with pytest.raises(ValueError, match="expected 2 inputs, found 1"):
        trunk()(rows(5))


def gradients(made: ResidualTrunk) -> list[torch.Tensor]:
    made.zero_grad()
    made(*map(rows, INPUTS)).square().sum().backward()
    return [p.grad.clone() for p in made.parameters() if p.grad is not None]


@pytest.mark.parametrize("blocks", [1, 2])
def test_blocks_computed_once_more_change_no_bit(blocks: int) -> None:
    made = trunk()
    wanted = gradients(made)
    made.checkpoint_blocks = blocks
    assert all(map(torch.equal, gradients(made), wanted))
    frozen = trunk().frozen(0, rows(5))
    assert torch.equal(made.frozen(0, rows(5)), frozen)


# torch._dynamo looks at .grad of what it is handed and hides the warning, not where it is an error.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_blocks_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def traced(function: Any) -> Any:
        asked.append(function)
        return compiled(function, backend="aot_eager")

    monkeypatch.setattr(residual, "compiled", traced)
    wanted = gradients(trunk())
    made = trunk()
    made.compile_blocks = True
    found = gradients(made)
    assert asked == [residual.block]
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


# What it costs.


def test_a_layer_of_the_papers_has_66304_weights() -> None:
    plain, deep = (trunk_weights(TrunkSettings(depth=d), 37) for d in (4, 64))
    assert (deep - plain) / 60 == 66_304  # 256 * 256 + 3 * 256
    assert trunk_flops(TrunkSettings(depth=4), 37, 512) == 2 * 512 * 256 * (37 + 4 * 256)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_weights_are_counted_exactly(changes: dict) -> None:
    made = trunk(**changes)
    counted = sum(trunk_weights(made.settings, size) for size in INPUTS)
    assert counted == sum(p.numel() for p in made.parameters())


def measured(made: ResidualTrunk, run: Any) -> int:
    """Bytes that automatic differentiation keeps of a forward pass, weights apart."""
    own = {p.untyped_storage().data_ptr() for p in made.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        run()
    return sum(kept.values())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ["swish", "relu"])
@pytest.mark.parametrize("kind", ["one", "two", "frozen"])
def test_what_a_block_keeps_is_what_torch_keeps(norm: str, activation: str, kind: str) -> None:
    """By the difference of two depths, in which the first and the last layer cancel."""

    def both(depth: int) -> tuple[int, int]:
        inputs = INPUTS if kind == "two" else (5,)
        made = trunk(inputs, depth=depth, norm=norm, activation=activation)
        x = [rows(size, 32).requires_grad_() for size in inputs]
        run = (lambda: made.frozen(0, *x)) if kind == "frozen" else (lambda: made(*x))
        members = len(inputs)
        told = kept_bytes(made.settings, 32, members=members, frozen=kind == "frozen")
        return measured(made, run), told

    (small, told_small), (large, told_large) = both(4), both(12)
    if norm == "hypersphere":
        assert 0.4 * (told_large - told_small) < large - small <= told_large - told_small
    else:
        assert large - small == told_large - told_small


def cost(**changes: Any) -> StepCost:
    deep = TrunkSettings(depth=64, width=32)
    known = {"actor": deep, "critic": deep, "observation": 6, "goal": 2, "action": 2, "batch": 128}
    return StepCost(**{**known, **changes})


def test_a_step_is_11_of_the_15_products_of_a_plain_one() -> None:
    layer = 2 * 128 * 32 * 32
    deeper = cost(actor=TrunkSettings(68, 32), critic=TrunkSettings(68, 32))
    assert deeper.flops() - cost().flops() == 4 * 11 * layer
    # Computed once more: the actor's block, and the critic's in three passes.
    assert cost().flops(1, 0) - cost().flops() == 4 * layer
    assert cost().flops(0, 1) - cost().flops() == 12 * layer


def test_the_pages_table_of_costs_is_what_is_counted() -> None:
    page = (Path(__file__).parents[1] / "docs/contrastive.md").read_text()
    found = re.findall(r"^\| ([\d,]+)((?: \| [\d.,]+){5}) \|$", page, re.M)
    assert [int(depth.replace(",", "")) for depth, _ in found] == [2**n for n in range(2, 11)]
    for depth, cells in found:
        deep = TrunkSettings(depth=int(depth.replace(",", "")))
        told, again = StepCost(deep, deep, 29, 2, 8, 512), (deep.blocks, deep.blocks)
        flops = [told.flops(*n) / 1e9 for n in ((), again)]
        memory = [sum(told.memory(*n).values()) / 2**20 for n in ((), again)]
        numbers = [f"{told.weights() / 1e6:.2f}", *(f"{n:,.1f}" for n in flops)]
        assert cells.split(" | ")[1:] == [*numbers, *(f"{n:,.0f}" for n in memory)]


def test_a_budget_is_kept_with_as_few_blocks_as_it_allows() -> None:
    whole, least = (sum(cost().memory(n, n).values()) for n in (0, 16))
    assert cost().checkpoints(whole) == (0, 0) and least < 0.6 * whole
    for share in (0.1, 0.5, 0.9):
        budget = least + share * (whole - least)
        actor, critic = cost().checkpoints(budget)
        assert sum(cost().memory(actor, critic).values()) <= budget
        assert sum(cost().memory(actor - 1, critic - 1).values()) > budget
    uneven = cost(actor=TrunkSettings(depth=4, width=32))
    assert uneven.checkpoints(0.5 * sum(uneven.memory().values()))[0] == 1
    with pytest.raises(ValueError, match=r"every block .*encoders' activations .*smaller"):
        cost().checkpoints(0.9 * least)


# The squashed Gaussian.


@pytest.mark.parametrize("x", [0.0, 1e-4, 0.5, 3.0, 9.0, 20.0, 90.0, 1e4])
def test_the_slope_of_tanh_holds_far_out(x: float) -> None:
    mpmath.mp.dps = 20_000 if x > 1e3 else 200
    exact = float(mpmath.log(1 - mpmath.tanh(mpmath.mpf(x)) ** 2))
    for sign in (1, -1):
        found = log_slope(torch.tensor([sign * x])).item()
        assert found == pytest.approx(exact, rel=1e-6, abs=1e-6)
    point = torch.tensor([x], requires_grad=True)
    log_slope(point).sum().backward()
    assert point.grad is not None
    assert point.grad.item() == pytest.approx(-2 * math.tanh(x), rel=1e-5, abs=1e-6)


def test_log_probabilities_by_the_change_of_variables() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_std, noise = (torch.randn(50, 3, generator=generator).double() for _ in range(3))
    actions, found = squashed(mean.float(), log_std.float(), noise.float())
    normal = torch.distributions.Normal(mean, log_std.exp())
    x = torch.atanh(torch.tanh(mean + log_std.exp() * noise))
    wanted = (normal.log_prob(x) - torch.log1p(-torch.tanh(x).square())).sum(1)
    near = (x.abs() < 4).all(1)  # where float64 itself can tell
    assert near.sum() > 25 and actions.abs().max() <= 1
    torch.testing.assert_close(found[near].double(), wanted[near], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mean", [-1e4, -60.0, 60.0, 1e4])
def test_saturated_actors_have_finite_gradients(mean: float) -> None:
    means = torch.full((2, 3), mean, requires_grad=True)
    log_std = torch.tensor([[-5.0, 0.0, 2.0]] * 2, requires_grad=True)
    noise = torch.tensor([[-3.0, 0.0, 3.0]] * 2)
    actions, log_prob = squashed(means, log_std, noise)
    (log_prob.sum() + actions.sum()).backward()
    assert bool(log_prob.isfinite().all())
    for tensor in (means, log_std):
        assert tensor.grad is not None and bool(tensor.grad.isfinite().all())
    # The slope's logarithm falls by 2 for each 1 that |x| grows; the noise does not move.
    torch.testing.assert_close(means.grad, torch.full((2, 3), 2.0 * math.copysign(1, mean)))


# What depth does at first; tests/test_contrastive.py trains 1,024 layers.

DEEP = {"final_norm": True, "block_init": "identity"}


def test_first_embeddings_grow_with_depth_unless_the_last_block_is_normalised() -> None:
    """Why the paper's networks begin badly when they are deep: what is compared is far apart."""
    reach = {}
    for name, changes in (("paper", {}), ("deep", DEEP)):
        for depth in (4, 256):
            torch.manual_seed(0)
            made = ResidualTrunk([5], TrunkSettings(depth=depth, width=16, **changes))
            reach[name, depth] = made(rows(5)).square().mean().sqrt().item()
    assert reach["paper", 256] > 8 * reach["paper", 4]
    assert reach["deep", 256] == pytest.approx(reach["deep", 4], rel=0.5)
