"""The card that the Hub shows, and the pictures and clips beside it."""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import EvalResult, ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from morphzoo import zoo
from morphzoo.policies import POLICIES
from morphzoo.results import EpisodeTable, results_document
from morphzoo.zoo.card import card
from morphzoo.zoo.catalogue import PRETRAINED
from morphzoo.zoo.citations import ABOUT
from morphzoo.zoo.folder import LIMITS
from morphzoo.zoo.media import MEDIA, check_media
from morphzoo.zoo.metadata import TAGS, license_in
from morphzoo.zoo.scores import home_of, middle_body, own_tables, retained_share, transfer_row

HOME = "morphzoo/Centipede-6-v0"
BODY = "morphzoo/Centipede-{}-v0"
NAME = "snowflake-centipede-6"


def table(returns: list[float], legs: int = 6, **changes: Any) -> EpisodeTable:
    n = len(returns)
    values = {
        "policy": "runs/legs", "env": BODY.format(legs), "actions": "sampled",
        "seeds": np.arange(10_000, 10_000 + n), "returns": np.array(returns),
        "returns_unclipped_cost": np.array(returns), "lengths": np.full(n, 700),
        "distances": np.full(n, 2.5), "failed": np.zeros(n, dtype=bool), "trained_on": HOME,
    }  # fmt: skip
    return EpisodeTable(**{**values, **changes})


# Home 2; 8 legs 1 and 2 (1.5), 10 legs 0.5, 20 legs -0.5, with drawn actions; 12 legs by the mean.
SCORED = [
    table([0.5], 10),
    table([9.0], 6, actions="mean"),
    table([1.0, 3.0], 6),
    table([1.0, 2.0], 8),
    table([-0.5], 20),
    table([7.0], 12, actions="mean"),
]


def test_the_transfer_row_has_one_score_a_body_home_first() -> None:
    row = transfer_row(SCORED, HOME)
    found = [(t.env, t.actions, t.values("return").mean()) for t in row]
    assert found == [
        (HOME, "sampled", 2.0),
        (BODY.format(10), "sampled", 0.5),
        (BODY.format(8), "sampled", 1.5),
        (BODY.format(20), "sampled", -0.5),
        (BODY.format(12), "mean", 7.0),
    ]


@pytest.mark.parametrize(
    ("scores", "share", "middle"),
    [
        (SCORED, 0.25, 10),  # (0.5 + 1.5 - 0.5) / 3 over 2; the mean actions do not compare
        ([table([2.0]), table([3.0], 8)], 1.5, 8),  # better elsewhere
        ([table([2.0]), table([3.0], 8), table([1.0], 10)], 1.0, 8),  # of two, the better
        ([table([2.0]), table([-1.0], 8)], -0.5, 8),
        ([table([2.0])], None, None),
        ([table([0.0]), table([1.0], 8)], None, 8),  # nothing to keep a share of
        ([table([1.0], 8)], None, None),  # never scored at home
        ([table([np.nan]), table([1.0], 8)], None, None),
        ([], None, None),
    ],
)
def test_the_share_that_is_kept(scores, share, middle) -> None:
    row = transfer_row(scores, HOME)
    assert retained_share(row, HOME) == share
    assert middle_body(row, HOME) == (middle and BODY.format(middle))
    assert retained_share(row, None) is None


def config_of(**changes: Any) -> dict[str, Any]:
    return {**zoo.read_config(NAME), **changes}


def written(tmp_path: Path, text: str) -> ModelCard:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    return ModelCard.load(tmp_path / "README.md", ignore_metadata_errors=False)


