"""`python -m website`: build the documentation site into site/."""

from __future__ import annotations

from morphzoo.entry import run_script
from website.building import build
from website.gallery import shown
from website.repository import ROOT


def main() -> int:
    """Build, and say where it is."""
    site = build()
    pages = sum(1 for _ in site.rglob("*.html"))
    clips = sum(len(checkpoint.clips) for checkpoint in shown())
    remark = "" if clips else "; `make clips` films some, which needs a GL library"
    print(f"{site.relative_to(ROOT)}/: {pages} pages, {clips} clips{remark}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main, "website"))
