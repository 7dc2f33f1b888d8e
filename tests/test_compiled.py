"""The compiled rounds of a GPU, traced and differentiated on the CPU."""

from __future__ import annotations

import shutil

import gymnasium as gym
import pytest
import torch

from morphzoo.policies import SnowflakePolicy, message_passing
from morphzoo.policies.compiled import compiled, compiles
from morphzoo.policies.message_passing import GraphNetwork

INDUCTOR = (
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs g++ on the CPU"),
)
BACKENDS = ["aot_eager", pytest.param("inductor", marks=INDUCTOR)]


def snowflake(num_legs: int, **kwargs) -> SnowflakePolicy:
    env = gym.make("morphzoo/Centipede-v0", num_legs=num_legs)
    torch.manual_seed(num_legs)
    policy = SnowflakePolicy(env.observation_space, env.action_space, lambda _: 1e-3, **kwargs)
    env.close()
    return policy


def gradients(policy: SnowflakePolicy) -> dict[str, torch.Tensor]:
    """Gradients by every weight, of means and values of one batch."""
    generator = torch.Generator().manual_seed(1)
    observations = torch.randn(9, policy.graph.observation_size, generator=generator)
    actions = torch.randn(9, policy.graph.action_size, generator=generator)
    policy.zero_grad()
    values, log_prob, _ = policy.evaluate_actions(observations, actions)
    (values.sum() + log_prob.sum()).backward()
    return {n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None}


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's own, which it hides elsewhere
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value_head", ["mlp", "graph"])
def test_compiled_training_equals_the_plain_loop(monkeypatch, backend, value_head):
    policy = snowflake(4, value_head=value_head, fused=False)
    expected = gradients(policy)
    calls = []

    def on_cpu(function):
        calls.append(function)
        return compiled(function, backend)

    networks = [m for m in policy.modules() if isinstance(m, GraphNetwork)]
    for network in networks:
        network.fused = True
    monkeypatch.setattr(message_passing, "pays", lambda states: False)
    monkeypatch.setattr(message_passing, "compiles", lambda states: True)
    monkeypatch.setattr(message_passing, "compiled", on_cpu)
    found = gradients(policy)
    assert calls == [GraphNetwork.rounds] * len(networks)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4)


def test_only_training_on_a_gpu_is_compiled(monkeypatch):
    class OnGpu:
        device = torch.device("cuda")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert compiles(OnGpu())  # type: ignore[arg-type]
    assert not compiles(torch.zeros(1))
    with torch.no_grad():
        assert not compiles(OnGpu())  # type: ignore[arg-type]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not compiles(OnGpu())  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_an_update_on_the_gpu_equals_that_on_the_cpu():
    cpu, gpu = snowflake(6), snowflake(6).to("cuda")
    expected = gradients(cpu)
    generator = torch.Generator().manual_seed(1)
    observations = torch.randn(9, gpu.graph.observation_size, generator=generator).cuda()
    actions = torch.randn(9, gpu.graph.action_size, generator=generator).cuda()
    values, log_prob, _ = gpu.evaluate_actions(observations, actions)
    (values.sum() + log_prob.sum()).backward()
    for name, parameter in gpu.named_parameters():
        if name in expected:
            torch.testing.assert_close(parameter.grad.cpu(), expected[name], atol=1e-4, rtol=1e-3)
