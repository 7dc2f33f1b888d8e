"""Policies: counts, freezing, equivariance, transfer, round trips. Driven from POLICIES."""

from __future__ import annotations

import copy
import io
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

import morphzoo  # noqa: F401
from morphzoo.policies import POLICIES, MlpPolicy, NerveNetPolicy, SnowflakePolicy
from morphzoo.policies.graph_policy import GraphPolicy
from morphzoo.policies.optimizer import PartAdam
from morphzoo.policies.schema import motor_nodes
from morphzoo.policies.transferring import policy_schema, transfer
from morphzoo.sb3 import make_vec_env
from morphzoo.spaces import MorphologySpace

#: Keywords that differ from every default, a row for each policy.
NON_DEFAULT = {
    "snowflake": dict(
        hidden_size=32, num_layers=3, root_links=True, fused=False, freeze=["update", "log_std"],
        value_head="graph",
        log_std_mode="motor", log_std_init=-1.0, part_lr_scale={"encoder": 0.5}, normalize=False,
    ),
    "nervenet": dict(
        hidden_size=16, num_layers=2, freeze=["embedding"], value_head="graph", log_std_init=0.25,
        part_lr_scale={"log_std": 3.0, "decoder": 0.1},
    ),
    "mlp": dict(
        hidden_sizes=[32, 16, 8], log_std_mode="type", value_head="graph", freeze=["value"],
        log_std_init=-2.0,
    ),
    "chromatic-mlp": dict(
        hidden_sizes=[7, 5], coloring="masked", num_colors=90, coloring_seed=3, output_bias=True,
        layer_scale=True, init_std=0.5, init_bias=0.2, log_std_mode="type", value_head="graph",
    ),
    "chromatic-snowflake": dict(
        hidden_size=16, num_layers=2, num_colors=300, coloring_seed=5, value_head="graph",
        freeze=["embedding"], log_std_init=0.25,
    ),
}  # fmt: skip
#: The actor-critics; `tests/test_bank.py` is about the policies that are searched.
ACTORS = [name for name, policy in POLICIES.items() if issubclass(policy, GraphPolicy)]


def spaces_of(num_legs: int, **kwargs):
    env = gym.make("morphzoo/Centipede-v0", num_legs=num_legs, **kwargs)
    yield_spaces = env.observation_space, env.action_space
    env.close()
    return yield_spaces


SPACES = {n: spaces_of(n) for n in (3, 4, 5, 6, 8, 20)}


def build(policy, num_legs=6, seed=0, **kwargs):
    torch.manual_seed(seed)
    cls = POLICIES[policy] if isinstance(policy, str) else policy
    return cls(*SPACES[num_legs], lambda _: 3e-4, **kwargs)


def observations(num_legs: int, size: int = 5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, SPACES[num_legs][0].shape[0], generator=generator)


def warmed(policy, num_legs=6):
    """Give the normaliser statistics that are not the identity."""
    policy(observations(num_legs, 64, seed=9) * 3 + 1)
    policy._seen_training = True
    policy(observations(num_legs, 8, seed=10))
    return policy


def train(policy, steps=256, num_legs=4, seed=0, **kwargs):
    env = make_vec_env(f"morphzoo/Centipede-{num_legs}-v0", 4, seed=seed)
    model = PPO(
        POLICIES[policy], env, n_steps=32, batch_size=64, n_epochs=2, seed=seed, device="cpu",
        learning_rate=1e-2, policy_kwargs=kwargs,
    )  # fmt: skip
    before = {k: v.clone() for k, v in model.policy.state_dict().items()}
    return model.learn(steps), before


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_every_policy_has_a_row_of_non_default_keywords():
    assert list(NON_DEFAULT) == ACTORS


@pytest.mark.parametrize("num_legs", [4, 6, 20])
def test_parameter_counts_are_the_papers(num_legs):
    policy = build("snowflake", num_legs)
    parts = {name: count(module) for name, module in policy.actor_parts().items()}
    # 17*32+32 + 8*32+32; 6*32; 3*(64*64+64); 2*(6*64*64+6*64); 2*(64*64+64)+64+1
    assert parts == {
        "encoder": 864,
        "embedding": 192,
        "message": 12480,
        "update": 49920,
        "decoder": 8385,
    }
    assert sum(parts.values()) == 71841
    frozen = [p for part in parts for p in policy.part_parameters(part) if not p.requires_grad]
    assert sum(p.numel() for p in frozen) == 21729


