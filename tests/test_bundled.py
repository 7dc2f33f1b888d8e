"""Bundled checkpoints come from the bundled recipes: their settings, their first steps."""

from __future__ import annotations

import json

import pytest

from morphzoo import zoo
from morphzoo.recipe import FREE_ON_RESUME, read_recipe
from morphzoo.zoo.catalogue import PRETRAINED


def recipe_of(name: str) -> tuple[str, int | None]:
    """The recipe's name, and the seed where it is another than the recipe's own."""
    recipe, _, seed = name.partition("-seed-")
    return recipe, int(seed) if seed else None


@pytest.mark.parametrize("name", zoo.bundled())
def test_a_bundled_checkpoint_holds_the_recipe_of_its_name(name):
    recipe_name, seed = recipe_of(name)
    recipe = read_recipe(recipe_name).to_dict()
    if seed is not None:
        assert seed != recipe["seed"]
        recipe["seed"] = seed
    kept = json.loads((PRETRAINED / name / "recipe.json").read_text(encoding="utf-8"))
    for key, value in recipe.items():
        if key not in FREE_ON_RESUME:
            assert kept.get(key, type(value)()) == value, key  # a run may be older than a key


@pytest.mark.parametrize("name", [name for name in zoo.bundled() if recipe_of(name)[1] is None])
def test_its_curve_begins_as_the_recorded_first_steps_do(name):
    """The fingerprint test reproduces these rows, so it reproduces this very run."""
    curve = (PRETRAINED / name / "curve.csv").read_text(encoding="utf-8").splitlines()
    recorded = read_recipe(name).fingerprint_10000
    assert recorded, "no first steps are recorded: python -m morphzoo.training --fingerprint"
    assert any(curve[: len(entry["curve"])] == entry["curve"] for entry in recorded.values())


def test_both_policies_are_bundled():
    assert {"snowflake-centipede-6", "mlp-centipede-6"} <= set(zoo.bundled())
