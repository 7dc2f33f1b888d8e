"""The console command's page: what every subcommand's `--help` says."""

from __future__ import annotations

import argparse
import importlib

from morphzoo.cli import COMMANDS

_WIDTH = 82  # characters, which a page has room for
_HEAD = """# The command `morphzoo`

Also `python -m morphzoo`. Exit status: 0, 2 after an error in what was asked for, 130 after Ctrl-C.
"""


def page() -> str:
    """Return the page, Markdown."""
    parts = [_HEAD]
    for name, module_name in COMMANDS.items():
        module = importlib.import_module(module_name)
        about, _, below = (module.__doc__ or "").partition("\n")
        parser = argparse.ArgumentParser(
            prog=f"morphzoo {name}",
            epilog=below.strip(),
            formatter_class=lambda prog: argparse.HelpFormatter(prog, width=_WIDTH),
        )
        module.add_arguments(parser)
        parts += [f"## `{name}`", about, f"```text\n{parser.format_help().rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"