def test_the_hubs_own_parser_reads_it_back_equal(tmp_path: Path) -> None:
    text = card("legs", config_of(), SCORED, license="apache-2.0")
    loaded = written(tmp_path, text)
    data = loaded.data
    how = {"actions": "sampled", "episodes": 1, "seed": 10_000}
    expected = [
        (HOME, "2.00 +/- 1.00", how | {"episodes": 2}),
        (BODY.format(10), "0.50 +/- 0.00", how),
        (BODY.format(8), "1.50 +/- 0.50", how | {"episodes": 2}),
        (BODY.format(20), "-0.50 +/- 0.00", how),
        (BODY.format(12), "7.00 +/- 0.00", how | {"actions": "mean"}),
    ]
    results = [
        EvalResult(
            task_type="reinforcement-learning", task_name="reinforcement-learning",
            dataset_type=env, dataset_name=env, metric_type="mean_reward",
            metric_name="mean_reward", metric_value=value, metric_args=args,
        )
        for env, value, args in expected
    ]  # fmt: skip
    assert data.eval_results == results and data.model_name == "legs"
    assert model_index_to_eval_results(data.to_dict()["model-index"]) == ("legs", results)
    assert data.license == "apache-2.0" and data.library_name == "morphzoo"
    assert data.pipeline_tag == "reinforcement-learning"
    assert data.tags == [HOME, *TAGS, "snowflake", "graph-neural-network", "ppo"]
    assert data.to_dict()["morphzoo"] == {
        "env": HOME, "policy": "snowflake", "steps": 1_000_448, "retained_share": 0.25,
    }  # fmt: skip
    again = f"---\n{data.to_yaml()}\n---\n{loaded.text}"
    assert written(tmp_path, again).data.to_dict() == data.to_dict()


def test_what_the_card_tells(tmp_path: Path) -> None:
    shown = {
        "replay.mp4": {"env": HOME, "actions": "sampled", "seed": 10_000, "seconds": 12.0},
        "transfer.mp4": {"env": BODY.format(8), "actions": "mean", "seed": 5, "seconds": 1.5},
    }
    recipe = json.loads((PRETRAINED / NAME / "recipe.json").read_text())
    text = card("legs", config_of(), SCORED, recipe, media=list(MEDIA), shown=shown, license="mit")
    assert f"[replay.mp4](replay.mp4): 12 s on `{HOME}`. Sampled actions; the episodes from" in text
    assert f"1.5 s on `{BODY.format(8)}`, which it was never trained on. Mean actions" in text
    assert "**Retained share: 25 %.**" in text and "over its mean return on" in text
    assert "![Training curve](curve.png)" in text
    assert "```sh\nmorphzoo train --recipe recipe.json --out runs/again\n```" in text
    assert "The weights and this folder: `mit`." in text
    assert "| seed | 1 |" in text and "| mujoco | 3.17.0 |" in text
    titles = re.findall(r"^## (.*)$", text, re.M)
    assert titles == ["Use", "Results", "Training", "Limits", "Licence", "Citation"]
    assert text.count("@inproceedings") == 2 and text.count("@software") == 1


def test_what_is_not_there_is_not_spoken_of() -> None:
    text = card("legs", config_of(score=None, env_id=None))
    assert "mp4" not in text and "curve.png" not in text and "Retained" not in text
    assert "license:" not in text and "None was chosen" in text
    assert "## Results" not in text


def test_every_policy_has_papers_and_tags() -> None:
    assert ABOUT.keys() == POLICIES.keys()
    for about in ABOUT.values():
        for paper in about.papers:
            assert paper.count("{") == paper.count("}")
            assert paper.startswith(("@inproceedings{", "@article{"))


@pytest.mark.parametrize("name", zoo.bundled())
def test_bundled_cards_are_what_is_generated_now(name: str, tmp_path: Path) -> None:
    """And their figures are those of the results beside them."""
    text = (PRETRAINED / name / "README.md").read_text(encoding="utf-8")
    again = zoo.annotate(PRETRAINED / name, into=tmp_path / name, license="mit")
    assert (again / "README.md").read_text(encoding="utf-8") == text
    data = ModelCard(text).data
    assert data.license == "mit"
    tables = _tables(name)
    row = transfer_row(own_tables(name, tables), home_of(zoo.read_config(name)))
    means = [f"{t.values('return').mean():.2f}" for t in row]
    assert [str(r.metric_value).split(" +/- ")[0] for r in data.eval_results] == means
    assert len(means) == len({table.body for table in tables}) > 0


