"""Is a built site sound? Everything it loads and links to is there, and from nowhere else."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes by which a page loads something by itself, by the element's name.
LOADED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "video": ("src", "poster"),
}
#: Kinds of `link` that load nothing.
_NAMED = {"alternate", "canonical", "next", "prev", "author", "license", "search"}
_STYLED = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s;]+)""")
_UNREAD = re.compile(r"^(?:[*-] |\|\s*-{3}|\d+\. |```|#{1,6} )|::$|\$`", re.MULTILINE)


class Page(HTMLParser):
    """What a page loads, links to and names.

    Attributes:
        loads: Addresses of what it loads.
        links: Addresses of what it links to.
        names: Anchors.
        unread: Lines of paragraphs that look like Markdown that was not read as such.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.unread: list[str] = []
        self._paragraph: str | None = None
        self._style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down an element."""
        own = {key: value or "" for key, value in attrs}
        self.names |= {own[key] for key in ("id", "name") if key in own}
        kinds = set(own.get("rel", "").split())
        if not (tag == "link" and kinds & _NAMED):
            found = [own[key] for key in LOADED.get(tag, ()) if own.get(key)]
            self.loads += [address.split()[0] for text in found for address in text.split(", ")]
        if tag == "a" and "href" in own:
            self.links.append(own["href"])
        self.loads += _STYLED.findall(own.get("style", ""))
        self._style = tag == "style"
        if tag == "p":
            self._paragraph = ""
        elif tag == "code" and self._paragraph is not None:
            self._paragraph += "code"

    def handle_endtag(self, tag: str) -> None:
        """Look at a paragraph that has ended."""
        self._style = False
        if tag == "p" and self._paragraph is not None:
            self.unread += [found[0] for found in _UNREAD.finditer(self._paragraph)]
            self._paragraph = None

    def handle_data(self, data: str) -> None:
        """Take down text."""
        if self._style:
            self.loads += _STYLED.findall(data)
        elif self._paragraph is not None:
            self._paragraph += data


def problems(site: Path) -> list[str]:
    """Return what is wrong with a built site, a line each.

    Args:
        site: Its folder.
    """
    pages = {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }
    found = [line for name, page in pages.items() for line in _of_page(site, name, page, pages)]
    for path in sorted(site.rglob("*.css")):
        name = path.relative_to(site).as_posix()
        for address in _STYLED.findall(path.read_text(encoding="utf-8")):
            found += _loaded(site, name, address)
    return found if pages else [f"{site} has no page"]


def _of_page(site: Path, name: str, page: Page, pages: dict[str, Page]) -> Iterator[str]:
    for address in page.loads:
        yield from _loaded(site, name, address)
    for line in page.unread:
        yield f"{name}: '{line.strip()}' in a paragraph: Markdown that was not read as it was meant"
    for address in page.links:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = _file(site, name, parts.path)
        if target is None:
            yield f"{name}: links to {address}, which is not there"
        elif parts.fragment and target in pages:
            if unquote(parts.fragment) not in pages[target].names:
                yield f"{name}: links to {address}, where there is no such anchor"


def _loaded(site: Path, name: str, address: str) -> Iterator[str]:
    """Yield what is wrong with an address that is loaded."""
    parts = urlsplit(address)
    if parts.scheme == "data" or address.startswith("#"):
        return
    if parts.scheme or parts.netloc:
        yield f"{name}: loads {address} from elsewhere"
    elif _file(site, name, parts.path) is None:
        yield f"{name}: loads {address}, which is not there"


def _file(site: Path, name: str, path: str) -> str | None:
    """Return the file of the site that a path on a page means, or None."""
    base = "" if path.startswith("/") else posixpath.dirname(name)
    target = posixpath.normpath(posixpath.join(base, unquote(path).lstrip("/"))) if path else name
    if (site / target).is_dir():
        target = posixpath.normpath(posixpath.join(target, "index.html"))
    return target if not target.startswith("..") and (site / target).is_file() else None
