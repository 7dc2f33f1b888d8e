"""Pin a published checkpoint: `zoo.load(NAME)` then is this commit, bit for bit, or an error.

For maintainers, when a release is made: what is written is a file of the package.
"""

from __future__ import annotations

import argparse
import sys

from morphzoo.entry import run_script


def main() -> int:
    """Parse, pin, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="what users will load it by, such as snowflake-centipede-30")
    parser.add_argument("repo", help="user/repo, or user/repo@revision")
    parser.add_argument("--replace", action="store_true", help="let a name mean another commit")
    text = "the hub (default: MORPHZOO_HUB, or the Hub)"
    parser.add_argument("--endpoint", metavar="URL", help=text)
    parser.add_argument("--file", help="the table (default: the one in the package)")
    options = parser.parse_args()
    from morphzoo.zoo.pinning import pin

    how = {name: getattr(options, name) for name in ("replace", "endpoint", "file")}
    made = pin(options.name, options.repo, **how)
    print(f"{options.name}: {made.repo}@{made.revision}, {len(made.sha256)} files")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
