"""The zoo: save a policy as a folder without pickle, load it onto any body."""

from morphzoo.zoo.catalogue import bundled
from morphzoo.zoo.checkpoint import annotate, load, read_config, read_results, save
from morphzoo.zoo.hub import HubError, cached, pull, push, tagged
from morphzoo.zoo.listing import Entry
from morphzoo.zoo.listing import entries as list  # zoo.list(): as people ask for it
from morphzoo.zoo.sb3_zip import import_sb3_zip
from morphzoo.zoo.untrusted import CheckpointError

__all__ = [
    "CheckpointError",
    "Entry",
    "HubError",
    "annotate",
    "bundled",
    "cached",
    "import_sb3_zip",
    "list",
    "load",
    "pull",
    "push",
    "read_config",
    "read_results",
    "save",
    "tagged",
]
