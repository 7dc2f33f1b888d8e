"""Policies that plug into Stable-Baselines3; the names under which checkpoints know them."""

from morphzoo.policies.bank import PolicyBank
from morphzoo.policies.chromatic import (
    ChromaticMlpPolicy,
    ChromaticPolicy,
    ChromaticSnowflakePolicy,
)
from morphzoo.policies.contrastive import ContrastivePolicy
from morphzoo.policies.contrastive_graph import ContrastiveSnowflakePolicy
from morphzoo.policies.deterministic import DeterministicPolicy
from morphzoo.policies.mlp import MlpPolicy
from morphzoo.policies.nervenet import NerveNetPolicy
from morphzoo.policies.snowflake import SnowflakePolicy

#: Name in recipes and checkpoints -> class.
POLICIES = {
    "snowflake": SnowflakePolicy,
    "nervenet": NerveNetPolicy,
    "mlp": MlpPolicy,
    "deterministic": DeterministicPolicy,
    "chromatic": ChromaticPolicy,
    "chromatic-mlp": ChromaticMlpPolicy,
    "chromatic-snowflake": ChromaticSnowflakePolicy,
    "contrastive": ContrastivePolicy,
    "contrastive-snowflake": ContrastiveSnowflakePolicy,
}

__all__ = [
    "POLICIES",
    "ChromaticMlpPolicy",
    "ChromaticPolicy",
    "ChromaticSnowflakePolicy",
    "ContrastivePolicy",
    "ContrastiveSnowflakePolicy",
    "DeterministicPolicy",
    "MlpPolicy",
    "NerveNetPolicy",
    "PolicyBank",
    "SnowflakePolicy",
]
