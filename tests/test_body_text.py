"""A body as one line of text, and everything that takes one."""

from __future__ import annotations

import json

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphzoo import inspection
from morphzoo.body_text import body_text, read_body
from morphzoo.envs.ids import known_body
from morphzoo.recipe import Recipe
from morphzoo.results import EpisodeTable
from morphzoo.tables import body_name
from morphzoo.training.curve import check_bodies, evaluate_bodies
from morphzoo.transfer import evaluate, load_policy, transfer_matrix

FOUR = "morphzoo/AntVelocity-v0"
CRIPPLED = FOUR + ',disabled_joints=["ankle_2","hip_1"],num_legs=6'

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip
ARGUMENTS = st.dictionaries(st.from_regex(r"arg_[a-z0-9]{1,4}", fullmatch=True), JSON, max_size=3)


@given(ARGUMENTS)
def test_what_is_written_reads_back(arguments: dict) -> None:
    assert read_body(body_text(FOUR, arguments)) == (FOUR, arguments)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (FOUR, {}),
        (FOUR + ",num_legs=6", {"num_legs": 6}),
        (FOUR + ", num_legs = 6 ,", {"num_legs": 6}),
        (FOUR + ",target_velocity=(3, -0.5)", {"target_velocity": [3, -0.5]}),
        (FOUR + ",actuators=position", {"actuators": "position"}),
        (FOUR + ",a=true,b=False,c=null,d=None", {"a": True, "b": False, "c": None, "d": None}),
        (FOUR + ",disabled_joints=[ankle_2, 'hip_1']", {"disabled_joints": ["ankle_2", "hip_1"]}),
    ],
)  # fmt: skip
def test_what_a_person_types(text: str, arguments: dict) -> None:
    assert read_body(text) == (FOUR, arguments)


def test_the_order_of_arguments_does_not_matter() -> None:
    ways = ({"b": (1, 2), "a": "x"}, {"a": "x", "b": [1, 2]})
    assert {body_text("x/Y-v0", way) for way in ways} == {'x/Y-v0,a="x",b=[1,2]'}


@pytest.mark.parametrize(
    "rest",
    [
        ",", ",6", ",num_legs", ",num_legs=", ",num_legs=6=7", ",num_legs=6,num_legs=7", ",**x",
        ",a=__import__('os').getcwd()", ",a=open('x')", ",a=1)(b=2", ",a=1) + f(b=2",
        ",a=lambda: 1", ",a=[x for x in y]",
        ",a=1e999", ",a={1: 2, 'x': {3}}", ",a=1j", ",a=b'x'", ",a=f'{x}'",
        ",a=" + "(" * 5000, ",a=" + "-" * 5000 + "1", ",a=x.y", ",*a", "\0,a=\0",
    ],
)  # fmt: skip
def test_other_text_is_refused_and_never_evaluated(rest: str) -> None:
    with pytest.raises(ValueError, match=r"such as 'morphzoo/Ant-v5,frame_skip=2'"):
        read_body(FOUR + rest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("morphzoo/AntVelocty,num_legs=6", "Did you mean"),
        ("os:Ant-v5,num_legs=6", "asks to import"),
    ],
)
def test_an_unknown_body_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        known_body(text)


def test_the_version_may_be_left_out() -> None:
    assert known_body("morphzoo/AntVelocity,num_legs=6") == (FOUR, {"num_legs": 6})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("morphzoo/Centipede-20-v0", "Centipede-20"),
        (FOUR + ",num_legs=6", "AntVelocity, num_legs=6"),
    ],
)
def test_what_tables_call_it(text: str, name: str) -> None:
    assert body_name(text) == name


def test_a_matrix_over_arguments_is_evaluate_with_them() -> None:
    """However they are typed; a body named twice counts once."""
    typed = "morphzoo/AntVelocity,num_legs=6,disabled_joints=('ankle_2','hip_1')"
    tables = transfer_matrix(["random"], [FOUR, typed, CRIPPLED], 2, 7, num_envs=2)
    assert [table.body for table in tables] == [FOUR, CRIPPLED]
    arguments = {"num_legs": 6, "disabled_joints": ["ankle_2", "hip_1"]}
    alone = evaluate("random", FOUR, 2, 7, env_kwargs=arguments, num_envs=2)
    assert tables[1].returns.tolist() == alone.returns.tolist() != tables[0].returns.tolist()
    read = EpisodeTable.from_json(json.loads(json.dumps(tables[1].to_json())))
    assert read.body == CRIPPLED


def test_a_recipe_evaluates_on_arguments_before_its_own() -> None:
    recipe = Recipe(
        env="morphzoo/Centipede-v0", policy="snowflake", env_kwargs={"num_legs": 3},
        evaluate_on=["morphzoo/Centipede-v0", "morphzoo/Centipede-v0,num_legs=4"],
        evaluate_episodes=1,
    )  # fmt: skip
    policy = load_policy("snowflake-centipede-6", recipe.env, recipe.env_kwargs)
    assert not isinstance(policy, str)
    check_bodies(policy, recipe)
    scores = evaluate_bodies(policy, recipe)
    assert list(scores) == recipe.evaluate_on
    four = load_policy("snowflake-centipede-6", "morphzoo/Centipede-4-v0")
    alone = evaluate(four, "morphzoo/Centipede-4-v0", 1, recipe.evaluate_seed, True)
    assert scores[recipe.evaluate_on[1]]["mean"] == alone.returns[0]


def test_a_body_with_arguments_is_inspected() -> None:
    report = inspection.inspect_body(CRIPPLED)
    with gym.make(FOUR, num_legs=6, disabled_joints=["ankle_2", "hip_1"]) as env:
        assert report.graph == env.unwrapped.graph  # type: ignore[attr-defined]
    assert report.title == CRIPPLED
