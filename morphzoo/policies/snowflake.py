"""Snowflake: NerveNet with the encoder, the message function and the decoder frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from morphzoo.policies.nervenet import NerveNetPolicy


class SnowflakePolicy(NerveNetPolicy):
    """NerveNet that trains its update function (and embedding, log-std, value head) alone.

    Frozen parts keep their orthogonal first values; gradients flow through them. That keeps the
    policy from moving far in one update, the overfitting that Blake et al. found in large bodies.

    Source: Snowflake (Blake et al., NeurIPS 2021) section 3: encoder, message function and decoder
    frozen; of 71,841 parameters before log-std and value head 21,729.

    Args:
        observation_space: a `MorphologySpace`.
        action_space: a `Box` with one entry a motor.
        lr_schedule: learning rate by remaining progress.
        use_sde: must be False.
        freeze: the frozen parts, any of `part_names`.
        **kwargs: the keywords of `NerveNetPolicy` and `GraphPolicy`.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        use_sde: bool = False,
        *,
        freeze: Sequence[str] = ("encoder", "message", "decoder"),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            observation_space, action_space, lr_schedule, use_sde, freeze=freeze, **kwargs
        )
