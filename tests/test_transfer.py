"""Evaluation: every episode equals a plain loop over one environment; results survive the disk."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from morphzoo import checking, results, zoo
from morphzoo import transfer as transferring
from morphzoo.actors import action_generator
from morphzoo.policies import POLICIES
from morphzoo.results import EpisodeTable, episode_seeds, read_results, tables_of, write_results
from morphzoo.transfer import evaluate, transfer_matrix

HOME, SMALL = "morphzoo/Centipede-6-v0", "morphzoo/Centipede-4-v0"
Choose = Callable[[int, np.random.Generator], np.ndarray]  # step, action noise -> raw action


def plain_loop(env_id: str, seed: int, choose: Choose, **kwargs: Any) -> dict[str, float]:
    """One episode the way the API's manual writes it, with the unclipped cost by its formula."""
    env = gym.make(env_id, **kwargs)
    _, info = env.reset(seed=seed)
    start, noise = info["x_position"], action_generator(seed)
    total = unclipped = 0.0
    length, over = 0, False
    legs = env.unwrapped.task.num_legs
    while not over:
        raw = choose(length, noise)
        action = np.clip(raw, env.action_space.low, env.action_space.high)
        _, reward, terminated, truncated, info = env.step(action)
        total += float(reward)
        cost = np.sum(np.square(raw.astype(np.float64))) - np.sum(np.square(action.astype(float)))
        unclipped += float(reward) - 2.0 / legs * cost
        length, over = length + 1, terminated or truncated
    env.close()
    return {"return": total, "return_unclipped_cost": unclipped, "length": length,
            "distance": info["x_position"] - start}  # fmt: skip


def constant(value: float, size: int) -> np.ndarray:
    return np.linspace(-value, value, size, dtype=np.float32)


def constant_actor(value: float) -> Any:
    return lambda observations, generators: np.tile(constant(value, 10), (len(observations), 1))


@pytest.mark.parametrize("num_envs", [1, 3, 5])
@pytest.mark.parametrize("value", [0.4, 1.5])  # inside and outside the motors' range
def test_constant_actions_equal_a_plain_loop(num_envs: int, value: float) -> None:
    table = evaluate(constant_actor(value), SMALL, 5, 10_000, num_envs=num_envs)
    assert table.seeds.tolist() == [10_000, 10_001, 10_002, 10_003, 10_004]
    for row, seed in enumerate(table.seeds.tolist()):
        expected = plain_loop(SMALL, seed, lambda step, noise: constant(value, 10))
        assert table.returns[row] == expected["return"]
        assert table.lengths[row] == expected["length"]
        assert table.distances[row] == expected["distance"]
        assert table.returns_unclipped_cost[row] == pytest.approx(
            expected["return_unclipped_cost"], rel=1e-12
        )
    if value < 1:
        assert (table.returns_unclipped_cost == table.returns).all()
    else:
        assert (table.returns_unclipped_cost < table.returns).all()


def test_lengths_differ_and_no_episode_is_lost() -> None:
    """With fewer rows than episodes, each seed still runs once, to its end."""
    one_by_one = evaluate("random", SMALL, 9, num_envs=1)
    queued = evaluate("random", SMALL, 9, num_envs=2, num_threads=1)
    together = evaluate("random", SMALL, 9)
    assert len(set(one_by_one.lengths.tolist())) > 3
    for table in (queued, together):
        for name in results.QUANTITIES:
            assert (table.values(name) == one_by_one.values(name)).all()
    assert (queued.num_envs, together.num_envs) == (2, 9)


def test_random_actions_are_uniform_and_equal_a_plain_loop() -> None:
    table = evaluate("random", SMALL, 3)

    def choose(step: int, noise: np.random.Generator) -> np.ndarray:
        return noise.uniform(-1.0, 1.0, 10).astype(np.float32)

    expected = [plain_loop(SMALL, seed, choose)["return"] for seed in table.seeds.tolist()]
    assert table.returns.tolist() == expected
    assert (table.returns_unclipped_cost == table.returns).all()


def test_random_baseline_is_where_others_found_it() -> None:
    """NerveNet publishes -31.6 for 6 legs; a replay of their code gave -25 in 27 steps."""
    table = evaluate("random", HOME, 40)
    assert -40 < table.returns.mean() < -15
    assert 18 < table.lengths.mean() < 36
    assert not table.failed.any()


