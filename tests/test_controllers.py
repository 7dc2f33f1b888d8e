"""Controllers: a planted colouring is found or not; estimates by hand; who is kept, who leaves."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from morphzoo.algorithms.controllers import CONTROLLERS, PointerController, make_controller
from morphzoo.algorithms.controllers.advantages import Advantages
from morphzoo.algorithms.controllers.pointer import places_of
from morphzoo.policies.chromatic import Coloring


class Planted:
    """A known matrix of few numbers: 1 for finding its colouring, less the squared error's share.

    Args:
        coloring: its shape, and how many colours.
        seed: of the numbers and of the colouring.
    """

    def __init__(self, coloring: Coloring, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.pool = torch.from_numpy(rng.normal(size=coloring.num_colors))
        self.target = torch.from_numpy(rng.integers(coloring.num_colors, size=coloring.num_edges))

    def __call__(self, colors: torch.Tensor) -> torch.Tensor:
        wanted = self.pool[self.target]
        error = (self.pool[colors] - wanted).square().sum(1)
        return 1 - error / wanted.square().sum()


def search(name: str, coloring: Coloring, generations: int, num: int, **kwargs: Any) -> float:
    """Return what the colouring that a controller stands for is worth after so many batches."""
    torch.manual_seed(0)
    controller, planted = make_controller(name, coloring, kwargs), Planted(coloring)
    generator = torch.Generator().manual_seed(0)
    for _ in range(generations):
        colors = controller.propose(num, generator)
        controller.learn(colors, planted(colors))
    return float(planted(controller.choice().unsqueeze(0))[0])


CHEETAH = Coloring.make("chromatic", (17, 6), 17, seed=1)  # 102 edges, 17 colours
TINY = Coloring.make("chromatic", (3, 2), 3, seed=1)
SETTINGS: dict[str, dict[str, Any]] = {
    "factorised": {"learning_rate": 0.2, "entropy_weight": 0.3, "baseline": "ema"},
    "pointer": {"size": 8, "attention": "dot", "learning_rate": 0.02, "chunk": 3},
    "evolution": {"population": 12, "tournament": 4, "recolor": 0.1, "move": 0.3},
    "resample": {},
    "fixed": {},
}


@pytest.mark.parametrize(("name", "kwargs"), [("factorised", {}), ("evolution", {"recolor": 0.0})])
def test_a_planted_colouring_of_102_edges_is_found(name: str, kwargs: dict[str, Any]) -> None:
    assert search(name, CHEETAH, 300, 100, **kwargs) >= 0.95


def test_random_colourings_do_not_find_it_in_as_many_trials() -> None:
    """A random one is worth about 1 - 2, the error of two independent draws; the best some more."""
    assert search("resample", CHEETAH, 300, 100) < 0.3
    assert search("fixed", CHEETAH, 3, 100) < 0.3


@pytest.mark.parametrize("attention", ["additive", "dot"])
def test_the_pointer_network_finds_a_small_one(attention: str) -> None:
    settings = {"attention": attention, "size": 16, "learning_rate": 0.01, "entropy_weight": 3.0}
    assert search("pointer", TINY, 150, 50, baseline="batch", **settings) >= 0.95


# What all of them are.


def test_every_controller_has_a_row_here() -> None:
    assert SETTINGS.keys() == CONTROLLERS.keys()


@pytest.mark.parametrize("name", CONTROLLERS)
def test_proposals_are_colourings_that_follow_from_the_generator(name: str) -> None:
    controller = make_controller(name, TINY, SETTINGS[name])
    first, same, other = (
        controller.propose(40, torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert torch.equal(first, other) == (name == "fixed")
    assert first.dtype == torch.int64 and first.shape == (40, 6)
    assert first.min() >= 0 and first.max() < 3
    choice = controller.choice()
    assert choice.dtype == torch.int64 and choice.shape == (6,)
    TINY.with_index(choice.numpy())


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_restored_controller_goes_on_as_the_first(name: str) -> None:
    first, planted = make_controller(name, TINY, SETTINGS[name]), Planted(TINY)
    generator = torch.Generator().manual_seed(0)

    def batch(controller: Any) -> torch.Tensor:
        colors = controller.propose(8, generator)
        controller.learn(colors, planted(colors))
        return colors

    for _ in range(3):
        batch(first)
    torch.manual_seed(5)
    second = make_controller(name, TINY, SETTINGS[name])
    second.load_state_dict(first.state_dict())
    if first.optimizer is not None:
        assert second.optimizer is not None
        second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    state = generator.get_state()
    for controller in (first, second):
        generator.set_state(state)
        last = [batch(controller) for _ in range(3)]
    generator.set_state(state)
    assert torch.equal(first.choice(), second.choice()) and len(last) == 3
    ours, theirs = first.state_dict(), second.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("oracle", {}, "controller: expected one of"),
        ("fixed", {"size": 3}, "controller_kwargs of 'fixed'.*size"),
        ("factorised", {"learning_rate": 0.0}, "learning_rate of the controller"),
        ("factorised", {"entropy_weight": -1.0}, "entropy_weight"),
        ("factorised", {"baseline": "median"}, "baseline"),
        ("factorised", {"baseline_decay": 1.0}, "baseline_decay"),
        ("pointer", {"attention": "full"}, "attention"),
        ("pointer", {"size": 0}, "size, chunk and temperature"),
        ("pointer", {"temperature": 0.0}, "size, chunk and temperature"),
        ("evolution", {"population": 0}, "population"),
        ("evolution", {"population": 3, "tournament": 4}, "tournament must be 1 to 3"),
        ("evolution", {"recolor": 1.5}, "recolor"),
        ("evolution", {"move": -0.1}, "move"),
    ],
)
def test_wrong_settings_are_refused(name: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_controller(name, TINY, kwargs)


# Advantages and REINFORCE.


def test_advantages_by_hand() -> None:
    returns = torch.tensor([1.0, 3.0], dtype=torch.float64)  # mean 2, deviation 1
    assert Advantages("batch", 0.5)(returns).tolist() == [-1, 1]
    running = Advantages("ema", 0.75)
    assert running(returns).tolist() == [-1, 1]  # begins at 2
    assert running(returns + 4).tolist() == [2, 4]  # 0.75 * 2 + 0.25 * 6 = 3
    assert not running(torch.ones(3, dtype=torch.float64)).any()


@pytest.mark.parametrize("entropy_weight", [0.0, 0.7])
def test_the_written_gradient_of_the_table_is_the_traced_one(entropy_weight: float) -> None:
    controller = make_controller("factorised", TINY, {"entropy_weight": entropy_weight})
    torch.manual_seed(0)
    logits = torch.randn(6, 3)
    controller.logits.data.copy_(logits)
    colors = controller.propose(5, torch.Generator().manual_seed(0))
    returns = torch.randn(5, dtype=torch.float64)
    controller.learn(colors, returns)
    logits.requires_grad_()
    logs = logits.log_softmax(1)
    likely = logs[torch.arange(6), colors].sum(1)
    advantages = ((returns - returns.mean()) / returns.std(correction=0)).float()
    entropy = -(logs.exp() * logs).sum(1).mean()
    loss = -(advantages * likely).mean() - entropy_weight * entropy
    (expected,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(controller.logits.grad, expected)


def pointer(**kwargs: Any) -> PointerController:
    torch.manual_seed(0)
    made = make_controller("pointer", TINY, {"size": 8, **kwargs})
    assert isinstance(made, PointerController)
    return made


ALL = torch.tensor(list(itertools.product(range(3), repeat=6)))


@pytest.mark.parametrize("attention", ["additive", "dot"])
def test_the_pass_over_sequences_scores_what_is_drawn_edge_by_edge(attention: str) -> None:
    """Probabilities of all 729 colourings add up to 1, and draws come as often as they say."""
    controller = pointer(attention=attention, temperature=0.2)
    with torch.no_grad():
        likely, entropies = controller.scores(ALL)
    assert float(likely.exp().sum()) == pytest.approx(1, abs=1e-5)
    assert bool((entropies > 0).all()) and bool((entropies <= math.log(3) + 1e-6).all())
    drawn = controller.propose(20_000, torch.Generator().manual_seed(0))
    found = (drawn * 3 ** torch.arange(5, -1, -1)).sum(1).bincount(minlength=729)
    expected = 20_000 * likely.exp()
    assert float(((found - expected).square() / expected).sum()) < 729 + 4 * math.sqrt(2 * 729)
    greedy = (ALL == controller.choice()).all(1)
    assert float(likely[greedy]) > float(likely.mean())


def test_the_pointers_step_does_not_depend_on_how_many_are_scored_at_a_time() -> None:
    colors = ALL[::40]
    returns = Planted(TINY)(colors)
    gradients = []
    for chunk in (1, 5, 100):
        controller = pointer(chunk=chunk)
        controller.learn(colors, returns)
        gradients.append([p.grad for p in controller.parameters()])
    for other in gradients[1:]:
        for mine, theirs in zip(gradients[0], other, strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-4)
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients[0])


def test_places_by_hand() -> None:
    places = places_of(Coloring.make("chromatic", (2, 1, 2), 2))
    assert places.tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 1, 0]]


# Evolution.


def test_the_oldest_leave_and_the_best_of_those_that_stay_is_chosen() -> None:
    controller = make_controller("evolution", TINY, {"population": 4, "tournament": 1})
    batches = torch.arange(3).repeat_interleave(6).view(3, 6)
    controller.learn(batches, torch.tensor([9.0, 1.0, 2.0]))
    assert controller.choice().tolist() == [0] * 6
    logged = controller.learn(batches[:2], torch.tensor([5.0, 4.0]))  # of five, the first leaves
    assert controller.choice().tolist() == [0] * 6 and logged["population_best"] == 5
    assert sorted(controller.scores.tolist()) == [1, 2, 4, 5]
    controller.learn(batches.repeat(2, 1), torch.arange(6.0))  # more than there is room for
    assert sorted(controller.scores.tolist()) == [2, 3, 4, 5]
    assert controller.colors.sort(0).values[:, 0].tolist() == [0, 1, 2, 2]


def test_a_tournament_of_all_copies_the_winner_but_for_one_edge() -> None:
    settings = {"population": 3, "tournament": 3, "recolor": 0.0, "move": 0.0}
    controller = make_controller("evolution", TINY, settings)
    controller.learn(torch.eye(3, 6).long(), torch.tensor([1.0, 3.0, 2.0]))
    proposed = controller.propose(400, torch.Generator().manual_seed(0))
    best = torch.eye(3, 6).long()[1]
    changed = (proposed != best).sum(1)
    # Nine winners of ten take part, if three are drawn of three with replacement: (2/3)^3 is not.
    assert 0.6 < float((changed <= 1).float().mean()) < 0.85
    assert int(changed.max()) <= 3  # another's ancestor, and an edge


def test_merges_and_splits_move_whole_colours() -> None:
    coloring = Coloring.make("chromatic", (20, 10), 8, seed=2)
    settings = {"population": 1, "tournament": 1, "move": 1.0}
    controller = make_controller("evolution", coloring, settings)
    parent = torch.from_numpy(coloring.index.copy())
    controller.learn(parent.unsqueeze(0), torch.zeros(1))
    sizes = []
    for child in controller.propose(200, torch.Generator().manual_seed(0)):
        moved = child != parent
        if not moved.any():
            continue
        assert len(parent[moved].unique()) == len(child[moved].unique()) == 1
        sizes.append(float(moved.sum() / (parent == parent[moved][0]).sum()))
    whole = np.mean(np.array(sizes) == 1)
    assert 0.3 < whole < 0.7 and 0.1 < min(sizes) < 0.5
