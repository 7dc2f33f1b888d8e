"""What is on the site, in the order of its menu, and what is made for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from website import commands, environments, gallery, reference
from website.repository import FILES, FOLDERS, ROOT, place_of

#: Pages of the menu that are written by hand, title -> place.
GUIDES = {
    "Your own robot": "own-robot.md",
    "Environments with goals": "goals.md",
    "Policies and algorithms": "policies.md",
    "Your own policy": "own-policy.md",
    "Policy-conditioned values": "epvf.md",
    "Chromatic networks": "chromatic.md",
    "Weight space": "weight_space.md",
    "Reaching goals": "contrastive.md",
    "Training": "training.md",
    "Scoring zero-shot transfer": "transfer.md",
    "Checkpoints": "checkpoints.md",
    "The zoo on the Hub": "hub.md",
    "Reproducibility": "reproducibility.md",
    "Security": "security.md",
}
PROJECT = {
    "Architecture": "architecture.md",
    "Speed": "speed.md",
    "Changelog": "changelog.md",
    "Taking part": "contributing.md",
    "Third parties": "third-party.md",
}


def navigation() -> list[dict[str, Any]]:
    """Return the menu, as MkDocs takes it."""
    zoo = {"Gallery": "gallery/index.md", "Transfer table": "transfer-table.md"}
    zoo |= {checkpoint.entry.name: checkpoint.page for checkpoint in gallery.shown()}
    bodies = {"All environments": "environments/index.md"}
    bodies |= {family.name: family.page for family in environments.families()}
    bodies |= {"Bodies that are not ours": "bodies.md"}
    details = {"The command": "commands.md", "The results file": "results.md"}
    details |= {title: reference.place(title) for title in reference.PAGES}
    return [
        {"Start": ["index.md", {"Quick-start": "quick-start.md"}, {"Questions": "faq.md"}]},
        {"Zoo": _entries(zoo)},
        {"Environments": _entries(bodies)},
        {"Guides": _entries(GUIDES)},
        {"Reference": _entries(details)},
        {"Project": _entries(PROJECT)},
    ]


def _entries(places: Mapping[str, str]) -> list[dict[str, str]]:
    return [{title: place} for title, place in places.items()]


def copied() -> dict[str, Path]:
    """Return the files that are taken as they are, place on the site -> file.

    Markdown among them is rewritten when it is read, since its links are the repository's.
    """
    files = {name: ROOT / name for name in FILES}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file():
                files[path.relative_to(ROOT).as_posix()] = path
    places = {place_of(name): path for name, path in files.items()}
    for path in sorted(environments.PICTURES.glob("*.webp")):
        places[f"environments/{path.name}"] = path
    for checkpoint in gallery.shown():
        places |= checkpoint.media()
    return places


def made() -> dict[str, str | bytes]:
    """Return the pages and pictures that are made from the code, place on the site -> contents."""
    pages: dict[str, str | bytes] = {"commands.md": commands.page(), **reference.pages()}
    pages |= {family.page: environments.page_of(family) for family in environments.families()}
    pages |= {c.page: gallery.page_of(c) for c in gallery.shown()}
    return pages | environments.graph_pictures()


def fillings() -> dict[str, str]:
    """Return what pages ask for by `<!-- made: NAME -->`."""
    return {"environments": environments.index(), "gallery": gallery.table(gallery.shown())}
