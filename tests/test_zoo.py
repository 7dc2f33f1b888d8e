"""The zoo: what was saved comes back, on any body; a folder is whole or absent; the card tells."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
import torch
from goal_envs import goal_space
from gymnasium import spaces as gym_spaces
from huggingface_hub import ModelCard
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from morphzoo import zoo
from morphzoo.columns import columns_of
from morphzoo.morphology import MorphologyGraph
from morphzoo.policies import POLICIES, MlpPolicy, NerveNetPolicy, SnowflakePolicy
from morphzoo.policies.goal_policy import GoalPolicy
from morphzoo.policies.graph_policy import GraphPolicy
from morphzoo.policies.transferring import policy_schema, transfer
from morphzoo.results import EpisodeTable, results_document, tables_of, versions
from morphzoo.sb3 import make_vec_env
from morphzoo.spaces import MorphologySpace
from morphzoo.zoo import catalogue
from morphzoo.zoo.keywords import policy_keywords
from morphzoo.zoo.schema import FIELDS

HOME = "morphzoo/Centipede-6-v0"

# No value is a default; between them the rows set every keyword that a policy has.
NON_DEFAULT = {
    "snowflake": {
        "hidden_size": 32, "num_layers": 3, "freeze": ["update", "log_std"], "value_head": "graph",
        "log_std_init": -1.0, "part_lr_scale": {"encoder": 0.5},
    },
    "nervenet": {
        "hidden_size": 16, "num_layers": 2, "root_links": True, "log_std_mode": "motor",
        "normalize": False, "freeze": ["embedding"], "fused": False,
    },
    "mlp": {"hidden_sizes": [32, 16, 8], "log_std_mode": "type", "log_std_init": -2.0},
    "deterministic": {
        "hidden_sizes": [24, 12], "activation": "elu", "squash": False, "normalize": True,
    },
    "contrastive": {
        "actor_depth": 96, "critic_depth": 8, "width": 10,
        "norm": "hypersphere", "final_norm": True, "residual": "mean",
        "block_init": "identity", "repr_dim": 5, "energy": "cosine",
    },
    "contrastive-snowflake": {
        "hidden_size": 16, "num_layers": 3, "root_links": True, "fused": False,
        "freeze": ["update"], "normalize": False, "goal_depth": 8, "goal_width": 72,
        "repr_dim": 6, "energy": "l2",
    },
    "chromatic": {
        "hidden_sizes": [24, 12], "coloring": "masked", "num_colors": 300, "coloring_seed": 123_456,
        "output_bias": True, "layer_scale": True, "init_std": 0.25, "init_bias": 0.5,
        "activation": "relu", "squash": False, "normalize": True,
    },
    "chromatic-mlp": {
        "hidden_sizes": [], "coloring": "kmeans", "num_colors": 9, "coloring_seed": 7,
        "output_bias": True, "layer_scale": True, "init_std": 0.25, "init_bias": 0.5,
        "log_std_mode": "type", "value_head": "graph",
    },
    "chromatic-snowflake": {
        "hidden_size": 16, "num_layers": 2, "num_colors": 300, "coloring_seed": 123_456,
        "value_head": "graph",
    },
}  # fmt: skip


def make_spaces(num_legs: int) -> tuple[gym_spaces.Space, gym_spaces.Space]:
    env = gym.make("morphzoo/Centipede-v0", num_legs=num_legs)
    pair = env.observation_space, env.action_space
    env.close()
    return pair


SPACES = {num_legs: make_spaces(num_legs) for num_legs in (6, 8, 20)}


def spaces_for(name: str, num_legs: int) -> tuple[gym_spaces.Space, gym_spaces.Space]:
    """What a policy of this name reads of a body: with a goal of two numbers, if it is asked."""
    observed, action = SPACES[num_legs]
    if not issubclass(POLICIES[name], GoalPolicy):
        return observed, action
    assert isinstance(observed, gym_spaces.Box)
    return goal_space(observed), action


def make_policy(name: str, num_legs: int = 6, **kwargs):
    """A policy none of whose tensors has its first value."""
    torch.manual_seed(1)
    policy = POLICIES[name](*spaces_for(name, num_legs), lambda _: 3e-4, **kwargs)
    with torch.no_grad():
        for key, tensor in policy.state_dict().items():
            if not tensor.is_floating_point():  # colours: the last ones first
                tensor.copy_(tensor.flip(0))
                continue
            # Positive: spreads, counts and sums of squares are in it.
            tensor.add_(torch.rand(tensor.shape, dtype=tensor.dtype) * 0.1 + 0.01)
            assert tensor.is_contiguous(), key
    return policy.eval()


def observations(num_legs: int, name: str = "mlp") -> Any:
    rng, space = np.random.default_rng(0), spaces_for(name, num_legs)[0]

    def some(space: gym_spaces.Space) -> np.ndarray:
        return rng.normal(size=(5, *(space.shape or ()))).astype(np.float32)

    if isinstance(space, gym_spaces.Dict):
        return {key: some(inner) for key, inner in space.items()}
    return some(space)


def assert_same_state(ours, theirs, keys=None) -> None:
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert ours.keys() == theirs.keys()
    for key in keys or ours:
        assert ours[key].dtype == theirs[key].dtype
        assert torch.equal(ours[key], theirs[key]), key


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def table(returns: list[float], **changes) -> EpisodeTable:
    n = len(returns)
    values = {
        "policy": "runs/legs", "env": HOME, "actions": "sampled",
        "seeds": np.arange(10_000, 10_000 + n), "returns": np.array(returns),
        "returns_unclipped_cost": np.array(returns) - 1, "lengths": np.full(n, 700),
        "distances": np.full(n, 2.5), "failed": np.zeros(n, dtype=bool),
    }  # fmt: skip
    return EpisodeTable(**{**values, **changes})


# Mean 2.5, variance (2.25 + 0.25 + 0.25 + 2.25) / 4 = 1.25; the middle half is 2 and 3.
SCORED = table([1.0, 2.0, 3.0, 4.0])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return zoo.save(make_policy("snowflake"), tmp_path / "legs", env_id=HOME)


# Round trips.


def test_every_policy_has_a_row_without_defaults() -> None:
    assert NON_DEFAULT.keys() == POLICIES.keys()
    every = {key for policy_class in POLICIES.values() for key in policy_keywords(policy_class)}
    assert {key for kwargs in NON_DEFAULT.values() for key in kwargs} == every
    for name, kwargs in NON_DEFAULT.items():
        defaults = POLICIES[name](*spaces_for(name, 6), lambda _: 0.0).kwargs_received
        assert kwargs.keys() <= policy_keywords(POLICIES[name]).keys()
        assert all(json.loads(json.dumps(defaults[key])) != kwargs[key] for key in kwargs)


def test_keywords_are_found_through_the_bases_and_end_at_ours() -> None:
    shared = {"log_std_init", "log_std_mode", "value_head", "freeze", "part_lr_scale", "normalize"}
    graph = {"hidden_size", "num_layers", "root_links", "fused"}
    assert shared | graph <= policy_keywords(NerveNetPolicy).keys()
    assert policy_keywords(SnowflakePolicy) == policy_keywords(NerveNetPolicy)
    assert shared | {"hidden_sizes"} <= policy_keywords(MlpPolicy).keys()
    for policy_class in POLICIES.values():
        foreign = {"schema", "use_sde", "optimizer_class", "features_extractor_class", "net_arch"}
        assert not foreign & policy_keywords(policy_class).keys()
    assert not graph & policy_keywords(MlpPolicy).keys()


@pytest.mark.parametrize("name", POLICIES)
def test_same_body_same_policy(name: str, tmp_path: Path) -> None:
    policy = make_policy(name, **NON_DEFAULT[name])
    zoo.save(policy, tmp_path / "policy")
    loaded = zoo.load(tmp_path / "policy", spaces_for(name, 6))
    assert type(loaded) is type(policy) and not loaded.training
    assert_same_state(loaded, policy)
    assert loaded.transfer_dropped == ()
    obs = observations(6, name)
    actions, _ = policy.predict(obs, deterministic=True)
    assert np.ptp(actions) > 0
    np.testing.assert_array_equal(loaded.predict(obs, deterministic=True)[0], actions)
    if issubclass(POLICIES[name], GraphPolicy):
        assert_same_training(policy, loaded, obs)


def assert_same_training(policy, loaded, obs: np.ndarray) -> None:
    """Values, and what is trained how fast: what an actor-critic has besides its actions."""
    values = [p.predict_values(torch.as_tensor(obs)) for p in (policy, loaded)]
    assert torch.equal(*values)
    trained = [[p.requires_grad for p in x.parameters()] for x in (policy, loaded)]
    assert trained[0] == trained[1]
    scales = [[g["lr_scale"] for g in x.optimizer.param_groups] for x in (policy, loaded)]
    assert scales[0] == scales[1]


@pytest.mark.parametrize("num_legs", [8, 20])
@pytest.mark.parametrize("name", [name for name in POLICIES if name != "contrastive"])
def test_another_body_has_the_same_weights(name: str, num_legs: int, tmp_path: Path) -> None:
    policy = make_policy(name, **NON_DEFAULT[name])
    zoo.save(policy, tmp_path / "policy")
    loaded = zoo.load(tmp_path / "policy", spaces_for(name, num_legs))
    direct, dropped = transfer(
        type(policy), policy.state_dict(), policy_schema(policy), policy.kwargs_received,
        *spaces_for(name, num_legs),
    )  # fmt: skip
    assert loaded.transfer_dropped == tuple(dropped)
    kept = set(direct.state_dict()) - set(dropped)
    assert_same_state(loaded, direct, kept)
    if name in ("snowflake", "nervenet", "chromatic-snowflake"):
        same = kept - {"log_std"}  # one a motor in NerveNet's row
        assert len(same) > 30
        state = policy.state_dict()
        assert all(torch.equal(loaded.state_dict()[key], state[key]) for key in same)
    flat_head = NON_DEFAULT[name].get("value_head", "mlp") == "mlp"
    assert bool(dropped) == (flat_head and issubclass(POLICIES[name], GraphPolicy))
    actions, _ = loaded.predict(observations(num_legs, name), deterministic=True)
    assert actions.shape == (5, *SPACES[num_legs][1].shape) and np.isfinite(actions).all()


def test_flat_goal_policies_run_on_their_own_body_alone(tmp_path: Path) -> None:
    zoo.save(make_policy("contrastive"), tmp_path / "policy")
    with pytest.raises(zoo.CheckpointError, match="of 133 observed numbers and 16 motors; .* 22"):
        zoo.load(tmp_path / "policy", spaces_for("contrastive", 8))
    with pytest.raises(zoo.CheckpointError, match="expected a goal environment"):
        zoo.load(tmp_path / "policy", SPACES[6])


@pytest.mark.parametrize("depth", [12, 4 * 10**12])
def test_layers_that_the_weights_do_not_have_are_refused(depth: int, tmp_path: Path) -> None:
    """Before networks that deep are built; 96 layers of 10 units are sound (`NON_DEFAULT`)."""
    folder = zoo.save(make_policy("contrastive"), tmp_path / "policy")
    config = json.loads((folder / "config.json").read_bytes())
    config["policy_kwargs"]["critic_depth"] = depth
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(zoo.CheckpointError, match=rf"critic_depth of .*\(4, 2, 256.*found {depth}"):
        zoo.load(folder, spaces_for("contrastive", 6))


def test_a_loaded_policy_is_saved_as_it_was(tmp_path: Path) -> None:
    policy = make_policy("nervenet", **NON_DEFAULT["nervenet"])
    first = files_of(zoo.save(policy, tmp_path / "a" / "legs", env_id=HOME))
    again = zoo.load(tmp_path / "a" / "legs", SPACES[6])
    assert files_of(zoo.save(again, tmp_path / "b" / "legs", env_id=HOME)) == first


def test_saving_reads_tensors_as_they_are_and_writes_the_same_bytes(tmp_path: Path) -> None:
    policy = make_policy("mlp")
    before = files_of(zoo.save(policy, tmp_path / "a" / "legs"))
    policy.actor[0].weight.data = policy.actor[0].weight.data.T.contiguous().T  # not contiguous
    assert not policy.actor[0].weight.is_contiguous()
    assert files_of(zoo.save(policy, tmp_path / "b" / "legs")) == before


def test_a_model_tells_of_its_training(tmp_path: Path) -> None:
    env = make_vec_env("morphzoo/Centipede-v0", 2, seed=0, num_legs=4, num_threads=1)
    model = PPO(SnowflakePolicy, env, n_steps=8, batch_size=16, n_epochs=1, seed=5, device="cpu")
    model.learn(32)
    config = zoo.read_config(zoo.save(model, tmp_path / "model", command="train me"))
    assert config.keys() == FIELDS.keys()
    assert config["algorithm"] == "ppo" and config["policy"] == "snowflake"
    assert config["env_id"] == "morphzoo/Centipede-v0" and config["env_kwargs"] == {"num_legs": 4}
    assert (config["seed"], config["steps"], config["command"]) == (5, 32, "train me")
    assert config["versions"] == versions() | {"morphzoo": config["versions"]["morphzoo"]}
    assert config["score"] is None
    loaded = zoo.load(tmp_path / "model", env)
    obs = env.reset()
    np.testing.assert_array_equal(
        loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0]
    )
    env.close()


def test_what_is_said_counts_before_recipe_before_model(tmp_path: Path) -> None:
    recipe = {"env": "morphzoo/Centipede-4", "policy": "mlp", "seed": 7, "algorithm": "sac"}
    policy = make_policy("mlp")
    told = zoo.read_config(zoo.save(policy, tmp_path / "a", recipe=recipe, seed=8))
    assert told["env_id"] == "morphzoo/Centipede-4-v0" and told["algorithm"] == "sac"
    assert told["seed"] == 8 and told["steps"] is None
    plain = zoo.read_config(zoo.save(policy, tmp_path / "b"))
    assert all(plain[key] is None for key in ("env_id", "seed", "steps", "algorithm", "score"))
    assert not (tmp_path / "b" / "recipe.json").exists()


# Bodies.


def test_every_kind_of_environment_will_do(saved: Path) -> None:
    single = gym.make("morphzoo/Centipede-8-v0")
    batched = gym.make_vec("morphzoo/Centipede-8-v0", 2)
    others = DummyVecEnv([lambda: gym.make("morphzoo/Centipede-8-v0")])
    ours = make_vec_env("morphzoo/Centipede-8-v0", 2, num_threads=1)
    for env in (single, single.unwrapped, batched, others, ours, SPACES[8]):
        loaded = zoo.load(saved, env)
        assert loaded.observation_space == SPACES[8][0] and loaded.action_space == SPACES[8][1]
    for env in (single, batched, others, ours):
        env.close()


@pytest.mark.parametrize("env", [None, "morphzoo/Centipede-8-v0", (1, 2), 5])
def test_what_is_no_environment_is_named(saved: Path, env: object) -> None:
    with pytest.raises(TypeError, match=f"found {type(env).__name__}: give gymnasium.make"):
        zoo.load(saved, env)


def test_a_space_that_lost_its_graph_is_not_the_checkpoints_fault(saved: Path) -> None:
    box = gym_spaces.Box(-1, 1, SPACES[6][0].shape)
    with pytest.raises(ValueError, match="carries no graph") as caught:
        zoo.load(saved, (box, SPACES[6][1]))
    assert not isinstance(caught.value, zoo.CheckpointError)


def test_types_never_seen_are_named(saved: Path) -> None:
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><body name="b"><freejoint/><geom size="1"/><body><joint name="wing_1"/>'
        '<geom size="1"/></body></body></worldbody><actuator><motor joint="wing_1"/></actuator>'
        "</mujoco>"
    )
    graph = MorphologyGraph.from_model(model, columns_of(model, "qvel", range(7)))
    strange = MorphologySpace(graph), gym_spaces.Box(-1, 1, (1,))
    with pytest.raises(zoo.CheckpointError, match=r"\['wing'\], which the weights never saw"):
        zoo.load(saved, strange)


def test_what_is_dropped_is_said_once_and_actions_do_not_depend_on_it(
    saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    zoo.load(saved, SPACES[6])
    assert not caplog.records
    loaded = zoo.load(saved, SPACES[8])
    assert {name.split(".")[0] for name in loaded.transfer_dropped} == {"value"}
    assert ["only: value. Actions are not affected" in r.message for r in caplog.records] == [True]


def test_loading_leaves_the_callers_random_numbers_and_the_folder_alone(saved: Path) -> None:
    torch.manual_seed(3)
    state, before = torch.get_rng_state(), files_of(saved)
    zoo.load(saved, SPACES[8])
    assert torch.equal(torch.get_rng_state(), state) and files_of(saved) == before


def test_devices(saved: Path) -> None:
    assert zoo.load(saved, SPACES[6], device="cpu").device.type == "cpu"
    with pytest.raises(ValueError, match="found 'abacus'"):
        zoo.load(saved, SPACES[6], device="abacus")
    if not torch.cuda.is_available():
        assert zoo.load(saved, SPACES[6], device="auto").device.type == "cpu"
        with pytest.raises(ValueError, match="'cuda' is not available here"):
            zoo.load(saved, SPACES[6], device="cuda")


# Names.


def test_bundled_names(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "PRETRAINED", tmp_path)
    (tmp_path / "not-a-checkpoint").mkdir()
    zoo.save(make_policy("mlp"), tmp_path / "Capitals are refused")
    assert zoo.bundled() == ("legs",)
    assert zoo.load("legs", SPACES[6]).transfer_dropped == ()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    zoo.save(make_policy("mlp"), elsewhere / "legs")
    monkeypatch.chdir(elsewhere)
    assert zoo.read_config("legs")["policy"] == "snowflake"  # the bundled one wins
    assert zoo.read_config("./legs")["policy"] == "mlp"
    with pytest.raises(zoo.CheckpointError, match="Did you mean 'legs'"):
        zoo.load("lgs", SPACES[6])
    for name in ("legs/../../x", "LEGS", "l\u0435gs", "x" * 5000, "a\0b", "", "~nobody-here/x"):
        with pytest.raises(zoo.CheckpointError) as caught:
            zoo.read_config(name)
        assert str(caught.value).isascii() and len(str(caught.value)) < 1500
    with pytest.raises(zoo.CheckpointError, match="SB3 .zip holds pickles"):
        zoo.load(saved / "config.json", SPACES[6])
    with pytest.raises(TypeError, match="found a int"):
        zoo.read_config(5)  # type: ignore[arg-type]


def test_no_pretrained_folder_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "PRETRAINED", tmp_path / "none")
    assert zoo.bundled() == ()
    with pytest.raises(zoo.CheckpointError, match="found neither. There are: none"):
        zoo.read_config("legs")


@pytest.mark.parametrize("name", zoo.bundled())
def test_bundled_checkpoints_are_whole(name: str, caplog: pytest.LogCaptureFixture) -> None:
    config = zoo.read_config(name)
    assert config["env_id"] and config["score"]["episodes"] >= 20
    document = zoo.read_results(name)
    assert document and tables_of(document)
    folder = catalogue.locate(name)
    assert {"README.md", "recipe.json", "curve.csv"} <= {file.name for file in folder.iterdir()}
    with gym.make(config["env_id"], **config["env_kwargs"]) as env:
        home = env.observation_space, env.action_space
    for spaces in (home, *(SPACES.values() if "centipede" in name else ())):
        loaded = zoo.load(name, spaces)
        spaces[0].seed(0)
        seen = np.stack([spaces[0].sample() for _ in range(3)])
        assert np.isfinite(loaded.predict(seen, deterministic=True)[0]).all()
    assert "ignored" not in caplog.text


def test_the_zoo_opens_no_hub_until_a_card_is_written() -> None:
    code = "import sys, morphzoo.zoo as z; z.bundled(); print('huggingface_hub' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# Whole or absent.


def test_json_files_are_sorted_indented_and_end_with_a_line(tmp_path: Path) -> None:
    folder = zoo.save(
        make_policy("mlp"), tmp_path / "legs", results=results_document([SCORED]),
        recipe={"policy": "mlp", "env": HOME}, curve=__file__,
    )  # fmt: skip
    assert {file.name for file in folder.iterdir()} == {
        "config.json", "model.safetensors", "README.md", "results.json", "recipe.json", "curve.csv",
    }  # fmt: skip
    for file in folder.glob("*.json"):
        text = file.read_text()
        assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    assert (folder / "curve.csv").read_bytes() == Path(__file__).read_bytes()


def test_a_checkpoint_is_replaced_only_when_asked_and_then_wholly(saved: Path) -> None:
    before = files_of(saved)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        zoo.save(make_policy("mlp"), saved)
    assert files_of(saved) == before
    zoo.save(make_policy("mlp"), saved, results=results_document([SCORED]), overwrite=True)
    assert "results.json" in files_of(saved)
    zoo.save(make_policy("mlp"), saved, overwrite=True)
    assert files_of(saved).keys() == before.keys()  # no results of another policy are left
    assert zoo.read_config(saved)["policy"] == "mlp"
    assert os.listdir(saved.parent) == ["legs"]


def test_an_empty_folder_and_missing_parents_are_used(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b" / "c"):
        assert zoo.save(make_policy("mlp"), folder) == folder.resolve()
        assert (folder / "config.json").is_file()


def test_a_link_to_a_folder_is_followed(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(saved)
    assert zoo.save(make_policy("mlp"), tmp_path / "link", overwrite=True) == saved
    assert (tmp_path / "link").is_symlink() and zoo.read_config(saved)["policy"] == "mlp"


FOREIGN = {
    "notes": {"notes.txt": "mine"},
    "a checkpoint and notes": {"config.json": '{"policy_schema": 1, "format_version": 1}', "a": ""},
    "someone else's model": {"config.json": '{"model_type": "bert"}', "model.safetensors": "x"},
    "a damaged one": {"config.json": "{", "model.safetensors": "x"},
    "weights alone": {"model.safetensors": "x"},
}


@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_folder_is_never_replaced(files: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "legs"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    before = files_of(folder)
    with pytest.raises(ValueError, match="give another folder"):
        zoo.save(make_policy("mlp"), folder, overwrite=True)
    assert files_of(folder) == before and os.listdir(tmp_path) == ["legs"]


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "legs").write_text("mine")
    with pytest.raises(FileExistsError, match="is a file"):
        zoo.save(make_policy("mlp"), tmp_path / "legs", overwrite=True)
    assert (tmp_path / "legs").read_text() == "mine"


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "README.md"])
def test_a_full_disk_leaves_the_old_folder_whole(
    saved: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = files_of(saved), Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == file:
            real(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="the disk is full"):
        zoo.save(make_policy("mlp"), saved, overwrite=True)
    assert files_of(saved) == before and os.listdir(saved.parent) == ["legs"]


@pytest.mark.parametrize("call", [1, 2])
def test_a_failed_rename_leaves_the_old_folder_whole(
    saved: Path, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first rename moves the old folder aside, the second puts the new one in its place."""
    before, real, calls = files_of(saved), os.replace, []

    def failing(*args: str) -> None:
        calls.append(args)
        if len(calls) == call:
            raise OSError(errno.EIO, "Input/output error")
        real(*args)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="Input/output"):
        zoo.save(make_policy("mlp"), saved, overwrite=True)
    assert len(calls) >= call
    assert files_of(saved) == before and os.listdir(saved.parent) == ["legs"]


