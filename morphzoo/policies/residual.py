"""Deep residual networks: blocks of four layers, several networks of one shape side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from morphzoo.policies.compiled import compiled
from morphzoo.policies.received import one_of

BLOCK = 4  # layers of a residual block
EPS = 1e-6  # of a norm: flax's default, where torch's is 1e-5

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "swish": functional.silu,
    "relu": functional.relu,
}
NORMS = ("layer", "hypersphere", "none")
BLOCK_INITS = ("paper", "identity")
#: Name -> what a block's output is multiplied by before its input is added, of their number N; None
#: if it is not added at all.
RESIDUALS: dict[str, Callable[[int], float | None]] = {
    "one": lambda blocks: 1.0,
    "sqrt": lambda blocks: blocks**-0.5,
    "mean": lambda blocks: 1 / blocks,
    "none": lambda blocks: None,
}


@dataclasses.dataclass(frozen=True)
class TrunkSettings:
    """What a trunk is made of.

    Attributes:
        depth: layers in its residual blocks, a multiple of 4; input and output layer not counted.
        width: units of a layer, W.
        activation: "swish" or "relu".
        norm: after each layer: "layer", LayerNorm; "hypersphere", onto the sphere of radius
            sqrt(W), then a scale and a shift for each unit, as LayerNorm has; or "none".
        final_norm: the same norm once more, on what leaves the last block.
        residual: what a block's output is multiplied by before its input is added: "one", "sqrt"
            (one over the square root of the number of blocks) or "mean" (one over their number);
            "none": its input is not added.
        block_init: "paper", or "identity": the last scale of each block begins at zero, so that
            the block hands on its input.

    Raises:
        ValueError: naming the keyword, what was expected and what was found.
    """

    depth: int = 4
    width: int = 256
    activation: str = "swish"
    norm: str = "layer"
    final_norm: bool = False
    residual: str = "one"
    block_init: str = "paper"

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.depth < BLOCK or self.depth % BLOCK:
            below, above = max(self.depth // BLOCK, 1) * BLOCK, (self.depth // BLOCK + 1) * BLOCK
            close = f"{below} or {above}" if self.depth > BLOCK else f"{BLOCK}"
            raise ValueError(
                f"depth: expected a multiple of {BLOCK}, the layers of a residual block, found "
                f"{self.depth}; take {close}"
            )
        if self.width < 1:
            raise ValueError(f"width: expected 1 or more, found {self.width}")
        one_of("activation", self.activation, ACTIVATIONS)
        one_of("norm", self.norm, NORMS)
        one_of("residual", self.residual, RESIDUALS)
        one_of("block_init", self.block_init, BLOCK_INITS)
        if self.norm == "none" and (self.final_norm or self.block_init == "identity"):
            raise ValueError(
                "norm='none' has no scales: final_norm=True and block_init='identity' need "
                "norm='layer' or 'hypersphere'"
            )
        if self.activation == "relu" and self.block_init == "identity":
            raise ValueError(
                "block_init='identity' with activation='relu': a block that begins at zero, where "
                "relu has no slope, stays there; take 'swish'"
            )
        if self.residual == "none" and self.block_init == "identity":
            raise ValueError(
                "block_init='identity' with residual='none': a block that begins at zero and adds "
                "nothing would hand on nothing"
            )

    @property
    def blocks(self) -> int:
        """Number of residual blocks, N."""
        return self.depth // BLOCK

    @property
    def block_scale(self) -> float | None:
        """What a block's output is multiplied by; None if its input is not added."""
        return RESIDUALS[self.residual](self.blocks)


