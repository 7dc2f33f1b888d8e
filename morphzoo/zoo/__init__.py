"""The zoo: save a policy as a folder without pickle, load it onto any body."""

from morphzoo.zoo.catalogue import bundled
from morphzoo.zoo.checkpoint import annotate, load, read_config, read_results, save
from morphzoo.zoo.untrusted import CheckpointError

__all__ = [
    "CheckpointError",
    "annotate",
    "bundled",
    "load",
    "read_config",
    "read_results",
    "save",
]
