"""What the documentation site is made of: links, lists, pages from code, and what is refused."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import re
from html import escape, unescape
from pathlib import Path

import pytest

import morphzoo
from morphzoo import policies, zoo
from morphzoo.algorithms import ALGORITHMS
from morphzoo.cli import COMMANDS
from morphzoo.envs import TABLE
from morphzoo.results import tables_of
from morphzoo.tables import body_name, whole
from website import building, checking, clips, commands, contents, environments, gallery, reference
from website.browser import find_browser
from website.docstrings import as_markdown
from website.equations import drawn
from website.repository import (
    HEAD,
    SiteError,
    deeper_items,
    for_site,
    place_of,
    readme_places,
    readme_sections,
    slug,
)

ROOT = Path(__file__).parents[1]


# Links and Markdown.

LINKS = [
    # text, the file it is from, the page it goes to, what it becomes
    ("[a](docs/hub.md)", "README.md", "index.md", "[a](hub.md)"),
    ("[a](docs/hub.md#names)", "README.md", "index.md", "[a](hub.md#names)"),
    ("[a](docs/hub.md)", "README.md", "environments/index.md", "[a](../hub.md)"),
    ("![a](docs/transfer.png)", "README.md", "transfer-table.md", "![a](transfer.png)"),
    ("[a](SECURITY.md)", "README.md", "index.md", "[a](security.md)"),
    ("[a](CITATION.cff)", "README.md", "index.md", "[a](CITATION.cff)"),
    ("[a](../SECURITY.md)", "docs/faq.md", "faq.md", "[a](security.md)"),
    ("[a](hub.md)", "docs/checkpoints.md", "checkpoints.md", "[a](hub.md)"),
    ("[a](#below)", "docs/training.md", "training.md", "[a](#below)"),
    ("[a](../README.md)", "docs/faq.md", "faq.md", "[a](index.md)"),
    ("[a](../README.md#speed)", "docs/faq.md", "faq.md", "[a](index.md#speed)"),
    ("[a](../README.md#install)", "docs/faq.md", "faq.md", "[a](quick-start.md#install)"),
    ("[a](../README.md#zero-shot-transfer)", "docs/a.md", "a.md", "[a](transfer-table.md)"),
    ("[a](https://b.org/docs/hub.md)", "README.md", "index.md", "[a](https://b.org/docs/hub.md)"),
    ("```\n[a](docs/none.md)\n```", "README.md", "index.md", "```\n[a](docs/none.md)\n```"),
    ("[a](../../docs/hub.md)", "website/pages/index.md", "index.md", "[a](hub.md)"),
    (
        "[docs/hub.md](docs/hub.md#names)",
        "README.md",
        "index.md",
        "[The zoo on the Hub](hub.md#names)",
    ),
    ("[hub.md](hub.md)", "docs/faq.md", "faq.md", "[The zoo on the Hub](hub.md)"),
    ("<!-- transfer-table -->\n| a |", "README.md", "index.md", "\n| a |"),
]


@pytest.mark.parametrize("text, source, page, expected", LINKS)
def test_links_lead_to_the_sites_pages(text: str, source: str, page: str, expected: str) -> None:
    assert for_site(text, source, page) == expected


@pytest.mark.parametrize("link", ["tests/conftest.py", "docs/../../x.md", "README.md#nothing"])
def test_links_that_lead_nowhere_are_refused(link: str) -> None:
    with pytest.raises(SiteError, match=re.escape(link.partition("#")[2] or "x.md") + "|conftest"):
        for_site(f"[a]({link})", "README.md", "index.md")


ITEMS = [
    ("* a\n  b\n* c", "* a\n    b\n* c"),
    ("* a\n\n  b\n* c", "* a\n\n    b\n\n* c"),
    ("* a\n\n  b\n\nc\n  d", "* a\n\n    b\n\nc\n  d"),
    ("a\n* b\n* c", "a\n\n* b\n* c"),
    ("a\nb\n\n  c", "a\nb\n\n  c"),
    ("- a\n\n  | b |\n  | - |", "- a\n\n    | b |\n    | - |"),
]


@pytest.mark.parametrize("text, expected", ITEMS)
def test_lists_are_written_as_both_read_them(text: str, expected: str) -> None:
    assert deeper_items(text) == expected
    assert deeper_items(expected.replace("    ", "  ")) == expected


def test_a_section_takes_the_place_of_what_stands_in_for_it() -> None:
    text = "a\n\n<!-- README: Questions -->\nSee [there](../README.md#questions),\nall.\n\nb\n"
    page = for_site(text, "docs/faq.md", "faq.md")
    assert page == f"a\n\n{readme_sections()['Questions']}\n\nb\n" and "See [there]" not in page


def test_every_section_of_the_readme_is_on_one_page() -> None:
    text = (ROOT / "README.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert readme_places().keys() == {HEAD, *headings} == readme_sections().keys()
    joined = "".join(f"## {k}\n{v}" for k, v in readme_sections().items() if k != HEAD)
    assert text == f"# morphzoo\n{readme_sections()[HEAD]}{joined}"


SLUGS = [
    ("Zero-shot transfer", "zero-shot-transfer"),
    ("`config.json`", "configjson"),
    ("What was tried for `snowflake-centipede-6`", "what-was-tried-for-snowflake-centipede-6"),
    ("5. Dependencies", "5-dependencies"),
    ("[0.1.0]", "010"),
    ("The README's tables", "the-readmes-tables"),
]


@pytest.mark.parametrize("heading, anchor", SLUGS)
def test_anchors_are_githubs(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor


def test_anchors_of_links_are_there_on_github() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    found = 0
    for page in pages:
        for path, anchor in re.findall(r"\]\(([^):#]*\.md|)#([\w-]+)\)", page.read_text()):
            target = page.parent / path if path else page
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            assert anchor in map(slug, headings), f"{page.name}: {path}#{anchor}"
            found += 1
    assert found >= 8


# Pages from the code.


def test_every_environment_has_a_page_with_pictures() -> None:
    families = list(environments.families())
    assert [row for family in families for row in family.rows] == sorted(
        TABLE, key=lambda row: [f.rows[0].entry_point for f in families].index(row.entry_point)
    )
    for family in families:
        page = environments.page_of(family)
        doc = family.cls.__doc__ or ""
        for heading in re.findall(r"^\s*(#+ .*)$", doc, re.M):
            assert f"\n{heading}\n" in page, (family.name, heading)
        for row in family.rows:
            assert re.sub(r"-\d+(?=-v)", "-{n}", row.id) in page
        assert (environments.PICTURES / f"{family.slug}.webp").is_file(), "run make pictures"
        assert f"({family.slug}.md)" in environments.index()
    pictures = {path.stem for path in environments.PICTURES.iterdir()}
    assert pictures == {family.slug for family in families}
    centipede = environments.page_of(families[0])
    assert "| `morphzoo/Centipede-{n}-v0`, n = 3 ... 100 | `num_legs`: n | 6000 |" in centipede


def test_the_gallery_is_the_list_and_the_results() -> None:
    html = gallery.table(gallery.shown())
    rows = re.findall(r'<tbody role="rowgroup".*?</tbody>', html, re.S)
    entries = zoo.list(sources=["bundled"])
    assert [re.search(r'data-value="(.*?)"', row)[1] for row in rows] == [e.name for e in entries]
    for entry, row in zip(entries, rows, strict=True):
        cells = dict(re.findall(r'data-label="(.*?)" data-value="(.*?)"', row))
        assert cells["retained"] == ("" if entry.retained is None else str(entry.retained))
        assert float(cells["return at home"]) == entry.mean
        assert cells["steps"] == str(entry.steps) and cells["policy"] == entry.policy
        tables = tables_of(zoo.read_results(entry.name))
        assert {escape(body_name(t.body)) for t in tables} <= cells.keys()
        for table in tables:
            if table.actions == "sampled":
                assert float(cells[escape(body_name(table.body))]) == table.returns.mean()
                assert f">{whole(table.returns.mean())}<" in row
    assert "\n\n" not in html, "Markdown would take the rest for a paragraph"


def test_a_strangers_name_is_no_markup(tmp_path: Path) -> None:
    entry = zoo.Entry('<b>"', "bundled", env='"><i>', policy="<u>", mean=1.0, std=2.0)
    clip = {"env": "<s>", "actions": "mean", "seconds": 3.0, "seed": 1}
    stranger = gallery.Shown(entry, tmp_path, {'"<q>': 1.0}, {"replay.mp4": clip})
    html = gallery.table([stranger])
    made = {"a", "div", "figcaption", "figure", "form", "input", "label", "option", "output"}
    made |= {"select", "table", "tbody", "td", "th", "thead", "tr", "video"}
    assert set(re.findall(r"<(\w+)", html)) == made
    assert "return at home" in html and "1 ± 2" in html


def test_clips_are_shown_as_long_as_they_are_of_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "FOLDER", tmp_path)
    bundled = zoo.catalogue.PRETRAINED / "mlp-centipede-6"
    assert clips.shown_folder(bundled) is None
    made = tmp_path / bundled.name
    made.mkdir()
    for path in bundled.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    shown = {"replay.mp4": {"actions": "mean", "env": "a", "seconds": 3.0, "seed": 1}}
    results = json.loads((bundled / "results.json").read_text())
    (made / "results.json").write_text(json.dumps({**results, "media": shown}))
    assert clips.shown_folder(bundled) == made and clips.account(made) == shown
    for name, old in (("results.json", '"episodes": 100'), ("config.json", '"seed": ')):
        text = (made / name).read_text()
        (made / name).write_text(text.replace(old, old[:-1] + "1", 1))
        assert (made / name).read_text() != text and clips.shown_folder(bundled) is None
        (made / name).write_text(text)
    assert clips.shown_folder(bundled) == made


def test_a_checkpoints_page_is_its_card_with_its_clips(tmp_path: Path) -> None:
    first = gallery.shown()[0]
    card = (first.folder / "README.md").read_text()
    page = gallery.page_of(first)
    assert page.startswith(f"# {first.entry.name}\n") and "model-index" not in page
    assert card.endswith(page[-500:])
    text = "---\na: b\n---\n\n# x\n\n* [replay.mp4](replay.mp4): 3 s\n\n![c](curve.png)\n"
    (tmp_path / "README.md").write_text(text)
    clip = {"env": "morphzoo/Ant-v5", "actions": "mean", "seconds": 3.0, "seed": 1}
    shown = gallery.Shown(zoo.Entry("x", "bundled"), tmp_path, {}, {"replay.mp4": clip})
    page = gallery.page_of(shown)
    assert "](x/replay.mp4)" in page and "](x/curve.png)" in page and 'src="replay.mp4"' in page


def test_every_command_and_option_has_its_line() -> None:
    page = commands.page()
    for name, module in COMMANDS.items():
        parser = argparse.ArgumentParser()
        importlib.import_module(module).add_arguments(parser)
        part = page.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
        options = [o for action in parser._actions for o in action.option_strings]
        assert options and [o for o in options if o not in part] == []


def test_what_is_public_is_in_the_reference() -> None:
    documented = {module for _, modules in reference.PAGES.values() for module in modules}
    for name in documented:
        assert pkgutil.resolve_name(name).__doc__
    assert {f"morphzoo.{n}" for n in morphzoo._MODULES} <= documented
    owners = {getattr(policies, name).__module__ for name in policies.__all__ if name[0] != "P"}
    owners |= {morphzoo.with_graph.__module__}
    ours = [made.__module__ for made in ALGORITHMS.values() if "morphzoo" in made.__module__]
    assert len(ours) >= 3 and set(ours) <= documented
    assert {"morphzoo.zoo.hub.Published", "morphzoo.zoo.cache.Cached"} <= documented
    assert {o for o in owners if o.rpartition(".")[0] not in documented} - documented == set()


def test_the_menu_names_every_page() -> None:
    def leaves(part: object) -> list[str]:
        if isinstance(part, str):
            return [part]
        inner = part.values() if isinstance(part, dict) else part
        return [leaf for one in inner for leaf in leaves(one)]  # pyright: ignore

    named = leaves(contents.navigation())
    pages = {place for place in contents.copied() if place.endswith(".md")}
    pages |= set(reference.pages()) | {"commands.md"}
    pages |= {f.page for f in environments.families()} | {c.page for c in gallery.shown()}
    assert sorted(named) == sorted(pages)
    assert place_of("docs/faq.md") in named


def test_equations_are_drawn() -> None:
    html = drawn(
        "a\n\n```math\nx_1 =\n\\frac{a}{|b|}\n```\n\nof $`x_1`$, $5\n\n```sh\n$`x`$\n```\n"
    )
    assert html.startswith('a\n\n<div class="equation"><svg class="formula" role="img" ')
    assert html.endswith("</svg>, $5\n\n```sh\n$`x`$\n```\n")
    labels = [unescape(label) for label in re.findall(r'aria-label="(.*?)"', html)]
    assert labels == [r"x_1 = \frac{a}{|b|}", "x_1"]
    assert not set("|\\*{}") & set(html.partition("```sh")[0]), "Markdown would take it for its own"
    assert "\n" not in html.partition("<svg")[2].partition("</svg>")[0]


def test_an_equation_stands_on_its_line() -> None:
    """By hand: x and y are as high (0.43 of the size in this font), y hangs 0.19 below the line."""
    sizes = {}
    for letter in "xy":
        svg = drawn(f"$`{letter}`$")
        style = dict(re.findall(r"([\w-]+): (-?[\d.]+)em", svg))
        sizes[letter] = {name: float(value) for name, value in style.items()}
    over = {letter: sizes[letter]["height"] + sizes[letter]["vertical-align"] for letter in "xy"}
    assert over["x"] == pytest.approx(over["y"], abs=0.02) == pytest.approx(1.2 * 0.44, abs=0.02)
    assert sizes["x"]["vertical-align"] == pytest.approx(0.0, abs=0.02)
    assert sizes["y"]["vertical-align"] == pytest.approx(-1.2 * 0.2, abs=0.03)


def test_an_equation_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SiteError, match=r"the equation \\nonsense"):
        drawn("$`\\nonsense{x}`$")


DOCSTRINGS = [
    ("A.\n\nSource: B (2020),\n    section 3.\nDiffers: not\n    at all.\n\nArgs:\n    x: 1.",
     "A.\n\n\n*Source:* B (2020), section 3.\n\n*Differs:* not at all.\n\nArgs:\n    x: 1."),
    ("A::\n\n    b\n\nC ::", "A:\n\n    b\n\nC:"),
    ("Source: B.\nMore.", "\n*Source:* B.\n\nMore."),
    ("Args:\n    source: B::x\n", "Args:\n    source: B::x\n"),
]  # fmt: skip


@pytest.mark.parametrize("text, expected", DOCSTRINGS)
def test_docstrings_are_written_as_markdown(text: str, expected: str) -> None:
    assert as_markdown(text) == expected


# What is not sound is refused.

PROBLEMS = [
    ('<script src="https://cdn.org/a.js"></script>', "loads https://cdn.org/a.js from elsewhere"),
    ('<script src="//cdn.org/a.js"></script>', "loads //cdn.org/a.js from elsewhere"),
    ('<link rel="stylesheet" href="https://f.org/css">', "loads https://f.org/css from elsewhere"),
    ('<link rel="preconnect" href="https://f.org">', "loads https://f.org from elsewhere"),
    ('<link rel="icon" href="none.png">', "loads none.png, which is not there"),
    ('<img src="http://a.org/a.png">', "loads http://a.org/a.png from elsewhere"),
    ('<img src="a.svg" srcset="a.svg 1x, https://a.org/b.svg 2x">', "https://a.org/b.svg"),
    ('<video src="none.mp4"></video>', "loads none.mp4, which is not there"),
    ('<video poster="https://a.org/a.png"></video>', "https://a.org/a.png from elsewhere"),
    ('<iframe src="https://a.org"></iframe>', "loads https://a.org from elsewhere"),
    ("<style>@import 'https://a.org/a.css'</style>", "https://a.org/a.css from elsewhere"),
    ('<p style="background: url(https://a.org/a.png)">', "https://a.org/a.png from elsewhere"),
    ('<a href="none/">a</a>', "links to none/, which is not there"),
    ('<a href="../..">a</a>', "links to ../.., which is not there"),
    ('<a href="b/#none">a</a>', "links to b/#none, where there is no such anchor"),
    ('<a href="#none">a</a>', "links to #none, where there is no such anchor"),
    ("<p>a\n* b</p>", "Markdown that was not read"),
    ("<p>a\n| --- |</p>", "Markdown that was not read"),
    ("<p>a\n```</p>", "Markdown that was not read"),
    ("<p>a ::</p>", "Markdown that was not read"),
    ("<p>a $`x`$</p>", "Markdown that was not read"),
]
SOUND = """<link rel="canonical" href="https://a.org"><img src="a.svg"><img src="data:image/png;,">
<a href="https://a.org">a</a><a href="b/">a</a><a href="b/#c">a</a><a href="/b/">a</a>
<a href="#d">a</a><a href="mailto:a@b.org">a</a><h1 id="d">a</h1><p>a * b | c</p><p><code>* a</code>
</p>
<a href=".">a</a>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/index.html").write_text('<h1 id="c">b</h1><img src="../a.svg">')
    (tmp_path / "a.svg").write_text("<svg/>")
    (tmp_path / "index.html").write_text(SOUND)
    return tmp_path