def die_at(call: int) -> Callable[..., None]:
    """An `os.replace` that ends the process, with no clean-up, at the given call."""
    real, calls = os.replace, []

    def replace(*args: str) -> None:
        calls.append(args)
        if len(calls) == call:
            os._exit(9)
        real(*args)

    return replace


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("call", [1, 2])
def test_a_kill_at_any_rename_loses_nothing(saved: Path, call: int) -> None:
    policy, before = make_policy("mlp"), files_of(saved)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 on fork in a process of threads
        child = os.fork()
    if child == 0:
        os.replace = die_at(call)
        zoo.save(policy, saved, overwrite=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    if saved.exists():
        assert call == 1 and files_of(saved) == before
    else:
        with pytest.raises(zoo.CheckpointError, match="A save was interrupted") as caught:
            zoo.load(saved, SPACES[6])
        old = re.search(r"rename (\S+) back", str(caught.value))
        assert old and files_of(Path(old[1])) == before
    zoo.save(policy, saved, overwrite=True)  # and the next save clears up
    assert zoo.read_config(saved)["policy"] == "mlp" and os.listdir(saved.parent) == ["legs"]


# What is not saved.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"env_id": "CartPole-v1"}, "an id morphzoo/<Body>"),
        ({"env_id": "morphzoo/Centipede-101-v0"}, "env_id: "),
        ({"env_id": "evil:morphzoo/Centipede-6-v0"}, "asks to import the module"),
        ({"env_kwargs": {"num legs": 6}}, "expected keywords; found 'num legs'"),
        ({"env_kwargs": {"f": print}}, "plain JSON"),
        ({"seed": -1}, "seed: expected a whole number"),
        ({"results": {"mean": 1.0}}, "also ['mean']"),
        ({"results": {"training": {"score": math.nan}}}, "results.json: expected plain JSON"),
        ({"results": {"scores": [{}]}}, "results of format_version 1"),
        ({"recipe": {"steps": 5}}, "text under 'env'"),
        ({"command": "x" * 10_001}, "at most 10,000 characters"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_what_load_would_refuse_is_refused_before_writing(
    arguments: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        zoo.save(make_policy("mlp"), tmp_path / "legs", **arguments)
    assert not os.listdir(tmp_path)


def test_a_diverged_policy_is_not_saved(tmp_path: Path) -> None:
    policy = make_policy("mlp")
    policy.actor[0].weight.data[0, 0] = math.nan
    with pytest.raises(ValueError, match=r"nothing was written: .*'actor.0.weight'"):
        zoo.save(policy, tmp_path / "legs")
    assert not os.listdir(tmp_path)


def test_a_policy_without_a_name_is_not_saved(tmp_path: Path) -> None:
    class Mine(MlpPolicy):
        """A subclass, which no checkpoint can name."""

    env = gym.make(HOME)
    for thing in (PPO("MlpPolicy", env, device="cpu"), Mine(*SPACES[6], lambda _: 0.0), "legs"):
        with pytest.raises(ValueError, match="expected a model or policy of SnowflakePolicy"):
            zoo.save(thing, tmp_path / "legs")
    assert not os.listdir(tmp_path)
    env.close()


def test_statistics_outside_the_policy_are_not_lost_silently(tmp_path: Path) -> None:
    env = VecNormalize(make_vec_env(HOME, 2, num_threads=1))
    model = PPO(MlpPolicy, env, n_steps=8, batch_size=16, device="cpu")
    with pytest.raises(ValueError, match="wrapped in VecNormalize"):
        zoo.save(model, tmp_path / "legs")
    assert not os.listdir(tmp_path)
    env.close()


# The card.


def test_the_cards_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = 'my "legs" ü'  # what a folder may be called
    zoo.save(
        make_policy("snowflake"), tmp_path / name, env_id="morphzoo/Centipede-v0",
        env_kwargs={"num_legs": 6, "include_contact_forces": True},
    )  # fmt: skip
    text = (tmp_path / name / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.S)
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(snippet, found)
    assert found["action"].shape == (16,) and found["env"].unwrapped.task.num_legs == 6
    found["env"].close()


def test_a_card_of_a_body_from_elsewhere_has_a_snippet_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (zoo.save(make_policy("mlp"), tmp_path / "legs") / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.S)
    assert "a body from outside morphzoo" in text and "model-index" not in text
    env = gym.make(HOME)
    monkeypatch.chdir(tmp_path)
    found = {"env": env}
    exec(snippet, found)
    assert found["action"].shape == (16,)
    env.close()


def test_the_cards_header_is_what_the_hub_reads(tmp_path: Path) -> None:
    far = {"env": "morphzoo/Centipede-8-v0"}
    tables = [
        table([9.0, 9.0], policy="random"),
        table([7.0, 9.0], **far, actions="mean"),
        table([1.0, 3.0], **far),
        table([7.0, 7.0], actions="mean"),
        SCORED,
    ]
    folder = zoo.save(
        make_policy("snowflake"), tmp_path / "legs", env_id=HOME, results=results_document(tables)
    )
    data = ModelCard.load(folder / "README.md").data
    assert data.library_name == "morphzoo" and data.model_name == "legs"
    assert data.tags[0] == HOME
    assert {"reinforcement-learning", "deep-reinforcement-learning", "snowflake"} <= set(data.tags)
    found = [(r.dataset_type, r.metric_type, r.metric_value) for r in data.eval_results]
    assert found == [  # the training body first; sampled actions where a body has both
        (HOME, "mean_reward", "2.50 +/- 1.12"),
        ("morphzoo/Centipede-8-v0", "mean_reward", "2.00 +/- 1.00"),
    ]
    assert zoo.read_config(folder)["score"] == {
        "actions": "sampled", "env": HOME, "episodes": 4, "first_seed": 10_000,
        "mean": 2.5, "std": pytest.approx(math.sqrt(1.25)),
    }  # fmt: skip


def test_the_cards_table_holds_every_score(tmp_path: Path) -> None:
    rows = [SCORED, table([5.0, 5.0], policy="a|b", distances=np.full(2, np.nan))]
    folder = zoo.save(
        make_policy("mlp"), tmp_path / "legs", env_id=HOME, results=results_document(rows),
        command="zoo_scripts/train.py --env x ``` y",
    )  # fmt: skip
    text = (folder / "README.md").read_text()
    (first, second) = (line for line in text.splitlines() if line.startswith(("| legs", "| a")))
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells[:4] == ["legs", HOME, "sampled", "2 ± 1"]
    assert re.fullmatch(r"2 \[\d, \d\]", cells[4])
    assert cells[5:] == ["700", "2.5", "4", "10000"]
    assert second.startswith("| a\\|b |") and "| 700 |  | 2 |" in second
    assert "````sh\nzoo_scripts/train.py --env x ``` y\n````" in text
    for package, version in zoo.read_config(folder)["versions"].items():
        assert f"| {package} | {version} |" in text


def test_the_trainings_own_account_is_the_score_until_there_is_a_better_one(tmp_path: Path) -> None:
    recipe = {"env": HOME, "policy": "mlp", "evaluate_episodes": 10, "evaluate_seed": 1000}
    account = {"training": {"evaluations": {HOME: {"sampled": 12.0, "mean": 20.0}}, "step": 5}}
    folder = zoo.save(make_policy("mlp"), tmp_path / "legs", recipe=recipe, results=account)
    assert zoo.read_config(folder)["score"] == {
        "actions": "sampled", "env": HOME, "episodes": 10, "first_seed": 1000, "mean": 12.0,
        "std": None,
    }  # fmt: skip
    assert "Return 12 on" in (folder / "README.md").read_text()
    weights = (folder / "model.safetensors").read_bytes()
    zoo.annotate(folder, results=results_document([SCORED]))
    assert zoo.read_config(folder)["score"]["mean"] == 2.5
    assert (folder / "model.safetensors").read_bytes() == weights
    document = zoo.read_results(folder)
    assert document and document["training"] == account["training"]
    assert [t.returns.tolist() for t in tables_of(document)] == [SCORED.returns.tolist()]
    assert json.loads((folder / "recipe.json").read_text()) == recipe


def test_annotate_writes_elsewhere_under_another_name(saved: Path, tmp_path: Path) -> None:
    before = files_of(saved)
    (tmp_path / "curve.csv").write_text("step,return_mean\n")
    into = tmp_path / "pretrained" / "better-legs"
    assert zoo.annotate(saved, into=into, curve=tmp_path / "curve.csv") == into
    assert files_of(saved) == before
    assert "# better-legs\n" in (into / "README.md").read_text()
    assert_same_state(zoo.load(into, SPACES[6]), zoo.load(saved, SPACES[6]))
    with pytest.raises(FileExistsError, match="overwrite=True"):
        zoo.annotate(saved, into=into)
    kept = zoo.annotate(into, into=tmp_path / "again")
    assert (kept / "curve.csv").read_text() == "step,return_mean\n"


def test_annotate_checks_what_it_copies(saved: Path, tmp_path: Path) -> None:
    os.truncate(saved / "model.safetensors", (saved / "model.safetensors").stat().st_size - 4)
    with pytest.raises(zoo.CheckpointError, match="truncated"):
        zoo.annotate(saved, into=tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
