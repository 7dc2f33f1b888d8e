"""Scores that the literature publishes for Centipede transfer, to stand beside ours."""

from __future__ import annotations

from dataclasses import dataclass

NERVENET = "Wang et al., NerveNet, ICLR 2018"
METHODS = ("random", "mlpaa", "mlpp", "treenet", "nervenet")
_LENGTH_PER_METRE = 100.0  # the paper's "running length" counts hundredths of a metre


@dataclass(frozen=True)
class PublishedScore:
    """One published score: a policy trained on one Centipede, run on another.

    Attributes:
        method: One of `METHODS`, or "mlp" on the body that it was trained on.
        source_legs: Legs of the body that the policy was trained on.
        target_legs: Legs of the body that it was run on.
        crippled: Whether the target's legs 0 and 1 have no motors.
        mean: Mean return, actions sampled, control cost charged on the unclipped action.
        std: Standard deviation of the return over episodes; None where it is not published.
        distance: Mean advance along +x (m); None where it is not published.
        source: Where in the paper it stands.
    """

    method: str
    source_legs: int
    target_legs: int
    crippled: bool
    mean: float
    std: float | None
    distance: float | None
    source: str


# Per row: source legs, target legs, crippled, then return and running length by METHODS.
# Source: NerveNet, Fig. 4 (zero-shot, 100 episodes a task, sampled actions, frozen normaliser).
# Differs: the lengths are divided by 100 to give metres. That unit is inferred (replays of the
# authors' checkpoints advance 0.063 m for each unit of return), not stated in the paper.
_ZERO_SHOT: tuple[tuple[int, int, bool, tuple[float, ...], tuple[float, ...]], ...] = (
    (4, 6, False, (-31.6, 109.4, -126.7, -16.5, 139.6), (-75.6, 545.3, -73.5, -47.7, 577.3)),
    (4, 8, False, (-45.8, 18.2, -190.9, 10.2, 44.3), (-91.0, 62.0, -80.8, -84.8, 146.9)),
    (4, 10, False, (-44.3, 11.4, -195.6, -101.5, 39.8), (-76.5, 21.0, -89.9, -70.0, 128.4)),
    (4, 12, False, (-48.7, 9.9, -215.8, 17.6, 38.6), (-81.7, 13.1, -76.9, -63.2, 126.3)),
    (4, 14, False, (-52.0, 8.0, -233.0, -79.6, 39.0), (-89.0, 0.0, -86.4, -73.2, 125.7)),
    (4, 6, True, (-17.0, -5.1, -113.9, 249.5, 47.6), (-77.3, -22.5, -79.9, -72.2, 91.1)),
    (4, 8, True, (-25.5, 5.1, -132.2, 33.3, 40.0), (-82.9, -26.9, -91.8, -66.9, 80.1)),
    (4, 10, True, (-28.2, -12.8, -133.7, 28.2, 40.2), (-82.9, -36.6, -88.8, -83.7, 86.9)),
    (6, 8, False, (-45.8, 21.1, -191.4, 320.8, 1674.9), (-91.0, 87.8, -88.6, 8.5, 10612.6)),
    (6, 10, False, (-44.3, -42.4, -193.2, 44.7, 940.5), (-76.5, -17.0, -81.8, -77.4, 6343.6)),
    (6, 12, False, (-49.1, -14.4, -227.0, 19.5, 367.7), (-81.2, -1.4, -79.3, -91.5, 2532.2)),
    (6, 14, False, (-52.0, -10.0, -221.3, 126.3, 247.8), (-89.0, -3.9, -83.2, -51.5, 1749.7)),
    (6, 20, False, (-72.4, 10.0, -351.4, -233.6, 198.5), (-95.2, -4.9, -105.4, -102.3, 1447.4)),
    (6, 30, False, (-67.1, -28.5, -263.3, 17.6, 114.9), (-111.2, -48.2, -127.3, -76.7, 867.5)),
    (6, 40, False, (-72.7, 4.3, -320.2, 21.1, 97.8), (63.9, 140.5, 56.9, 101.8, 971.5)),
    (6, 8, True, (-25.4, 36.5, -141.9, 398.9, 523.6), (-83.0, 138.3, -90.7, -63.9, 3117.3)),
    (6, 10, True, (-28.2, 12.8, -155.2, 277.8, 504.0), (-82.9, 13.6, -86.4, -72.3, 3230.3)),
    (6, 12, True, (-32.0, 12.1, -177.5, -114.9, 255.9), (-87.5, 7.3, -91.4, -90.8, 1675.5)),
    (6, 14, True, (-41.0, 11.8, -187.5, -67.7, 224.8), (-96.5, 2.9, -92.5, -93.9, 1517.6)),
)