def test_a_sound_site_has_no_problem(site: Path) -> None:
    (site / "a.css").write_text("a { background: url('a.svg'); mask: url(data:image/svg+xml;a) }")
    assert checking.problems(site) == []


@pytest.mark.parametrize("html, said", PROBLEMS)
def test_problems_are_found(site: Path, html: str, said: str) -> None:
    (site / "index.html").write_text(SOUND + html)
    (problem,) = checking.problems(site)
    assert problem.startswith("index.html: ") and said in problem


def test_problems_of_styles_are_found(site: Path) -> None:
    (site / "a.css").write_text('@import "https://a.org/a.css"; a { src: url(none.woff) }')
    assert checking.problems(site) == [
        "a.css: loads https://a.org/a.css from elsewhere",
        "a.css: loads none.woff, which is not there",
    ]
    assert checking.problems(site / "none") == [f"{site / 'none'} has no page"]


def test_a_site_that_is_not_sound_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text('<a href="none">a</a>')
    monkeypatch.setattr(building, "lay_out", lambda folder: folder.mkdir())
    monkeypatch.setattr(building, "render", lambda config: None)
    with pytest.raises(SiteError, match="links to none, which is not there"):
        building.build(tmp_path / "pages", tmp_path / "site")
    settings = json.loads((tmp_path / "pages.yml").read_text())
    assert settings["nav"] == contents.navigation() and Path(settings["INHERIT"]).is_file()


def test_a_missing_browser_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MORPHZOO_BROWSER", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OSError, match="apt-get install chromium"):
        find_browser()
    monkeypatch.setenv("MORPHZOO_BROWSER", "/none/browser")
    with pytest.raises(OSError, match="found no /none/browser"):
        find_browser()
