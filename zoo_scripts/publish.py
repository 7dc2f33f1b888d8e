"""Publish a checkpoint: `morphzoo push` without installing morphzoo's console command."""

import sys

from morphzoo.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("push"))
