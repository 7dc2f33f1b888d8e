"""Where the repository's pages are on the site, and what becomes of the links between them."""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
#: Folders whose files are files of the site, with their place on it.
FOLDERS = {"docs/": "", "website/pages/": "", "website/assets/": "assets/"}
#: Other files of the repository, with their place. The README's sections stand on several pages.
FILES = {
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "CITATION.cff",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "THIRD_PARTY.md": "third-party.md",
    "morphzoo/zoo/config.schema.json": "config.schema.json",
}
README = "README.md"
HEAD = "head"  # name of what stands above the README's first section

# With the lines right below it, which stand in for the section where a page is read on GitHub.
_MARKER = re.compile(r"^<!-- README: (.+) -->$(?:\n.+)*", re.MULTILINE)
_OTHER_MARKER = re.compile(r"^<!-- /?[\w-]+ -->$", re.MULTILINE)
_FENCED = re.compile(r"^(```+|~~~+).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_PATH_NAMED = re.compile(r"\[[\w./-]+\.md\]\(([\w./-]+\.md)(#[\w-]+)?\)")
_LINK = re.compile(r"(?<=\]\()([^)\s#:]*)(#[\w-]+)?(?=\))")


class SiteError(ValueError):
    """Something on the site would be broken."""


def slug(heading: str) -> str:
    """Return the anchor that GitHub, and the site likewise, gives a heading."""
    plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading))
    return plain.strip().lower().replace(" ", "-")


@cache
def readme_sections() -> dict[str, str]:
    """Return the README's sections by their heading, without it; `HEAD` is what is above them."""
    text = (ROOT / README).read_text(encoding="utf-8")
    head, *parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    named = dict(zip(parts[::2], parts[1::2], strict=True))
    return {HEAD: head.partition("\n")[2]} | named


@cache
def readme_places() -> dict[str, str]:
    """Return the page of the repository that each section of the README is shown on.

    Raises:
        SiteError: A section is on no page or on several, or a page asks for one that is not there.
    """
    pages = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md"))]
    places: dict[str, str] = {}
    for path in pages:
        for name in _MARKER.findall(path.read_text(encoding="utf-8")):
            if name in places or name not in readme_sections():
                raise SiteError(f"{path}: section '{name}' of the README is not there, or twice")
            places[name] = path.relative_to(ROOT).as_posix()
    if missing := readme_sections().keys() - places.keys():
        raise SiteError(f"no page shows the README's {sorted(missing)}: see website/pages")
    return places


def place_of(path: str) -> str:
    """Return the place on the site of a file of the repository.

    Raises:
        SiteError: It has none.
    """
    for folder, place in FOLDERS.items():
        if path.startswith(folder):
            return place + path.removeprefix(folder)
    if path not in FILES:
        raise SiteError(f"{path} is linked to and not on the site: see website/repository.py")
    return FILES[path]


def for_site(text: str, source: str, page: str) -> str:
    """Turn a page of the repository into one of the site.

    The README's sections are put in, links lead to the site's pages, and what GitHub's Markdown
    reads and Python-Markdown does not is written as both read it.

    Args:
        text: Markdown.
        source: The file of the repository that it is from.
        page: The page of the site that it goes to.

    Raises:
        SiteError: A link leads to what is not on the site.
    """
    parts: list[str] = []
    end = 0
    for marker in _MARKER.finditer(text):
        parts += [_own(text[end : marker.start()], source, page)]
        parts += [_own(readme_sections()[marker[1]], README, page)]
        end = marker.end()
    return "".join([*parts, _own(text[end:], source, page)])


def _own(text: str, source: str, page: str) -> str:
    """Rewrite the Markdown of one file, outside of its programs."""
    parts, end = [], 0
    for fence in _FENCED.finditer(text):
        parts += [_prose(text[end : fence.start()], source, page), fence[0]]
        end = fence.end()
    return "".join([*parts, _prose(text[end:], source, page)])


def _prose(text: str, source: str, page: str) -> str:
    text = _OTHER_MARKER.sub("", text)
    text = _PATH_NAMED.sub(lambda link: _titled(link[1], link[2] or "", source), text)
    text = _LINK.sub(lambda link: _target(link[1], link[2] or "", source, page), text)
    return deeper_items(text)


def _titled(path: str, anchor: str, source: str) -> str:
    """Return a link to a page that was named by its file as one by its title."""
    file = ROOT / posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    found = re.search(r"^# (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SiteError(f"{source} links to {path}, which has no title")
    return f"[{found[1]}]({path}{anchor})"


def _target(path: str, anchor: str, source: str, page: str) -> str:
    """Return where a link of a file leads on the site, from a page of it."""
    if not path and source != README:
        return anchor
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path)) if path else source
    if file == README:
        place, anchor = _readme_target(anchor)
    else:
        place = place_of(file)
    return posixpath.relpath(place, PurePosixPath(page).parent) + anchor


def _readme_target(anchor: str) -> tuple[str, str]:
    """Return page and anchor of a section of the README."""
    named = {f"#{slug(name)}": name for name in readme_sections()}
    if anchor and anchor not in named:
        raise SiteError(f"the README has no section {anchor}")
    section = named.get(anchor, HEAD)
    file = readme_places()[section]
    headed = f"\n## {section}\n" in (ROOT / file).read_text(encoding="utf-8")
    return place_of(file), anchor if headed else ""


def deeper_items(text: str) -> str:
    """Write lists of GitHub's as Python-Markdown reads them.

    GitHub counts an item's further paragraphs from where its text begins, Python-Markdown by four;
    and where such a paragraph ends, the next item needs an empty line.
    """
    lines: list[str] = []
    item = further = False  # inside an item; in a paragraph of it that is not its first
    for line in text.split("\n"):
        after_blank = not lines or not lines[-1].strip()
        if re.match(r"[*-] ", line):
            if not after_blank and (further or not item):
                lines.append("")
            item, further = True, False
        elif line.strip() and after_blank:
            item = further = item and line.startswith("  ")
        lines.append(f"  {line}" if item and line.startswith("  ") else line)
    return "\n".join(lines)
