"""`python -m benchmarks`: measure, write results.json and the tables that stand in the pages."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import (
    anatomy,
    cartpole,
    contrastive,
    growth,
    populations,
    products,
    stepping,
    training,
    updates,
)
from benchmarks.measuring import machine
from benchmarks.report import goals, write_pages

RESULTS = Path(__file__).parent / "results.json"
# What is measured, in how many rounds.
PARTS = {
    "updates": (updates.run, 9),
    "anatomy": (anatomy.run, 15),
    "growth": (growth.run, 5),
    "training": (training.run, 3),
    "populations": (populations.run, 5),
    "contrastive": (contrastive.run, 15),
    "products": (products.run, 9),
    "cartpole": (cartpole.run, 5),
    "stepping": (stepping.run, 5),
}


def main() -> None:
    """Measure the parts that are asked for; the others keep what was found before."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="measurements of each; by default many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file to write")
    arguments = parser.parse_args()
    for part in arguments.parts:
        if part not in PARTS:
            parser.error(f"unknown part '{part}': choose of {', '.join(PARTS)}")
    document = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for part in arguments.parts or PARTS:
        run, rounds = PARTS[part]
        rounds = arguments.rounds or rounds
        print(f"\n{part}, {rounds} rounds")
        described = machine()
        found = run(rounds, arguments.seed)
        document[part] = {"machine": described, "rounds": rounds, "found": found}
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")
    for goal in goals(document):
        print(" | ".join(goal.line()))
    if arguments.out == RESULTS:
        write_pages(document)


if __name__ == "__main__":
    main()
