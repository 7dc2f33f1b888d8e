"""The zoo: save a policy as a folder without pickle, load it onto any body."""

from morphzoo.zoo.catalogue import bundled
from morphzoo.zoo.checkpoint import annotate, load, read_config, read_results, save
from morphzoo.zoo.listing import Entry
from morphzoo.zoo.listing import entries as list  # zoo.list(): as people ask for it
from morphzoo.zoo.untrusted import CheckpointError

__all__ = [
    "CheckpointError",
    "Entry",
    "annotate",
    "bundled",
    "list",
    "load",
    "read_config",
    "read_results",
    "save",
]
