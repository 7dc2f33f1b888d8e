"""Generations played elsewhere: the same bits whoever plays them, and what is lost is said."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray_program
import torch
from ray_clusters import Nodes, kill, processes, two_nodes, until
from safetensors.torch import load_file
from stable_baselines3.common.logger import configure

from morphzoo.algorithms import crew, placing
from morphzoo.algorithms.centres import Generation
from morphzoo.algorithms.collecting import enough, joined, whole_pairs
from morphzoo.algorithms.crew import News, Supervision
from morphzoo.algorithms.enas import ENAS
from morphzoo.algorithms.epvf import EPVF
from morphzoo.algorithms.es import ES
from morphzoo.algorithms.players import Here, Played
from morphzoo.algorithms.ray_players import Player
from morphzoo.algorithms.rollouts import batches
from morphzoo.recipe import Recipe
from morphzoo.sb3 import make_vec_env
from morphzoo.training import build_model, train
from morphzoo.training.state import capture, restore

# Supervision, with a crew that plays a part.


def batch(number: int) -> Played:
    """A batch that can be told by its number."""
    return Played(np.full(2, float(number)), np.full(2, number), np.zeros((3, 1)), np.zeros((1, 1)))


class Part:
    """A crew whose workers do as they are told, one piece of news at a time."""

    def __init__(self, size: int, told: Callable[[int, int | None], str] = lambda *_: "") -> None:
        self.size, self.told = size, told
        self.sent: list[tuple[int, int]] = []
        self.stopped: list[int] = []
        self.awaited: dict[int, int | None] = {}
        self.started = 0
        self.most = 0

    def start(self) -> int:
        self.started += 1
        self.awaited[self.started] = None
        return self.started

    def send(self, worker: int, batch: int) -> None:
        self.sent.append((worker, batch))
        self.awaited[worker] = batch
        self.most = max(self.most, len(self.awaited))

    def wait(self, seconds: float) -> list[News]:
        assert self.awaited, "there is nobody to wait for"
        for worker, number in list(self.awaited.items()):
            fate = self.told(worker, number)
            if fate == "hangs":
                continue
            del self.awaited[worker]
            if fate == "dies":
                return [News(worker, "lost", message=f"{worker} died")]
            if number is None:
                return [News(worker, "ready")]
            return [News(worker, "played", batch(number))]
        return []

    def stop(self, worker: int) -> None:
        self.stopped.append(worker)
        del self.awaited[worker]


def numbers(played: list[Played | None]) -> list[float | None]:
    return [None if one is None else float(one.returns[0]) for one in played]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that moves by a second with every look at it."""
    now = SimpleNamespace(seconds=0.0)

    def tick() -> float:
        now.seconds += 1.0
        return now.seconds

    monkeypatch.setattr(crew, "time", SimpleNamespace(monotonic=tick))
    return now


def test_each_batch_is_played_once_and_workers_stay() -> None:
    part = Part(2)
    supervision = Supervision(part, 3, 100.0)
    for _ in range(2):
        assert numbers(supervision.play(5, lambda _: True)) == [0, 1, 2, 3, 4]
    assert sorted(number for _, number in part.sent) == sorted([*range(5)] * 2)
    assert part.started == 2 == part.most and supervision.lost == 0
    few = Part(8)
    Supervision(few, 3, 100.0).play(3, lambda _: True)
    assert few.started == 3, "no more workers than batches"


def test_a_lost_workers_batch_is_played_by_another() -> None:
    part = Part(2, lambda worker, number: "dies" if worker == 1 and number is not None else "")
    supervision = Supervision(part, 3, 100.0)
    assert numbers(supervision.play(4, lambda _: True)) == [0, 1, 2, 3]
    assert [worker for worker, number in part.sent if number == 0] == [1, 2]
    assert part.started == 3 and supervision.lost == 1 and supervision.reason == "1 died"


def test_a_batch_that_always_kills_its_worker_is_given_up() -> None:
    part = Part(2, lambda _, number: "dies" if number == 2 else "")
    supervision = Supervision(part, 1, 100.0)
    assert numbers(supervision.play(4, lambda _: True)) == [0, 1, None, 3]
    assert [number for _, number in part.sent].count(2) == 2 == supervision.lost
    part.told = lambda *_: ""
    assert numbers(supervision.play(4, lambda _: True)) == [0, 1, 2, 3]