def test_every_matrix_is_orthogonal_with_gain_one():
    policy = build("nervenet")
    matrices = [
        p for name, p in policy.named_parameters() if p.ndim == 2 and "embedding" not in name
    ]
    squares = [
        m for matrix in matrices for m in (matrix.chunk(3) if matrix.shape[0] == 192 else [matrix])
    ]
    assert len(squares) == 2 + 3 + 12 + 3 + 3  # encoder, message, update, decoder, value head
    for matrix in squares:
        small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        torch.testing.assert_close(small, torch.eye(len(small)), atol=1e-5, rtol=0)
    norms = policy.network.embedding.table.norm(dim=0)
    torch.testing.assert_close(norms, torch.ones_like(norms))


def test_message_passing_equals_a_loop_over_nodes_written_from_the_papers():
    """An independent path: one observation, Python loops, the equations of NerveNet section 3."""
    policy = warmed(build("nervenet", 4), 4)
    obs = observations(4, 1)
    graph, network = policy.graph, policy.network
    names = dict(policy.schema.features)
    tables, offset = {}, 0
    for kind, row in names.items():
        size = len(policy.schema.types) * len(row)
        shape = (len(policy.schema.types), len(row))
        tables[kind] = [
            t[offset : offset + size].view(shape)
            for t in (policy.normalizer.mean, policy.normalizer.std)
        ]
        offset += size
    states = []
    for node in graph.nodes:
        kind_mean, kind_std = tables[node.kind]
        row = policy.schema.types.index(node.type)
        where = {f: i for i, f in enumerate(names[node.kind])}
        x = torch.zeros(len(where))
        for column, feature in zip(node.columns, node.features, strict=True):
            value = (obs[0, column] - kind_mean[row, where[feature]]) / kind_std[
                row, where[feature]
            ]
            x[where[feature]] = value.clamp(-5, 5)
        encoded = torch.tanh(network.encoder.kinds[node.kind](x))
        states.append(torch.cat([network.embedding.table[row], encoded]))
    for _ in range(4):
        messages = [network.message(h) for h in states]
        heard = [
            torch.stack([messages[s] for s, r in graph.edges if r == i]).mean(0)
            for i in range(graph.num_nodes)
        ]
        states = [
            network.update.kinds[n.kind](m[None], h[None])[0]
            for n, m, h in zip(graph.nodes, heard, states, strict=True)
        ]
    expected = torch.empty(graph.action_size)
    for node, state in zip(graph.nodes, states, strict=True):
        if node.action is not None:
            expected[node.action] = policy.decoder(state)[0]
    mean = policy.get_distribution(obs).distribution.mean[0]
    torch.testing.assert_close(mean, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["snowflake", "nervenet"])
def test_relabelling_the_nodes_leaves_the_actions_unchanged(name):
    policy = warmed(build(name, value_head="graph"))
    space, actions = SPACES[6]
    order = np.random.default_rng(3).permutation(space.graph.num_nodes)
    relabelled = MorphologySpace(space.graph.relabel(order))
    other = POLICIES[name](relabelled, actions, lambda _: 3e-4, value_head="graph")
    other.load_state_dict(policy.state_dict())
    obs = observations(6)
    with torch.no_grad():
        for ours, theirs in (
            (
                policy.get_distribution(obs).distribution.mean,
                other.get_distribution(obs).distribution.mean,
            ),
            (policy.predict_values(obs), other.predict_values(obs)),
        ):
            torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)


@pytest.mark.parametrize("num_legs", [6, 8])
def test_each_motor_is_driven_by_the_node_of_its_own_joint(num_legs):
    """The papers' code rotates outputs within a segment; here a node moves its own motor."""
    policy = build("nervenet", num_legs)
    env = gym.make("morphzoo/Centipede-v0", num_legs=num_legs).unwrapped
    joints = [env.model.joint(int(j)).name for j in env.model.actuator_trnid[:, 0]]
    assert [policy.graph.nodes[i].name for i in motor_nodes(policy.graph)] == joints
    position = {node: p for p, node in enumerate(policy.topology.order)}
    states = torch.randn(policy.graph.num_nodes, 1, 64)
    base = policy.decoder(states.index_select(0, policy.topology.action_position)).flatten()
    for action, node in enumerate(motor_nodes(policy.graph)):
        moved = states.clone()
        moved[position[node]] += 1.0
        after = policy.decoder(moved.index_select(0, policy.topology.action_position)).flatten()
        assert (after != base).nonzero().flatten().tolist() == [action]


