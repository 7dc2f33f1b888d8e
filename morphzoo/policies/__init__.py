"""Policies that plug into Stable-Baselines3; the names under which checkpoints know them."""

from morphzoo.policies.mlp import MlpPolicy
from morphzoo.policies.nervenet import NerveNetPolicy
from morphzoo.policies.snowflake import SnowflakePolicy

#: Name in recipes and checkpoints -> class.
POLICIES = {
    "snowflake": SnowflakePolicy,
    "nervenet": NerveNetPolicy,
    "mlp": MlpPolicy,
}

__all__ = ["POLICIES", "MlpPolicy", "NerveNetPolicy", "SnowflakePolicy"]