def test_workers_that_die_before_they_are_ready_are_not_replaced_for_ever() -> None:
    part = Part(2, lambda *_: "dies")
    supervision = Supervision(part, 1, 100.0)
    assert numbers(supervision.play(3, lambda _: True)) == [None] * 3
    assert part.started == supervision.lost == (1 + 1) * 2


def test_a_worker_that_hangs_is_stopped_and_its_batch_played_again(clock: Any) -> None:
    part = Part(2, lambda worker, number: "hangs" if worker == 1 and number is not None else "")
    supervision = Supervision(part, 3, 30.0)
    assert numbers(supervision.play(4, lambda _: True)) == [0, 1, 2, 3]
    assert part.stopped == [1] and supervision.reason == "no answer within 30 s"


def test_nobody_is_waited_for_for_ever(clock: Any) -> None:
    supervision = Supervision(Part(2, lambda *_: "hangs"), 3, 30.0)
    assert numbers(supervision.play(3, lambda _: True)) == [None] * 3
    assert "no worker could start within 600 s" in supervision.reason and clock.seconds > 600


def test_whoever_is_told_of_batches_can_stop() -> None:
    assert Supervision(Part(2), 3, 100.0).play(4, lambda one: one.returns[0] < 2) == []


# What is learned from where some is lost.


def test_batches_are_put_together_in_the_order_of_policies() -> None:
    episodes, returned = joined([batch(3), None, batch(5)], [slice(0, 2), slice(2, 4), slice(4, 6)])
    np.testing.assert_array_equal(episodes.returns, [3, 3, np.nan, np.nan, 5, 5])
    assert episodes.lengths.tolist() == [3, 3, 0, 0, 5, 5]
    assert returned.tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize(
    ("returned", "drawn", "num_policies", "least", "expected"),
    [
        ("1111100000", 10, 1, 60, False),
        ("1111110000", 10, 1, 60, True),  # 60 % are enough
        ("111", 3, 1, 100, True),
        ("1111111110", 10, 1, 100, False),
        ("1111110000", 10, 2, 60, False),  # nearly none around the second centre
        ("1110011100", 10, 2, 60, True),
        ("0011111111", 4, 1, 60, False),  # the exact ones alone teach weights nothing
        ("1110111111", 4, 1, 60, True),
    ],
)
def test_sixty_per_cent_of_all_and_around_each_centre(
    returned: str, drawn: int, num_policies: int, least: int, expected: bool
) -> None:
    found = np.array([one == "1" for one in returned])
    assert enough(found, drawn, num_policies, least) is expected


def test_both_of_a_pair_must_have_returned() -> None:
    returned = np.array([1, 0, 1, 1, 1, 0] + [1, 1, 1, 0, 1, 1], dtype=bool)
    whole = whole_pairs(returned, 2)  # two centres, of three pairs each
    assert whole.tolist() == [True, False, False, True, False, False] + [False, True, True] * 2
    assert whole_pairs(returned[:6], 1).tolist() == whole[:6].tolist()


def test_a_part_of_a_generation_knows_whose_it_is() -> None:
    """Two centres of two pairs; the second pair of the first is lost, and one exact policy."""
    thetas, noise = torch.arange(10.0)[:, None], torch.arange(8.0)[:, None]
    whole = Generation(thetas, noise, torch.arange(10, dtype=torch.float64))
    kept = torch.tensor([1, 0, 1, 0, 1, 1, 1, 1, 0, 1], dtype=torch.bool)
    part = whole.only(kept, 2)
    assert part.thetas[:, 0].tolist() == part.returns.tolist() == [0, 2, 4, 5, 6, 7, 9]
    assert part.noise[:, 0].tolist() == [0, 2, 4, 5, 6, 7] and part.shares == (2, 4)


# Models that are played elsewhere, in this process.

SMALL: dict[str, Any] = {"hidden_sizes": [5], "normalize": True}
CHROMATIC: dict[str, Any] = {**SMALL, "num_colors": 4}


