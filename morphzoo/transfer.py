"""Run a policy on bodies that it was not trained on, and keep every episode's score.

An episode's start and its action noise depend on the episode's seed alone, and the physics of one
row never depends on the other rows. So a policy whose actions do not depend on the batch (random
or constant actions) scores the same to the last bit with any `num_envs`, and as a loop over
`gym.make`. A network's float32 output may differ in its last bits with the number of rows computed
together, and falling bodies amplify that: its episodes are bit-equal from run to run with equal
`num_envs`, threads, versions and machine, and otherwise equal as a distribution only.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from morphzoo import zoo
from morphzoo.actors import Actor, Episodes, acting, torch_threads
from morphzoo.body_text import body_text
from morphzoo.envs.ids import canonical_id, known_body
from morphzoo.files import PathLike
from morphzoo.progress import ProgressCallback, part_of
from morphzoo.results import RANDOM, TEST_SEED, EpisodeTable, episode_seeds, results_document
from morphzoo.zoo.scores import home_of

#: Called with a label, the number of episodes that have just ended, and that of all to come.

MAX_ROWS = 64  # bodies simulated side by side; more gain nothing on a workstation's cores


def evaluate(
    policy: BasePolicy | BaseAlgorithm | Actor | str,
    env_id: str,
    episodes: int = 20,
    seed: int | Sequence[int] = TEST_SEED,
    deterministic: bool = False,
    *,
    num_envs: int | None = None,
    num_threads: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
    trained_on: str | None = None,
    progress: ProgressCallback | None = None,
) -> EpisodeTable:
    """Run whole episodes of one policy on one body, side by side.

    Every seed is run to its end, whatever the lengths, so short episodes do not count too often.
    Actions are clipped to the action space before the environment sees them, as SB3 does.

    Args:
        policy: An SB3 policy or algorithm made for this body, `"random"`, or any `Actor`.
        env_id: Id of a morphzoo environment.
        episodes: Episodes for each base seed.
        seed: Base seed or seeds; episode i has seed `seed + i`.
        deterministic: Act by the policy's mean instead of drawing from its distribution.
        num_envs: Bodies simulated side by side; by default all episodes, at most `MAX_ROWS`.
        num_threads: Threads of the physics and of torch; 0 means one a core, and leaves torch's.
        env_kwargs: Keywords of the environment.
        name: What the results call the policy; by default its class.
        trained_on: The body that it was trained on, for the results.
        progress: Called as episodes end.

    Returns:
        One row for every episode, in the order of the seeds.

    Raises:
        ValueError: No episodes, repeated seeds, a policy of another body, or one that cannot be
            sampled reproducibly.
    """
    seeds = episode_seeds(episodes, seed)
    env_id, kwargs = canonical_id(env_id), dict(env_kwargs or {})
    env = _make_env(env_id, len(seeds), num_envs, num_threads, kwargs)
    name = name or _class_of(policy)
    label = f"{name} on {env_id.removeprefix('morphzoo/').removesuffix('-v0')}"
    acts = acting(policy, env, deterministic)
    with contextlib.closing(env), torch_threads(num_threads), acts as actor:
        run = Episodes(env, actor, seeds)
        for ended in run:
            if progress is not None:
                progress(label, ended, len(seeds))
    return EpisodeTable(
        policy=name,
        env=env_id,
        actions="mean" if deterministic else "sampled",
        **run.columns,
        env_kwargs=kwargs,
        num_envs=env.num_envs,
        policy_class=_class_of(policy),
        trained_on=trained_on,
    )


def transfer_matrix(
    policies: Sequence[PathLike],
    bodies: Sequence[str],
    episodes: int = 20,
    seed: int | Sequence[int] = TEST_SEED,
    actions: Sequence[str] = ("sampled",),
    *,
    progress: ProgressCallback | None = None,
    **keywords: Any,
) -> list[EpisodeTable]:
    """Evaluate every policy on every body; `evaluate` says how.

    Every policy is put on every body before the first episode, so that one that does not fit is
    found at once.

    Args:
        policies: What `zoo.load` takes, or `"random"`.
        bodies: Ids of the bodies, arguments behind commas: `morphzoo/AntVelocity-v0,num_legs=6`.
        episodes: Episodes for each base seed.
        seed: Base seed or seeds.
        actions: Any of `results.ACTIONS`. Random actions have no mean and are sampled only.
        progress: Called as episodes end.
        **keywords: `num_envs` and `num_threads` of `evaluate`.

    Returns:
        The scores: policy by policy, kind of action by kind of action, body by body.

    Raises:
        ValueError: A body is unknown; and as `evaluate` and `zoo.load`.
    """
    episode_seeds(episodes, seed)
    names = list(dict.fromkeys(os.fspath(policy) for policy in policies))
    known = {body_text(*body): body for body in map(known_body, bodies)}
    placed = {(name, text): load_policy(name, *known[text]) for text in known for name in names}
    plan = [
        (name, kind, text)
        for name in names
        for kind in (("sampled",) if name == RANDOM else dict.fromkeys(actions))
        for text in known
    ]
    if progress is not None:
        progress = part_of(progress, len(plan))
    return [
        evaluate(
            placed[name, text],
            known[text][0],
            episodes,
            seed,
            kind == "mean",
            name=name,
            trained_on=None if name == RANDOM else home_of(zoo.read_config(name)),
            env_kwargs=known[text][1],
            progress=progress,
            **keywords,
        )
        for name, kind, text in plan
    ]


def store(tables: Sequence[EpisodeTable], *, command: str | None = None) -> None:
    """Write scores into the results of the checkpoints that they are of, in place of those there.

    Args:
        tables: Scores by `transfer_matrix`.
        command: The command line that made them.

    Raises:
        ValueError, OSError: As `zoo.annotate`.
    """
    for name in dict.fromkeys(table.policy for table in tables if table.policy != RANDOM):
        own = [table for table in tables if table.policy == name]
        zoo.annotate(name, results=results_document(own, command=command))


def load_policy(
    name: str, env_id: str, env_kwargs: Mapping[str, Any] | None = None
) -> BasePolicy | str:
    """Load a policy onto a body; `"random"` stays what it is.

    A value head that does not fit the body plays no part in an evaluation: not a word about it.

    Raises:
        ValueError: There is no such policy, or it does not fit the body.
    """
    if name == RANDOM:
        return name
    with contextlib.closing(gym.make(env_id, **(env_kwargs or {}))) as env:
        return load_onto(name, env)


def load_onto(name: str, env: gym.Env) -> BasePolicy | str:
    """Load a policy onto the body of an environment; see `load_policy`."""
    if name == RANDOM:
        return name
    log = logging.getLogger("morphzoo.zoo")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        return zoo.load(name, env)
    except zoo.CheckpointError as error:
        body = env.spec.id if env.spec else type(env.unwrapped).__name__
        raise ValueError(f"policy '{name}' on '{body}': {error}") from error
    finally:
        log.setLevel(level)


def _make_env(
    env_id: str, episodes: int, num_envs: int | None, num_threads: int, kwargs: dict[str, Any]
) -> VectorEnv:
    """Make the bodies: rows that are done rest until they are reset, one by one."""
    if num_envs is not None and num_envs < 1:
        raise ValueError(f"num_envs must be at least 1, found {num_envs}")
    return gym.make_vec(
        env_id,
        num_envs=min(episodes, num_envs or MAX_ROWS),
        num_threads=num_threads,
        autoreset_mode=AutoresetMode.DISABLED,
        **kwargs,
    )


def _class_of(policy: Any) -> str:
    policy = policy.policy if isinstance(policy, BaseAlgorithm) else policy
    return policy if isinstance(policy, str) else type(policy).__name__
