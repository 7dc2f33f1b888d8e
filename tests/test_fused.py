"""fused_rounds against the plain loop of modules, in values and in every gradient."""

from __future__ import annotations

import itertools

import gymnasium as gym
import pytest
import torch

import morphzoo  # noqa: F401
from morphzoo.policies import fused
from morphzoo.policies.fused import fused_rounds
from morphzoo.policies.message_passing import GraphNetwork, GraphTopology, NodeUpdate, tanh_mlp
from morphzoo.spaces import graph_of


def network_and_batch(num_legs: int, copies: int, dtype: torch.dtype, **kwargs):
    """A network with biases that are not zero, node rows for it, and the body's batch."""
    torch.manual_seed(num_legs)
    env = gym.make("morphzoo/Centipede-v0", num_legs=num_legs)
    graph = graph_of(env.observation_space)
    env.close()
    topology = GraphTopology(graph, **kwargs)
    network = GraphNetwork({"root": 3, "joint": 2}, 6, 16, 3)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    rows = {
        "root": torch.randn(copies, 3, dtype=dtype),
        "joint": torch.randn((graph.num_nodes - 1) * copies, 2, dtype=dtype),
    }
    types = torch.arange(graph.num_nodes) % 6
    return network.to(dtype), rows, types, topology.to(dtype).batch(copies)


def values_and_gradients(network, rows, types, batch, way: bool):
    network.fused = way
    network.zero_grad()
    states = network(rows, types, batch)
    (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    return states.detach(), {name: p.grad for name, p in network.named_parameters()}


@pytest.mark.parametrize("root_links", [False, True])
@pytest.mark.parametrize(("num_legs", "copies"), [(3, 1), (6, 5), (6, 301), (20, 64)])
def test_fused_equals_the_plain_loop(num_legs, copies, root_links):
    made = network_and_batch(num_legs, copies, torch.float64, root_links=root_links)
    plain, expected = values_and_gradients(*made, way=False)
    ours, found = values_and_gradients(*made, way=True)
    torch.testing.assert_close(ours, plain, atol=1e-13, rtol=0)
    for name, gradient in expected.items():
        assert gradient is not None and gradient.abs().max() > 1e-3, name
        torch.testing.assert_close(found[name], gradient, atol=1e-11, rtol=1e-11)


def test_single_precision_is_as_near_to_double_as_the_plain_loop_is():
    single = network_and_batch(20, 64, torch.float32)
    double = network_and_batch(20, 64, torch.float64)
    double[1].update({kind: rows.double() for kind, rows in single[1].items()})
    double[0].load_state_dict(single[0].state_dict())
    _, exact = values_and_gradients(*double, way=False)
    errors = {}
    for way in (False, True):
        _, found = values_and_gradients(*single, way=way)
        errors[way] = max(
            float((found[name] - exact[name]).abs().max() / exact[name].abs().max())
            for name in exact
        )
    assert 0 < errors[True] < max(2 * errors[False], 1e-5)


FREEZABLE = ("encoder", "message", "update", "embedding")


@pytest.mark.parametrize(
    "frozen", [f for n in (1, 2, 3) for f in itertools.combinations(FREEZABLE, n)]
)
def test_frozen_weights_get_no_gradient_and_the_others_the_same(frozen):
    network, *rest = network_and_batch(4, 7, torch.float64)
    for part in frozen:
        getattr(network, part).requires_grad_(False)
    _, expected = values_and_gradients(network, *rest, way=False)
    _, found = values_and_gradients(network, *rest, way=True)
    for name, gradient in expected.items():
        assert (gradient is None) == name.startswith(frozen)
        if gradient is None:
            assert found[name] is None
        else:
            torch.testing.assert_close(found[name], gradient, atol=1e-12, rtol=1e-11)


def test_nothing_is_saved_for_frozen_weights_sums():
    """Products for a frozen weight's gradient are not made, rather than made and dropped."""
    network, *rest = network_and_batch(4, 7, torch.float64)
    calls = {}
    for way in ("all", "none"):
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(way == "all" or name.startswith("encoder"))
        states = network(*rest)
        with torch.profiler.profile() as profile:
            states.sum().backward()
        calls[way] = {e.key: e.count for e in profile.key_averages()}
    rounds, kinds, layers = 3, 2, 3
    saved = calls["all"]["aten::addmm_"] - calls["none"]["aten::addmm_"]
    assert saved == rounds * (2 * kinds + layers)


def test_numerical_gradients(monkeypatch):
    monkeypatch.setattr(fused, "ROWS", 6)  # several blocks, the last one smaller
    torch.manual_seed(0)
    message, update = tanh_mlp([4] * 4, last_tanh=True).double(), NodeUpdate(4).double()
    parameters = [*message.parameters()]
    for kind in ("root", "joint"):
        parameters += update.kinds[kind].parameters()
    adjacency = torch.rand(3, 3, dtype=torch.float64)
    states = torch.randn(3 * 5, 4, dtype=torch.float64, requires_grad=True)

    def rounds(states, *parameters):
        return fused_rounds(states, adjacency, (1, 2), 2, parameters)

    assert torch.autograd.gradcheck(rounds, (states, *parameters))


def test_without_gradients_the_values_are_the_same_bits():
    network, *rest = network_and_batch(6, 301, torch.float32)
    with torch.no_grad():
        quick = network(*rest)
    states = network(*rest)
    assert states.requires_grad and not quick.requires_grad
    assert torch.equal(quick, states)


def test_a_second_derivative_is_refused():
    network, *rest = network_and_batch(4, 2, torch.float64)
    states = network(*rest)
    (first,) = torch.autograd.grad(
        states.square().sum(), network.embedding.table, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_two_networks_at_once_do_not_share_what_they_keep():
    """As a policy and its graph value head do: both go forward before either goes back."""
    made = network_and_batch(6, 301, torch.float64)
    other = network_and_batch(20, 64, torch.float64)
    alone = [values_and_gradients(*m, way=True)[1] for m in (made, other)]
    for network in (made[0], other[0]):
        network.zero_grad()
    sums = []
    for network, *rest in (made, other):
        states = network(*rest)
        sums.append((states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum())
    (sums[0] + sums[1]).backward()
    for (network, *_), expected in zip((made, other), alone, strict=True):
        for name, parameter in network.named_parameters():
            assert torch.equal(parameter.grad, expected[name]), name
