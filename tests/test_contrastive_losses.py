"""Contrastive losses and energies against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from morphzoo.algorithms.contrastive_losses import INFONCE, actor_loss, critic_loss
from morphzoo.algorithms.entropy_coefficient import EntropyCoefficient, entropy_loss
from morphzoo.policies.energies import ENERGIES

L2, L3, L4, L6, L12 = (math.log(x) for x in (2, 3, 4, 6, 12))

# exp of it is [[3, 1], [2, 4]]: rows sum to 4 and 6, columns to 5 and 5.
LOGITS = torch.tensor([[L3, 0.0], [L2, L4]])
FORWARD = ((L4 - L3) + (L6 - L4)) / 2  # = log 2 / 2
BACKWARD = math.log(5) - (L3 + L4) / 2
PENALTY = (L4**2 + L6**2) / 2  # of rows, whatever the variant


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("forward", FORWARD), ("backward", BACKWARD), ("symmetric", FORWARD + BACKWARD)],
)
def test_infonce_by_hand(name: str, wanted: float) -> None:
    assert FORWARD == pytest.approx(L2 / 2)
    loss, told = critic_loss(LOGITS, name, penalty=0.1)
    assert loss.item() == pytest.approx(wanted + 0.1 * PENALTY, rel=1e-6)
    assert told["infonce"].item() == pytest.approx(wanted, rel=1e-6)
    assert told["accuracy"].item() == 1.0
    assert told["logits_positive"].item() == pytest.approx((L3 + L4) / 2)
    assert told["logits_negative"].item() == pytest.approx(L2 / 2)
    assert told["logsumexp"].item() == pytest.approx((L4 + L6) / 2)
    assert critic_loss(LOGITS, name, penalty=0.0)[0].item() == pytest.approx(wanted, rel=1e-6)


def test_the_gradient_of_infonce_is_softmax_less_one_by_hand() -> None:
    logits = LOGITS.clone().requires_grad_()
    INFONCE["forward"](logits).backward()
    # Rows: softmax [3/4, 1/4] and [1/3, 2/3], less the identity, over the two rows.
    wanted = torch.tensor([[-1 / 8, 1 / 8], [1 / 6, -1 / 6]])
    torch.testing.assert_close(logits.grad, wanted)
    with torch.no_grad():
        swapped = critic_loss(LOGITS.flip(1))[1]
    assert swapped["accuracy"].item() == 0.0


def test_energies_by_hand() -> None:
    phi, psi = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    wanted = {  # all pairs: rows phi, columns psi
        "norm": [[-5.0, -math.sqrt(20)], [-1.0, 0.0]],
        "l2": [[-25.0, -20.0], [-1.0, 0.0]],
        "dot": [[0.0, 3.0], [0.0, 1.0]],
        "cosine": [[0.0, 0.6], [0.0, 1.0]],
    }
    assert wanted.keys() == ENERGIES.keys()
    for name, (each, every) in ENERGIES.items():
        table = torch.tensor(wanted[name])
        slack = 1.1e-3 if name == "norm" else 1e-6  # sqrt(1e-6) at distance 0
        torch.testing.assert_close(every(phi, psi), table, rtol=1e-5, atol=slack)
        torch.testing.assert_close(each(phi, psi), table.diagonal(), rtol=1e-5, atol=slack)


@pytest.mark.parametrize("name", ENERGIES)
def test_energies_of_pairs_are_the_diagonal_of_all_and_so_are_their_gradients(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    found = []
    for which in range(2):
        phi, psi = (torch.randn(6, 4, generator=generator.manual_seed(i)) for i in (1, 2))
        phi[0] = psi[0]  # distance 0
        phi.requires_grad_()
        psi.requires_grad_()
        energy = ENERGIES[name][which](phi, psi)
        energy = energy.diagonal() if which else energy
        energy.sum().backward()
        found.append((energy.detach(), phi.grad, psi.grad))
    for ours, theirs in zip(*found, strict=True):
        assert ours is not None and bool(ours.isfinite().all())
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_near_embeddings_keep_their_distance_far_from_the_origin() -> None:
    """What a product form, |a|^2 - 2ab + |b|^2, would lose in float32."""
    phi = torch.full((1, 64), 30.0)
    psi = phi + 1e-2
    wanted = -math.sqrt(64e-4 + 1e-6)
    assert ENERGIES["norm"][1](phi, psi).item() == pytest.approx(wanted, rel=1e-3)


def test_actor_and_entropy_losses_by_hand() -> None:
    log_prob, energy = torch.tensor([1.0, -3.0]), torch.tensor([-2.0, -4.0])
    # (0.5 * 1 + 2 + 0.5 * -3 + 4) / 2 = 2.5
    assert actor_loss(log_prob, energy, 0.5).item() == 2.5
    log_value = torch.tensor(math.log(2.0), requires_grad=True)
    # Mean entropy 1; 2 * (1 - (-4)) = 10, and its derivative by log alpha is itself.
    loss = entropy_loss(log_value, log_prob.requires_grad_(), target_entropy=-4.0)
    loss.backward()
    assert loss.item() == pytest.approx(10.0) and log_value.grad is not None
    assert log_value.grad.item() == pytest.approx(10.0) and log_prob.grad is None


@pytest.mark.parametrize(
    ("asked", "first", "learned"),
    [("auto", 1.0, True), ("auto_0.1", 0.1, True), (0.3, 0.3, False), (0, 0.0, False)],
)
def test_entropy_coefficients(asked: str | float, first: float, learned: bool) -> None:
    coefficient = EntropyCoefficient(asked, learning_rate=0.01)
    assert coefficient().item() == pytest.approx(first) and not coefficient().requires_grad
    coefficient.step(torch.tensor([0.5]), target_entropy=-2.0)  # entropy -0.5, above its target
    after = first * math.exp(-0.01) if learned else first  # Adam's first step is the rate
    assert coefficient().item() == pytest.approx(after)
    assert (coefficient.optimizer is not None) == learned == bool(coefficient.state_dict())


@pytest.mark.parametrize("asked", ["auto_0", "auto_-1", "automatic", "0.1", -0.1, math.nan, None])
def test_wrong_entropy_coefficients_are_refused(asked: object) -> None:
    with pytest.raises(ValueError, match="ent_coef: expected 'auto'"):
        EntropyCoefficient(asked, 0.01)  # type: ignore[arg-type]
