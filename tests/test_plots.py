"""Pictures show the numbers that they are of."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from morphzoo.curves import Updates, training_curve, updates_figure, updates_of, updates_table
from morphzoo.plots import heat_map, heat_rows, save_png
from morphzoo.results import EpisodeTable
from morphzoo.zoo.catalogue import PRETRAINED

BODIES = [f"morphzoo/Centipede-{legs}-v0" for legs in (6, 8, 20)]


def table(policy: str, env: str, returns: list[float], **changes: Any) -> EpisodeTable:
    array = np.array(returns)
    columns: dict[str, Any] = {
        "policy": policy, "env": env, "actions": "sampled", "seeds": np.arange(len(array)),
        "returns": array, "returns_unclipped_cost": array, "lengths": np.ones(len(array), int),
        "distances": array, "failed": array > np.inf, "policy_class": "SnowflakePolicy",
        "trained_on": BODIES[0],
    }  # fmt: skip
    return EpisodeTable(**(columns | changes))


@pytest.fixture
def scores() -> list[EpisodeTable]:
    return [
        table("snow", BODIES[0], [3000.0, 3200.0]),
        table("snow", BODIES[1], [2000.0, 2100.0]),
        table("snow", BODIES[2], [400.0, 401.0]),
        table("snow", BODIES[1], [3600.0], actions="mean"),
        table("random", BODIES[0], [-20.0, -30.0], policy_class="random", trained_on=None),
    ]


def cells(figure: Figure) -> dict[tuple[int, int], Any]:
    """Row and column -> the tile drawn there."""
    axes = figure.axes[0]
    named = {p.get_gid(): p for p in axes.patches if str(p.get_gid()).startswith("cell-")}
    return {(int(k.split("-")[1]), int(k.split("-")[2])): p for k, p in named.items()}


def texts_at(figure: Figure, row: float, column: float) -> list[str]:
    axes = figure.axes[0]
    near = [t for t in axes.texts if t.get_position()[0] == column]
    return [t.get_text() for t in near if abs(t.get_position()[1] - row) < 0.35 and t.get_text()]


def test_rows_are_ours_then_the_published_one(scores: list[EpisodeTable]) -> None:
    rows = heat_rows(scores)
    assert [row.label for row in rows] == [
        ("snow", "sampled actions"),
        ("snow", "mean actions"),
        ("random actions", "sampled actions"),
        ("NerveNet, published", "sampled actions, unclipped cost"),
    ]
    assert rows[0].means == dict(zip(BODIES, (3100.0, 2050.0, 400.5), strict=True))
    assert rows[1].means == {BODIES[1]: 3600.0} and rows[1].notes == {BODIES[1]: "3600"}
    assert rows[3].means == dict(zip(BODIES, (2507.1, 1674.9, 198.5), strict=True))
    assert [row.ours for row in rows] == [True, True, True, False]


def test_heat_map_has_the_right_cells(scores: list[EpisodeTable]) -> None:
    figure = heat_map(scores)
    found = cells(figure)
    assert set(found) == {(0, 0), (0, 1), (0, 2), (1, 1), (2, 0), (3, 0), (3, 1), (3, 2)}
    # The highest mean has the map's last colour, a negative one its first, and the square root of
    # the return decides between them.
    colours = matplotlib.colormaps["viridis"]
    expected = {(1, 1): 1.0, (2, 0): 0.0, (0, 2): (400.5 / 3600.0) ** 0.5}
    for place, share in expected.items():
        assert found[place].get_facecolor() == pytest.approx(to_rgba(colours(share)), abs=0.01)
    assert found[0, 0].get_linewidth() > 0 and found[0, 1].get_linewidth() == 0  # the home body
    for (row, column), tile in found.items():
        box = tile.get_bbox()
        assert box.x0 < column < box.x1
        assert box.y0 < row + (0.22 if row == 3 else 0.0) < box.y1


def test_heat_map_says_the_numbers(scores: list[EpisodeTable]) -> None:
    figure = heat_map(scores)
    assert texts_at(figure, 0, 0) == ["3100", "3100 [3000, 3200]"]
    assert texts_at(figure, 1, 1) == ["3600", "3600"]
    assert texts_at(figure, 2, 0)[0] == "−25"  # noqa: RUF001 - a true minus sign
    assert texts_at(figure, 3.22, 2) == ["199"]
    labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert labels == ["Centipede-6", "Centipede-8", "Centipede-20"]
    assert figure.get_suptitle() == "Zero-shot transfer from Centipede-6"
    assert "1 or 2 episodes" in figure.get_supxlabel()


def test_no_scores_no_map() -> None:
    with pytest.raises(ValueError, match="at least one score"):
        heat_map([])


def test_only_negative_scores() -> None:
    assert len(cells(heat_map([table("random", BODIES[0], [-3.0], trained_on=None)]))) == 1


def test_png_is_whole_and_the_same_again(scores: list[EpisodeTable], tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_png(heat_map(scores), tmp_path / name)
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    with pytest.raises(OSError, match="Make the folder first"):
        save_png(heat_map(scores), tmp_path / "none" / "a.png")


HEADER = "step,updates,return_mean,score,{0}:sampled,{0}:mean\n".format(BODIES[0])
CURVE = """\
1000000,1,,,,
2000000,2,100.5,50.0,40.0,60.0
3000000,3,200.5,,,
4000000,4,300.5,70.0,60.0,80.0
"""


def test_training_curve_shows_training_and_evaluations(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(HEADER + CURVE)
    axes = training_curve(path, title="Snowflake").axes[0]
    lines = {line.get_label(): np.asarray(line.get_xydata()) for line in axes.lines}
    assert list(lines) == [
        "while training", "Centipede-6, sampled actions", "Centipede-6, mean actions"
    ]  # fmt: skip
    np.testing.assert_array_equal(lines["Centipede-6, sampled actions"], [[2, 40], [4, 60]])
    np.testing.assert_array_equal(lines["Centipede-6, mean actions"], [[2, 60], [4, 80]])
    np.testing.assert_array_equal(lines["while training"][1:], [[2, 100.5], [3, 200.5], [4, 300.5]])
    assert axes.get_title(loc="left") == "Snowflake"


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "step,return_mean\n"])
def test_files_that_are_no_curve(tmp_path: Path, text: str) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="no training curve"):
        training_curve(path)


def small_updates(name: str = "run", kind: str = "mlp", body: str = "morphzoo/Centipede-6-v0"):
    """Ten updates whose KL is 1 to 10, and whose clip fraction is a fiftieth of that."""
    values = np.arange(1.0, 11.0)
    return Updates(name, kind, body, values * 1e6, values, values / 50, 100 * values)


def test_the_table_of_updates_by_hand() -> None:
    """Of ten, the middle fifth is the fifth and the sixth; the last tenth is the tenth."""
    walker = small_updates("w", "snowflake", "morphzoo/Walker2d-v5")
    lines = updates_table([small_updates(), walker]).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "`run`", "Centipede-6", "10", "5.500", "5.500", "10.000", "0.021", "0.11", "0.11", "0.20"
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[3].split("|")[6:8]] == ["10.000", ""]
    assert {line.count("|") for line in lines} == {11}


def test_updates_are_drawn_smoothed_and_named_once() -> None:
    figure = updates_figure([small_updates("a"), small_updates("b")])
    left, middle, right = figure.axes
    np.testing.assert_allclose(np.asarray(left.lines[0].get_xydata()), [[10.0, 550.0]])
    np.testing.assert_allclose(np.asarray(middle.lines[0].get_xydata()), [[10.0, 5.5]])
    np.testing.assert_allclose(np.asarray(right.lines[1].get_xydata()), [[10.0, 0.11]])
    assert left.get_legend() is None and middle.get_legend() is None
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["a", "b"]


def test_updates_of_a_bundled_checkpoint_are_its_curves() -> None:
    run = updates_of("snowflake-centipede-6")
    assert (run.policy, run.kind, run.body) == (
        "snowflake-centipede-6", "snowflake", "morphzoo/Centipede-6-v0"
    )  # fmt: skip
    assert run.steps[0] == 1024
    assert len(run.kl) == len(run.clipped) == len(run.returns) == len(run.steps)
    assert np.all(run.kl >= 0) and np.all((0 <= run.clipped) & (run.clipped <= 1))


def test_a_checkpoint_without_a_curve_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(PRETRAINED / "snowflake-centipede-6", folder)
    (folder / "curve.csv").unlink()
    with pytest.raises(ValueError, match=r"no curve\.csv"):
        updates_of(folder)
    (folder / "curve.csv").write_text("step,return_mean\n1,2\n")
    with pytest.raises(ValueError, match="no column approx_kl, clip_fraction"):
        updates_of(folder)