class Elsewhere:
    """`RayPlayers` without Ray: its workers' code in this process, batches in random order.

    Attributes:
        lose: says of a generation and a batch whether it never comes back.
    """

    lost, reason = 0, "none"
    lose: Callable[[int, int], bool] = staticmethod(lambda generation, number: False)

    def __init__(
        self, address: str, workers: int | None, making: Any, num_rows: int, **_: Any
    ) -> None:
        self.players = [Player() for _ in range(workers or 2)]
        for player in self.players:
            player.prepare(*making)
        self.num_rows, self.generation, self.closed = num_rows, 0, 0

    def play(self, bank: Any, seeds: np.ndarray, on_step: Any) -> list[Played | None]:
        parts = batches(len(bank), self.num_rows)
        state = {name: value.cpu().numpy() for name, value in bank.policy.state_dict().items()}
        played: list[Played | None] = [None] * len(parts)
        for turn, number in enumerate(np.random.default_rng().permutation(len(parts))):
            if self.lose(self.generation, int(number)):
                continue
            part = parts[number]
            values = tuple(values.detach().numpy()[part] for values in bank.numbers)
            player = self.players[turn % len(self.players)]
            one = player.play(type(bank), values, seeds[part], state)
            assert one is not None
            played[number] = one
            if not on_step(int(one.lengths.sum())):
                return []
        self.generation += 1
        return played

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> type[Elsewhere]:
    monkeypatch.setattr(placing, "RayPlayers", Elsewhere)
    monkeypatch.setattr(placing, "import_ray", lambda: None)
    monkeypatch.setattr(Elsewhere, "lose", staticmethod(lambda generation, number: False))
    return Elsewhere


def swimmer(rows: int = 2) -> Any:
    return make_vec_env("morphzoo/Swimmer-v5", rows, seed=0, num_threads=1, max_episode_steps=5)


#: Generations of 8 policies, 4 batches of 2.
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "es": (ES, {"population_size": 8, "top": 3, "policy_kwargs": SMALL}),
    "es, two policies": (
        ES,
        {"population_size": 8, "num_policies": 2, "antithetic": False, "policy_kwargs": SMALL},
    ),
    "epvf": (EPVF, {"population_size": 8, "held_out": 0.25, "policy_kwargs": SMALL}),
    "enas": (ENAS, {"population_size": 6, "exact_evaluations": 2, "policy_kwargs": CHROMATIC}),
    "enas, forward": (
        ENAS,
        {
            "population_size": 6,
            "exact_evaluations": 2,
            "antithetic": False,
            "controller": "evolution",
            "policy_kwargs": CHROMATIC,
        },
    ),
    "enas, catcma": (
        ENAS,
        {"population_size": 8, "controller": "catcma", "policy_kwargs": CHROMATIC},
    ),
}


def model_of(name: str, **changes: Any) -> Any:
    if name.endswith("catcma"):
        pytest.importorskip("cmaes", reason="pip install 'morphzoo[search]'")
    algorithm, keywords = MODELS[name]
    return algorithm("MlpPolicy", swimmer(), **{"seed": 3, **keywords, **changes})


def same(ours: Any, theirs: Any) -> bool:
    """Whether policies with their statistics are the same, bit for bit."""
    mine, others = ours.policy.state_dict(), theirs.policy.state_dict()
    return mine.keys() == others.keys() and all(torch.equal(mine[k], others[k]) for k in mine)


@pytest.mark.parametrize("name", MODELS)
def test_whoever_plays_it_is_the_same_search_at_tolerance_zero(name: str, elsewhere: Any) -> None:
    here = model_of(name).learn(80)
    assert isinstance(here.players, Here) and here._n_updates == 2
    for workers in (1, 3):
        there = model_of(name, ray="auto", workers=workers)
        torch.rand(1)
        there.learn(80)
        assert same(here, there) and there.num_timesteps == 80
        assert there.players.closed == 1
        assert list(there.ep_info_buffer)[-1]["r"] == list(here.ep_info_buffer)[-1]["r"]


