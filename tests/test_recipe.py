"""Recipes: what they hold, and that a wrong one is refused with a useful message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from morphzoo.recipe import DEFAULTS, RECIPES, Recipe, make_recipe, parse_setting, read_recipe

BODY: dict[str, Any] = {"env": "morphzoo/Centipede-6-v0", "policy": "mlp"}
BUNDLED = sorted(path.stem for path in RECIPES.glob("*.json"))


def test_defaults_are_filled_in_and_kept_apart() -> None:
    first, second = Recipe.from_dict(BODY), Recipe.from_dict(BODY)
    assert first == second
    assert first.algorithm_kwargs == DEFAULTS["ppo"]
    assert first.evaluate_on == [BODY["env"]]
    assert first.rollout == 16 * 128
    first.algorithm_kwargs["gamma"] = 0.5
    assert second.algorithm_kwargs["gamma"] == DEFAULTS["ppo"]["gamma"] == 0.99


def test_round_trip_with_other_values(tmp_path: Path) -> None:
    recipe = Recipe.from_dict(
        {
            **BODY,
            "steps": 3e6,
            "seed": 7,
            "schedule": "constant",
            "env_kwargs": {"include_contact_forces": False},
            "policy_kwargs": {"hidden_sizes": [8, 8], "log_std_init": -0.5},
            "algorithm_kwargs": {"clip_range": 0.1},
            "evaluate_on": [BODY["env"], "morphzoo/Centipede-4-v0"],
            "score_weights": {BODY["env"]: 1, "morphzoo/Centipede-4-v0": 0.5},
        }
    )
    path = tmp_path / "recipe.json"
    path.write_text(recipe.to_json())
    again = read_recipe(path)
    assert again == recipe
    assert again.steps == 3_000_000 and isinstance(again.steps, int)
    assert again.algorithm_kwargs == {**DEFAULTS["ppo"], "clip_range": 0.1}
    assert again.to_json() == path.read_text()


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_recipes_are_complete(name: str) -> None:
    recipe = read_recipe(name)
    stored = json.loads((RECIPES / f"{name}.json").read_text())
    assert stored == recipe.to_dict(), "write every setting out, also those at their default"
    ours_to_tune_on = {recipe.env, "morphzoo/Centipede-4-v0", "morphzoo/Centipede-5-v0"}
    assert set(recipe.evaluate_on) <= ours_to_tune_on, "bodies of the test must not pick it"


# what is changed, what the message must say
HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"stesp": 1}, r"unknown key 'stesp'.*'steps'"),
    ({"polcy": "mlp"}, "'policy'"),
    ({"algorithm": "poo"}, "'ppo'"),
    ({"schedule": "liner"}, "'linear'"),
    ({"score_actions": "smapled"}, "'sampled'"),
    ({"steps": 0}, "'steps' must be positive"),
    ({"steps": -5}, "'steps' must be positive"),
    ({"steps": 1.5}, "'steps' must be int"),
    ({"steps": "many"}, "'steps' must be int"),
    ({"steps": True}, "'steps' must be int"),
    ({"steps": None}, "'steps' must be int"),
    ({"steps": float("nan")}, "'steps' must be int"),
    ({"n_envs": 0}, "'n_envs' must be positive"),
    ({"checkpoint_every": 0}, "'checkpoint_every' must be positive"),
    ({"evaluate_episodes": 0}, "'evaluate_episodes' must be positive"),
    ({"seed": -1}, "'seed' must be in"),
    ({"seed": 2**32}, "'seed' must be in"),
    ({"evaluate_every": -1}, "'evaluate_every' must be in"),
    ({"evaluate_seed": 9_995}, "reserved for final scores"),
    ({"env": 6}, "'env' must be str"),
    ({"policy_kwargs": []}, "'policy_kwargs' must be dict"),
    ({"policy_kwargs": {"a": {1, 2}}}, "plain JSON"),
    ({"policy_kwargs": {"a": float("inf")}}, "plain JSON"),
    ({"evaluate_on": "morphzoo/Centipede-6-v0"}, "'evaluate_on' must be list"),
    ({"evaluate_on": [6]}, "environment ids"),
    ({"score_weights": {"morphzoo/Centipede-5-v0": 1}}, "not in 'evaluate_on'"),
    ({"score_weights": {BODY["env"]: -1}}, "must be 0 or more"),
    ({"score_weights": {BODY["env"]: 0}}, "one weight above 0"),
    ({"score_weights": {BODY["env"]: "1"}}, "must be 0 or more"),
    ({"log_std_bound": [0.0, -1.0]}, "pairs"),
    ({"log_std_bound": [[0.0, -1.0, 2.0]]}, "pairs"),
    ({"log_std_bound": [[0.0, "low"]]}, "pairs"),
    ({"log_std_bound": [[0.5, -1.0], [0.5, -2.0]]}, "must rise"),
    ({"log_std_bound": [[0.5, -1.0], [1.5, -2.0]]}, "within 0..1"),
    ({"algorithm_kwargs": {"batch_size": 100}}, r"divide n_envs \* n_steps = 16 \* 128 = 2048"),
    ({"algorithm_kwargs": {"batch_size": 4096}}, "divide"),
    ({"algorithm_kwargs": {"batch_size": 1}}, "above 1"),
    ({"algorithm_kwargs": {"n_steps": 0}}, "'n_steps' must be a positive integer"),
    ({"algorithm_kwargs": {"n_steps": 64.0}}, "'n_steps' must be a positive integer"),
    ({"algorithm_kwargs": {"n_epochs": True}}, "'n_epochs' must be a positive integer"),
    ({"algorithm_kwargs": {"learning_rate": -1e-3}}, "'learning_rate' must be a positive number"),
    ({"algorithm_kwargs": {"learning_rate": "3e-4"}}, "'learning_rate' must be a positive number"),
    ({"algorithm_kwargs": {"clip_range": 0}}, "'clip_range' must be a positive number"),
]


@pytest.mark.parametrize(("changes", "words"), HOSTILE, ids=[str(c)[:50] for c, _ in HOSTILE])
def test_wrong_values_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Recipe.from_dict({**BODY, **changes})


@pytest.mark.parametrize("missing", ["env", "policy"])
def test_missing_body_or_policy(missing: str) -> None:
    with pytest.raises(ValueError, match=f"'{missing}' is missing"):
        Recipe.from_dict({key: value for key, value in BODY.items() if key != missing})


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not a JSON file"), ("[1]", "holds a list"), ("\xff", "not a JSON file")],
)
def test_broken_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=words):
        read_recipe(path)


def test_unknown_recipe_lists_the_known() -> None:
    with pytest.raises(ValueError, match="Did you mean 'snowflake-centipede-6'"):
        read_recipe("snowflake-centipede")


def test_override() -> None:
    recipe = Recipe.from_dict({**BODY, "policy_kwargs": {"log_std_init": -0.5}})
    changed = recipe.override(
        {
            "env": "morphzoo/Centipede-4-v0",
            "steps": 5,
            "learning_rate": 1e-3,
            "algorithm_kwargs.n_epochs": 2,
            "policy_kwargs.hidden_sizes": [4],
        }
    )
    assert changed.evaluate_on == ["morphzoo/Centipede-4-v0"]
    assert changed.algorithm_kwargs == {**DEFAULTS["ppo"], "learning_rate": 1e-3, "n_epochs": 2}
    assert changed.policy_kwargs == {"log_std_init": -0.5, "hidden_sizes": [4]}
    assert recipe == Recipe.from_dict({**BODY, "policy_kwargs": {"log_std_init": -0.5}})
    with pytest.raises(ValueError, match="Did you mean 'learning_rate'"):
        recipe.override({"lerning_rate": 1})
    with pytest.raises(ValueError, match="must be positive"):
        recipe.override({"steps": 0})


def test_log_std_bound_by_hand() -> None:
    recipe = Recipe.from_dict({**BODY, "steps": 1000, "log_std_bound": [[0.2, -1], [0.7, -2]]})
    steps = (0, 200, 300, 450, 700, 1000, 1024)
    assert [recipe.log_std_bound_at(step) for step in steps] == [-1, -1, -1.2, -1.5, -2, -2, -2]
    assert Recipe.from_dict(BODY).log_std_bound_at(300) is None


def test_recipe_of_a_command_line(tmp_path: Path) -> None:
    given = {"env": BODY["env"], "policy": "mlp", "seed": 4, "gamma": 0.9}
    recipe = make_recipe(None, given)
    assert recipe == Recipe.from_dict(
        {**BODY, "seed": 4, "algorithm_kwargs": {**DEFAULTS["ppo"], "gamma": 0.9}}
    )
    (tmp_path / "r.json").write_text(recipe.to_json())
    assert make_recipe(tmp_path / "r.json", {"seed": 5}) == recipe.override({"seed": 5})
    with pytest.raises(ValueError, match="'policy' is missing"):
        make_recipe(None, {"env": BODY["env"], "steps": 5})


def test_settings_are_json_where_possible() -> None:
    assert parse_setting("gamma=0.9") == ("gamma", 0.9)
    assert parse_setting("policy_kwargs.freeze=[]") == ("policy_kwargs.freeze", [])
    assert parse_setting("schedule=constant") == ("schedule", "constant")
    assert parse_setting("description=a=b") == ("description", "a=b")
    for text in ("gamma", "=1"):
        with pytest.raises(ValueError, match="key=value"):
            parse_setting(text)
