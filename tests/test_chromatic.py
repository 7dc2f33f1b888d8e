"""Colourings and what is built of them: worked by hand, and equal to the dense network."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib as contrib
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from stable_baselines3 import PPO
from torch import nn

import morphzoo  # noqa: F401
from morphzoo import zoo
from morphzoo.algorithms.es import ES
from morphzoo.policies import (
    ChromaticMlpPolicy,
    ChromaticPolicy,
    DeterministicPolicy,
    PolicyBank,
)
from morphzoo.policies.chromatic import (
    COLORINGS,
    ChromaticBank,
    ChromaticLinear,
    ChromaticNetwork,
    Coloring,
    kmeans_policy,
    pruned_policy,
    unstructured_policy,
)
from morphzoo.policies.chromatic.coloring import MAX_COLORS, STORED, edge_hashes, num_edges
from morphzoo.policies.chromatic.fitting import clusters, kmeans, prune
from morphzoo.sb3 import make_vec_env

# The poster's architectures: L, H41 and H41,H41.
ARCHITECTURES = {"L": (), "H41": (41,), "H41,H41": (41, 41)}


def cheetah() -> tuple[spaces.Space, spaces.Space]:
    with gym.make("morphzoo/HalfCheetah-v5") as env:
        return env.observation_space, env.action_space


SPACES = cheetah()


def make(**kwargs: Any) -> ChromaticPolicy:
    torch.manual_seed(0)
    return ChromaticPolicy(*SPACES, **{"init_bias": 0.5, **kwargs}).eval()


def observations(num: int = 7) -> torch.Tensor:
    return torch.randn(num, 17, generator=torch.Generator().manual_seed(1))


# Colourings.


def test_the_posters_toeplitz_matrix() -> None:
    """Song et al. (2019), the matrix T_t of 4 rows, 6 columns and 9 weights."""
    assert Coloring.make("toeplitz", (6, 4)).layers()[0].tolist() == [
        [0, 1, 2, 3, 4, 5],
        [6, 0, 1, 2, 3, 4],
        [7, 6, 0, 1, 2, 3],
        [8, 7, 6, 0, 1, 2],
    ]


def test_implied_colourings_by_hand() -> None:
    # Wide and tall, each layer with a segment of the pool of its own: 3 weights, then 3.
    wide, tall = Coloring.make("circulant", (3, 2, 3)).layers()
    assert wide.tolist() == [[0, 1, 2], [2, 0, 1]]
    assert tall.tolist() == [[3, 4], [5, 3], [4, 5]]
    two = Coloring.make("toeplitz", (2, 2, 1))
    assert [layer.tolist() for layer in two.layers()] == [[[0, 1], [2, 0]], [[3, 4]]]
    plain = Coloring.make("unstructured", (2, 2, 1))
    assert plain.index.tolist() == [0, 1, 2, 3, 4, 5] and plain.num_colors == 6


def test_a_mask_keeps_as_many_edges_as_it_says_and_one_slot_each() -> None:
    masked = Coloring.make("masked", (17, 41, 6), 40, seed=3)
    kept = masked.index[masked.index < 40]
    assert kept.tolist() == list(range(40)) and masked.used_colors == 40
    pool = np.arange(1.0, 41.0)
    first, last = masked.dense(pool)
    assert np.count_nonzero(first) + np.count_nonzero(last) == 40


def test_random_colourings_follow_from_the_seed_on_every_machine() -> None:
    assert edge_hashes(3, 0).tolist() == [
        int(value) for value in edge_hashes(5, 0)[:3]
    ]  # an edge's hash does not depend on how many there are
    first, same, other = (Coloring.make("random", (17, 41, 6), 17, seed=s) for s in (5, 5, 6))
    assert first == same and first != other
    # A reference value: stored colourings of this kind are made again from their seed.
    assert first.index[:12].tolist() == REFERENCE
    counts = np.bincount(Coloring.make("random", (100, 100), 10).index)
    assert len(counts) == 10 and abs(counts - 1000).max() < 150  # five deviations


REFERENCE = [2, 6, 7, 12, 13, 6, 16, 5, 4, 14, 5, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_colors": 0}, "num_colors: expected 1 to 102"),
        ({"num_colors": 103}, "the number of edges, found 103"),
        ({"num_colors": 2.0}, "found 2.0"),
        ({"kind": "plaid"}, "coloring: expected one of"),
        ({"kind": "toeplitz", "num_colors": 17}, "has 22, found 17; leave it out"),
        ({"sizes": (17,)}, "observation and action"),
        ({"sizes": (17, 0)}, "positive integers"),
        ({"sizes": (100_000, 100_000)}, "10,000,000,000 edges"),
        ({"kind": "unstructured", "sizes": (1000, 1000)}, f"at most {MAX_COLORS:,}"),
    ],
)
def test_what_is_no_colouring_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Coloring.make(**{"kind": "chromatic", "sizes": (17, 6), **change})


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (np.array([0, 1, 2]), "integers[4]"),
        (np.array([0, 1, 2, 0.5]), "float64"),
        (np.array([0, 1, 4, 0]), "found 0 to 4"),
        (np.array([0, -1, 2, 0]), "found -1 to 2"),
    ],
)
def test_a_wrong_index_is_refused(index: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Coloring((2, 2), "chromatic", 3, index)


def test_a_colouring_is_frozen_and_its_own() -> None:
    index = np.zeros(4, dtype=np.int32)
    coloring = Coloring((2, 2), "chromatic", 3, index)
    index[:] = 1
    assert not coloring.index.any()
    with pytest.raises(ValueError, match="read-only"):
        coloring.index[0] = 1


# Layers and networks.


def test_a_layer_by_hand_and_its_gradient_is_the_sum_of_its_edges() -> None:
    layer = ChromaticLinear(np.array([[0, 1, 0], [1, 2, 2]]), 2, scale=0.5)
    with torch.no_grad():
        layer.pool.copy_(torch.tensor([4.0, -6.0]))
        layer.bias.copy_(torch.tensor([1.0, 0.0]))
    # Colour 2 is no weight: rows (2, -3, 2) and (-3, 0, 0).
    outputs = layer(torch.tensor([[1.0, 10.0, 100.0]]))
    assert outputs.tolist() == [[1 + 2 - 30 + 200, -3]]
    outputs.sum().backward()
    assert layer.pool.grad.tolist() == [0.5 * (1 + 100), 0.5 * (10 + 1)]
    assert set(dict(layer.named_parameters())) == {"pool", "bias"}


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    kind=st.sampled_from(list(COLORINGS)),
    options=st.tuples(st.booleans(), st.booleans(), st.integers(0, 2**31)),
)
def test_a_chromatic_network_is_the_dense_one_of_its_expanded_matrices(
    sizes: list[int], kind: str, options: tuple[bool, bool, int]
) -> None:
    output_bias, layer_scale, seed = options
    torch.manual_seed(seed)
    coloring = Coloring.make(kind, sizes, seed=seed)
    network = ChromaticNetwork(
        coloring, torch.nn.Tanh, output_bias=output_bias, layer_scale=layer_scale, init_bias=1.0
    )
    inputs = torch.randn(3, sizes[0])
    hidden = inputs
    matrices = coloring.dense(network.pool.detach().numpy())
    for number, (matrix, layer) in enumerate(zip(matrices, network.layers, strict=True)):
        scale = sizes[number] ** -0.5 if layer_scale else 1.0
        hidden = hidden @ (torch.from_numpy(matrix) * scale).T
        if layer.bias is not None:
            hidden = hidden + layer.bias
        if number < len(matrices) - 1:
            hidden = hidden.tanh()
    torch.testing.assert_close(network(inputs), hidden)
    assert network.coloring == coloring
    biases = sum(sizes[1:-1]) + output_bias * sizes[-1]
    assert network.num_biases == biases
    assert sum(p.numel() for p in network.parameters()) == coloring.num_colors + biases


def test_the_kept_matrix_follows_every_change() -> None:
    """Each change that a search, an optimizer or a loader makes, against a fresh expansion."""
    policy = make()
    obs = observations()

    def stale() -> bool:
        with torch.no_grad():
            kept = policy(obs)
        return not torch.equal(kept, policy(obs).detach())  # with gradients: expanded anew

    changes: list[Callable[[], Any]] = [
        lambda: setattr(policy, "theta", policy.theta + 1),
        lambda: policy.load_from_vector(policy.theta.numpy() + 1),
        lambda: policy.load_state_dict({k: v.flip(0) for k, v in policy.state_dict().items()}),
        lambda: setattr(policy, "coloring", Coloring.make("chromatic", (17, 41, 6), 17, seed=9)),
        lambda: policy.to(torch.float32).double().float(),
        lambda: torch.optim.SGD(policy.parameters(), 0.1).step(),
    ]
    assert not stale()
    for change in changes:
        with torch.no_grad():
            before = policy(obs)
        policy(obs).sum().backward()
        change()
        assert not stale()
        with torch.no_grad():
            assert policy(obs).isfinite().all() and before.shape == (7, 6)
    layer = policy.actor.layers[0]
    with torch.no_grad():
        assert layer.weight() is layer.weight()  # it is kept
        policy.train()
        assert layer.weight() is not layer.weight()


# Policies.


@pytest.mark.parametrize("kind", COLORINGS)
@pytest.mark.parametrize("hidden", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_parameters_are_pool_then_hidden_biases(hidden: tuple[int, ...], kind: str) -> None:
    policy = make(hidden_sizes=hidden, coloring=kind)
    sizes = (17, *hidden, 6)
    colors = policy.coloring.num_colors
    assert policy.sizes == sizes and policy.coloring.num_edges == num_edges(sizes)
    if kind in ("chromatic", "kmeans", "masked", "random"):
        assert colors == 17  # the larger of observation and action
    assert policy.num_parameters == colors + sum(hidden) == len(policy.theta)
    policy.theta = torch.arange(policy.num_parameters) / 100
    assert torch.equal(policy.actor.pool, torch.arange(colors) / 100)
    if hidden:
        first = policy.actor.layers[0].bias
        assert torch.equal(first, torch.arange(colors, colors + 41) / 100)
    stored = {name for name in policy.state_dict() if name.endswith("index")}
    assert bool(stored) == (kind in STORED)


@pytest.mark.parametrize("options", [{}, {"output_bias": True, "layer_scale": True}])
@pytest.mark.parametrize("hidden", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_a_bank_is_its_policies_one_by_one(hidden: tuple[int, ...], options: Any) -> None:
    policy = make(hidden_sizes=hidden, **options)
    thetas = torch.randn(7, policy.num_parameters)
    obs = observations()
    together = PolicyBank(policy, thetas).act(obs.numpy())
    for row, theta in enumerate(thetas):
        policy.theta = theta
        alone, _ = policy.predict(obs[row].numpy())
        np.testing.assert_allclose(together[row], alone, atol=1e-5)


def test_a_bank_of_pairs_is_its_pairs_one_by_one() -> None:
    policy = make(hidden_sizes=(5,))
    thetas = torch.randn(7, policy.num_parameters)
    colors = torch.randint(0, 18, (7, policy.coloring.num_edges))  # 17 is no weight
    obs = observations()
    bank = ChromaticBank(policy, thetas, colors)
    together = bank.act(obs.numpy())
    part = np.array([5, 2])
    np.testing.assert_allclose(bank.take(part).act(obs.numpy()[part]), together[part], atol=1e-5)
    assert len(bank.take(slice(2, 5))) == 3
    for row in range(7):
        policy.theta = thetas[row]
        policy.coloring = policy.coloring.with_index(colors[row].numpy())
        alone, _ = policy.predict(obs[row].numpy())
        np.testing.assert_allclose(together[row], alone, atol=1e-5)
    for wrong in (colors[:3], colors[:, :3], colors.int()):
        with pytest.raises(ValueError, match=r"int64\[7, 115\]"):
            ChromaticBank(policy, thetas, wrong)


def test_gradients_flow_through_a_bank_to_the_pool() -> None:
    policy = make()
    thetas = torch.randn(3, policy.num_parameters, requires_grad=True)
    PolicyBank(policy, thetas).responses(observations()).sum().backward()
    assert bool((thetas.grad != 0).all())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coloring": "plaid"}, "coloring: expected one of"),
        ({"num_colors": 0}, "num_colors"),
        ({"num_colors": 5000}, "the number of edges, found 5000"),
        ({"init_std": -1.0}, "init_std"),
        ({"init_bias": -1.0}, "init_bias"),
        ({"hidden_sizes": [0]}, "hidden_sizes"),
    ],
)
@pytest.mark.parametrize("policy_class", [ChromaticPolicy, ChromaticMlpPolicy])
def test_wrong_keywords_are_refused(policy_class: Any, change: Any, message: str) -> None:
    if policy_class is ChromaticMlpPolicy and "hidden_sizes" in change:
        message = "positive integers"
    with pytest.raises(ValueError, match=message):
        policy_class(*SPACES, lambda _: 0.0, **change)


@pytest.mark.parametrize(
    ("observed", "action", "message"),
    [
        (SPACES[0], spaces.Discrete(3), "use DeterministicPolicy"),
        (SPACES[0], spaces.MultiDiscrete([2, 2]), "one-dimensional Box"),
        (spaces.Dict({"a": SPACES[0]}), SPACES[1], "one-dimensional Box"),
        (spaces.Box(0, 255, (8, 8, 3), np.uint8), SPACES[1], "one-dimensional Box"),
        (SPACES[0], spaces.Box(-np.inf, np.inf, (6,)), "squash=False"),
    ],
)
def test_wrong_spaces_are_refused(observed: Any, action: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChromaticPolicy(observed, action)


def test_actions_are_stretched_to_their_bounds() -> None:
    box = spaces.Box(-2, 2, (7,), np.float32)  # as the Pusher's
    policy = ChromaticPolicy(spaces.Box(-np.inf, np.inf, (23,)), box, init_std=100.0)
    actions, _ = policy.predict(np.ones((50, 23), dtype=np.float32))
    assert set(np.unique(np.abs(actions))) == {2.0}


# With the algorithms.


def test_es_moves_the_pool_and_leaves_the_colouring() -> None:
    env = make_vec_env("morphzoo/Swimmer-v5", 8, seed=0, num_threads=1, max_episode_steps=5)
    policy_kwargs = {"hidden_sizes": [], "num_colors": 8}
    model = ES(ChromaticPolicy, env, seed=0, policy_kwargs=policy_kwargs)
    before, colors = model.policy.theta, model.policy.coloring
    model.learn(40)
    assert bool((model.policy.theta != before).all()) and model.policy.coloring == colors
    env.close()


def test_ppo_trains_the_pool_and_saving_brings_all_back(tmp_path: Path) -> None:
    env = make_vec_env("morphzoo/Swimmer-v5", 2, seed=0, num_threads=1)
    kwargs = {"num_colors": 8, "coloring_seed": 4, "output_bias": True, "init_bias": 0.1}
    model = PPO(ChromaticMlpPolicy, env, n_steps=32, batch_size=32, policy_kwargs=kwargs, seed=0)
    other = Coloring.make("chromatic", model.policy.actor.sizes, 8, seed=11)
    model.policy.coloring = other
    before = model.policy.actor.pool.detach().clone()
    model.learn(64)
    assert bool((model.policy.actor.pool != before).all()) and model.policy.coloring == other
    model.save(tmp_path / "model.zip")
    loaded = PPO.load(tmp_path / "model.zip", device="cpu").policy
    obs = env.reset()
    for copied in (loaded, copy.deepcopy(loaded), zoo_copy(model.policy, env, tmp_path)):
        assert copied.coloring == other and copied.actor.layers[1].pool is copied.actor.pool
        ours, theirs = (p.predict(obs, deterministic=True)[0] for p in (model.policy, copied))
        np.testing.assert_array_equal(ours, theirs)
    env.close()


def zoo_copy(policy: Any, env: Any, folder: Path) -> Any:
    return zoo.load(zoo.save(policy, folder / "saved"), env)


def test_arbitrary_algorithms_save_and_load_the_policy(tmp_path: Path) -> None:
    """`BasePolicy.save` and `load`, which unpickle, so only on our own file."""
    policy = make(coloring="masked", num_colors=30, activation="elu")
    policy.coloring = Coloring.make("masked", (17, 41, 6), 30, seed=5)
    policy.save(tmp_path / "policy.pt")
    loaded = ChromaticPolicy.load(tmp_path / "policy.pt")
    assert loaded.coloring == policy.coloring and loaded.kwargs_received == policy.kwargs_received
    assert torch.equal(loaded.theta, policy.theta)
    again = pickle.loads(pickle.dumps(policy.actor))
    assert again.layers[0].pool is again.pool


def test_ars_of_sb3_contrib_runs_it(tmp_path: Path) -> None:
    with gym.make("morphzoo/Swimmer-v5", max_episode_steps=5) as env:
        kwargs = {"num_colors": 8, "hidden_sizes": [7]}
        model = contrib.ARS(ChromaticPolicy, env, n_delta=2, policy_kwargs=kwargs, seed=0)
        assert len(model.weights) == 8 + 7  # the shared pool counts once
        model = contrib.ARS(
            ChromaticPolicy, env, n_delta=2, policy_kwargs=kwargs, seed=0, zero_policy=False
        )
        model.policy.coloring = Coloring.make("chromatic", (8, 7, 2), 8, seed=3)
        model.learn(40)
        model.save(tmp_path / "ars.zip")
        loaded = contrib.ARS.load(tmp_path / "ars.zip")
        assert loaded.policy.coloring == model.policy.coloring
        assert torch.equal(loaded.policy.theta, model.policy.theta)


# Dense policies made chromatic.


def dense(**kwargs: Any) -> DeterministicPolicy:
    torch.manual_seed(3)
    policy = DeterministicPolicy(*SPACES, lambda _: 0.0, **kwargs)
    policy.observe(observations(50) * 3 + 1)
    policy.commit()
    return policy.eval()


@pytest.mark.parametrize("hidden", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_as_many_colours_as_edges_is_the_same_function(hidden: tuple[int, ...]) -> None:
    policy = dense(hidden_sizes=hidden, normalize=True)
    same = unstructured_policy(policy)
    obs = observations().numpy()
    np.testing.assert_array_equal(same.predict(obs)[0], policy.predict(obs)[0])
    assert same.num_parameters == policy.num_parameters
    # Nothing pruned, and a cluster for each weight, come to the same.
    for other in (
        pruned_policy(policy, same.coloring.num_edges),
        kmeans_policy(policy, same.coloring.num_edges),
    ):
        np.testing.assert_allclose(other.predict(obs)[0], policy.predict(obs)[0], atol=1e-6)


def test_clusters_by_hand() -> None:
    values = np.array([0.0, 10.0, 1.0, 11.0, 2.0, 12.0])
    index, centres = clusters(values, 2)
    assert index.tolist() == [0, 1, 0, 1, 0, 1] and centres.tolist() == [1.0, 11.0]
    index, centres = clusters(np.array([-2.0, 9.0, -8.0, -7.0]), 2)  # -2 is as near to either
    assert index.tolist() == [1, 1, 0, 0] and centres.tolist() == [-7.5, 3.5]
    index, centres = clusters(np.array([5.0, 5.0, 7.0]), 3)
    assert centres[index].tolist() == [5.0, 5.0, 7.0]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=40), st.integers(1, 40))
def test_every_value_has_its_nearest_centre_and_every_centre_is_a_mean(
    listed: list[float], num: int
) -> None:
    values = np.array(listed)
    index, centres = clusters(values, min(num, len(values)))
    distances = np.abs(values[:, None] - centres)
    np.testing.assert_allclose(distances[np.arange(len(values)), index], distances.min(1))
    for color in np.unique(index):
        assert centres[color] == pytest.approx(values[index == color].mean(), abs=1e-9)


def test_more_colours_come_closer_and_pruning_keeps_the_largest() -> None:
    matrices = [np.random.default_rng(0).normal(size=shape) for shape in ((41, 17), (6, 41))]
    errors = []
    for colors in (2, 4, 8, 16, 943):
        coloring, pool = kmeans(matrices, colors)
        parts = zip(coloring.dense(pool), matrices, strict=True)
        errors.append(sum(np.square(a - b).sum() for a, b in parts))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-6
    coloring, pool = prune(matrices, 100)
    flat = np.concatenate([m.reshape(-1) for m in matrices])
    kept = np.concatenate([m.reshape(-1) for m in coloring.dense(pool)])
    assert np.count_nonzero(kept) == 100
    assert np.abs(flat[kept == 0]).max() < np.abs(flat[kept != 0]).min()
    np.testing.assert_array_equal(kept[kept != 0], flat[kept != 0].astype(np.float32))


@pytest.mark.parametrize("kind", ["random", "toeplitz", "circulant", "unstructured"])
def test_a_colouring_that_is_not_saved_takes_no_other(kind: str) -> None:
    sizes = (3, 4, 2)
    colors = 5 if kind == "random" else None
    network = ChromaticNetwork(Coloring.make(kind, sizes, colors, seed=1), nn.Tanh)
    kept = network.coloring
    network.recolor(kept)
    other = kept.with_index(np.roll(kept.index, 1))
    assert other != kept
    with pytest.raises(ValueError, match="no other can take its place"):
        network.recolor(other)
    assert network.coloring == kept


def test_es_tunes_what_k_means_has_coloured(tmp_path: Path) -> None:
    env = make_vec_env("morphzoo/Swimmer-v5", 4, seed=0, max_episode_steps=20)
    torch.manual_seed(0)
    dense = DeterministicPolicy(env.observation_space, env.action_space, len, hidden_sizes=[5])
    few = kmeans_policy(dense, 4)
    model = ES(ChromaticPolicy, env, 1e-6, seed=0, policy_kwargs=few.kwargs_received)
    model.policy.load_state_dict(few.state_dict())
    model.learn(160)  # two generations, and each moves a number by its rate
    assert model.policy.coloring == few.coloring
    moved = (model.policy.theta - few.theta).abs()
    assert 0 < moved.max() < 3e-6, "it goes on from what was fitted"


def test_only_a_dense_policy_is_compressed() -> None:
    for call in (unstructured_policy, lambda p: kmeans_policy(p, 3), lambda p: pruned_policy(p, 3)):
        with pytest.raises(ValueError, match="dense DeterministicPolicy"):
            call(make())


# In the zoo; `tests/test_zoo.py` walks the table of policies.


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return zoo.save(make(), tmp_path / "policy")


def test_a_checkpoint_holds_indices_in_as_few_bits_as_do(saved: Path, tmp_path: Path) -> None:
    state = load_file(saved / "model.safetensors")
    assert state["actor.layers.0.index"].dtype == torch.uint8
    many = make(num_colors=300)
    loaded = zoo.load(zoo.save(many, tmp_path / "many"), SPACES)
    assert loaded.state_dict()["actor.layers.0.index"].dtype == torch.uint16
    assert loaded.coloring == many.coloring
    folder = zoo.save(make(coloring="random"), tmp_path / "random")
    implied = load_file(folder / "model.safetensors")
    assert not any("index" in name for name in implied)
    assert zoo.load(folder, SPACES).coloring == make(coloring="random").coloring


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config["policy_kwargs"])
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_colors": 18}, "actor.pool of shape [18] in the weights; found [17]"),
        ({"num_colors": 0}, "num_colors: expected 1 to 943"),
        ({"num_colors": 10**9}, "num_colors: expected 1 to 943"),
        ({"num_colors": None, "coloring": "unstructured"}, "actor."),
        ({"coloring": "toeplitz", "num_colors": None}, "actor."),
        ({"coloring": "random"}, "no actor.layers.0.index in the weights; found [41, 17]"),
        ({"coloring": "plaid"}, "coloring: expected one of"),
        ({"coloring": 3}, "coloring of type str"),
        ({"hidden_sizes": [10**9]}, "edges, and a colouring has at most"),
        ({"hidden_sizes": [40]}, "actor.layers.0.bias of shape [40]"),
        ({"hidden_sizes": []}, "actor."),
        ({"hidden_sizes": [-1]}, "positive integers"),
        ({"output_bias": True}, "actor.layers.1.bias of shape [6] in the weights; found none"),
        ({"coloring_seed": "x"}, "coloring_seed of type int"),
        ({"init_std": -1.0}, "init_std"),
    ],
)
def test_hostile_sizes_are_refused(change: dict[str, Any], message: str, saved: Path) -> None:
    edit(saved, lambda kwargs: kwargs.update(change))
    with pytest.raises(zoo.CheckpointError, match=re.escape(message)):
        zoo.load(saved, SPACES)


FIRST = "actor.layers.0.index"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[FIRST].fill_(18), "found 18 to 18"),
        (lambda s: s["actor.layers.1.index"][3].fill_(255), "255"),
        (lambda s: s.update({FIRST: s[FIRST].long()}), "torch.uint8"),
        (lambda s: s.update({FIRST: s[FIRST].T}), "shape [41, 17]"),
        (lambda s: s.pop("actor.layers.1.index"), "actor.layers.1.index of shape [6, 41]"),
        (lambda s: s.update({"actor.layers.0.pool": torch.zeros(17)}), "actor.layers.0.pool"),
        (lambda s: s["actor.pool"].fill_(float("nan")), "finite"),
        (lambda s: s.update({"actor.pool": torch.zeros(0)}), "actor.pool of shape [17]"),
    ],
)  # fmt: skip
def test_hostile_tensors_are_refused(change: Any, message: str, saved: Path) -> None:
    state = load_file(saved / "model.safetensors")
    change(state)
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(state, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(zoo.CheckpointError, match=re.escape(message)):
        zoo.load(saved, SPACES)


# On another body.


def centipede(num_legs: int) -> tuple[spaces.Space, spaces.Space]:
    with gym.make("morphzoo/Centipede-v0", num_legs=num_legs) as env:
        return env.observation_space, env.action_space


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_on_another_body_inputs_and_motors_have_the_colours_of_their_name(
    hidden: tuple[int, ...], tmp_path: Path
) -> None:
    policy = ChromaticPolicy(*centipede(4), hidden_sizes=hidden, num_colors=12, output_bias=True)
    with torch.no_grad():
        policy.actor.layers[-1].bias.copy_(torch.arange(float(len(policy.actor.layers[-1].bias))))
    folder = zoo.save(policy, tmp_path / "policy")
    config = zoo.read_config(folder)["policy_schema"]
    longer = zoo.load(folder, centipede(6))
    again = zoo.load(zoo.save(longer, tmp_path / "longer"), centipede(4))
    assert longer.coloring.num_colors == 12 and torch.equal(longer.actor.pool, policy.actor.pool)
    assert (longer.coloring.index == 12).any() and longer.coloring.used_colors == 12
    # What the short body has comes back as it was.
    assert again.coloring == policy.coloring and torch.equal(again.theta, policy.theta)
    motors = len(config["motors"])
    assert len(longer.actor.layers[-1].bias) > motors
    implied = ChromaticPolicy(*centipede(4), coloring="toeplitz")
    zoo.save(implied, tmp_path / "implied")
    with pytest.raises(zoo.CheckpointError, match="acts on no other"):
        zoo.load(tmp_path / "implied", centipede(6))
