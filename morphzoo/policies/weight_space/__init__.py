"""Policies seen as points in weight space: flat parameters in, features or equal policies out."""

from morphzoo.policies.weight_space.functional import UniversalNeuralFunctional
from morphzoo.policies.weight_space.layout import MlpLayout
from morphzoo.policies.weight_space.symmetry import symmetries

__all__ = ["MlpLayout", "UniversalNeuralFunctional", "symmetries"]
