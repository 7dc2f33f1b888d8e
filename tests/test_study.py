"""Studies: what is planned, how curves are thinned, what tables say, and those that are kept."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy

from morphzoo.curves import STEPS
from morphzoo.sb3 import make_vec_env
from morphzoo.study_report import study_figure, study_table, write_pages
from morphzoo.training import study as studies
from morphzoo.training.baseline import OFF_POLICY, Baseline, make_model, train_baseline
from morphzoo.training.curve import read_curve
from morphzoo.training.fleet import train_runs
from morphzoo.training.pool import PlannedRun
from morphzoo.training.progress import learning_times
from morphzoo.training.run import holds_run

ROOT = Path(__file__).parents[1]
KEPT = sorted((ROOT / "studies").glob("*.json"))
SMALL = {
    "title": "Small",
    "base": {"env": "morphzoo/Swimmer-v5", "policy": "mlp", "n_envs": 2},
    "settings": {"steps": 64, "n_steps": 16, "batch_size": 16, "n_epochs": 1},
    "variants": {"as-it-is": {}, "rate": {"learning_rate": 0.001}},
    "seeds": [0, 3],
    "columns": {"loss": "value_loss", "mean": "morphzoo/Swimmer-v5:mean"},
    "every": 32,
}


def written(folder: Path, **changes) -> Path:
    path = folder / "small.json"
    path.write_text(json.dumps({**SMALL, **changes}))
    return path


def test_runs_are_variants_times_seeds(tmp_path):
    study = studies.read_study(written(tmp_path))
    runs = study.runs(tmp_path / "runs")
    assert [run.name for run in runs] == [
        "as-it-is-seed0", "as-it-is-seed3", "rate-seed0", "rate-seed3",
    ]  # fmt: skip
    assert [run.recipe.seed for run in runs] == [0, 3, 0, 3]
    assert [run.recipe.algorithm_kwargs["learning_rate"] for run in runs] == [3e-4] * 2 + [1e-3] * 2
    assert {run.recipe.steps for run in runs} == {64}
    assert runs[3].folder == tmp_path / "runs/rate-seed3"


def test_a_variant_may_have_seeds_of_its_own(tmp_path):
    variants = {"ppo": {}, "rate": {"learning_rate": 0.1, "seeds": [7]}}
    study = studies.read_study(written(tmp_path, variants=variants))
    assert list(study.pairs) == ["ppo-seed0", "ppo-seed3", "rate-seed7"]
    made = study.runs(tmp_path)[-1].recipe
    assert (made.seed, made.algorithm_kwargs["learning_rate"]) == (7, 0.1)
    assert "`seeds` [7]" in study_table(study, [])


def test_a_variant_may_be_another_recipe(tmp_path):
    other = {"recipe": {"env": "morphzoo/Swimmer-v5", "policy": "deterministic", "algorithm": "es"}}
    study = studies.read_study(
        written(tmp_path, variants={"ppo": {}, "es": {**other, "steps": 128}})
    )
    assert study.recipe("ppo", 1).algorithm == "ppo"
    made = study.recipe("es", 1)
    assert (made.algorithm, made.steps, made.seed) == ("es", 128, 1)
    assert "es of its own" in study_table(study, [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"every": 0}, "every >= 1"),
        ({"seeds": []}, "seeds must be different whole numbers, one at least"),
        ({"seeds": [1, 1]}, r"different whole numbers, one at least, found \[1, 1\]"),
        ({"seeds": 3}, "seeds must be list, found 3"),
        ({"variants": {"x": {"seeds": []}}}, "variant 'x': seeds must be different"),
        ({"variants": {"x": 3}}, "variant 'x': expected changes, found 3"),
        ({"columns": ["value_loss"]}, "columns must be dict"),
        ({"columns": {"loss": []}}, "column 'loss' must name a curve's column, or several"),
        ({"columns": {"loss": ["value_loss", 3]}}, "column 'loss' must .*, 3]"),
        ({"every": "32"}, "every must be int, found '32'"),
        ({"minutes": "60"}, "minutes must be int or float, found '60'"),
        ({"settings": None}, "settings must be dict"),
        (
            {"variants": {"x": {"baseline": {"env": "e"}, "n_envs": 64, "steps": 1}}},
            "variant 'x': n_envs, steps beside 'baseline' would change nothing",
        ),
        ({"variants": {"x": {"baseline": {"seed": 1}}}}, "a baseline's seeds are the study's"),
        ({"variants": {"x": {"baseline": {"env": "e"}}}}, "variant 'x': .*'algorithm' is missing"),
        ({"variants": {}}, "a variant"),
        ({"columns": {}}, "a column"),
        ({"variants": {"../up": {}}}, "names a folder"),
        ({"variants": {"x": {"learning_rat": 1}}}, "variant 'x'.*learning_rate"),
        ({"base": "no-such-recipe"}, "no recipe 'no-such-recipe'"),
        ({"settings": {"steps": -1}}, "steps"),
        ({"more": 1}, "expected the keys"),
        ({"axes": []}, "axes are of step, generation, minute"),
        ({"axes": ["step", "parsec"]}, "axes are of"),
        ({"axes": ["minute"], "columns": {"minute": "value_loss"}}, "no column is called as one"),
        ({"minutes": -1}, "minutes must be 0 or more"),
    ],
)
def test_what_cannot_be_run_is_refused_before_it_is(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        studies.read_study(written(tmp_path, **changes))


def test_what_is_no_json_is_refused(tmp_path):
    path = tmp_path / "small.json"
    for text in ("{", "[1]"):
        path.write_text(text)
        with pytest.raises(ValueError, match="study '.*small.json'"):
            studies.read_study(path)


def test_curves_are_thinned_by_hand(tmp_path):
    study = studies.read_study(written(tmp_path, every=10))
    folder = tmp_path / "as-it-is-seed3"
    folder.mkdir()
    (folder / "curve.csv").write_text(
        "step,value_loss,morphzoo/Swimmer-v5:mean\n4,1.0,\n8,2.0,7.0\n12,,\n16,3.0,\n36,5.5,\n"
    )
    (found,) = studies.collect(study, tmp_path)
    assert (found.variant, found.seed) == ("as-it-is", 3)
    # Windows 1..10, 11..20, 31..40: the last number of each column in each.
    assert found.steps.tolist() == [8, 16, 36]
    assert found.values["loss"].tolist() == [2.0, 3.0, 5.5]
    np.testing.assert_array_equal(found.values["mean"], [7.0, np.nan, np.nan])
    assert found.last("loss") == 5.5 and found.last("mean") == 7.0
    path = tmp_path / "kept.csv"
    path.write_text(studies.write_series([found], list(study.columns)))
    (back,) = studies.read_series(path)
    assert (back.variant, back.seed, back.steps.tolist()) == ("as-it-is", 3, [8, 16, 36])
    for column, values in found.values.items():
        np.testing.assert_array_equal(back.values[column], values)


def test_runs_that_are_not_there_keep_their_rows(tmp_path):
    study = studies.read_study(written(tmp_path, every=1))
    table = tmp_path / "kept.csv"
    ours = [series("as-it-is", 3, 1.0, 2.0), series("rate", 0, 5.0), series("gone", 0, 9.0)]
    table.write_text(studies.write_series(ours, study.kept))
    (tmp_path / "as-it-is-seed3").mkdir()
    (tmp_path / "as-it-is-seed3/curve.csv").write_text(
        "step,value_loss,morphzoo/Swimmer-v5:mean\n4,7.0,\n"
    )
    found = studies.collect(study, tmp_path, table)
    values = {(one.variant, one.seed): one.values["loss"].tolist() for one in found}
    assert values == {("as-it-is", 3): [7.0], ("rate", 0): [5.0]}
    assert [one.variant for one in studies.collect(study, tmp_path)] == ["as-it-is"]
    table.write_text("variant,seed,step,other\nrate,0,4,1\n")
    assert len(studies.collect(study, tmp_path, table)) == 1, "columns of another study"


def test_minutes_are_those_of_learning_over_all_processes_and_end_a_table(tmp_path):
    """The second process goes on at 8 and counts from 0: what the first had after that is lost."""
    study = studies.read_study(
        written(tmp_path, every=1, axes=["minute", "generation"], minutes=3.5)
    )
    folder = tmp_path / "rate-seed0"
    folder.mkdir()
    (folder / "curve.csv").write_text(
        "step,updates,value_loss,morphzoo/Swimmer-v5:mean\n4,1,1.0,\n8,2,2.0,\n12,3,3.0,\n16,4,4.0,\n"
    )
    (folder / "times.csv").write_text("step,seconds\n4,60\n8,90\n12,120\n12,30\n16,120\n20")
    assert learning_times(folder / "times.csv") == [
        (4, 60), (8, 90), (12, 120), (12, 150), (16, 240),
    ]  # fmt: skip
    (found,) = studies.collect(study, tmp_path)
    assert study.kept == ["loss", "mean", "minute", "generation"]
    assert found.steps.tolist() == [4, 8, 12]  # 16 came after 4 minutes
    assert found.axis("minute").tolist() == [1.0, 1.5, 2.5]
    assert found.axis("generation").tolist() == [1, 2, 3]
    assert found.axis("step").tolist() == [4, 8, 12]
    path = tmp_path / "kept.csv"
    path.write_text(studies.write_series([found], study.kept))
    (back,) = studies.read_series(path)
    assert back.axis("minute").tolist() == [1.0, 1.5, 2.5]
    assert learning_times(tmp_path / "none.csv") == []
    (folder / "times.csv").write_text("step,seconds\n0,0.000\n4,60\n4,0.000\n8,70\n12,80\n")
    seconds = dict(learning_times(folder / "times.csv"))
    assert seconds == {0: 0, 4: 60, 8: 130, 12: 140}, "a slow first row is another process's too"


def test_a_figure_has_a_row_of_panels_for_each_axis(tmp_path):
    study = studies.read_study(written(tmp_path, axes=["step", "generation"]))
    found = series("rate", 0, 1, 5)
    found.values["generation"] = np.array([3.0, 9.0])
    panels = study_figure(study, [found]).axes
    assert [panel.get_xlabel() for panel in panels] == [STEPS] * 2 + ["generations"] * 2
    lines = [panel.get_lines()[0].get_xdata().tolist() for panel in panels]
    assert lines == [[32e-6, 64e-6]] * 2 + [[3.0, 9.0]] * 2
    assert [panel.get_legend() is None for panel in panels] == [True, False, True, True]


def test_of_a_columns_names_the_first_that_a_run_has_is_read(tmp_path):
    study = studies.read_study(written(tmp_path, columns={"loss": ["loss", "value_loss"]}))
    for seed, header in ((0, "step,value_loss"), (3, "step,value_loss,loss")):
        (tmp_path / f"rate-seed{seed}").mkdir()
        row = ",".join(["4", "1.0", "2.0"][: 1 + header.count(",")])
        (tmp_path / f"rate-seed{seed}/curve.csv").write_text(f"{header}\n{row}\n")
    found = studies.collect(study, tmp_path)
    assert [one.last("loss") for one in found] == [1.0, 2.0]


def test_a_column_that_no_curve_has_is_an_error(tmp_path):
    study = studies.read_study(written(tmp_path, columns={"loss": "value_los"}))
    (tmp_path / "rate-seed0").mkdir()
    (tmp_path / "rate-seed0/curve.csv").write_text("step,value_loss\n4,1.0\n")
    with pytest.raises(ValueError, match="no curve has value_los"):
        studies.collect(study, tmp_path)
    (tmp_path / "kept.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(ValueError, match="no study's table"):
        studies.read_series(tmp_path / "kept.csv")


def series(variant: str, seed: int, *values: float) -> studies.Series:
    steps = np.arange(1, len(values) + 1) * 32
    return studies.Series(variant, seed, steps, {"loss": np.array(values), "mean": steps * 1.0})


def test_the_table_by_hand(tmp_path):
    study = studies.read_study(written(tmp_path, seeds=[0, 3, 4]))
    found = [series("as-it-is", 0, 1.0, 5.0), series("as-it-is", 3, 9.0), series("as-it-is", 4, 6)]
    assert study_table(study, found).splitlines()[2:] == [
        "| `as-it-is` | none | 64 | **6** (5, 9, 6) | **32** (64, 32, 32) |",
        "| `rate` | `learning_rate` 0.001 | not run |  |  |",
    ]


def test_the_figure_shows_every_seed_and_the_median(tmp_path):
    study = studies.read_study(written(tmp_path))
    found = [series("as-it-is", 0, 1, 5), series("as-it-is", 3, 3, 9), series("rate", 0, 2, 2)]
    panel = study_figure(study, found).axes[0]
    lines = {
        tuple(line.get_ydata()): line.get_label().startswith("_") for line in panel.get_lines()
    }
    assert lines == {(1, 5): True, (3, 9): True, (2.0, 7.0): False, (2.0, 2.0): False}


def test_the_median_is_of_where_all_have_numbers(tmp_path):
    study = studies.read_study(written(tmp_path, seeds=[0, 3]))
    late = studies.Series("rate", 3, np.array([80, 96]), {"loss": np.full(2, 10.0)})
    late.values["mean"] = late.values["loss"]
    panel = study_figure(study, [series("rate", 0, 0, 0, 0), late]).axes[0]
    (median,) = [line for line in panel.get_lines() if line.get_label() == "rate"]
    assert median.get_xdata().tolist() == [96e-6] and median.get_ydata().tolist() == [5]


def test_pages_with_a_place_are_filled_and_others_left(tmp_path):
    study = studies.read_study(written(tmp_path))
    write_pages(study, [series("as-it-is", 0, 1)], tmp_path)
    assert not (tmp_path / "small.png").exists(), "one row is no curve"
    found = [series("as-it-is", 0, 1, 5)]
    for name, text in (
        ("one", "a\n<!-- study-small -->\n<!-- /study-small -->\nb\n"),
        ("two", "c\n"),
    ):
        (tmp_path / f"{name}.md").write_text(text)
    write_pages(study, found, tmp_path)
    table = study_table(study, found)
    filled = f"a\n<!-- study-small -->\n{table}\n<!-- /study-small -->\nb\n"
    assert (tmp_path / "one.md").read_text() == filled
    assert (tmp_path / "two.md").read_text() == "c\n"
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")


def test_a_study_is_trained_collected_and_left_alone_when_it_is_done(tmp_path):
    path = written(tmp_path, variants={"rate": SMALL["variants"]["rate"]}, seeds=[3])
    out = tmp_path / "runs"
    study = studies.read_study(path)
    script = [sys.executable, "zoo_scripts/run_study.py", str(path), "--out", str(out)]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "| `rate` | `learning_rate` 0.001 | 64 |" in done.stdout
    found = studies.read_series(path.with_suffix(".csv"))
    assert [(one.variant, one.seed) for one in found] == [
        (variant, seed) for variant in study.variants for seed in study.seeds
    ]
    assert all(np.isfinite(one.values["loss"]).all() for one in found)
    outcomes = train_runs(study.runs(out), out, progress=False)
    assert {outcome.state for outcome in outcomes} == {"finished"}
    again = subprocess.run(
        [*script[:-2], "--collect"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert again.stdout == done.stdout[done.stdout.index("| variant |") :]


def test_every_run_is_checked_before_the_first_starts(tmp_path):
    study = studies.read_study(written(tmp_path))
    bad = study.recipe("rate", 0).override({"env": "morphzoo/Swimmmer-v5"})
    runs = [*study.runs(tmp_path), PlannedRun("bad", bad, tmp_path / "bad")]
    with pytest.raises(ValueError, match="Swimmmer"):
        train_runs(runs, tmp_path, progress=False)
    assert not list(tmp_path.glob("*-seed*"))


# Baselines.

TD3 = {
    "env": "morphzoo/PointUMaze-v0", "algorithm": "td3", "replay": "hindsight", "steps": 300,
    "n_envs": 2, "action_noise": 0.2, "evaluate_every": 100, "evaluate_episodes": 2,
    "env_kwargs": {"max_episode_steps": 20}, "policy_kwargs": {"net_arch": [8]},
    "algorithm_kwargs": {"batch_size": 8, "buffer_size": 200},
}  # fmt: skip
SAC = {
    "env": "morphzoo/Swimmer-v5", "algorithm": "sac", "steps": 150, "evaluate_every": 50,
    "evaluate_episodes": 1, "env_kwargs": {"max_episode_steps": 30},
    "policy_kwargs": {"net_arch": [8]},
    "algorithm_kwargs": {"learning_starts": 20, "batch_size": 8},
}  # fmt: skip


def test_a_baseline_is_trained_and_collected_beside_the_recipes(tmp_path):
    variants = {"td3": {"baseline": TD3}, "sac": {"baseline": SAC, "seeds": [1]}}
    changes = {"variants": variants, "columns": {"score": "score"}, "every": 1, "axes": ["minute"]}
    study = studies.read_study(written(tmp_path, **changes))
    assert not study.runs(tmp_path)
    study.train_baselines(tmp_path / "runs", progress=False)
    models = sorted((tmp_path / "runs").glob("*/model.zip"))
    assert [path.parent.name for path in models] == ["sac-seed1", "td3-seed0", "td3-seed3"]
    found = studies.collect(study, tmp_path / "runs")
    assert [(one.variant, one.seed) for one in found] == [("td3", 0), ("td3", 3), ("sac", 1)]
    assert found[0].steps.tolist() == [100, 200, 300] and found[2].steps.tolist() == [50, 100, 150]
    assert all(np.isfinite(one.values["score"]).all() for one in found)
    assert all((np.diff(one.axis("minute")) > 0).all() for one in found)
    assert "`baseline` td3 of Stable-Baselines3" in study_table(study, found)
    before = [path.stat().st_mtime_ns for path in models]
    study.train_baselines(tmp_path / "runs", progress=False)
    assert [path.stat().st_mtime_ns for path in models] == before


def test_a_baseline_repeats_and_its_last_row_is_of_the_model_that_is_kept(tmp_path):
    baseline = Baseline.from_dict(SAC)
    for name in ("a", "b"):
        path = train_baseline(baseline, tmp_path / name, progress=False)
    curves = [(tmp_path / name / "curve.csv").read_bytes() for name in ("a", "b")]
    assert curves[0] == curves[1]
    env = make_vec_env(SAC["env"], 1, baseline.evaluate_seed, **SAC["env_kwargs"])
    again, _ = evaluate_policy(OFF_POLICY["sac"].load(path), env, 1, warn=False)
    assert again == read_curve(tmp_path / "a/curve.csv")["score"][-1]
    with pytest.raises(ValueError, match="holds another training"):
        train_baseline(Baseline.from_dict({**SAC, "seed": 1}), tmp_path / "a", progress=False)


def test_a_baseline_is_evaluated_on_what_it_is_asked_to(tmp_path):
    on = f"{SAC['env']},max_episode_steps=7"
    baseline = Baseline.from_dict({**SAC, "steps": 60, "evaluate_on": on})
    path = train_baseline(baseline, tmp_path, progress=False)
    env = make_vec_env(SAC["env"], 1, baseline.evaluate_seed, max_episode_steps=7)
    found, lengths = evaluate_policy(
        OFF_POLICY["sac"].load(path), env, 1, warn=False, return_episode_rewards=True
    )
    assert lengths == [7]
    assert read_curve(tmp_path / "curve.csv")[f"{on}:mean"][-1] == found[0]
    assert Baseline.from_dict(SAC).evaluate_on == SAC["env"]
    with pytest.raises(ValueError, match="arguments behind commas"):
        Baseline.from_dict({**SAC, "evaluate_on": f"{SAC['env']},7"})


def test_a_baseline_explores_by_the_noise_that_it_is_given():
    def stored(noise: float) -> Any:
        model = make_model(Baseline.from_dict({**TD3, "action_noise": noise}))
        with contextlib.closing(model.env):
            model.learn(60)
        return model, model.replay_buffer.actions[20:30]

    (one, little), (two, much) = stored(1e-9), stored(0.5)
    assert one.learning_starts == two.learning_starts == 40
    assert not np.allclose(little, much) and np.abs(much).max() <= 1


def test_runs_and_baselines_do_not_overwrite_each_other(tmp_path):
    recipe = studies.read_study(written(tmp_path)).recipe("rate", 0)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    with pytest.raises(ValueError, match="holds a recipe's run"):
        train_baseline(Baseline.from_dict(SAC), tmp_path, progress=False)
    (tmp_path / "baseline.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a baseline's training"):
        holds_run(tmp_path, recipe)


def test_a_baseline_ends_when_its_time_is_up(tmp_path):
    endless = Baseline.from_dict({**SAC, "steps": 10**9})
    train_baseline(endless, tmp_path, minutes=0.02, progress=False)
    assert 0 < learning_times(tmp_path / "times.csv")[-1][1] < 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithm": "ppo"}, "'algorithm' is 'ppo'. Known: sac, td3"),
        ({"replay": "hindsigth"}, "Did you mean 'hindsight'"),
        ({"steps": 0}, "'steps' must be positive, found 0"),
        ({"n_env": 3}, "unknown key 'n_env'. Did you mean 'n_envs'"),
        ({"evaluate_seed": 9999, "evaluate_episodes": 2}, "reserved for final scores"),
        ({"algorithm": "td3"}, "td3 explores by 'action_noise' alone"),
        ({"action_noise": -0.1}, "'action_noise' must be 0 or more"),
        ({"evaluate_seed": -1}, "'evaluate_seed' must be 0 or more"),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path, change, message):
    variants = {"sac": {"baseline": {**SAC, **change}}}
    with pytest.raises(ValueError, match=f"variant 'sac': .*{message}"):
        studies.read_study(written(tmp_path, variants=variants, seeds=[0]))


def test_whole_numbers_may_be_written_as_floats():
    assert type(Baseline.from_dict({**SAC, "evaluate_episodes": 2.0}).evaluate_episodes) is int


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"algorithm_kwargs": {"batchsize": 8}},
            "no keyword 'batchsize' that can be set here. Did you mean 'batch_size'",
        ),
        ({"replay": "hindsight"}, "hindsight needs goals, and 'morphzoo/Swimmer-v5' has none"),
        ({"env": "morphzoo/Swimmmer-v5"}, "Swimmmer"),
        ({"policy_kwargs": {"net_arc": [8]}}, "net_arc"),
        ({"algorithm_kwargs": {"seed": 1}}, "no keyword 'seed' that can be set here"),
        (
            {**TD3, "algorithm_kwargs": {"learning_starts": 39}},
            "give learning_starts=40 or more, an episode of each of 2 environments, found 39",
        ),
    ],
)
def test_a_baseline_that_cannot_be_made_is_refused_before_any_work(tmp_path, change, message):
    study = studies.read_study(written(tmp_path, variants={"sac": {"baseline": {**SAC, **change}}}))
    with pytest.raises(ValueError, match=f"study 'small', variant 'sac': .*{message}"):
        study.check_baselines(tmp_path)


# Those that are kept.


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_studies_are_whole_and_their_pages_up_to_date(path):
    study = studies.read_study(path)
    found = studies.read_series(path.with_suffix(".csv"))
    assert {(one.variant, one.seed) for one in found} == set(study.pairs.values())
    mark = f"study-{study.name}"
    pages = [page.read_text() for page in sorted((ROOT / "docs").glob("*.md"))]
    (page,) = [page for page in pages if f"<!-- {mark} -->" in page]
    (table,) = re.findall(rf"<!-- {mark} -->\n(.*?)\n<!-- /{mark} -->", page, re.DOTALL)
    assert table == study_table(study, found)
    assert f"]({study.name}.png)" in page and (ROOT / f"docs/{study.name}.png").is_file()