@pytest.mark.parametrize("name", [name for name in MODELS if "two" not in name])
def test_a_batch_that_never_returns_is_left_out(name: str, elsewhere: Any) -> None:
    """3 of 4 batches are 75 %: of pairs as many are learned from as are whole."""
    elsewhere.lose = staticmethod(lambda generation, number: number == 1)
    model = model_of(name, ray="auto")
    before = model.policy.theta
    learned: list[Generation] = []
    step = model._train
    model._train = lambda generation: (learned.append(generation), step(generation))
    if name.endswith("catcma"):
        with pytest.raises(OSError, match="8 episodes 6 returned, and 100 % must"):
            model.learn(80)
        assert not learned and torch.equal(model.policy.theta, before)
        return
    model.learn(20)
    assert model.num_timesteps == 6 * 5 and model._n_updates == 1 and model.discarded == 0
    (generation,) = learned
    # Policies 2 and 3 are lost, and with them 6 and 7 where 8 are pairs, 5 and 0 where 6 are.
    assert generation.shares == ((2,) if name == "enas" else (4,))
    assert torch.isfinite(model.policy.theta).all() and not torch.equal(model.policy.theta, before)
    if name.startswith("enas"):
        assert len(generation.returns) == generation.shares[0] + 2
    whole = model_of(name).learn(20).policy.normalizer.pending_count
    assert torch.equal(model.policy.normalizer.pending_count, 0.75 * whole)


def test_less_than_sixty_per_cent_is_discarded_and_the_next_is_learned_from(
    elsewhere: Any, tmp_path: Path
) -> None:
    elsewhere.lose = staticmethod(lambda generation, number: generation == 1 and number > 1)
    model, watch = model_of("es", ray="auto"), ray_program.Watch()
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(2 * 40 + 20, callback=watch)
    assert (model._n_updates, model.discarded, model.discarded_in_a_row) == (2, 1, 0)
    assert model.num_timesteps == 2 * 40 + 20 and model._episode_num == 8 + 4 + 8
    learned = ["train/gradient_norm" in row for row in watch.logged]
    assert learned == [False, True, False, True]  # before the first, and after each
    model.logger.close()
    rows = list(csv.DictReader((tmp_path / "progress.csv").read_text().splitlines()))
    assert [float(row["rollout/episodes_lost"]) for row in rows] == [0, 4, 0]
    assert [float(row["time/generations_discarded"]) for row in rows] == [0, 1, 1]


def test_three_discarded_in_a_row_end_the_training_and_say_so(elsewhere: Any) -> None:
    elsewhere.lose = staticmethod(lambda generation, number: generation > 0)
    model = model_of("es", ray="auto")
    with pytest.raises(OSError, match=r"3 generations in a row .* 8 episodes 0 returned, and 60 %"):
        model.learn(400)
    assert model._n_updates == 1 and model.num_timesteps == 40 and model.players.closed == 1
    assert torch.equal(model.policy.theta, model_of("es").learn(1).policy.theta)


def test_saved_and_continued_elsewhere_or_here(elsewhere: Any, tmp_path: Path) -> None:
    elsewhere.lose = staticmethod(lambda generation, number: generation == 1 and number > 1)
    model = model_of("enas", ray="auto", workers=2, ray_kwargs={"retries": 0})
    model.learn(100)
    assert model.discarded == 1
    model.save(tmp_path / "model.zip")
    elsewhere.lose = staticmethod(lambda generation, number: False)
    there = ENAS.load(tmp_path / "model.zip", env=swimmer())
    assert (there.ray, there.workers, there.discarded) == ("auto", 2, 1)
    assert isinstance(there.players, Elsewhere)
    here = ENAS.load(tmp_path / "model.zip", env=swimmer(), ray=None, workers=None, ray_kwargs={})
    assert isinstance(here.players, Here)
    for one in (model, there, here):
        one.learn(40, reset_num_timesteps=False)
    assert same(model, there) and same(model, here)


RUN: dict[str, Any] = {
    "env": "morphzoo/Swimmer-v5", "policy": "chromatic", "algorithm": "enas", "steps": 120,
    "n_envs": 2, "policy_kwargs": CHROMATIC, "checkpoint_every": 40, "evaluate_every": 80,
    "evaluate_episodes": 1, "env_kwargs": {"max_episode_steps": 5},
    "algorithm_kwargs": {"population_size": 8},
}  # fmt: skip