class ResidualTrunk(nn.Module):
    """K networks of one depth and width, that share nothing and are computed together.

    Each is a layer from its inputs to W units, then N blocks x + block(x) of four layers. A layer
    is a linear map, a norm and an activation; nothing comes after the sum. What K networks do at
    one depth is one batched matrix product.

    A parameter holds all layers at once, so that 1,024 layers are four tensors, not four thousand:
    `weight`, float32[depth, K, W, W]; `bias`, float32[depth, K, W]; `scale` and `shift` of the
    norms, float32[depth + 1 (+ 1), K, W], the input layer's first and the final norm's last.

    Source: Wang et al., "1000 Layer Networks for Self-Supervised RL" (NeurIPS 2025), section 3 and
        figure 2; first values and the norm's eps as in its released code: weights uniform in
        +-1/sqrt(fan in), biases 0.

    Args:
        inputs: numbers that each network reads, K of them.
        settings: depth, width and the rest.

    Attributes:
        checkpoint_blocks: so many blocks, the first ones, keep their input alone and are computed
            once more when gradients are asked for.
        compile_blocks: whether blocks run as compiled by `torch.compile`.
    """

    def __init__(self, inputs: Sequence[int], settings: TrunkSettings) -> None:
        super().__init__()
        self.settings = settings
        self.checkpoint_blocks = 0
        self.compile_blocks = False
        depth, width, members = settings.depth, settings.width, len(inputs)
        norms = depth + 1 + settings.final_norm if settings.norm != "none" else 0
        self.first = nn.ModuleList([dense(size, width) for size in inputs])
        self.weight = nn.Parameter(uniform(depth, members, width, width, fan_in=width))
        self.bias = nn.Parameter(torch.zeros(depth, members, width))
        self.scale = nn.Parameter(torch.ones(norms, members, width))
        self.shift = nn.Parameter(torch.zeros(norms, members, width))
        if settings.block_init == "identity":
            self.scale.data[BLOCK : depth + 1 : BLOCK] = 0.0

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Compute all networks: float32[B, I] each to float32[K, B, W], or float32[B, W] if K = 1.

        Each network has as many rows as the others.
        """
        if len(inputs) != len(self.first):
            raise ValueError(f"expected {len(self.first)} inputs, found {len(inputs)}")
        parameters = [self.weight, self.bias, self.scale, self.shift]
        if len(inputs) == 1:
            return self._run(self.first[0](inputs[0]), [p.squeeze(1) for p in parameters])
        firsts = [layer(x) for layer, x in zip(self.first, inputs, strict=True)]
        return self._run(torch.stack(firsts), parameters)

    def frozen(self, member: int, inputs: torch.Tensor) -> torch.Tensor:
        """Compute one network, float32[B, I] to float32[B, W]; no gradient reaches parameters."""
        layer = self.first[member]
        assert isinstance(layer, nn.Linear)
        first = functional.linear(inputs, layer.weight.detach(), layer.bias.detach())
        parameters = (self.weight, self.bias, self.scale, self.shift)
        return self._run(first, [p.detach()[:, member] for p in parameters])

    def _run(self, first: torch.Tensor, parameters: Sequence[torch.Tensor]) -> torch.Tensor:
        """Go from the input layer's products to the last block's output."""
        how = self.settings
        weight, bias, scale, shift = (list(p.unbind(0)) for p in parameters)
        if how.norm == "none":
            scale = shift = [first] * (how.depth + 1)  # never read
        activation = ACTIVATIONS[how.activation]
        x = activation(normalized(first, how.norm, scale[0], shift[0]))
        run = compiled(block) if self.compile_blocks else block
        plain: Any = {"activation": how.activation, "norm": how.norm, "add": how.block_scale}
        for number in range(how.blocks):
            layers = slice(BLOCK * number, BLOCK * (number + 1))
            norms = slice(layers.start + 1, layers.stop + 1)
            arguments = (x, weight[layers], bias[layers], scale[norms], shift[norms])
            if number < self.checkpoint_blocks and torch.is_grad_enabled():
                x = checkpoint(
                    run, *arguments, use_reentrant=False, preserve_rng_state=False, **plain
                )
            else:
                x = run(*arguments, **plain)
        return normalized(x, how.norm, scale[-1], shift[-1]) if how.final_norm else x


def block(
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor],
    scales: Sequence[torch.Tensor],
    shifts: Sequence[torch.Tensor],
    *,
    activation: str,
    norm: str,
    add: float | None,
) -> torch.Tensor:
    """Compute one block, float32[..., B, W] to the same.

    Args:
        x: what enters it.
        weights: float32[..., W, W] of each of its layers.
        biases: float32[..., W] likewise.
        scales: of the norms, float32[..., W] likewise.
        shifts: likewise.
        activation: a row of `ACTIVATIONS`.
        norm: one of `NORMS`.
        add: what the result is multiplied by before x is added; None: x is not added.
    """
    y = x
    for weight, bias, scale, shift in zip(weights, biases, scales, shifts, strict=True):
        if weight.ndim == 2:
            y = functional.linear(y, weight, bias)
        else:
            y = torch.baddbmm(bias.unsqueeze(-2), y, weight.transpose(-1, -2))
        y = ACTIVATIONS[activation](normalized(y, norm, scale, shift))
    if add is None:
        return y
    return x + y if add == 1.0 else torch.add(x, y, alpha=add)


def normalized(
    x: torch.Tensor, norm: str, scale: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """Normalise the last axis of float32[..., B, W], then scale and shift by float32[..., W]."""
    if norm == "none":
        return x
    size = x.shape[-1:]
    if norm == "layer" and scale.ndim == 1:
        return functional.layer_norm(x, size, scale, shift, EPS)
    plain = functional.layer_norm if norm == "layer" else functional.rms_norm
    standard = plain(x, size, eps=EPS)
    return torch.addcmul(shift.unsqueeze(-2), standard, scale.unsqueeze(-2))


def dense(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with weights uniform in +-1/sqrt(inputs) and biases 0."""
    layer = nn.Linear(inputs, outputs)
    layer.weight.data = uniform(outputs, inputs, fan_in=inputs)
    nn.init.zeros_(layer.bias)
    return layer


def uniform(*shape: int, fan_in: int) -> torch.Tensor:
    """Weights of this shape, uniform in +-1/sqrt(fan in): variance 1 / (3 fan in)."""
    return torch.empty(*shape).uniform_(-(fan_in**-0.5), fan_in**-0.5)