def blind_policy(env_id: str, std: float = 0.5) -> ActorCriticPolicy:
    """An SB3 policy with the same mean everywhere, so that no batch can change its last bits."""
    with gym.make(env_id) as env:
        policy = ActorCriticPolicy(env.observation_space, env.action_space, lambda _: 0.0)
    with torch.no_grad():
        policy.action_net.weight.zero_()
        policy.action_net.bias.copy_(torch.linspace(-0.3, 0.3, len(policy.action_net.bias)))
        policy.log_std.fill_(math.log(std))
    return policy


def test_sampled_actions_depend_on_the_episodes_seed_alone() -> None:
    policy = blind_policy(SMALL)
    table = evaluate(policy, SMALL, 5)
    mean = policy.action_net.bias.detach().numpy()
    std = policy.log_std.exp().detach().numpy()

    def choose(step: int, noise: np.random.Generator) -> np.ndarray:
        return mean + std * noise.standard_normal(10).astype(np.float32)

    for row, seed in enumerate(table.seeds.tolist()):
        expected = plain_loop(SMALL, seed, choose)
        assert table.returns[row] == expected["return"]
        assert table.returns_unclipped_cost[row] == pytest.approx(
            expected["return_unclipped_cost"], rel=1e-12
        )
    later = evaluate(policy, SMALL, 2, 10_003, num_envs=1)
    assert (later.returns == table.returns[3:]).all()
    assert (table.returns_unclipped_cost < table.returns).any()


def test_mean_actions() -> None:
    policy = blind_policy(SMALL)
    table = evaluate(policy, SMALL, 2, deterministic=True)
    mean = policy.action_net.bias.detach().numpy()
    expected = [plain_loop(SMALL, seed, lambda *_: mean)["return"] for seed in (10_000, 10_001)]
    assert table.returns.tolist() == expected and table.actions == "mean"


def graph_policy(name: str, env_id: str, **kwargs: Any) -> Any:
    torch.manual_seed(0)
    with gym.make(env_id) as env:
        return POLICIES[name](env.observation_space, env.action_space, lambda _: 3e-4, **kwargs)


def test_evaluation_leaves_the_policy_and_the_generators_alone() -> None:
    policy = graph_policy("snowflake", SMALL)
    policy.set_training_mode(True)
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads = torch.get_num_threads()
    first = evaluate(policy, SMALL, 3, num_threads=1)
    assert policy.training and torch.get_num_threads() == threads
    assert all(torch.equal(before[name], tensor) for name, tensor in policy.state_dict().items())
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    again = evaluate(policy, SMALL, 3, num_threads=1)
    assert (again.returns == first.returns).all()
    assert (first.policy, first.policy_class) == ("SnowflakePolicy", "SnowflakePolicy")


def test_failed_physics_is_flagged_counted_and_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []
    make_vec = gym.make_vec
    monkeypatch.setattr(gym, "make_vec", lambda *a, **k: made.append(make_vec(*a, **k)) or made[-1])
    steps = 0

    def act(observations: np.ndarray, generators: Any) -> np.ndarray:
        nonlocal steps
        steps += 1
        if steps == 4:
            made[0].unwrapped.simulation.batch.bind("qvel")[1] = np.nan
        return np.tile(constant(0.4, 10), (len(observations), 1))

    table = evaluate(act, SMALL, 3)
    healthy = evaluate(constant_actor(0.4), SMALL, 3)
    assert table.failed.tolist() == [False, True, False] and table.lengths[1] == 4
    assert (table.returns[[0, 2]] == healthy.returns[[0, 2]]).all()
    assert np.isfinite(table.values("return_unclipped_cost")).all()
    assert table.to_json()["failed"] == 1


def test_progress_counts_every_episode() -> None:
    seen: list[tuple[str, int, int]] = []
    evaluate("random", SMALL, 4, num_envs=2, progress=lambda *call: seen.append(call))
    assert sum(ended for _, ended, _ in seen) == 4
    assert {(label, total) for label, _, total in seen} == {("random on Centipede-4", 4)}