@pytest.mark.parametrize("name", ACTORS)
def test_gradients_reach_every_parameter_that_is_not_frozen(name):
    policy = build(name)
    values, log_prob, entropy = policy.evaluate_actions(observations(6), torch.zeros(5, 16))
    (values.sum() + log_prob.sum() + entropy.sum()).backward()
    for key, parameter in policy.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key
        else:
            assert parameter.grad is None, key


def test_frozen_parts_stay_bit_identical_through_learn_and_the_rest_moves():
    model, before = train("snowflake", freeze=["encoder", "message", "decoder"])
    policy = model.policy
    for part in policy.part_names:
        moved = [not torch.equal(before[k], p) for k, p in named_parameters_of(policy, part)]
        assert moved and all(moved) != (part in ("encoder", "message", "decoder")), part
        assert any(moved) != (part in ("encoder", "message", "decoder")), part


@pytest.mark.parametrize("part", NerveNetPolicy.part_names)
def test_freeze_takes_any_part(part):
    model, before = train("nervenet", freeze=[part])
    for other in model.policy.part_names:
        same = all(torch.equal(before[k], p) for k, p in named_parameters_of(model.policy, other))
        assert same == (other == part)


def named_parameters_of(policy, part):
    wanted = {id(p) for p in policy.part_parameters(part)}
    return [(k, p) for k, p in policy.named_parameters() if id(p) in wanted]


@pytest.mark.parametrize("name", ACTORS)
def test_parts_are_the_parameters_each_once(name):
    policy = build(name, **NON_DEFAULT[name])
    parts = [id(p) for part in policy.part_names for p in policy.part_parameters(part)]
    assert len(parts) == len(set(parts)) and set(parts) == {id(p) for p in policy.parameters()}


def test_part_lr_scale_moves_a_part_by_its_share_of_the_rate():
    """Adam's first step is lr * sign(gradient), so the sizes of the steps compare exactly."""
    policy = build("nervenet", part_lr_scale={"decoder": 0.125, "log_std": 4.0})
    before = {k: v.clone() for k, v in policy.state_dict().items()}
    assert isinstance(policy.optimizer, PartAdam)
    for parameter in policy.parameters():
        parameter.grad = torch.ones_like(parameter)
    policy.optimizer.step()
    for part, scale in (("update", 1.0), ("decoder", 0.125), ("log_std", 4.0)):
        for key, parameter in named_parameters_of(policy, part):
            step = before[key] - parameter
            torch.testing.assert_close(step, torch.full_like(step, 3e-4 * scale), rtol=1e-3, atol=0)
    assert {group["lr"] for group in policy.optimizer.param_groups} == {3e-4}


def test_strict_load_from_6_legs_to_20_and_the_same_function():
    source, target = (
        warmed(build("snowflake", 6, value_head="graph")),
        build("snowflake", 20, value_head="graph"),
    )
    target.load_state_dict(source.state_dict(), strict=True)
    for key, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[key])


@pytest.mark.parametrize("name", ACTORS)
@pytest.mark.parametrize("num_legs", [4, 5, 8, 20])
def test_transfer_rebuilds_the_policy_and_says_what_it_drops(name, num_legs):
    source = warmed(build(name, 6))
    target, dropped = moved(source, num_legs)
    assert dropped == [k for k in target.state_dict() if k.startswith("value.")] != []
    actions, _ = target.predict(observations(num_legs).numpy(), deterministic=True)
    assert actions.shape == (5, SPACES[num_legs][1].shape[0])
    if name not in ("mlp", "chromatic-mlp"):
        kept = [k for k in source.state_dict() if k not in dropped]
        assert all(torch.equal(source.state_dict()[k], target.state_dict()[k]) for k in kept)


def moved(source, num_legs, **changed):
    return transfer(
        type(source),
        source.state_dict(),
        policy_schema(source),
        source.kwargs_received | changed,
        *SPACES[num_legs],
    )


