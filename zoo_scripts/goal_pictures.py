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
    import gymnasium as gym

    from morphzoo import goal_pictures, plots, zoo

    config = zoo.read_config(options.policy)
    with gym.make(options.env or config["env_id"]) as env:
        policy = zoo.load(options.policy, env)
        plots.save_png(goal_pictures.maze_figure(policy, env, options.goals), options.out)
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
