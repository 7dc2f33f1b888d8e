"""`python -m morphzoo.training --fingerprint RECIPE`: its fingerprint on this machine."""

from __future__ import annotations

import argparse
import json
import tempfile

from morphzoo.files import write_text_atomic
from morphzoo.recipe import RECIPES, read_recipe
from morphzoo.training.fingerprint import opening, platform_signature, reproduce


def main() -> None:
    """Train the first steps of each recipe named and print, or store, what they come to."""
    parser = argparse.ArgumentParser(prog="python -m morphzoo.training", description=__doc__)
    parser.add_argument("--fingerprint", nargs="+", required=True, metavar="RECIPE")
    parser.add_argument("--store", action="store_true", help="write it into the bundled recipe")
    options = parser.parse_args()
    for name in options.fingerprint:
        with tempfile.TemporaryDirectory() as folder:
            entry = {platform_signature(): {**reproduce(name, folder), "opening": opening(name)}}
        print(json.dumps({"recipe": name, "fingerprint_10000": entry}, indent=2))
        if options.store:
            recipe = read_recipe(name)
            stored = recipe.override({"fingerprint_10000": {**recipe.fingerprint_10000, **entry}})
            write_text_atomic(RECIPES / f"{name}.json", stored.to_json())


if __name__ == "__main__":
    main()