@pytest.mark.parametrize("name", ACTORS)
def test_transfer_to_the_training_body_is_the_identity(name):
    source = warmed(build(name, 6, **NON_DEFAULT[name]))
    target, dropped = moved(source, 6)
    assert dropped == []
    obs = observations(6)
    assert torch.equal(
        source.get_distribution(obs).distribution.mean,
        target.get_distribution(obs).distribution.mean,
    )
    assert torch.equal(source.predict_values(obs), target.predict_values(obs))


def test_mlp_activation_assigning_by_hand():
    """6 legs to 8: what both bodies have keeps its output; new motors get their type's mean."""
    source = build("mlp", 6, normalize=False)
    target, _ = moved(source, 8)
    mine, theirs = policy_schema(source), policy_schema(target)
    place = {name: i for i, name in enumerate(theirs["columns"])}
    small = observations(6)
    large = torch.zeros(5, len(theirs["columns"]))
    for column, name in enumerate(mine["columns"]):
        large[:, place[name]] = small[:, column]
    large[:, [i for name, i in place.items() if name not in mine["columns"]]] = (
        7.0  # weights are zero
    )
    ours = source.get_distribution(small).distribution.mean
    other = target.get_distribution(large).distribution.mean
    for i, motor in enumerate(mine["motors"]):
        torch.testing.assert_close(
            ours[:, i], other[:, theirs["motors"].index(motor)], atol=1e-6, rtol=0
        )
    ankles = [i for i, m in enumerate(mine["motors"]) if m.startswith("ankle")]
    assert len(ankles) == 6
    new = other[:, theirs["motors"].index("ankle_7")]
    torch.testing.assert_close(new, ours[:, ankles].mean(1), atol=1e-6, rtol=0)


def test_motor_log_std_is_transferred_by_name_then_by_type():
    source = build("snowflake", 4, log_std_mode="motor")
    values = torch.arange(10.0)
    source.log_std.data = values
    target, _ = moved(source, 6)
    mine, theirs = policy_schema(source)["motors"], policy_schema(target)["motors"]
    hips = values[[mine.index("lefthip_0"), mine.index("lefthip_2")]]
    for motor, value in zip(theirs, target.log_std, strict=True):
        if motor in mine:
            assert value == values[mine.index(motor)]
        elif motor.startswith("lefthip"):
            assert value == hips.mean()


def test_a_body_with_unknown_types_or_features_is_refused_by_name():
    source = build("snowflake", 6)
    with pytest.raises(ValueError, match="cfrc_ext"):
        transfer(
            SnowflakePolicy, source.state_dict(), policy_schema(source), source.kwargs_received,
            *spaces_of(6, include_contact_forces=False),
        )  # fmt: skip
    schema = policy_schema(source)
    schema["types"] = [t if t != "ankle" else "wheel" for t in schema["types"]]
    with pytest.raises(ValueError, match="ankle"):
        transfer(SnowflakePolicy, source.state_dict(), schema, source.kwargs_received, *SPACES[8])


def test_weights_of_another_shape_are_refused_by_name():
    source = build("snowflake", 6, hidden_size=32)
    with pytest.raises(ValueError, match=r"decoder\.0\.weight.*another shape"):
        moved(source, 8, hidden_size=64)


@pytest.mark.parametrize("name", ACTORS)
def test_round_trips_with_non_default_arguments_at_tolerance_zero(name, tmp_path):
    model, _ = train(name, **NON_DEFAULT[name])
    policy, obs = model.policy, observations(4)
    policy.save(tmp_path / "policy.pt")
    model.save(tmp_path / "model.zip")
    # SB3's own policy.load unpickles, so it is only trusted here, on our own file.
    copies = [
        POLICIES[name].load(tmp_path / "policy.pt"),
        PPO.load(tmp_path / "model.zip", device="cpu").policy,
        copy.deepcopy(POLICIES[name].load(tmp_path / "policy.pt")),
        pickle.loads(pickle.dumps(POLICIES[name](*SPACES[4], constant_rate, **NON_DEFAULT[name]))),
    ]
    copies[3].load_state_dict(policy.state_dict())
    for other in copies:
        assert other.kwargs_received == policy.kwargs_received
        for key, value in policy.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key
        mine, theirs = (
            policy.get_distribution(obs).distribution,
            other.get_distribution(obs).distribution,
        )
        assert torch.equal(mine.mean, theirs.mean) and torch.equal(mine.stddev, theirs.stddev)
        assert torch.equal(policy.predict_values(obs), other.predict_values(obs))


