"""`python -m website.browser`: which browser the site is tested in, or what to install."""

from __future__ import annotations

import os
import shutil

from morphzoo.entry import run_script

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: For a headless Chromium that asks nobody for anything.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_browser() -> str:
    """Return the path of a Chromium.

    Raises:
        OSError: There is none; the message names the packages.
    """
    named = os.environ.get("MORPHZOO_BROWSER")
    found = [path for name in ([named] if named else NAMES) if (path := shutil.which(name))]
    if not found:
        raise OSError(
            f"the site is tested in Chromium, found no {named or ' or '.join(NAMES)}. On Debian "
            "run `apt-get install chromium`; on Ubuntu install Google Chrome. "
            "MORPHZOO_BROWSER=/path/to/browser names one that is elsewhere."
        )
    return found[0]


def main() -> int:
    """Print it."""
    print(find_browser())
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main, "website.browser"))