def squashed_policy(env_id: str) -> Any:
    from stable_baselines3.sac.policies import SACPolicy

    with gym.make(env_id) as env:
        return SACPolicy(env.observation_space, env.action_space, lambda _: 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate("random", SMALL, 0), "episodes must be at least 1, found 0"),
        (lambda: evaluate("random", SMALL, -3), "episodes must be at least 1"),
        (lambda: evaluate("random", SMALL, 5, -1), "seeds must be"),
        (lambda: evaluate("random", SMALL, 5, []), "seeds must be"),
        (lambda: evaluate("random", SMALL, 5, [0, 4]), "space the seeds at least 5 apart"),
        (lambda: evaluate("random", SMALL, 5, num_envs=0), "num_envs must be at least 1"),
        (lambda: evaluate("snowflake-centipede-6", SMALL, 1), r"zoo\.load"),
        (lambda: evaluate(None, SMALL, 1), "expected an SB3 policy"),  # type: ignore[arg-type]
        (lambda: evaluate(blind_policy(HOME), SMALL, 1), "this body has"),
        (lambda: evaluate(squashed_policy(SMALL), SMALL, 1), "deterministic=True"),
        (lambda: evaluate(lambda o, g: np.full((len(o), 10), np.nan), SMALL, 1), "finite"),
    ],
)
def test_evaluate_refuses(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_any_policy_acts_by_its_mean() -> None:
    assert evaluate(squashed_policy(SMALL), SMALL, 1, deterministic=True).lengths[0] > 0


def test_episode_seeds() -> None:
    assert episode_seeds(3).tolist() == [10_000, 10_001, 10_002]
    assert episode_seeds(2, [7, 5]).tolist() == [7, 8, 5, 6]


def table_of(**changes: Any) -> EpisodeTable:
    columns: dict[str, Any] = {
        "policy": "p", "env": SMALL, "actions": "sampled",
        "seeds": np.array([10_000, 10_001]), "returns": np.array([0.1 + 0.2, -1e-300]),
        "returns_unclipped_cost": np.array([1 / 3, -2.0]), "lengths": np.array([5, 1000]),
        "distances": np.array([math.pi, math.nan]), "failed": np.array([False, True]),
        "env_kwargs": {"num_legs": 4}, "num_envs": 2, "policy_class": "MlpPolicy",
        "trained_on": HOME,
    }  # fmt: skip
    return EpisodeTable(**(columns | changes))


def test_results_survive_the_disk_exactly(tmp_path: Path) -> None:
    tables = [table_of(), table_of(trained_on=None, env_kwargs={}, distances=np.array([1.0, 2.0]))]
    path = tmp_path / "results.json"
    write_results(path, tables, command="python x --y 'z'")
    document = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert document["command"] == "python x --y 'z'" and document["versions"]["mujoco"]
    for before, after in zip(tables, read_results(path), strict=True):
        for name in results._COLUMNS.values():
            ours, theirs = getattr(before, name), getattr(after, name)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        for name in ("policy", "env", "actions", "env_kwargs", "num_envs", "trained_on"):
            assert getattr(before, name) == getattr(after, name)
    assert document["scores"][0]["estimates"]["distance"] is None
    assert document["scores"][1]["estimates"]["distance"]["mean"] == 1.5
    assert len(path.read_text().splitlines()) < 120  # a column is one line


def test_an_episode_table_is_whole() -> None:
    with pytest.raises(ValueError, match="one number an episode"):
        table_of(returns=np.zeros(3))
    with pytest.raises(ValueError, match="actions must be one of"):
        table_of(actions="both")


def spoiled(change: Callable[[dict[str, Any]], Any]) -> Any:
    document = json.loads(json.dumps(results.results_document([table_of()])))
    return change(document) or document


@pytest.mark.parametrize(
    "change",
    [
        lambda d: [d],
        lambda d: "text",
        lambda d: d.pop("scores") and None,
        lambda d: d.update(scores={}),
        lambda d: d.update(format_version=2),
        lambda d: d.update(format_version=None),
        lambda d: d["scores"].append(3),
        lambda d: d["scores"][0].pop("env") and None,
        lambda d: d["scores"][0].update(env=3),
        lambda d: d["scores"][0].update(trained_on=["x"]),
        lambda d: d["scores"][0].update(actions="guessed"),
        lambda d: d["scores"][0].update(num_envs="many"),
        lambda d: d["scores"][0].update(env_kwargs=3),
        lambda d: d["scores"][0]["per_episode"].pop("length") and None,
        lambda d: d["scores"][0]["per_episode"].update(length=[1]),
        lambda d: d["scores"][0]["per_episode"].update(seed=[None, 1]),
        lambda d: d["scores"][0]["per_episode"].update({"return": ["x", 1.0]}),
        lambda d: d["scores"][0]["per_episode"].update({"return": 5}),
        lambda d: d["scores"][0]["per_episode"].update(seed=[10**30, 1]),
    ],
)
def test_foreign_results_are_refused(change: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError):
        tables_of(spoiled(change))


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, '{"scores": NaN}', "\x00"])
def test_files_that_are_no_results(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="is not a results file"):
        read_results(path)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Untrained policies of 4 legs, saved as checkpoints."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        name: str(zoo.save(graph_policy(name, SMALL), folder / f"{name}-4", env_id=SMALL))
        for name in ("snowflake", "mlp")
    }


