"""The site's pages laid out as a folder of plain Markdown, which MkDocs then renders.

Nothing here is MkDocs' own but the last step, so another program can take the same folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from website import checking, contents
from website.equations import drawn
from website.repository import ROOT, SiteError, for_site

STAGE = ROOT / "build/pages"
SITE = ROOT / "site"

_MADE = re.compile(r"^<!-- made: ([\w-]+) -->$", re.MULTILINE)


def lay_out(folder: Path) -> None:
    """Write all pages, pictures and clips into a folder, which is emptied first.

    Raises:
        SiteError: A link of a page leads to what is not on the site.
    """
    shutil.rmtree(folder, ignore_errors=True)
    fillings = contents.fillings()
    for place, path in contents.copied().items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = path.read_text(encoding="utf-8")
            text = for_site(text, path.relative_to(ROOT).as_posix(), place)
            text = _MADE.sub(lambda marker: fillings[marker[1]], text)
            target.write_text(drawn(text), encoding="utf-8")
        else:
            shutil.copyfile(path, target)
    for place, content in contents.made().items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)


def configure(path: Path, stage: Path, site: Path) -> None:
    """Write MkDocs' settings: those of website/mkdocs.yml, the folders, and the menu."""
    settings = {
        "INHERIT": str(ROOT / "website/mkdocs.yml"),
        "docs_dir": str(stage),
        "site_dir": str(site),
        "nav": contents.navigation(),
    }
    path.write_text(json.dumps(settings, indent=1), encoding="utf-8")  # JSON is YAML


def render(config: Path) -> None:
    """Run MkDocs, with warnings as errors.

    Raises:
        SiteError: It is not installed, or it has found something wrong; it has said what.
    """
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config)]
    # Its banner about another version of MkDocs.
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
        raise SiteError(
            "MkDocs has not built the site: it says above why. If it is missing, `make docs` "
            "installs it, or `pip install 'morphzoo[docs]'`"
        )


def build(stage: Path = STAGE, site: Path = SITE) -> Path:
    """Build the site.

    Args:
        stage: Folder for the Markdown.
        site: Folder for the site.

    Returns:
        The site's folder.

    Raises:
        SiteError: Something on it would be broken, or be loaded from elsewhere.
    """
    lay_out(stage)
    config = stage.with_name(f"{stage.name}.yml")
    configure(config, stage, site)
    render(config)
    problems = checking.problems(site)
    if problems:
        raise SiteError("the site is not sound:\n  " + "\n  ".join(problems))
    return site