# Source: NerveNet, Table 1 (the pre-trained agents on the body that they were trained on).
_TRAINED: tuple[tuple[str, int, float, float], ...] = (
    ("nervenet", 4, 2799.9, 1247.2),
    ("nervenet", 6, 2507.1, 738.4),
    ("mlp", 4, 2398.5, 1390.4),
    ("mlp", 6, 2793.0, 1005.2),
    ("treenet", 4, 1429.6, 957.7),
    ("treenet", 6, 2229.7, 1109.4),
)


def published_scores() -> tuple[PublishedScore, ...]:
    """Return every published Centipede score: trained bodies first, then zero-shot targets."""
    trained = tuple(
        PublishedScore(method, legs, legs, False, mean, std, None, f"{NERVENET}, Table 1")
        for method, legs, mean, std in _TRAINED
    )
    zero_shot = tuple(
        PublishedScore(
            method,
            source,
            target,
            crippled,
            mean,
            None,
            round(length / _LENGTH_PER_METRE, 3),
            f"{NERVENET}, Fig. 4",
        )
        for source, target, crippled, means, lengths in _ZERO_SHOT
        for method, mean, length in zip(METHODS, means, lengths, strict=True)
    )
    return trained + zero_shot


def published_score(
    target_legs: int, *, source_legs: int = 6, crippled: bool = False, method: str = "nervenet"
) -> PublishedScore | None:
    """Return one published score, or None where the literature has none.

    Args:
        target_legs: Legs of the body that the policy is run on.
        source_legs: Legs of the body that it was trained on.
        crippled: Whether the target's legs 0 and 1 have no motors.
        method: One of `METHODS`, or "mlp" on the body that it was trained on.

    Returns:
        The score, or None.
    """
    wanted = (method, source_legs, target_legs, crippled)
    for score in published_scores():
        if (score.method, score.source_legs, score.target_legs, score.crippled) == wanted:
            return score
    return None


def published_beside(
    env_id: str, trained_on: str | None, policy_class: str
) -> PublishedScore | None:
    """Return the published score that stands beside one of ours, or None.

    A flat network stands beside NerveNet's baseline (MLP at home, MLPAA elsewhere), random actions
    beside random actions, and every graph policy beside NerveNet itself.

    Args:
        env_id: Id of the body that the policy was run on.
        trained_on: Id of the body that it was trained on.
        policy_class: Class of the policy, or `random`.
    """
    target, source = _LEGS.get(env_id), _LEGS.get(trained_on or "")
    if target is None:
        return None
    if policy_class == "random":
        found = [published_score(target, source_legs=legs, method="random") for legs in (6, 4)]
        return next((score for score in found if score is not None), None)
    if source is None:
        return None
    baseline = "mlp" if source == target else "mlpaa"
    method = baseline if policy_class == "MlpPolicy" else "nervenet"
    return published_score(target, source_legs=source, method=method)


# Per update at 1e7 steps, mean of the last tenth, by legs.
# Source: Blake et al., Snowflake, NeurIPS 2021, Table 1.
_UPDATE_KL = {
    "mlp": {6: 0.021, 8: 0.024, 12: 0.031, 20: 0.044},
    "nervenet": {6: 0.115, 8: 0.137, 12: 0.118, 20: 0.123},
}


def published_update_kl(env_id: str, policy: str) -> float | None:
    """Return how far an update moved a policy in the Snowflake paper, or None.

    Args:
        env_id: Id of the body trained on.
        policy: Name of the policy in `POLICIES`.

    Returns:
        KL divergence (nats).
    """
    return _UPDATE_KL.get(policy, {}).get(_LEGS.get(env_id, 0))


_LEGS = {f"morphzoo/Centipede-{legs}-v0": legs for legs in (4, 6, 8, 10, 12, 14, 20, 30, 40)}