def test_a_recipe_says_where_and_may_change_its_mind(elsewhere: Any, tmp_path: Path) -> None:
    here = Recipe.from_dict(RUN)
    there = here.override({"algorithm_kwargs.ray": "auto", "algorithm_kwargs.workers": 2})
    train(here, tmp_path / "here", progress=False)
    train(there, tmp_path / "there", progress=False)
    train(there, tmp_path / "both", progress=False, pause_at=40)
    train(here, tmp_path / "both", progress=False, resume=True)
    for file in ("curve.csv", "final/model.safetensors", "best/model.safetensors"):
        expected = (tmp_path / "here" / file).read_bytes()
        assert (tmp_path / "there" / file).read_bytes() == expected
        assert (tmp_path / "both" / file).read_bytes() == expected


def test_a_state_from_before_losses_were_counted_goes_on() -> None:
    model = build_model(Recipe.from_dict(RUN))
    model.learn(40)
    arrays, counters = capture(model)
    assert counters["attributes"].pop("discarded") == 0
    fresh = build_model(Recipe.from_dict(RUN))
    restore(fresh, arrays, counters)
    assert same(fresh, model) and fresh.discarded == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": 2}, "give ray='local'"),
        ({"ray": "local", "workers": 0}, "workers must be at least 1, found 0"),
        ({"ray": "local", "ray_kwargs": {"tries": 2}}, "expected keys of .*found 'tries'"),
        ({"ray": "local", "ray_kwargs": {"retries": -1}}, "retries must be at least 0, found -1"),
        ({"ray": "local", "population_size": 2, "top": 0}, "rows, 2, .* a generation has 2"),
    ],
)
def test_what_cannot_be_is_refused_at_construction(
    changes: dict[str, Any], message: str, elsewhere: Any
) -> None:
    with pytest.raises(ValueError, match=message):
        model_of("es", **changes)


def test_missing_ray_is_said_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'morphzoo\[ray\]'"):
        model_of("es", ray="local")


# On a Ray cluster.


@pytest.fixture
def cluster() -> Iterator[Nodes]:
    with two_nodes() as nodes:
        yield nodes


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks in /proc")
@pytest.mark.ray
def test_a_killed_worker_changes_nothing_and_a_batch_that_hangs_is_left_out(
    cluster: Nodes, tmp_path: Path
) -> None:
    """In the first generation a worker is killed while it plays, in the last a batch hangs.

    The reference is played here, and loses that batch.
    """
    address, raylets, env = cluster
    program = subprocess.Popen(
        [sys.executable, ray_program.__file__, address, str(tmp_path)],
        stderr=subprocess.PIPE, env=env, text=True,
    )  # fmt: skip

    def playing() -> list[int]:
        named = ((up, pid, words[0]) for pid, up, words in processes())
        return [pid for up, pid, name in named if name == "ray::Player.play" and up in raylets]

    workers = until(lambda: playing() or program.poll() is not None)
    if program.poll() is None:
        kill(workers[0], signal.SIGKILL)
    said = program.communicate()[1]
    assert program.returncode == 0, said

    class Lossy(Here):
        generation = -1

        def play(self, *arguments: Any) -> list[Played | None]:
            self.generation += 1
            played = super().play(*arguments)
            lost = self.generation == ray_program.HANGS_IN
            return [*played[:-1], None] if lost else played

    model = ray_program.search()
    assert model.rows is not None
    model.players = Lossy(model.rows)
    model.learn(ray_program.GENERATIONS * 8 * ray_program.STEPS)
    found, expected = load_file(tmp_path / "policy.safetensors"), model.policy.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    went = json.loads((tmp_path / "went.json").read_text())
    assert went["lost"] >= 3 and went["reason"] == "no answer within 5 s"  # killed, hung twice
    exact = ["train/exact_return" in row for row in went["logged"]]
    assert exact == [False, True, True, False]  # none before the first, and in the last none came
