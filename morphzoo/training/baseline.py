"""Baselines: Stable-Baselines3's off-policy algorithms with its own policies, measured as runs are.

A recipe's run goes on bit for bit after a kill and ends as a checkpoint of ours; these do neither.
What they leave behind is a curve and its times, in the files of a run, so that a study has both.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import io
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3 import SAC, TD3, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.noise import NormalActionNoise
from tqdm import tqdm

from morphzoo.actors import torch_threads
from morphzoo.body_text import read_body
from morphzoo.files import PathLike, check_writable, write_bytes_atomic, write_text_atomic
from morphzoo.recipe.checks import check_seeds, choice, did_you_mean, typed
from morphzoo.sb3 import make_vec_env
from morphzoo.training import one_process
from morphzoo.training.curve import Curve, update_values

OFF_POLICY: dict[str, Any] = {"sac": SAC, "td3": TD3}
#: Keywords of Stable-Baselines3's that a `Baseline` has words of its own for, or no use.
_TAKEN = {"self", "policy", "env", "seed", "device", "policy_kwargs", "action_noise", "verbose"}
_TAKEN |= {"replay_buffer_class", "tensorboard_log", "_init_setup_model"}
_MARGIN = 20_000_000  # bytes


@dataclasses.dataclass(frozen=True)
class Baseline:
    """What is trained; plain JSON values, checked when it is made.

    Attributes:
        env: id of one of our environments.
        algorithm: a name in `OFF_POLICY`.
        steps: environment steps, summed over the environments.
        replay: "uniform", or "hindsight": goals are relabelled by `HerReplayBuffer`.
        seed: of weights, environments and sampling.
        n_envs: environments simulated at once.
        env_kwargs: keywords of the environment.
        policy_kwargs: keywords of Stable-Baselines3's policy.
        algorithm_kwargs: keywords of the algorithm.
        action_noise: deviation of the noise added to actions of half width 1 while steps are
            collected, 0 for none; TD3 explores by it alone, so it wants some.
        evaluate_every: steps between two rows of the curve, each with an evaluation.
        evaluate_on: what to evaluate on, arguments behind commas (they go before `env_kwargs`);
            empty: on `env`.
        evaluate_episodes: episodes of one, by mean actions.
        evaluate_seed: seed of the first of them, the same each time.

    Raises:
        ValueError: a value has the wrong type or is out of range.
    """

    env: str
    algorithm: str
    steps: int
    replay: str = "uniform"
    seed: int = 0
    n_envs: int = 1
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    policy_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    algorithm_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    action_noise: float = 0.0
    evaluate_every: int = 50_000
    evaluate_on: str = ""
    evaluate_episodes: int = 10
    evaluate_seed: int = 1000

    def __post_init__(self) -> None:
        """Check."""
        for field in dataclasses.fields(self):
            value = typed(field.name, getattr(self, field.name), str(field.type))
            object.__setattr__(self, field.name, value)
        choice("algorithm", self.algorithm, OFF_POLICY)
        choice("replay", self.replay, ("uniform", "hindsight"))
        for name in ("steps", "n_envs", "evaluate_every", "evaluate_episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"'{name}' must be positive, found {getattr(self, name)}")
        if not 0 <= self.action_noise < math.inf:
            raise ValueError(f"'action_noise' must be 0 or more, found {self.action_noise}")
        if self.algorithm == "td3" and not self.action_noise:
            raise ValueError("td3 explores by 'action_noise' alone: give one, its paper's is 0.1")
        if self.evaluate_seed < 0:
            raise ValueError(f"'evaluate_seed' must be 0 or more, found {self.evaluate_seed}")
        object.__setattr__(self, "evaluate_on", self.evaluate_on or self.env)
        read_body(self.evaluate_on)
        check_seeds(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Baseline:
        """Make one, refusing keys that it does not have.

        Raises:
            ValueError: a key is unknown or missing, or a value does not fit.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise ValueError(f"baseline: unknown key '{key}'.{did_you_mean(key, known)}")
        for key in ("env", "algorithm", "steps"):
            if key not in values:
                raise ValueError(f"baseline: '{key}' is missing")
        return cls(**values)


def train_baseline(
    baseline: Baseline, out: PathLike, *, minutes: float = 0, progress: bool = True
) -> Path:
    """Train on one thread, and write `baseline.json`, `curve.csv`, `times.csv` and `model.zip`.

    The model, in Stable-Baselines3's format, comes last; where one is, nothing is done. A training
    that was killed begins anew.

    Args:
        baseline: what to train.
        out: folder.
        minutes: learning time after which to stop; 0: none.
        progress: show a progress bar.

    Returns:
        The model's file.

    Raises:
        ValueError: something does not fit, or the folder is another training's.
        OSError: the folder is not writable.
    """
    folder = check_writable(out, _MARGIN)
    done = folder / "model.zip"
    if holds_baseline(folder, baseline) and done.exists():
        return done
    with one_process(folder), torch_threads(1):
        model = make_model(baseline)
        with contextlib.closing(model.env):
            write_text_atomic(folder / "baseline.json", _text(baseline))
            keep = _Keep(baseline, folder, 60 * minutes, progress)
            model.learn(baseline.steps, callback=keep)
            model.save(packed := io.BytesIO())
            write_bytes_atomic(done, packed.getvalue())
    return done


