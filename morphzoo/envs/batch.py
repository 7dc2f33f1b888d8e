"""A Gymnasium vector environment on batched simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from morphzoo.envs.episodes import Episodes
from morphzoo.envs.rows import chosen, taken
from morphzoo.envs.simulation import Simulation
from morphzoo.envs.single import MorphologyEnv
from morphzoo.envs.task import Task
from morphzoo.morphology import MorphologyGraph


class MorphologyVectorEnv(VectorEnv[Any, np.ndarray, np.ndarray]):
    """Steps many episodes of one task in native threads.

    Row i equals, bit for bit, a single environment that was reset with seed + i, through autoresets
    too. ``gymnasium.make_vec`` arrives here by itself; thread count and autoreset mode are plain
    keywords of it.

    Autoreset is `SAME_STEP` by default: the observation of a row that is done is already the next
    episode's first, and ``infos["final_obs"]``, ``infos["final_info"]`` hold the end of the last.
    With `DISABLED` a row that is done rests: it is not simulated, and repeats its last observation
    and flags with a reward of 0, until ``reset(options={"reset_mask": mask})`` names it.

    ``infos`` hold an array of every reward term, every metric of the task and `simulation_failed`
    (MuJoCo could not go on, so the episode ended), each with its mask ``_name``. Every step has all
    of these keys, also where the mask of one is false for every row.

    Attributes:
        episodes: the rows before their results are packed for Gymnasium.
        simulation: the simulations; ``simulation.failures`` counts those that MuJoCo failed.
    """

    def __init__(
        self,
        task: Task,
        num_envs: int,
        *,
        max_episode_steps: int | None = 1000,
        num_threads: int = 0,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        **render_kwargs: Any,
    ) -> None:
        """Allocate the simulations.

        Args:
            task: what is simulated.
            num_envs: number of rows.
            max_episode_steps: truncate after so many steps; None or -1 for never.
            num_threads: native threads that step the rows; 0 means one a core.
            autoreset_mode: same-step or disabled.
            render_mode: None, or what `render_row` draws: a mode of `MorphologyEnv` but "human".
            **render_kwargs: as `MorphologyEnv` takes them: width, height, camera_id, ...

        Raises:
            ValueError: if an argument is out of range or a mode is not offered.
        """
        autoreset_mode = AutoresetMode(autoreset_mode)
        if autoreset_mode == AutoresetMode.NEXT_STEP:
            raise ValueError(
                "autoreset_mode must be SAME_STEP or DISABLED, found NEXT_STEP, which wastes a "
                "step of a row at each episode's end. For a program that needs it, use "
                "gymnasium.make_vec(..., vectorization_mode='sync')."
            )
        if render_mode == "human":
            raise ValueError(
                "A vector environment has no window, found render_mode='human'. Use 'rgb_array', "
                "or gymnasium.make() to watch one robot."
            )
        self.simulation = Simulation(task, num_envs, num_threads=num_threads)
        self.episodes = Episodes(
            self.simulation,
            None if max_episode_steps == -1 else max_episode_steps,
            autoreset=autoreset_mode == AutoresetMode.SAME_STEP,
        )
        self._painter = MorphologyEnv(task, render_mode=render_mode, **render_kwargs)
        modes = [mode for mode in self._painter.metadata["render_modes"] if mode != "human"]
        self.metadata = self._painter.metadata | {
            "render_modes": modes,
            "autoreset_mode": autoreset_mode,
        }
        self.render_mode = render_mode
        self.num_envs = num_envs
        self.single_observation_space = task.observation_space
        self.single_action_space = task.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def task(self) -> Task:
        """What is simulated."""
        return self.simulation.task

    @property
    def graph(self) -> MorphologyGraph:
        """The body's graph, which `single_observation_space` carries too."""
        return self.task.graph

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:  # pyright: ignore
        """Every row's generator, as Gymnasium's own vector classes give them."""
        return tuple(self.episodes.generators.of(range(self.num_envs)))

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # pyright: ignore
        """What each row's generator was seeded with; -1 where a saved state was restored."""
        self.episodes.generators.of(range(self.num_envs))
        return tuple(self.episodes.generators.seeds)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes.

        Args:
            seed: row i is seeded with seed + i, or with the i-th of a list; None continues each
                row's generator, as a single environment does.
            options: ``reset_mask``, bool[num_envs], resets those rows only.

        Returns:
            Observations float32[num_envs, O], or what the task unpacks them to, and infos.

        Raises:
            ValueError: if the mask or a list of seeds has not one entry a row, or the first reset
                leaves rows out.
        """
        mask = np.ones(self.num_envs, dtype=bool)
        if options and "reset_mask" in options:
            mask = _checked_mask(options["reset_mask"], self.num_envs)
        observation = self.episodes.reset(np.flatnonzero(mask), seed)
        return self.task.unpack(observation), _masked(self.simulation.metrics, mask)

    def step(
        self, actions: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every row by one action.

        Args:
            actions: float[num_envs, A].

        Returns:
            Observations as `reset` gives them, rewards float64[num_envs], terminated and truncated
            bool[num_envs], infos.

        Raises:
            ValueError: before anything moves, for actions of a wrong shape or not finite.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        moved = self.episodes.advance(actions)
        result = moved.result
        values = {**result.terms, **result.metrics, "simulation_failed": result.failed}
        if self.episodes.autoreset and moved.done.any():
            infos = self._infos_through_reset(values, moved.done, result.observation)
        else:
            infos = _masked(values, np.ones(self.num_envs, dtype=bool))
        observation = self.task.unpack(moved.observation)
        return observation, result.reward, result.terminated, moved.truncated, infos

    def get_state(self) -> dict[str, np.ndarray]:
        """Return all that decides how the rows go on: see `Episodes.get_state`."""
        return self.episodes.get_state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on, bit for bit, from where `get_state` was called, here or in another process.

        Raises:
            ValueError: before anything changes, if the state does not fit this body, this number of
                rows or this version.
        """
        self.episodes.set_state(state)

    def render(self) -> tuple[Any, ...] | None:
        """Draw every row, one image each; None, and a warning, without a render mode."""
        if self.render_mode is None:
            self.render_row(0)  # warns, as a single environment does
            return None
        return tuple(self.render_row(row) for row in range(self.num_envs))

    def render_row(self, row: int) -> Any:
        """Draw one row as it stands, as a single environment would; warn without a render mode."""
        painter = self._painter
        self.simulation.batch.get_data(row, painter.data)
        mujoco.mj_forward(painter.model, painter.data)
        self.task.show(painter.data, taken(self.simulation.variables, np.array([row])))
        return painter.render()

    def close_extras(self, **kwargs: Any) -> None:
        """Free what rendering holds."""
        self._painter.close()

    def _infos_through_reset(
        self, values: dict[str, np.ndarray], ended: np.ndarray, final: np.ndarray
    ) -> dict[str, Any]:
        """Pack a step after which some rows began again, as Gymnasium's own vector classes do."""
        infos = _masked(values, ~ended)
        for name, first in _masked(self.simulation.metrics, ended).items():
            infos[name] = chosen(ended, first, infos[name])
        rows = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(ended):
            rows[row] = self.task.unpack(final[row].copy())
        infos |= {"final_obs": rows, "final_info": _masked(values, ended)}
        return infos | {"_final_obs": ended.copy(), "_final_info": ended.copy()}


def _masked(values: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, Any]:
    """Pack arrays as a vector environment's infos: zero, and so flagged, outside of the mask."""
    infos = {}
    for name, array in values.items():
        infos[name] = chosen(mask, array, np.zeros_like(array))
        infos[f"_{name}"] = mask.copy()
    return infos


def _checked_mask(mask: Any, num: int) -> np.ndarray:
    if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (num,):
        raise ValueError(f"options['reset_mask'] must be an array bool[{num}], found {mask!r}.")
    if not mask.any():
        raise ValueError("options['reset_mask'] must name at least one row, found none.")
    return mask
