"""Score policies, zero-shot, on bodies that they were not trained on; see docs/transfer.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from morphzoo.entry import command_line

POLICIES = ["snowflake-centipede-6", "mlp-centipede-6", "random"]
BODIES = [f"morphzoo/Centipede-{legs}-v0" for legs in (6, 8, 10, 12, 20)]
KINDS = {"stochastic": ["sampled"], "deterministic": ["mean"], "both": ["sampled", "mean"]}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add = parser.add_argument
    add("--policies", nargs="+", default=POLICIES, metavar="NAME", help="or folders, or random")
    add("--envs", nargs="+", default=BODIES, metavar="ID", help="bodies; arguments behind commas")
    add("--episodes", type=int, default=20, metavar="N", help="for each seed (default 20)")
    add("--seeds", type=int, nargs="+", default=[10_000], metavar="S", help="base (default 10000)")
    kinds = parser.add_mutually_exclusive_group()
    for name, kind in KINDS.items():
        text = f"{' and '.join(kind)} actions{' (default)' * (name == 'stochastic')}"
        kinds.add_argument(f"--{name}", dest="actions", action="store_const", const=kind, help=text)
    add("--json", type=Path, metavar="OUT", help="write every episode, with versions and command")
    add("--csv", type=Path, metavar="OUT", help="write one line a score")
    add("--plot", type=Path, metavar="OUT", help="draw a heat map, PNG")
    add("--store", action="store_true", help="write the scores into the checkpoints' results too")
    add("--num-envs", type=int, metavar="N", help="bodies side by side (default: at most 64)")
    add("--num-threads", type=int, default=0, metavar="N", help="CPU threads (default: all)")
    add("--no-progress", action="store_true", help="no bar; there is none without a terminal")
    parser.set_defaults(actions=KINDS["stochastic"])


def run(options: argparse.Namespace) -> int:
    """Evaluate, print and write."""
    from morphzoo import files, plots, results, tables, transfer
    from morphzoo.progress import progress_bar

    for path in filter(None, (options.json, options.csv, options.plot)):
        files.check_writable(path.absolute().parent)
    what = [options.policies, options.envs, options.episodes, options.seeds, options.actions]
    with progress_bar(show=not options.no_progress) as progress:
        how = {"num_envs": options.num_envs, "num_threads": options.num_threads}
        scores = transfer.transfer_matrix(*what, **how, progress=progress)
    tables.print_tables(scores)
    command = command_line()
    if options.json:
        results.write_results(options.json, scores, command=command)
    if options.csv:
        files.write_text_atomic(options.csv, tables.csv_text(scores))
    if options.plot:
        plots.save_png(plots.heat_map(scores), options.plot)
    if options.store:
        transfer.store(scores, command=command)
    return 0
