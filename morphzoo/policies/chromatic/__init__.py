"""Chromatic networks: policies whose edges share the weights of one small pool."""

from morphzoo.policies.chromatic.actor_critic import ChromaticMlpPolicy
from morphzoo.policies.chromatic.bank import ChromaticBank
from morphzoo.policies.chromatic.coloring import COLORINGS, Coloring
from morphzoo.policies.chromatic.compressing import (
    kmeans_policy,
    pruned_policy,
    unstructured_policy,
)
from morphzoo.policies.chromatic.linear import ChromaticLinear, ChromaticNetwork
from morphzoo.policies.chromatic.policy import ChromaticPolicy
from morphzoo.policies.chromatic.snowflake import ChromaticSnowflakePolicy, kmeans_snowflake

__all__ = [
    "COLORINGS",
    "ChromaticBank",
    "ChromaticLinear",
    "ChromaticMlpPolicy",
    "ChromaticNetwork",
    "ChromaticPolicy",
    "ChromaticSnowflakePolicy",
    "Coloring",
    "kmeans_policy",
    "kmeans_snowflake",
    "pruned_policy",
    "unstructured_policy",
]