@pytest.fixture(scope="module")
def matrix(checkpoints: dict[str, str]) -> list[EpisodeTable]:
    policies = [*checkpoints.values(), "random", checkpoints["mlp"]]
    return transfer_matrix(policies, ["morphzoo/Centipede-4", HOME, SMALL], 3)


def test_matrix_is_every_policy_on_every_body(
    matrix: list[EpisodeTable], checkpoints: dict[str, str]
) -> None:
    found = [(t.policy, t.policy_class, t.actions, t.env, t.trained_on) for t in matrix]
    snowflake, mlp = checkpoints.values()
    assert found == [
        (snowflake, "SnowflakePolicy", "sampled", SMALL, SMALL),
        (snowflake, "SnowflakePolicy", "sampled", HOME, SMALL),
        (mlp, "MlpPolicy", "sampled", SMALL, SMALL),
        (mlp, "MlpPolicy", "sampled", HOME, SMALL),
        ("random", "random", "sampled", SMALL, None),
        ("random", "random", "sampled", HOME, None),
    ]


def test_matrix_is_evaluate_on_what_the_zoo_loads(
    matrix: list[EpisodeTable], checkpoints: dict[str, str]
) -> None:
    with gym.make(HOME) as env:
        policy = zoo.load(checkpoints["mlp"], env)
    assert (matrix[3].returns == evaluate(policy, HOME, 3).returns).all()


def test_kinds_of_actions(checkpoints: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, bool]] = []

    def noted(policy: Any, env_id: str, episodes: int, seed: int, deterministic: bool, **how: Any):
        calls.append((how["name"], deterministic))

    monkeypatch.setattr(transferring, "evaluate", noted)
    policies = ["random", checkpoints["mlp"]]
    transfer_matrix(policies, [SMALL], 1, actions=("sampled", "mean"))
    assert calls == [("random", False), (checkpoints["mlp"], False), (checkpoints["mlp"], True)]


def test_a_policy_that_does_not_fit_is_found_before_the_first_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transferring, "evaluate", lambda *a, **k: pytest.fail("too late"))
    with pytest.raises(ValueError, match="policy 'nowhere' on 'morphzoo/Centipede-4-v0'"):
        transfer_matrix(["random", "nowhere"], [SMALL], 1)
    with gym.make(SMALL, include_contact_forces=False) as env:
        blind = POLICIES["snowflake"](env.observation_space, env.action_space, lambda _: 0.0)
    folder = zoo.save(blind, tmp_path / "blind", env_id=SMALL)
    with pytest.raises(ValueError, match=r"blind' on 'morphzoo/Centipede-6-v0': .*cfrc_ext"):
        transfer_matrix(["random", folder], [HOME], 1)


def test_scores_are_stored_and_checked(
    matrix: list[EpisodeTable], checkpoints: dict[str, str], tmp_path: Path
) -> None:
    transferring.store(matrix, command="python made_up.py")
    for name in checkpoints.values():
        document = zoo.read_results(name)
        assert document is not None and document["command"] == "python made_up.py"
        stored = tables_of(document)
        assert [t.env for t in stored] == [SMALL, HOME] and {t.policy for t in stored} == {name}
    checks = list(checking.check_results(checkpoints.values(), 2))
    assert len(checks) == 4 and all(check.passed for check in checks)
    assert all(check.fresh.seeds.tolist() == [10_000, 10_001] for check in checks)

    moved = [  # returns far above what the policy reaches, as after a change of the reward
        EpisodeTable(**{**vars(table), "returns": table.returns + 3000.0})
        for table in matrix
        if table.policy == checkpoints["mlp"]
    ]
    transferring.store(moved)
    wrong = list(checking.check_results([checkpoints["mlp"]], 3))
    assert not any(check.passed for check in wrong)
    assert "FAILED" in str(wrong[0]) and "mlp-4 on morphzoo/Centipede-4-v0" in str(wrong[0])


def test_checking_needs_scores_and_two_episodes(tmp_path: Path) -> None:
    folder = zoo.save(graph_policy("mlp", SMALL), tmp_path / "p", env_id=SMALL)
    with pytest.raises(ValueError, match="has no scores.*--store"):
        list(checking.check_results([folder]))
    with pytest.raises(ValueError, match="at least 2"):
        list(checking.check_results([folder], 1))
    with pytest.raises(ValueError, match=re.escape("nobody")):
        list(checking.check_results(["nobody"]))
