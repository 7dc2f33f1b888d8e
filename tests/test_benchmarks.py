"""The benchmarks measure what they say; their figures are held to results.json by test_readme."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import morphzoo  # noqa: F401
from benchmarks import cartpole, contrastive, populations
from benchmarks.cartpole_report import cartpole_figure, cartpole_table
from benchmarks.goals import Goal, goals
from benchmarks.measuring import alternate, ratio, summary
from benchmarks.networks import EdgeNetwork
from benchmarks.stepping import Case, measure
from benchmarks.updates import BATCH, Contenders
from morphzoo.policies.message_passing import GraphNetwork, GraphTopology
from morphzoo.spaces import graph_of

# Of PyTorch Geometric's own import.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.mark.parametrize("warm_up", [True, False])
def test_alternate_gives_everyone_a_turn_a_round_and_nobody_always_the_first(warm_up):
    calls = []

    def contender(name):
        def run():
            calls.append(name)
            return float(len(calls))

        return run

    names = ["a", "b", "c"]
    prepared = []
    found = alternate(
        {name: contender(name) for name in names},
        3,
        lambda: prepared.append(len(calls)),
        warm_up=warm_up,
    )
    rounds = [calls[i : i + 3] for i in range(0, len(calls), 3)]
    assert len(rounds) == 3 + warm_up and prepared == [3 * i for i in range(len(rounds))]
    assert all(sorted(one) == names for one in rounds)
    assert {one[0] for one in rounds[-3:]} == set(names)
    kept = rounds[warm_up:]
    for name, values in found.items():
        assert values == [3 * (i + warm_up) + one.index(name) + 1 for i, one in enumerate(kept)]


def test_ratio_is_taken_within_a_round_by_hand():
    # Ratios 2, 2, 2, 8: the median of the ratios is 2, the ratio of the medians 5 / 1.5.
    found = ratio([2.0, 4.0, 6.0, 8.0], [1.0, 2.0, 3.0, 1.0])
    assert found["median"] == 2.0 and found["maximum"] == 8.0
    assert summary([1.0, 2.0, 3.0, 4.0, 10.0])["upper_quartile"] == 4.0


@pytest.mark.parametrize(
    ("value", "at_least", "reached"),
    [(1.5, True, True), (1.49, True, False), (1.5, False, True), (1.51, False, False)],
)
def test_a_goal_says_whether_it_is_reached(value, at_least, reached):
    goal = Goal("speed", {"median": value}, 1.5, at_least)
    assert goal.reached == reached
    _, _, wanted, verdict, _ = goal.line()
    assert ("missed" in verdict) != reached and wanted.endswith("1.5")


def test_the_network_on_pytorch_geometric_computes_what_ours_does():
    env = gym.make("morphzoo/Centipede-6-v0")
    topology = GraphTopology(graph_of(env.observation_space)).double()
    env.close()
    topology.adjacency /= topology.adjacency.sum(1, keepdim=True)  # a third in double precision
    torch.manual_seed(0)
    ours = GraphNetwork({"root": 3, "joint": 2}, 6, 16, 3, fused=False).double()
    theirs = EdgeNetwork(ours)
    batch = topology.batch(5)
    rows = {"root": torch.randn(5, 3).double(), "joint": torch.randn(16 * 5, 2).double()}
    gradients = []
    states = []
    for network in (ours, theirs):
        ours.zero_grad()
        states.append(network(rows, torch.arange(17) % 6, batch))
        states[-1].square().sum().backward()
        gradients.append([p.grad for p in ours.parameters()])
    torch.testing.assert_close(*states, atol=1e-13, rtol=0)
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("num_legs", [3, 6])
def test_the_floor_counts_the_products_that_torch_makes(num_legs):
    """Of the plain loop's products, all but the two with the adjacency are needed."""
    contenders = Contenders(num_legs, 0)
    policy = contenders.policies["plain"]
    with FlopCounterMode(display=False) as counter:
        contenders.update("plain")()
    nodes = policy.graph.num_nodes
    adjacency = 2 * policy.num_layers * nodes**2 * policy.hidden_size
    assert counter.get_total_flops() / 2 == BATCH * (contenders.products() + adjacency)


def test_the_plain_contrastive_step_computes_what_ours_does():
    contenders = contrastive.Contenders(8, contrastive.full_buffer(0, 16_000), 0)
    first = contrastive.PlainStep(8).like(contenders.policy)
    for _ in range(3):
        torch.manual_seed(1)
        contenders.ours()
        torch.manual_seed(1)
        contenders.theirs()
    ours = contrastive.PlainStep(8).like(contenders.policy)
    for part in ("actor", "phi", "psi"):
        moved = [
            torch.cat([after.flatten() - before.flatten() for after, before in pairs])
            for pairs in (
                list(zip(_linear(ours, part), _linear(first, part), strict=True)),
                list(zip(_linear(contenders.plain, part), _linear(first, part), strict=True)),
            )
        ]
        assert torch.cosine_similarity(*moved, dim=0) > 0.999
    found = contenders.coefficient.log_value.item()
    assert found == pytest.approx(contenders.plain.log_alpha.item(), rel=1e-3)


def _linear(step, part):
    """The weights of a plain step's linear layers, as they are now."""
    layers = getattr(step, part).modules()
    return [m.weight.detach() for m in layers if isinstance(m, torch.nn.Linear)]


def test_a_share_of_physics_is_a_share():
    measure = populations.share_of_physics(8, 0, steps=3)
    assert 0.0 < measure() < 1.0 and 0.0 < measure() < 1.0


def test_every_search_plays_one_generation_each_time():
    searches = populations.Searches(0, steps=5)
    for _ in range(2):
        assert min(searches.ours(), searches.chromatic(), searches.plain()) > 0
        assert {m.num_timesteps for m in (searches.es, searches.ars, searches.linear)} == {64 * 5}


def test_a_training_on_cartpole_notes_what_it_found(monkeypatch):
    monkeypatch.setattr(cartpole, "EVERY", 100)
    found = cartpole.train(2, 0, steps=300)
    rows = np.array(found["rows"])
    assert rows.shape[1] == 5 and (np.diff(rows[:, [0, 1, 4]], axis=0) > 0).all()
    assert 8 <= found["return"] <= 500 and found["seconds_to_475"] is None
    slower = {**found, "seed": 1, "seconds_to_475": 12.3, "return": 480.2}
    table = cartpole_table([found, slower])
    assert table.splitlines()[-1].endswith(f"{found['return_last']:.0f} | never, 12 |")
    labels = [line.get_label() for line in cartpole_figure([found, slower]).axes[0].lines]
    assert labels == ["2 environments"]
    runs = [{**slower, "environments": 1}] * 4 + [{**found, "environments": 1}]
    (goal,) = goals({"cartpole": {"found": runs}})
    assert goal.value["median"] == 4 and goal.reached


@pytest.mark.parametrize("body", ["6", "ant"])
def test_every_way_to_step_steps(body):
    rates = measure(Case(body, rows=2, threads=2, steps=2), rounds=1, seed=0)
    assert {"bare", "complete", "vector", "subproc", "dummy", "sync", "async"} <= rates.keys()
    assert all(len(found) == 1 and found[0] > 0 for found in rates.values())
