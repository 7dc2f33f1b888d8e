"""Draw what a contrastive policy knows of a maze: energies over it, and a way in the embedding."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from morphzoo.entry import run_script


def main() -> int:
    """Load, play, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("policy", help="bundled name, folder, or hf:// address")
    add("--env", help="maze (default: the one trained in)")
    add("--goals", type=int, default=3, metavar="N", help="different goals (default 3)")
    add("--out", type=Path, required=True, help="PNG file to write")
    options = parser.parse_args()
    from morphzoo import goal_pictures

    goal_pictures.draw(options.policy, options.out, options.env, options.goals)
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