def _tables(name: str) -> list[EpisodeTable]:
    from morphzoo.results import tables_of

    return tables_of(zoo.read_results(name))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("---\nlicense: mit\ntags:\n- a\n---\n\n# x", "mit"),
        ("---\ntags:\n- a\nlicense: apache-2.0\n---\n", "apache-2.0"),
        ("---\ntags:\n- a\n---\n\nlicense: mit\n", None),  # below the head
        ("license: mit\n", None),
        ("---\nlicense: [mit]\n---\n", None),
        ("---\nlicense: !!python/object/apply:os.system [x]\n---\n", None),
        ("---\nlicense: " + "m" * 80 + "\n---\n", None),
        ("", None),
    ],
)
def test_a_chosen_licence_is_found_again(text: str, found: str | None) -> None:
    assert license_in(text) == found


# Media.


def png(*extra: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    """A picture of one grey pixel, with more chunks before its end and more bytes behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\x80")),
    ]
    body = b"".join(chunk(*part) for part in (*parts, *extra, (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + body + tail


def box(kind: bytes, data: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack(">I", 8 + len(data) if size is None else size) + kind + data


MP4 = box(b"ftyp", b"isom") + box(b"moov", b"x" * 9) + box(b"free") + box(b"mdat", b"y" * 99)
MOOV, MDAT = box(b"moov", b"x"), box(b"mdat", b"y")
ZIP = b"PK\x03\x04" + b"\0" * 26

HOSTILE = {
    "empty clip": ("replay.mp4", b"", "found nothing"),
    "a picture": ("replay.mp4", png(), "at byte 0"),
    "a page": ("replay.mp4", b"<html><script>alert(1)</script></html>", "at byte 0"),
    "a pickle": ("transfer.mp4", b"\x80\x04cposix\nsystem\n.", "at byte 0"),
    "index behind": ("replay.mp4", box(b"ftyp") + MDAT + MOOV, "in this order"),
    "no pictures": ("replay.mp4", box(b"ftyp") + MOOV, "in this order"),
    "two indices": ("replay.mp4", box(b"ftyp") + MOOV + MOOV + MDAT, "in this order"),
    "archive behind": ("replay.mp4", MP4 + ZIP, "at byte 144"),
    "strange box": ("replay.mp4", MP4 + box(b"uuid", b"code"), "at byte 144"),
    "cut off": ("transfer.mp4", MP4[:-1], "at byte 37"),
    "size of none": ("replay.mp4", MP4 + box(b"free", size=0), "at byte 144"),
    "size of 64 bits": ("replay.mp4", box(b"ftyp") + box(b"mdat", b"y" * 8, size=1), "at byte 8"),
    "too large": ("replay.mp4", box(b"ftyp") + MOOV + box(b"mdat", b"y" * 5_000_000), "at most"),
    "a clip": ("curve.png", MP4, "a PNG file"),
    "empty picture": ("curve.png", b"", "a PNG file"),
    "signature alone": ("curve.png", png()[:8], "from IHDR to IEND"),
    "archive behind it": ("curve.png", png(tail=ZIP), "at byte"),
    "text in it": ("curve.png", png((b"tEXt", b"Comment\0secret")), "at byte 55"),
    "profile in it": ("curve.png", png((b"iCCP", b"x")), "at byte 55"),
    "no end": ("curve.png", png()[:-12], "from IHDR to IEND"),
    "two ends": ("curve.png", png((b"IEND", b"")), "from IHDR to IEND"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "data", "message"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_plain_picture_or_clip_is_refused(name, data, message, tmp_path) -> None:
    with pytest.raises(zoo.CheckpointError, match=message):
        check_media(name, data, name)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(zoo.CheckpointError, match=message):
        zoo.annotate(NAME, media={name: tmp_path / name}, into=tmp_path / "new")
    assert os.listdir(tmp_path) == [name]


SHOWN = {"env": HOME, "actions": "sampled", "seed": 10_000, "seconds": 4.0}
BAD_SHOWN = {
    "list": [],
    "other file": {"evil.mp4": SHOWN},
    "picture": {"curve.png": SHOWN},
    "less": {"replay.mp4": {"env": HOME}},
    "more": {"replay.mp4": SHOWN | {"url": "x"}},
    "markup": {"replay.mp4": SHOWN | {"env": "<img src=x>"}},
    "long": {"replay.mp4": SHOWN | {"env": "m" * 101}},
    "actions": {"replay.mp4": SHOWN | {"actions": "great"}},
    "unhashable": {"replay.mp4": SHOWN | {"actions": []}},
    "seed": {"replay.mp4": SHOWN | {"seed": -1}},
    "flag": {"replay.mp4": SHOWN | {"seed": True}},
    "time": {"replay.mp4": SHOWN | {"seconds": 0}},
    "text": {"replay.mp4": SHOWN | {"seconds": "4"}},
}


@pytest.mark.parametrize("shown", BAD_SHOWN.values(), ids=BAD_SHOWN)
def test_a_false_account_of_a_clip_is_refused(shown: Any, tmp_path: Path) -> None:
    with pytest.raises(zoo.CheckpointError, match="results.json: media"):
        zoo.annotate(NAME, results={"media": shown}, into=tmp_path / "new")
    assert not os.listdir(tmp_path)


def test_media_are_added_kept_and_loaded_around(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(MP4)
    (tmp_path / "a.png").write_bytes(png())
    first = zoo.annotate(
        NAME, media={"replay.mp4": tmp_path / "a.mp4", "curve.png": tmp_path / "a.png"},
        results={"media": {"replay.mp4": SHOWN}}, license="cc-by-4.0", into=tmp_path / "first",
    )  # fmt: skip
    scores = _tables(NAME)
    again = zoo.annotate(first, results=results_document(scores), into=tmp_path / "again")
    for folder in (first, again):
        assert set(os.listdir(folder)) == set(LIMITS) - {"transfer.mp4"}
        assert (folder / "replay.mp4").read_bytes() == MP4
        assert (folder / "curve.png").read_bytes() == png()
        text = (folder / "README.md").read_text()
        assert "license: cc-by-4.0\n" in text and "4 s on `morphzoo/Centipede-6-v0`." in text
        results = zoo.read_results(folder)
        assert results and results["media"] == {"replay.mp4": SHOWN}
        assert len(results["scores"]) == len(scores)
        weights = (PRETRAINED / NAME / "model.safetensors").read_bytes()
        assert (folder / "model.safetensors").read_bytes() == weights
    (again / "curve.png").unlink()
    os.symlink("/etc/hostname", again / "curve.png")
    with pytest.raises(zoo.CheckpointError, match="a link that leads out"):
        zoo.annotate(again, into=tmp_path / "third")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"license": "do what you want"}, "an identifier of the Hub's"),
        ({"license": "mit\ntags: x"}, "an identifier of the Hub's"),
        ({"media": {"evil.mp4": "a"}}, "expected replay.mp4, transfer.mp4, curve.png"),
        ({"media": {"../replay.mp4": "a"}}, "expected replay.mp4"),
    ],
)
def test_other_extras_are_refused(keywords, message, tmp_path, monkeypatch) -> None:
    (tmp_path / "a").write_bytes(MP4)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(zoo.CheckpointError, match=message):
        zoo.annotate(NAME, into=tmp_path / "new", **keywords)
    assert os.listdir(tmp_path) == ["a"]
