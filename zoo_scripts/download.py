"""Download checkpoints: `morphzoo pull` without installing morphzoo's console command."""

import sys

from morphzoo.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("pull"))
