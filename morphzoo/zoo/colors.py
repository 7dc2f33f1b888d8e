"""Chromatic policies in a checkpoint: do the sizes that it claims fit the tensors beside it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from morphzoo.policies import (
    POLICIES,
    ChromaticMlpPolicy,
    ChromaticPolicy,
    ChromaticSnowflakePolicy,
)
from morphzoo.policies.chromatic.coloring import (
    STORED,
    check_num_colors,
    implied_colors,
    layer_shapes,
    layer_sizes,
    num_edges,
)
from morphzoo.policies.message_passing import KINDS
from morphzoo.zoo.untrusted import Where, refuse, shown

Shapes = dict[str, tuple[int, ...]]

#: Keywords whose sizes are checked here, and not by the rule for layers of their own weights.
COLOR_KEYWORDS = ("coloring_seed", "hidden_sizes", "num_colors")


def is_colored(name: str) -> bool:
    """Tell whether a name of `POLICIES` is that of a policy of shared weights."""
    colored = ChromaticPolicy | ChromaticMlpPolicy | ChromaticSnowflakePolicy
    return issubclass(POLICIES[name], colored)


def check_colors(
    config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], where: Where
) -> None:
    """Refuse sizes that the pool, the index and the biases are not of, before anything is built.

    Args:
        config: A configuration of a policy that `is_colored`, its keywords of the right types.
        shapes: Tensor name -> shape, as the header of the weights says.
        where: What to call the configuration in messages.

    Raises:
        CheckpointError: They are not.
    """
    graph = issubclass(POLICIES[config["policy"]], ChromaticSnowflakePolicy)
    prefix, wanted = ("network.update.", _update) if graph else ("actor.", _perceptron)
    try:
        expected = wanted(config["policy_kwargs"], config["policy_schema"])
    except ValueError as error:
        refuse(where, "a colouring", str(error))
    found = {name: shape for name, shape in shapes.items() if name.startswith(prefix)}
    if found != expected:
        names = [n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n)]
        name = min(names)
        had = shown(list(found[name])) if name in found else "none"
        said = f"{name} of shape {list(expected[name])}" if name in expected else f"no {name}"
        refuse(where, f"{said} in the weights", had)


def _perceptron(kwargs: Mapping[str, Any], schema: Mapping[str, Any]) -> Shapes:
    """Return the shapes of a perceptron's pool, indices and biases.

    Raises:
        ValueError: It is no network, or the pool does not fit it.
    """
    kind = kwargs.get("coloring", "chromatic")
    hidden = kwargs.get("hidden_sizes", (41,))
    sizes = layer_sizes([len(schema["columns"]), *hidden, len(schema["motors"])])
    colors = implied_colors(kind, sizes) or kwargs.get("num_colors")
    if colors is None:
        colors = max(sizes[0], sizes[-1])
    check_num_colors(colors, num_edges(sizes))
    expected: Shapes = {"actor.pool": (colors,)}
    for layer, shape in enumerate(layer_shapes(sizes)):
        if kind in STORED:
            expected[f"actor.layers.{layer}.index"] = shape
        if layer < len(hidden) or kwargs.get("output_bias", False):
            expected[f"actor.layers.{layer}.bias"] = shape[:1]
    return expected


def _update(kwargs: Mapping[str, Any], schema: Mapping[str, Any]) -> Shapes:
    """Return the shapes of a graph network's coloured update; see `_perceptron`."""
    size, colors = kwargs.get("hidden_size", 64), kwargs.get("num_colors", 64)
    check_num_colors(colors, num_edges(layer_sizes([size, 12 * size])))
    expected: Shapes = {"network.update.pool": (colors,)}
    for kind in KINDS:
        for matrix in ("ih", "hh"):
            name = f"network.update.kinds.{kind}.{matrix}"
            expected |= {f"{name}.index": (3 * size, size), f"{name}.bias": (3 * size,)}
    return expected
