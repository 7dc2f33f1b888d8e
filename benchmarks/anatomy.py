"""Where an update's time goes: products alone, what is done element by element, and the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.measuring import alternate, summaries
from benchmarks.updates import BATCH, Contenders
from morphzoo.actors import torch_threads
from morphzoo.policies import fused

LEGS = (6, 20)


class Replay:
    """The operations of all rounds, there and back, on one block's memory over and over.

    Args:
        contenders: Whose policy's shapes they are.
    """

    def __init__(self, contenders: Contenders) -> None:
        """Make one block's buffers."""
        self.update = contenders.update("fused")
        policy = contenders.policies["fused"]
        self.network, self.topology = policy.network, policy.topology
        nodes, size = policy.graph.num_nodes, policy.hidden_size
        blocks = fused._blocks(nodes, BATCH)
        self.times = policy.num_layers * len(blocks)
        self.nodes, rows = nodes, nodes * blocks[0].stop
        self.size = size
        self.one, self.two, self.three, self.four = torch.randn(4, rows, size)
        self.gates, self.slopes = torch.randn(rows, 4 * size), torch.randn(rows, 4 * size)
        self.square, self.wide = torch.randn(size, size), torch.randn(3 * size, size)
        self.states = torch.randn(nodes * BATCH, size, requires_grad=True)

    def rounds(self) -> float:
        """All rounds and their gradients as they are: seconds."""
        parameters = [*self.network.message.parameters()]
        for cell in self.network.update.kinds.values():
            parameters += [p.detach().requires_grad_() for p in cell.parameters()]
        sizes = list(self.topology.kind_sizes.values())
        start = time.perf_counter()
        states = fused.fused_rounds(
            self.states, self.topology.adjacency, sizes, self.network.num_layers, parameters
        )
        states.backward(self.states.detach())
        return time.perf_counter() - start

    def products(self) -> float:
        """The matrix products alone: seconds."""
        wide, size = self.wide.shape[0], self.size
        by_node = self.one.view(self.nodes, -1)

        def once() -> None:
            for _ in range(3):
                torch.mm(self.one, self.square, out=self.two)  # a message layer, there and
                torch.mm(self.one, self.square, out=self.two)  # back
            for _ in range(2):
                torch.mm(self.topology.adjacency, by_node, out=self.two.view(self.nodes, -1))
            for part in (self.gates[:, :wide], self.gates[:, size:]):
                part.addmm_(self.one, self.wide.t(), beta=0)
                torch.mm(part.t(), self.one)
                torch.mm(part, self.wide, out=self.two)

        return self._repeated(once)

    def elementwise(self) -> float:
        """Biases, gates, tanh and their gradients alone: seconds."""
        new, reset, keep, share = self.gates.split(self.size, 1)
        made = fused.Round(self.one, [], self.one, self.gates, self.one)
        sums = fused.Gradients.__new__(fused.Gradients)

        def once() -> None:
            for _ in range(3):
                self.two.copy_(self.one).tanh_()
                fused.tanh_backward(self.three, self.two, grad_input=self.four)
            self.gates.copy_(self.slopes)
            self.gates[:, self.size : 3 * self.size].sigmoid_()
            new.addcmul_(reset, share).tanh_()
            torch.lerp(new, self.one, keep, out=self.two)
            _, slopes, _ = sums._through_gates(self.three, made)
            slopes.sum(0)

        return self._repeated(once)

    def _repeated(self, once: Callable[[], None]) -> float:
        """Seconds of as many repetitions as there are blocks and rounds."""
        with torch.no_grad():
            start = time.perf_counter()
            for _ in range(self.times):
                once()
            return time.perf_counter() - start


def run(rounds: int, seed: int) -> list[dict[str, Any]]:
    """Measure on one thread."""
    rows = []
    with torch_threads(1):
        for legs in LEGS:
            contenders = Contenders(legs, seed)
            replay = Replay(contenders)
            parts = {
                "update": replay.update,
                "rounds": replay.rounds,
                "products": replay.products,
                "elementwise": replay.elementwise,
                "floor": contenders.floor,
            }
            seconds = summaries(alternate(parts, rounds))
            shown = {name: f"{1e3 * found['median']:.1f} ms" for name, found in seconds.items()}
            print(f"{legs:>4} legs: {shown}", flush=True)
            rows.append({"legs": legs, "seconds": seconds})
    return rows