def holds_baseline(folder: Path, baseline: Baseline) -> bool:
    """Return whether a folder holds this baseline, begun or done.

    Raises:
        ValueError: it holds another training.
    """
    if (folder / "recipe.json").exists():
        raise ValueError(f"'{folder}' holds a recipe's run: give another folder")
    said = folder / "baseline.json"
    if not said.exists():
        return False
    if said.read_text(encoding="utf-8") != _text(baseline):
        raise ValueError(f"'{folder}' holds another training: give another folder")
    return True


def _text(baseline: Baseline) -> str:
    return json.dumps(dataclasses.asdict(baseline), indent=2) + "\n"


def make_model(baseline: Baseline) -> Any:
    """Make the algorithm on its environments; whoever calls closes `model.env`.

    Raises:
        ValueError: environment, keywords and replay do not fit each other.
    """
    algorithm = OFF_POLICY[baseline.algorithm]
    known = inspect.signature(algorithm).parameters.keys() - _TAKEN
    for name in baseline.algorithm_kwargs:
        if name not in known:
            raise ValueError(
                f"baseline: '{baseline.algorithm}' has no keyword '{name}' that can be set here."
                f"{did_you_mean(name, known)}"
            )
    env = make_vec_env(
        baseline.env, baseline.n_envs, baseline.seed, num_threads=1, **baseline.env_kwargs
    )
    with contextlib.ExitStack() as stack:
        stack.callback(env.close)
        goals = isinstance(env.observation_space, spaces.Dict)
        model = algorithm(
            "MultiInputPolicy" if goals else "MlpPolicy",
            env,
            policy_kwargs=copy.deepcopy(baseline.policy_kwargs),  # which is written to
            seed=baseline.seed,
            device="cpu",
            action_noise=_noise(baseline.action_noise, env),
            **copy.deepcopy(baseline.algorithm_kwargs),
            **(_hindsight(baseline, env) if baseline.replay == "hindsight" else {}),
        )
        stack.pop_all()
    return model


def _noise(deviation: float, env: Any) -> NormalActionNoise | None:
    """Return the noise of one environment's actions; SB3 adds it to actions scaled to -1..1."""
    if not deviation:
        return None
    size = env.action_space.shape
    return NormalActionNoise(np.zeros(size), np.full(size, deviation))


def _hindsight(baseline: Baseline, env: Any) -> dict[str, Any]:
    """Return what goals that are relabelled ask for: a buffer, and whole episodes to begin with."""
    if not isinstance(env.observation_space, spaces.Dict):
        raise ValueError(f"baseline: hindsight needs goals, and '{baseline.env}' has none")
    buffer: dict[str, Any] = {"replay_buffer_class": HerReplayBuffer}
    whole = env.num_envs * env.vector_env.episodes.max_steps
    given = baseline.algorithm_kwargs.get("learning_starts")
    if given is None:
        return {**buffer, "learning_starts": whole}
    if given < whole:
        raise ValueError(
            f"baseline: hindsight draws from whole episodes: give learning_starts={whole} or more, "
            f"an episode of each of {env.num_envs} environments, found {given}"
        )
    return buffer


class _Keep(BaseCallback):
    """Writes a row whenever an evaluation is due, and ends a training whose time is up."""

    def __init__(self, baseline: Baseline, folder: Path, seconds: float, progress: bool) -> None:
        super().__init__()
        self.baseline, self.seconds = baseline, seconds
        self.curve = Curve(folder / "curve.csv", [baseline.evaluate_on])
        self.times = folder / "times.csv"
        write_text_atomic(self.times, "step,seconds\n")
        self.bar = tqdm(total=baseline.steps, unit="step", disable=not progress)
        self.recorded, self.start = 0, time.monotonic()

    def _on_rollout_start(self) -> None:
        every = self.baseline.evaluate_every
        if self.num_timesteps // every > self.recorded // every:
            self._record()

    def _on_step(self) -> bool:
        self.bar.update(self.num_timesteps - self.bar.n)
        return not self.seconds or time.monotonic() - self.start < self.seconds

    def _on_training_end(self) -> None:
        if self.num_timesteps > self.recorded:
            self._record()
        self.bar.close()

    def _record(self) -> None:
        settings = self.baseline
        body, own = read_body(settings.evaluate_on)
        env = make_vec_env(
            body,
            settings.evaluate_episodes,
            settings.evaluate_seed,
            num_threads=1,
            **{**settings.env_kwargs, **own},
        )
        found, _ = evaluate_policy(self.model, env, settings.evaluate_episodes, warn=False)
        env.close()
        row: dict[str, Any] = {"score": found, f"{settings.evaluate_on}:mean": found}
        self.curve.append({**update_values(self.model), **row})
        self.recorded = self.num_timesteps
        with open(self.times, "a", encoding="utf-8") as file:
            file.write(f"{self.recorded},{time.monotonic() - self.start:.3f}\n")
