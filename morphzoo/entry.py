"""What every command does first: quiet threads, and errors in one line instead of a traceback."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym

from morphzoo.envs.rendering import RenderingError


def run_script(main: Callable[[], int], name: str | None = None) -> int:
    """Run a script's `main` and return the process's exit status.

    Torch's threads are told to sleep soon when they wait, since spinning ones slow the simulation,
    but not at once, since waking them for every operation slows an update more. That works
    because `main` imports torch and this module does not.

    Args:
        main: Parses, calls, prints; returns the exit status.
        name: What messages begin with; by default the script's file name.

    Returns:
        What `main` returns; 2 after an error in what was asked for, 130 after Ctrl-C.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    name = name or Path(sys.argv[0]).name
    try:
        status = main()
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError, RenderingError, gym.error.Error) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{name}: stopped", file=sys.stderr)
        return 130


def command_line() -> str:
    """Return what was typed to start this process, as it can be typed again in a checkout."""
    script = Path(sys.argv[0])
    here = ["python", f"zoo_scripts/{script.name}"] if script.suffix == ".py" else [script.name]
    if script.name == "__main__.py":
        here = ["python", "-m", script.parent.name]
    return shlex.join([*here, *sys.argv[1:]])
