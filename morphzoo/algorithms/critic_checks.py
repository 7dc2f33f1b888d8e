"""What a policy-conditioned critic may be asked for; every refusal says what was found."""

from __future__ import annotations

from typing import Any

from morphzoo.algorithms.centres import OPTIMIZERS
from morphzoo.algorithms.population_checks import at_least, whole
from morphzoo.algorithms.targets import TARGETS

SCALES = ("none", "clip", "standard")
OVER = ("buffer", "generation")


def check_critic(model: Any) -> None:
    """Refuse an `EPVF` whose sizes do not fit each other, or values out of range.

    Raises:
        ValueError: naming what was found.
    """
    if not 0 <= model.held_out < 1:
        raise ValueError(f"held_out must be a share in [0, 1), found {model.held_out}")
    if model.batch_size > model.buffer_size:
        raise ValueError(
            f"a batch of {model.batch_size:,} policies cannot be drawn from a buffer of "
            f"{model.buffer_size:,}: make buffer_size at least batch_size"
        )
    for name, value, known in (
        ("target", model.target, TARGETS),
        ("target_over", model.target_over, OVER),
        ("critic_optimizer", model.critic_optimizer_name, OPTIMIZERS),
        ("scale_inputs", model.scale_inputs, SCALES),
    ):
        if value not in known:
            raise ValueError(f"{name}: expected one of {list(known)}, found {value!r}")
    if model.scale_inputs == "clip" and not model.weight_clip:
        raise ValueError("scale_inputs='clip' divides by weight_clip, which is 0")
    if "visited" in model.features.split("+") and not model.reset_critic:
        raise ValueError(
            "features='visited' are of other states in each generation, which a critic that is "
            "kept would not notice: give reset_critic=True"
        )
    linear = not model.critic_kwargs.get("net_arch", True)
    if model.num_policies > 1 and linear and model.features == "theta":
        raise ValueError(
            "num_policies: one linear V of parameters has the same slope everywhere, so that all "
            "policies would take the same steps; give critic_kwargs={'net_arch': [256, 256]} or "
            "num_policies=1"
        )
    whole(model, "batch_size", "buffer_size", "n_critic_steps", "n_policy_steps")
    at_least(model, 1, "batch_size", "buffer_size", "n_critic_steps")
    at_least(model, 0, "n_policy_steps", "critic_learning_rate", "critic_weight_decay")
    at_least(model, 0, "max_shift")
