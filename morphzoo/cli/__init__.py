"""The console command `morphzoo`: a subcommand a file, one table of them.

A subcommand is a module with a docstring (its first line is what `--help` says), a function
`add_arguments(parser)`, and a function `run(options)` that returns the exit status. It imports
torch, MuJoCo and scipy inside `run` only: `morphzoo --help` waits for none of them, and torch has
to be imported after `run_script` has set how its threads wait.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from types import ModuleType

import morphzoo
from morphzoo.entry import run_script

# Name -> module. A script of zoo_scripts/ may run one of these under its own name.
COMMANDS: dict[str, str] = {
    "train": "morphzoo.cli.train",
    "transfer": "morphzoo.cli.transfer",
    "list": "morphzoo.cli.list",
    "push": "morphzoo.cli.push",
    "pull": "morphzoo.cli.pull",
    "render": "morphzoo.cli.render",
    "inspect": "morphzoo.cli.inspect",
    "card": "morphzoo.cli.card",
}


def main() -> int:
    """Run the console command and return the process's exit status; see `run_script`."""
    return run_script(lambda: _parse_and_run(_all_commands()), "morphzoo")


def run_command(name: str) -> int:
    """Run one subcommand as a program of its own, for a script.

    Args:
        name: A name in `COMMANDS`.

    Returns:
        The process's exit status; see `run_script`.
    """
    return run_script(lambda: _parse_and_run(_fill(argparse.ArgumentParser, _module(name))))


def _all_commands() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    about = (morphzoo.__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="morphzoo", description=about)
    parser.add_argument("--version", action="version", version=f"morphzoo {morphzoo.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = _module(name)
        _fill(commands.add_parser, module, name, help=_about(module))
    return parser


def _fill(
    make: Callable[..., argparse.ArgumentParser], module: ModuleType, *words: str, **keywords: str
) -> argparse.ArgumentParser:
    """Make a parser and give it a subcommand's arguments."""
    below = (module.__doc__ or "").partition("\n")[2].strip()
    parser = make(*words, description=_about(module), epilog=below, **keywords)
    module.add_arguments(parser)
    parser.add_argument("--token", action=_NoToken, nargs="?", help=argparse.SUPPRESS)
    parser.set_defaults(run=module.run)
    return parser


class _NoToken(argparse.Action):
    """Refuses `--token` without repeating it, as argparse would of an option it does not know."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """End the process with what to do instead."""
        parser.error(
            "a token is never given on the command line, where others on this machine can read it: "
            "log in with `hf auth login`, or set HF_TOKEN"
        )


def _parse_and_run(parser: argparse.ArgumentParser) -> int:
    options = parser.parse_args()
    return options.run(options)


def _module(name: str) -> ModuleType:
    return importlib.import_module(COMMANDS[name])


def _about(module: ModuleType) -> str:
    return (module.__doc__ or "").splitlines()[0]
