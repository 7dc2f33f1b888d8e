"""Score policies on other bodies: `morphzoo transfer` without installing the console command."""

import sys

from morphzoo.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("transfer"))
