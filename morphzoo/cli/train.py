"""Train a policy on a body, from a recipe or from options; resumable bit for bit.

For example: morphzoo train --env morphzoo/Centipede-6 --policy snowflake --out runs/six
"""

from __future__ import annotations

import argparse
import os
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add = parser.add_argument
    add("--recipe", help="bundled recipe (snowflake-centipede-6) or a JSON file")
    add("--env", help="body to train on, such as morphzoo/Centipede-6")
    add("--policy", help="snowflake, nervenet or mlp; deterministic for --algorithm es or epvf")
    add("--algorithm", help="ppo (default), es, epvf, pssvf or enas")
    add("--steps", type=int)
    add("--seed", type=int)
    add("--n-envs", type=int)
    add("--device", help="cpu (default) or cuda")
    add("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    add("--out", required=True, help="folder of the run")
    add("--resume", action="store_true", help="continue the run in --out")
    add("--threads", type=int, default=1, help="CPU threads (default 1)")
    add("--tensorboard", action="store_true")
    add("--no-progress", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Train, and print where the checkpoints are."""
    from morphzoo.recipe import make_recipe, parse_setting

    names = ("env", "policy", "algorithm", "steps", "seed", "n_envs", "device")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    given.update(parse_setting(text) for text in options.settings)
    stored = os.path.join(options.out, "recipe.json")
    known = options.recipe or (stored if options.resume and os.path.isfile(stored) else None)
    recipe = make_recipe(known, given)
    from morphzoo.training import train  # a wrong recipe is refused before torch is loaded

    keywords = {name: getattr(options, name) for name in ("resume", "threads", "tensorboard")}
    try:
        final = train(recipe, options.out, progress=not options.no_progress, **keywords)
    except KeyboardInterrupt:
        print(f"\ncontinue with --resume --out {options.out}", file=sys.stderr)
        raise
    print(f"trained: {final}, best checkpoint: {final.with_name('best')}")
    return 0
