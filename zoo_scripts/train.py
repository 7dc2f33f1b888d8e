"""Train a policy: zoo_scripts/train.py --env morphzoo/Centipede-6 --policy snowflake --out DIR."""

from __future__ import annotations

import argparse
import os
import sys

from morphzoo.entry import run_script
from morphzoo.recipe import make_recipe, parse_setting


def parse() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", help="bundled recipe (snowflake-centipede-6) or a JSON file")
    parser.add_argument("--env", help="body to train on, such as morphzoo/Centipede-6")
    parser.add_argument("--policy", help="snowflake, nervenet or mlp")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--n-envs", type=int)
    parser.add_argument("--device", help="cpu (default) or cuda")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--tensorboard", action="store_true")
    parser.add_argument("--no-progress", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Train, and print where the checkpoints are."""
    options = parse()
    names = ("env", "policy", "steps", "seed", "n_envs", "device")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    given.update(parse_setting(text) for text in options.settings)
    stored = os.path.join(options.out, "recipe.json")
    known = options.recipe or (stored if options.resume and os.path.isfile(stored) else None)
    recipe = make_recipe(known, given)
    from morphzoo.training import train  # after run_script has told torch's threads to sleep

    keywords = {name: getattr(options, name) for name in ("resume", "threads", "tensorboard")}
    try:
        final = train(recipe, options.out, progress=not options.no_progress, **keywords)
    except KeyboardInterrupt:
        print(f"\ncontinue with --resume --out {options.out}", file=sys.stderr)
        raise
    print(f"trained: {final}, best checkpoint: {final.with_name('best')}")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
