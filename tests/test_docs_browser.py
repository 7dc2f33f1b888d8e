"""The built site in a real browser: every page, light and dark, on a phone; the gallery; clips.

`make test-docs` builds the site and runs these. Screenshots to look at go to build/screenshots.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from morphzoo import zoo
from website.browser import ARGUMENTS, find_browser

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[1]
SITE = ROOT / "site"
SCREENSHOTS = ROOT / "build/screenshots"
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
PAGES = sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("index.html"))
NAMES = [entry.name for entry in zoo.list(sources=["bundled"])]
PATIENCE = 60_000  # ms; a loaded machine


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if not PAGES:
        pytest.fail("there is no site: run make test-docs, or make docs", pytrace=False)
    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=find_browser(), args=list(ARGUMENTS))


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Open pages; whatever a page complained about, or asked of another host, fails the test."""
    complaints: list[str] = []
    with contextlib.ExitStack() as stack:

        def open_page(path: str = "", **options: Any) -> Any:
            context = stack.enter_context(browser.new_context(viewport=DESKTOP, **options))
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("console", lambda m: m.type in ("error", "warning") and complain(page, m.text))
            page.on("pageerror", lambda error: complain(page, str(error)))
            page.on("request", lambda r: foreign(r.url) and complain(page, f"asks for {r.url}"))
            page.on("response", lambda r: r.status >= 400 and complain(page, f"{r.status} {r.url}"))
            page.goto(address + path)
            return page

        def complain(page: Any, text: str) -> None:
            complaints.append(f"{page.url}: {text}")

        def foreign(url: str) -> bool:
            return not url.startswith((address, "data:", "blob:"))

        yield open_page
    assert complaints == []


def over(css: str, below: tuple[float, ...] = (1.0, 1.0, 1.0)) -> tuple[float, ...]:
    """An `rgb(...)` or `rgba(...)` colour, on top of another; each part from 0 to 1."""
    red, green, blue, *rest = (float(c) for c in css[css.index("(") + 1 : -1].split(","))
    share = rest[0] if rest else 1.0
    own = (red / 255, green / 255, blue / 255)
    return tuple(share * a + (1 - share) * b for a, b in zip(own, below, strict=True))


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance, as WCAG defines it."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_luminance() -> None:
    assert luminance(over("rgb(255, 255, 255)")) == pytest.approx(1.0)
    assert luminance(over("rgb(0, 0, 0)")) == 0.0
    assert luminance(over("rgb(255, 0, 0)")) == pytest.approx(0.2126)
    assert over("rgba(0, 0, 0, 0.25)") == (0.75, 0.75, 0.75)


def test_every_page_loads_and_fits_a_phone(opened: Callable[..., Any], address: str) -> None:
    page = opened()
    wide = []
    for path in PAGES:
        assert page.goto(address + path.removesuffix("index.html")).status == 200
        assert page.locator("h1").count() == 1 and page.title(), path
        page.set_viewport_size(PHONE)
        width, size = page.evaluate(
            """() => [document.documentElement.scrollWidth,
            Math.min(...[...document.querySelectorAll('article > p, article > ul > li')]
              .map(e => parseFloat(getComputedStyle(e).fontSize)))]"""
        )
        if width > PHONE["width"] or size < 14:
            wide.append((path, width, size))
        page.set_viewport_size(DESKTOP)
    assert wide == []


def test_pictures_are_drawn(opened: Callable[..., Any], address: str) -> None:
    page = opened("environments/centipede/")
    page.locator("article img").first.wait_for()
    page.wait_for_function("() => [...document.images].every(image => image.complete)")
    widths = page.evaluate("() => [...document.images].map(image => image.naturalWidth)")
    assert len(widths) >= 2 and min(widths) > 0


