"""Cost of a policy's update and of its inference, against other ways to write the same network."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import torch

import morphzoo  # noqa: F401  (registers the environments)
from benchmarks.measuring import alternate, ratio, summaries
from benchmarks.networks import POLICIES
from morphzoo.actors import torch_threads

LEGS = (6, 20, 50, 100)
BATCH = 256
INFERENCE = (1, 64)
_FLOOR_ROWS, _FLOOR_TIMES = 4096, 20


def update_seconds(policy: Any, observations: torch.Tensor, actions: torch.Tensor) -> float:
    """Make the gradients of a batch, of means, log-std and values; return the seconds it took."""
    policy.optimizer.zero_grad()
    start = time.perf_counter()
    values, log_prob, _ = policy.evaluate_actions(observations, actions)
    (values.sum() + log_prob.sum()).backward()
    return time.perf_counter() - start


class Contenders:
    """The policies on one body, with the same weights, on one batch.

    Args:
        num_legs: Of the Centipede.
        seed: Of weights and batch.
    """

    def __init__(self, num_legs: int, seed: int) -> None:
        """Build the policies and see that they compute the same."""
        env = gym.make("morphzoo/Centipede-v0", num_legs=num_legs)
        spaces = env.observation_space, env.action_space
        env.close()
        torch.manual_seed(seed)
        self.policies = {name: policy(*spaces, lambda _: 3e-4) for name, policy in POLICIES.items()}
        generator = torch.Generator().manual_seed(seed)
        graph = self.policies["fused"].graph
        self.observations = torch.randn(BATCH, graph.observation_size, generator=generator)
        self.actions = torch.randn(BATCH, graph.action_size, generator=generator)
        self._same_weights()

    def _same_weights(self) -> None:
        """Copy the weights of one graph policy into the others."""
        weights = dict(self.policies["fused"].named_parameters())
        means = {}
        for name in ("fused", "plain", "geometric"):
            policy = self.policies[name]
            for key, parameter in policy.named_parameters():
                parameter.data.copy_(weights[key].data)
            means[name] = policy.get_distribution(self.observations).distribution.mean
        for name in ("plain", "geometric"):
            torch.testing.assert_close(means[name], means["fused"], atol=1e-5, rtol=0)

    def update(self, name: str) -> Callable[[], float]:
        """Gradients of a batch, of means, log-std and values: seconds."""
        policy = self.policies[name]
        return lambda: update_seconds(policy, self.observations, self.actions)

    def halved(self) -> float:
        """Our update with matrix products in bfloat16, where the processor has them: seconds."""
        torch.set_float32_matmul_precision("medium")
        try:
            return self.update("fused")()
        finally:
            torch.set_float32_matmul_precision("highest")

    def act(self, name: str, size: int) -> Callable[[], float]:
        """Actions for so many bodies: seconds."""
        policy, observations = self.policies[name], self.observations[:size].numpy()

        def run() -> float:
            start = time.perf_counter()
            policy.predict(observations, deterministic=True)
            return time.perf_counter() - start

        return run

    def floor(self) -> float:
        """Seconds that the update's necessary products take at the rate of large ones."""
        rows, weight = torch.randn(_FLOOR_ROWS, 64), torch.randn(64, 192)
        start = time.perf_counter()
        for _ in range(_FLOOR_TIMES):
            torch.mm(rows, weight)
        seconds = time.perf_counter() - start
        rate = _FLOOR_TIMES * _FLOOR_ROWS * 64 * 192 / seconds
        return self.products() * BATCH / rate

    def products(self) -> int:
        """Multiplications that one body's update needs; none for frozen weights' gradients."""
        policy = self.policies["fused"]
        graph, size, rounds = policy.graph, policy.hidden_size, policy.num_layers
        # Message 3, cell 6; backwards as much for the states, and the cell's weights once more.
        network = graph.num_nodes * rounds * (2 * (3 + 6) + 6) * size**2
        decoder = 2 * graph.action_size * (2 * size**2 + size)  # there, and back for the states
        encoder = sum(policy.schema.widths[node.kind] * size // 2 for node in graph.nodes)
        value = [graph.observation_size * 64, 64 * 64, 64]
        return network + decoder + encoder + 2 * sum(value) + sum(value[1:])


def measure(num_legs: int, rounds: int, seed: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of every contender, for the update and each size of inference."""
    contenders = Contenders(num_legs, seed)
    updates = {name: contenders.update(name) for name in POLICIES}
    found = {
        "update": alternate(
            {**updates, "bfloat16": contenders.halved, "floor": contenders.floor}, rounds
        )
    }
    for size in INFERENCE:
        acts = {name: contenders.act(name, size) for name in POLICIES}
        found[f"inference-{size}"] = alternate(acts, rounds)
    return found


def run(rounds: int, seed: int) -> list[dict[str, Any]]:
    """Measure all bodies on one thread."""
    rows = []
    with torch_threads(1):
        for num_legs in LEGS:
            for work, found in measure(num_legs, rounds, seed).items():
                ratios = {
                    f"{other} / fused": ratio(found[other], found["fused"])
                    for other in ("plain", "geometric", "mlp", "bfloat16")
                    if other in found
                }
                if "floor" in found:
                    ratios["fused / floor"] = ratio(found["fused"], found["floor"])
                shown = {name: round(r["median"], 2) for name, r in ratios.items()}
                print(f"{num_legs:>4} legs, {work}: {shown}", flush=True)
                row = {"legs": num_legs, "work": work, "seconds": summaries(found)}
                rows.append({**row, "ratios": ratios})
    return rows
