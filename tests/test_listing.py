"""The list of checkpoints: what is in it, what is filtered, what a stranger can put there."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from morphzoo import zoo
from morphzoo.cli import main
from morphzoo.zoo import listing
from morphzoo.zoo.catalogue import PRETRAINED
from morphzoo.zoo.listing import Entry, Source, entry_of, entry_of_card

NAME, HOME = "snowflake-centipede-6", "morphzoo/Centipede-6-v0"
OTHERS = tuple(f"morphzoo/Centipede-{legs}-v0" for legs in (8, 10, 12, 20))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what the user has pulled."""
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))


def test_what_is_bundled_is_listed() -> None:
    found = {entry.name: entry for entry in zoo.list()}
    assert tuple(found) == zoo.bundled()
    entry, score = found[NAME], zoo.read_config(NAME)["score"]
    assert (entry.source, entry.env, entry.policy) == ("bundled", HOME, "snowflake")
    assert (entry.steps, entry.problem, entry.others) == (1_000_448, None, OTHERS)
    assert (entry.mean, entry.std) == (score["mean"], score["std"])
    # By hand from the README's table, in whole numbers: (2811 + 1846 + 1327 + 464) / 4 / 2750.
    assert entry.retained == pytest.approx(0.5862, abs=5e-4)


FAR = [
    Entry("anna/ant@1234567", "hub", "morphzoo/Ant-v5", "nervenet"),
    Entry("eve/odd", "hub", problem="its card cannot be read"),
]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (
            {"policy": "mlp"},
            ["mlp-ant-velocity", "mlp-centipede-20", "mlp-centipede-6", "mlp-walker2d"],
        ),
        ({"policy": "nervenet", "env": "Centipede"}, []),
        (
            {"policy": "nervenet", "sources": ["bundled", "hub"]},
            ["nervenet-walker2d", "anna/ant@1234567"],
        ),
        ({"env": "ANT", "sources": ["hub"]}, ["anna/ant@1234567"]),
        ({"env": "Centipede-6", "policy": "mlp"}, ["mlp-centipede-6"]),
        ({"env": "Centipede-60"}, []),
        ({"sources": ["hub", "hub"]}, ["anna/ant@1234567", "eve/odd"]),
        ({"sources": []}, []),
    ],
)
def test_filters(filters, names, monkeypatch) -> None:
    monkeypatch.setitem(listing.SOURCES, "hub", Source(lambda: FAR, near=False))
    assert [entry.name for entry in zoo.list(**filters)] == names


def test_what_needs_a_network_is_asked_for_by_name_only(monkeypatch) -> None:
    monkeypatch.setitem(listing.SOURCES, "hub", Source(lambda: pytest.fail("asked"), near=False))
    assert zoo.list()


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"policy": "snowflak"}, "unknown policy 'snowflak'. Did you mean 'snowflake'?"),
        ({"sources": ["moon"]}, "unknown source 'moon'. There are: bundled, cached, hub"),
    ],
)
def test_what_is_refused(filters, message) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        zoo.list(**filters)


def test_a_damaged_checkpoint_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / NAME
    shutil.copytree(PRETRAINED / NAME, folder)
    assert entry_of(folder, "a/b", "cached").retained == pytest.approx(0.5862, abs=5e-4)
    (folder / "results.json").unlink()
    entry = entry_of(folder, "a/b", "cached")
    assert (entry.retained, entry.others, entry.problem) == (None, (), None)
    assert entry.mean == zoo.read_config(NAME)["score"]["mean"]
    (folder / "config.json").write_text("{")
    entry = entry_of(folder, "a/b", "cached")
    assert entry.policy is None and entry.problem and "strict JSON" in entry.problem


def test_a_card_alone_says_the_same() -> None:
    """What is rounded in the card is rounded in the list."""
    text = (PRETRAINED / NAME / "README.md").read_text(encoding="utf-8")
    whole, (near,) = entry_of_card(text, "a/b", "hub"), [e for e in zoo.list() if e.name == NAME]
    assert (whole.env, whole.policy, whole.steps) == (near.env, near.policy, near.steps)
    assert whole.mean == pytest.approx(near.mean, abs=0.005)
    assert whole.std == pytest.approx(near.std, abs=0.005)
    assert whole.retained == pytest.approx(near.retained, abs=5e-5)
    assert set(whole.others) == set(near.others)


NOTHING = Entry("a/b", "hub")
CARDS = {
    "no head": ("# x", NOTHING),
    "empty": ("", NOTHING),
    "others' card": ("---\ntags:\n- a\n---\n", NOTHING),
    "list": ("---\nmorphzoo: [1, 2]\nmodel-index: {}\n---\n", NOTHING),
    "wrong kinds": (
        "---\nmorphzoo:\n  env: [a]\n  policy: os.system\n  steps: true\n"
        "  retained_share: .inf\n---\n",
        NOTHING,
    ),
    "markup": ("---\nmorphzoo:\n  env: '[red]<b>'\n  steps: -1\n---\n", NOTHING),
    "no number": (
        "---\nmorphzoo: {env: x}\nmodel-index:\n- name: n\n  results:\n  - dataset: {type: x}\n"
        "    metrics:\n    - {type: mean_reward, value: great}\n---\n",
        Entry("a/b", "hub", env="x"),
    ),
    "cut index": (
        "---\nmorphzoo: {env: x}\nmodel-index:\n- name: n\n  results:\n  - 5\n"
        "  - {dataset: 1}\n---\n",
        Entry("a/b", "hub", env="x"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "entry"), CARDS.values(), ids=CARDS)
def test_a_strangers_card_claims_nothing_of_another_form(text: str, entry: Entry) -> None:
    found = entry_of_card(text, "a/b", "hub")
    assert found == entry or (found.problem and found.env is None)


@pytest.mark.parametrize(
    "head", ["a: [", "a: !!python/object/apply:os.system [touch x]", "- 1", "a: &a [*a]"]
)
def test_a_card_that_is_no_card_is_a_line_in_the_list(head, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    entry = entry_of_card(f"---\n{head}\n---\n", "a/b", "hub")
    assert entry.env is None and entry.mean is None
    assert not list(tmp_path.iterdir())


def test_what_is_printed(monkeypatch, capsys) -> None:
    evil = Entry("eve/[red]x[/red]", "hub", problem="[link=x]broken[/link]")
    monkeypatch.setitem(listing.SOURCES, "hub", Source(lambda: [evil], near=False))
    words = ["morphzoo", "list", "--source", "bundled", "hub"]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith(f" {NAME} ")]
    assert line.split() == [
        NAME, "bundled", "Centipede-6-v0", "snowflake", "1.00", "M", "2750", "±", "665",
        "59", "%", "of", "4",
    ]  # fmt: skip
    assert "eve/[red]x[/red]" in out and "! eve/[red]x[/red]: [link=x]broken[/link]" in out
    monkeypatch.setattr(
        sys, "argv", ["morphzoo", "list", "--policy", "mlp", "--env", "Centipede-6", "--json"]
    )
    assert main() == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["name"] == "mlp-centipede-6" and entry["others"] == list(OTHERS)