def constant_rate(_: float) -> float:
    return 3e-4


@pytest.mark.parametrize("name", ACTORS)
def test_same_seed_same_weights_another_seed_others(name):
    first, second, third = (train(name, seed=s)[0].policy.state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not all(torch.equal(first[k], third[k]) for k in first)


def test_normaliser_statistics_are_per_type_and_feature_by_hand():
    policy = build("nervenet", 4)
    obs = observations(4, 50) * 2 + 3
    policy(obs)
    assert not policy.normalizer.mean.any(), "a rollout is normalised by what came before it"
    policy._seen_training = True
    policy(obs[:1])  # the next rollout begins: what the last one saw enters
    names = dict(policy.schema.features)["joint"]
    row = policy.schema.types.index("ankle")
    start = len(policy.schema.types) * len(dict(policy.schema.features)["root"]) + row * len(names)
    ankles = [n for n in policy.graph.nodes if n.type == "ankle"]
    for i, feature in enumerate(names):
        seen = torch.cat([obs[:, n.columns[n.features.index(feature)]] for n in ankles]).double()
        assert policy.normalizer.mean[start + i] == pytest.approx(seen.mean().item(), abs=1e-5)
        std = max(seen.var(correction=0).item(), 0.01) ** 0.5
        assert policy.normalizer.std[start + i] == pytest.approx(std, abs=1e-4)


def test_predicting_never_moves_the_statistics():
    model, _ = train("snowflake")
    before = {k: v.clone() for k, v in model.policy.state_dict().items()}
    first = model.predict(observations(4).numpy(), deterministic=True)[0]
    second = model.predict(observations(4).numpy(), deterministic=True)[0]
    assert np.array_equal(first, second)
    assert all(torch.equal(before[k], v) for k, v in model.policy.state_dict().items())


def test_the_first_epoch_sees_the_rollouts_own_normalisation():
    """Log probabilities of the rollout are those of the first epoch: ratio 1 at first."""
    policy = build("snowflake", 4)
    policy(observations(4, 40) * 4 + 2)
    policy._seen_training = True
    obs = observations(4, 16, seed=5)
    with torch.no_grad():
        actions, _, log_prob = policy(obs)
        again = policy.evaluate_actions(obs, actions)[1]
    assert torch.equal(log_prob, again)


def test_plain_spaces_and_wrong_keywords_are_refused_with_the_remedy():
    plain = spaces.Box(-np.inf, np.inf, (97,), np.float32)
    for build_one, message in (
        (lambda: SnowflakePolicy(plain, SPACES[4][1], constant_rate), "graph"),
        (lambda: build("snowflake", freeze=["legs"]), "freeze.*encoder"),
        (lambda: build("snowflake", part_lr_scale={"legs": 1}), "part_lr_scale"),
        (lambda: build("snowflake", log_std_mode="joint"), "log_std_mode"),
        (lambda: build("snowflake", value_head="tree"), "value_head"),
        (lambda: build("nervenet", hidden_size=7), "hidden_size"),
        (lambda: build("nervenet", num_layers=0), "num_layers"),
        (lambda: build("mlp", hidden_sizes=[]), "hidden_sizes"),
        (lambda: build("mlp", use_sde=True), "use_sde"),
        (lambda: SnowflakePolicy(SPACES[4][0], SPACES[6][1], constant_rate), "motors"),
    ):
        with pytest.raises(ValueError, match=message):
            build_one()


def test_root_links_let_every_node_hear_the_root():
    def hears_root(**kwargs):
        policy = build("nervenet", 20, num_layers=1, **kwargs)
        obs = observations(20, 1).requires_grad_()
        policy.get_distribution(obs).distribution.mean[0, -1].backward()
        root = policy.graph.nodes[0]
        return bool(obs.grad[0, list(root.columns)].abs().sum() > 0)

    assert hears_root(root_links=True) and not hears_root()


def test_sb3_stores_the_policy_without_losing_keywords():
    buffer = io.BytesIO()
    model, _ = train("mlp", **NON_DEFAULT["mlp"])
    model.save(buffer)
    assert isinstance(PPO.load(buffer, device="cpu").policy, MlpPolicy)