@pytest.mark.parametrize("name", ["policies", "epvf", "weight_space"])
def test_equations_are_drawn(opened: Callable[..., Any], name: str) -> None:
    """All of them, in the colour of the text; fractions and sums are higher than a line."""
    text = (ROOT / f"docs/{name}.md").read_text()
    page = opened(f"{name}/", color_scheme="dark")
    drawn = page.locator("article svg.formula")
    blocks, inline = re.findall(r"```math\n(.*?)```", text, re.S), re.findall(r"\$`(.+?)`\$", text)
    assert drawn.count() == len(blocks) + len(inline) and page.locator("article .equation").count()
    assert page.locator("article .equation").count() == len(blocks) >= 4
    boxes = "all => all.map(e => [e.getAttribute('aria-label'), e.getBoundingClientRect().height])"
    heights = dict(page.locator("article .equation svg").evaluate_all(boxes))
    high = [height for label, height in heights.items() if "frac" in label or "sum" in label]
    low = [height for label, height in heights.items() if "frac" not in label and "_" in label]
    assert min(heights.values()) > 10 and min(high) > 25
    assert not low or min(low) < 25
    colour = page.locator("article p").first.evaluate("e => getComputedStyle(e).color")
    assert (
        page.locator("svg.formula path").first.evaluate("e => getComputedStyle(e).fill") == colour
    )
    unread = page.locator("article").evaluate("e => e.innerText.includes('$`')")
    assert not unread


def test_nothing_of_the_reference_is_folded_away(opened: Callable[..., Any]) -> None:
    """A docstring's source is a sentence, not a box that is titled by its first line."""
    page = opened("reference/algorithms/")
    assert page.locator("article details").count() == 0
    assert page.get_by_text("Source:", exact=True).count() >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "gallery/", "policies/"])
