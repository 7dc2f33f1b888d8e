"""`python -m morphzoo.training --fingerprint RECIPE`: its fingerprint on this machine."""

from __future__ import annotations

import argparse
import json
import tempfile

from morphzoo.training.fingerprint import platform_signature, reproduce


def main() -> None:
    """Train the first steps of each recipe named and print what belongs into its file."""
    parser = argparse.ArgumentParser(prog="python -m morphzoo.training", description=__doc__)
    parser.add_argument("--fingerprint", nargs="+", required=True, metavar="RECIPE")
    for name in parser.parse_args().fingerprint:
        with tempfile.TemporaryDirectory() as folder:
            entry = {platform_signature(): reproduce(name, folder)}
        print(json.dumps({"recipe": name, "fingerprint_10000": entry}, indent=2))


if __name__ == "__main__":
    main()
