"""Other parameters of the same policy: hidden units that change places, and signs."""

from __future__ import annotations

import torch

from morphzoo.policies.weight_space.layout import MlpLayout


def symmetries(
    layout: MlpLayout,
    theta: torch.Tensor,
    generator: torch.Generator | None = None,
    *,
    permute: bool = True,
    flip: bool = True,
) -> torch.Tensor:
    """Draw for each policy other parameters that act alike: free data for a critic.

    With a permutation p_l and signs s_l = -1 or 1 of the units of each hidden layer l (none on
    observation and action), all drawn uniformly and for each policy anew::

        W_l[i, j] <- s_l[i] W_l[p_l[i], p_{l-1}[j]] s_{l-1}[j]
        b_l[i]    <- s_l[i] b_l[p_l[i]]

    Signs need an odd activation after the hidden layers, such as tanh: tanh(-x) = -tanh(x). They
    leave actions bit for bit, permutations up to the rounding of sums in another order.

    Source: Chen, Lu and Hecht-Nielsen, On the geometry of feedforward neural network error surfaces
    (1993), both; Sussmann (1992): a tanh network with one hidden layer and no idle unit has no
    others. `UniversalNeuralFunctional` has the permutations built in, and not the signs.

    Args:
        layout: the order of the parameters.
        theta: flat parameters, floating[B, P].
        generator: what to draw with, on theta's device; torch's own by default.
        permute: whether units change places.
        flip: whether units change signs. Only for policies with an odd activation.

    Returns:
        floating[B, P], differentiable in theta.

    Raises:
        ValueError: if theta does not fit the layout.
    """
    layout.check(theta)
    drawn = {"generator": generator, "device": theta.device}
    order, sign = {}, {}
    for layer, units in enumerate(layout.hidden_sizes, start=1):
        shape = (len(theta), units)
        if permute:
            order[layer] = torch.rand(shape, **drawn).argsort(dim=1)
        if flip:
            sign[layer] = 1 - 2 * torch.randint(2, shape, **drawn).to(theta.dtype)
    moved = {}
    for tensor in layout.tensors:
        x = layout.split(theta)[tensor.name]
        for axis, layer in enumerate(tensor.layers, start=1):
            along = [len(theta), *(-1 if a == axis else 1 for a in range(1, x.ndim))]
            if layer in order:
                x = x.take_along_dim(order[layer].view(along), axis)
            if layer in sign:
                x = x * sign[layer].view(along)
        moved[tensor.name] = x
    return layout.join(moved)