def test_light_and_dark(opened: Callable[..., Any], scheme: str, path: str) -> None:
    page = opened(path, color_scheme=scheme)
    background = over(page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor"))
    below = luminance(background)
    assert below > 0.8 if scheme == "light" else below < 0.1
    for what in ("article p", "article :is(p, td) > a:not(.md-button--primary)", "h1"):
        colour = over(
            page.locator(what).first.evaluate("e => getComputedStyle(e).color"), background
        )
        lights = sorted((luminance(colour), below))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5, (what, colour, background)


def test_the_scheme_is_chosen_and_kept(opened: Callable[..., Any]) -> None:
    page = opened(color_scheme="light")
    scheme = "() => document.body.dataset.mdColorScheme"
    for expected in ("default", "slate"):  # from "as the system has it" to light, then to dark
        page.locator("form[data-md-component=palette] label:not([hidden])").click()
        page.wait_for_function(f"() => document.body.dataset.mdColorScheme == '{expected}'")
    page.reload()
    assert page.evaluate(scheme) == "slate"


def test_search_finds(opened: Callable[..., Any]) -> None:
    page = opened()
    page.locator("input.md-search__input").click()
    page.keyboard.type("MorphologySpace")
    found = page.locator(".md-search-result__link").filter(has_text="MorphologySpace")
    found.first.wait_for()
    assert "reference/graphs-and-spaces" in found.first.get_attribute("href")


def order(page: Any) -> list[str]:
    """Names in the gallery, in the order in which they are seen."""
    return page.locator("table.gallery tbody:visible td:first-child a").all_text_contents()


def ranked(key: str, descending: bool) -> list[str]:
    """Names by an attribute of what `zoo.list` says; those where it is unknown are last."""
    entries = zoo.list(sources=["bundled"])
    known = [entry for entry in entries if getattr(entry, key) is not None]
    ordered = sorted(known, key=lambda e: getattr(e, key), reverse=descending)
    return [entry.name for entry in (*ordered, *(e for e in entries if e not in known))]


def test_the_gallery_sorts(opened: Callable[..., Any]) -> None:
    page = opened("gallery/")
    assert order(page) == NAMES
    for head, key in (("return at home", "mean"), ("retained", "retained")):
        button = page.get_by_role("button", name=head)
        button.click()
        assert order(page) == ranked(key, descending=True) != NAMES
        assert page.locator("th[aria-sort=descending]").all_text_contents() == [head]
        button.focus()
        page.keyboard.press("Enter")
        assert order(page) == ranked(key, descending=False)
        assert page.locator("th[aria-sort]").all_text_contents() == [head]
        assert page.locator("th[aria-sort=ascending]").count() == 1
    page.reload()  # the order is in the address
    assert order(page) == ranked("retained", descending=False)
    page.get_by_role("button", name="checkpoint").click()
    assert order(page) == NAMES
    page.keyboard.press("Space")
    assert order(page) == NAMES[::-1]


def test_what_is_unknown_is_last_both_ways(opened: Callable[..., Any]) -> None:
    page = opened("gallery/")
    best = ranked("mean", descending=True)[0]
    row = page.locator(f"tbody:has(a:text-is('{best}')) td[data-label='return at home']")
    row.evaluate("cell => { cell.dataset.value = ''; }")
    for _ in range(2):
        page.get_by_role("button", name="return at home").click()
        assert order(page)[-1] == best


def test_the_gallery_filters(opened: Callable[..., Any]) -> None:
    page = opened("gallery/")
    said = page.locator(".gallery-count")
    page.get_by_label("Policy", exact=True).select_option("mlp")
    assert order(page) == [name for name in NAMES if name.startswith("mlp")]
    assert said.text_content().startswith(f"{len(order(page))} of {len(NAMES)} ")
    page.get_by_label("Policy", exact=True).select_option("")
    page.get_by_role("searchbox").fill("SEED long")
    assert order(page) == [name for name in NAMES if "seed" in name and "long" in name] != []
    page.reload()
    assert page.get_by_role("searchbox").input_value() == "SEED long"
    assert order(page) == [name for name in NAMES if "seed" in name and "long" in name]
    page.get_by_role("searchbox").fill("no such")
    assert order(page) == [] and said.text_content().startswith("0 of")
    page.get_by_role("searchbox").fill("")
    assert order(page) == NAMES
    page.get_by_label("Trained on", exact=True).select_option("morphzoo/Centipede-6-v0")
    homes = {e.name: e.env for e in zoo.list(sources=["bundled"])}
    assert order(page) == [n for n in NAMES if homes[n] == "morphzoo/Centipede-6-v0"]


def test_the_gallery_without_scripts(opened: Callable[..., Any]) -> None:
    page = opened("gallery/", java_script_enabled=False)
    assert order(page) == NAMES
    assert not page.locator("form.gallery-filters").is_visible()


def test_the_gallery_on_a_phone(opened: Callable[..., Any]) -> None:
    page = opened("gallery/")
    page.set_viewport_size(PHONE)
    page.get_by_role("button", name="retained").click()
    assert order(page) == ranked("retained", descending=True)
    page.get_by_label("Policy", exact=True).select_option("mlp")
    assert order(page) == [name for name in NAMES if name.startswith("mlp")]
    assert page.get_by_role("columnheader").count() == page.locator("table.gallery th").count()


PLAYED = """async (video, seconds) => {
  await video.play();
  while (video.currentTime < seconds) await new Promise(done => setTimeout(done, 50));
  video.pause();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pencil = canvas.getContext('2d');
  pencil.drawImage(video, 0, 0);
  const pixels = pencil.getImageData(0, 0, canvas.width, canvas.height).data;
  return [video.videoWidth, video.videoHeight, Math.max(...pixels.slice(0, 40000)),
          new Set(pixels).size, video.error];
}"""


@pytest.mark.parametrize("path", ["gallery/", "gallery/snowflake-centipede-6/"])
def test_clips_play(opened: Callable[..., Any], path: str) -> None:
    page = opened(path)
    videos = page.locator("video")
    assert videos.count() >= 2, "no clip was filmed: run make test-docs"
    for i in range(2):
        width, height, _, colours, error = videos.nth(i).evaluate(PLAYED, 0.5)
        assert (width, height, error) == (640, 360, None)
        assert colours > 50, "the clip shows nothing"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("where", ["desktop", "phone"])
def test_screenshots(opened: Callable[..., Any], address: str, scheme: str, where: str) -> None:
    """For people to look at: nothing but their being there is asserted."""
    page = opened(color_scheme=scheme)
    page.set_viewport_size(PHONE if where == "phone" else DESKTOP)
    for path in ("", "gallery/", "environments/centipede/", "policies/", "reference/zoo/"):
        page.goto(address + path)
        page.wait_for_load_state("networkidle")
        file = SCREENSHOTS / f"{path.strip('/').replace('/', '-') or 'index'}-{scheme}-{where}.png"
        page.screenshot(path=file)
        assert file.stat().st_size > 10_000
