"""All rounds of messages and updates as one step of automatic differentiation.

The arithmetic is that of `GraphNetwork`'s plain loop. What is saved is everything around it: the
two halves of a gate are added by the matrix product itself, biases likewise, gates are computed in
place, a block of bodies stays in the processor's cache from the encoder's output to the last state,
and nothing is computed for weights that are frozen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

ROWS = 1088  # node rows in a block: what is kept of a round then fits a second-level cache of 2 MB

tanh_backward = torch.ops.aten.tanh_backward
sigmoid_backward = torch.ops.aten.sigmoid_backward


@dataclasses.dataclass
class Weights:
    """The parameters of all rounds, laid out for the products that use them.

    A cell's four columns of gates are n (of what is heard), r, z and n (of the state), so that
    what is heard feeds the first three and the state the last three.

    Attributes:
        message: Weight `[H, H]` and bias `[H]` of every message layer.
        heard: `[3H, H]` of each kind: n, r, z.
        state: `[3H, H]` of each kind: r, z, n, which is torch's own order.
        bias: `[4H]` of each kind.
        sizes: Nodes of each kind.
    """

    message: list[tuple[torch.Tensor, torch.Tensor]]
    heard: list[torch.Tensor]
    state: list[torch.Tensor]
    bias: list[torch.Tensor]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, parameters: Sequence[torch.Tensor], sizes: tuple[int, ...]) -> Weights:
        """Lay out a message's (weight, bias) pairs and each kind's four tensors of a GRU cell."""
        end = len(parameters) - 4 * len(sizes)
        cells = [parameters[i : i + 4] for i in range(end, len(parameters), 4)]
        size = parameters[0].shape[0]
        return cls(
            message=list(zip(parameters[:end:2], parameters[1:end:2], strict=True)),
            heard=[torch.cat([w[2 * size :], w[: 2 * size]]) for w, _, _, _ in cells],
            state=[w for _, w, _, _ in cells],
            bias=[
                torch.cat([i[2 * size :], i[: 2 * size] + h[: 2 * size], h[2 * size :]])
                for _, _, i, h in cells
            ],
            sizes=sizes,
        )

    def blocks(self, copies: int) -> list[tuple[int, slice]]:
        """Return each kind that the body has, and its rows among `copies` bodies."""
        start, found = 0, []
        for kind, nodes in enumerate(self.sizes):
            if nodes:
                found.append((kind, slice(start * copies, (start + nodes) * copies)))
            start += nodes
        return found


@dataclasses.dataclass
class Round:
    """What one round made of a block's states, all `float32[R, ...]`: what its gradient needs.

    Attributes:
        before: States before, H wide.
        messages: After every message layer, H wide.
        heard: Mean over the neighbours, H wide.
        gates: Candidate n, r, z and the state's share of n, 4H wide.
        after: States after, H wide.
    """

    before: torch.Tensor
    messages: list[torch.Tensor]
    heard: torch.Tensor
    gates: torch.Tensor
    after: torch.Tensor


def go_round(before: torch.Tensor, adjacency: torch.Tensor, weights: Weights) -> Round:
    """Make one round on a block of states.

    Args:
        before: `float32[R, H]`, node by node.
        adjacency: `float32[N, N]`; R is a multiple of N.
        weights: The parameters.
    """
    size, nodes = before.shape[1], len(adjacency)
    messages, last = [], before
    for weight, bias in weights.message:
        last = torch.addmm(bias, last, weight.t()).tanh_()
        messages.append(last)
    heard = (adjacency @ last.view(nodes, -1)).view_as(before)
    gates = before.new_empty(len(before), 4 * size)
    for kind, rows in weights.blocks(len(before) // nodes):
        block = gates[rows]
        block.copy_(weights.bias[kind])
        block[:, : 3 * size].addmm_(heard[rows], weights.heard[kind].t())
        block[:, size:].addmm_(before[rows], weights.state[kind].t())
    new, reset, keep, share = gates.split(size, 1)
    gates[:, size : 3 * size].sigmoid_()
    new.addcmul_(reset, share).tanh_()
    return Round(before, messages, heard, gates, torch.lerp(new, before, keep))


class Gradients:
    """Sums the gradients of all rounds and blocks.

    Args:
        adjacency: `float32[N, N]`.
        weights: The parameters.
        trained: Whether each message layer's weight and bias want a gradient, and each cell.
    """

    def __init__(
        self, adjacency: torch.Tensor, weights: Weights, trained: tuple[list[bool], list[bool]]
    ) -> None:
        """Begin with zeros."""
        self.towards = adjacency.t().contiguous()
        self.weights = weights
        self.layers, self.cells = trained
        self.message = [(torch.zeros_like(w), torch.zeros_like(b)) for w, b in weights.message]
        self.heard = [torch.zeros_like(w) for w in weights.heard]
        self.state = [torch.zeros_like(w) for w in weights.state]
        self.bias = [torch.zeros_like(b) for b in weights.bias]

    def go_back(self, after: torch.Tensor, made: Round) -> torch.Tensor:
        """Take the gradient of a round's new states, return that of its old ones, `[R, H]`."""
        before, slopes, heard = self._through_gates(after, made)
        size, copies = after.shape[1], len(after) // len(self.towards)
        for kind, rows in self.weights.blocks(copies):
            slope = slopes[rows]
            if self.cells[kind]:
                self.heard[kind].addmm_(slope[:, : 3 * size].t(), made.heard[rows])
                self.state[kind].addmm_(slope[:, size:].t(), made.before[rows])
                self.bias[kind].add_(slope.sum(0))
            torch.mm(slope[:, : 3 * size], self.weights.heard[kind], out=heard[rows])
            before[rows].addmm_(slope[:, size:], self.weights.state[kind])
        spoken = (self.towards @ heard.view(len(self.towards), -1)).view_as(heard)
        return self._through_messages(before, spoken, made)

    def _through_gates(
        self, after: torch.Tensor, made: Round
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the gradient by the kept state, that by all gates, and room for what was heard."""
        size = after.shape[1]
        new, reset, keep, share = made.gates.split(size, 1)
        slopes = torch.empty_like(made.gates)
        by_new, by_reset, by_keep, by_share = slopes.split(size, 1)
        kept = after * keep
        room = after - kept
        tanh_backward(room, new, grad_input=by_new)
        torch.mul(by_new, reset, out=by_share)
        torch.mul(by_new, share, out=by_reset)
        torch.sub(made.before, new, out=room)
        torch.mul(room, after, out=by_keep)
        both = slopes[:, size : 3 * size]
        sigmoid_backward(both, made.gates[:, size : 3 * size], grad_input=both)
        return kept, slopes, room

    def _through_messages(
        self, before: torch.Tensor, spoken: torch.Tensor, made: Round
    ) -> torch.Tensor:
        """Add what the old states caused by their messages, whose gradient is `spoken`."""
        inputs = [made.before, *made.messages]
        for layer in reversed(range(len(self.message))):
            tanh_backward(spoken, inputs[layer + 1], grad_input=spoken)
            if self.layers[layer]:
                weight, bias = self.message[layer]
                weight.addmm_(spoken.t(), inputs[layer])
                bias.add_(spoken.sum(0))
            if layer:
                spoken = spoken @ self.weights.message[layer][0]
        return before.addmm_(spoken, self.weights.message[0][0])

    def in_order(self) -> list[torch.Tensor]:
        """Return the gradients as `Weights.of` takes the parameters."""
        size = self.heard[0].shape[1]
        found = [tensor for pair in self.message for tensor in pair]
        for heard, state, bias in zip(self.heard, self.state, self.bias, strict=True):
            found.append(torch.cat([heard[size:], heard[:size]]))
            found.append(state)
            found.append(torch.cat([bias[size : 3 * size], bias[:size]]))
            found.append(bias[size:])
        return found


class _Rounds(torch.autograd.Function):
    """All rounds; see `fused_rounds`."""

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        adjacency: torch.Tensor,
        sizes: tuple[int, ...],
        num_rounds: int,
        *parameters: torch.Tensor,
    ) -> torch.Tensor:
        """Go round and keep the rounds."""
        ctx.adjacency, ctx.weights, ctx.kept = adjacency, Weights.of(parameters, sizes), []
        return _go(states, adjacency, ctx.weights, num_rounds, ctx.kept)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Go back through the rounds, block by block."""
        (gradient,) = gradients
        nodes, size = len(ctx.adjacency), gradient.shape[1]
        wanted = ctx.needs_input_grad[4:]
        end = 2 * len(ctx.weights.message)
        layers = [any(wanted[i : i + 2]) for i in range(0, end, 2)]
        cells = [any(wanted[i : i + 4]) for i in range(end, len(wanted), 4)]
        sums = Gradients(ctx.adjacency, ctx.weights, (layers, cells))
        by_node = gradient.view(nodes, -1, size)
        result = torch.empty_like(by_node)
        for bodies, rounds in zip(_blocks(*by_node.shape[:2]), ctx.kept, strict=True):
            block = by_node[:, bodies].reshape(-1, size)
            for made in reversed(rounds):
                block = sums.go_back(block, made)
            result[:, bodies] = block.view(nodes, -1, size)
        found = [g if want else None for g, want in zip(sums.in_order(), wanted, strict=True)]
        return result.view_as(gradient), None, None, None, *found


def _go(
    states: torch.Tensor,
    adjacency: torch.Tensor,
    weights: Weights,
    num_rounds: int,
    kept: list[list[Round]] | None,
) -> torch.Tensor:
    """Go round, block by block of bodies; the rounds of each go into `kept`, if given."""
    by_node = states.view(len(adjacency), -1, states.shape[1])
    result = torch.empty_like(by_node)
    for bodies in _blocks(*by_node.shape[:2]):
        block = by_node[:, bodies].reshape(-1, states.shape[1])
        rounds = []
        for _ in range(num_rounds):
            made = go_round(block, adjacency, weights)
            block = made.after
            if kept is not None:
                rounds.append(made)
        result[:, bodies] = block.view(len(adjacency), -1, states.shape[1])
        if kept is not None:
            kept.append(rounds)
    return result.view_as(states)


def _blocks(nodes: int, copies: int) -> list[slice]:
    """Cut `copies` bodies into equal blocks of about `ROWS` node rows."""
    number = max(1, round(nodes * copies / ROWS))
    width = -(-copies // number)
    return [slice(start, min(start + width, copies)) for start in range(0, copies, width)]


def pays(states: torch.Tensor) -> bool:
    """Return whether `fused_rounds` is the faster way for these states.

    It is on a CPU, but for a few rows of inference, where the number of calls is what costs.
    """
    return states.device.type == "cpu" and (torch.is_grad_enabled() or len(states) >= ROWS)


def fused_rounds(
    states: torch.Tensor,
    adjacency: torch.Tensor,
    sizes: Sequence[int],
    num_rounds: int,
    parameters: Sequence[torch.Tensor],
) -> torch.Tensor:
    """Let states go through all rounds of messages and updates; differentiable once.

    Args:
        states: `float32[R, H]`, node by node: row = node position * copies + copy.
        adjacency: `float32[N, N]`, as `GraphTopology` has it.
        sizes: Nodes of each kind, in the order of the nodes.
        num_rounds: Rounds, T.
        parameters: Weight `[H, H]` and bias `[H]` of every message layer, then each kind's
            `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh`.

    Returns:
        States after the last round, `float32[R, H]`.
    """
    if not torch.is_grad_enabled():
        return _go(states, adjacency, Weights.of(parameters, tuple(sizes)), num_rounds, None)
    result = _Rounds.apply(states, adjacency, tuple(sizes), num_rounds, *parameters)
    assert isinstance(result, torch.Tensor)
    return result
