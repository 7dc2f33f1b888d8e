"""Graphs for environments that are not ours: Gymnasium's MuJoCo bodies and dm_control's suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from morphzoo.columns import FIELDS, Column, columns_of
from morphzoo.envs.suite_columns import SUITE, SUITE_REFUSED
from morphzoo.morphology import MorphologyGraph
from morphzoo.spaces import MorphologySpace, has_graph

_BY_HAND = (
    "build it yourself with MorphologyGraph.from_model(model, columns) and give the environment a "
    "MorphologySpace(graph)"
)


class GraphObservation(gym.ObservationWrapper, RecordConstructorArgs):
    """An environment whose observation is flat float32 and carries the robot's graph.

    Attributes:
        columns: Where each number of the observation comes from.
        graph: The robot's graph, also at `observation_space.graph`.
        entries: Of a Dict observation the entries in the order in which they are laid end to end;
            empty for an observation that was flat already.
    """

    def __init__(
        self,
        env: gym.Env,
        *,
        node_type: Callable[[str], str] | None = None,
        actuator_nodes: Mapping[str, str] | None = None,
    ) -> None:
        """Wraps as `with_graph` does, which see for arguments and errors."""
        RecordConstructorArgs.__init__(self, node_type=node_type, actuator_nodes=actuator_nodes)
        super().__init__(env)
        model, self.columns, self.entries = _describe(env)
        self.graph = MorphologyGraph.from_model(
            model, self.columns, node_type=node_type, actuator_nodes=actuator_nodes
        )
        if env.action_space.shape != (self.graph.action_size,):
            raise ValueError(
                f"{_label(env)}: expected one action for each of the model's "
                f"{self.graph.action_size} motors, found the action space {env.action_space}; "
                "leave out the wrapper that changes it"
            )
        self.observation_space = MorphologySpace(self.graph)

    def observation(self, observation: Any) -> np.ndarray:
        """Lays an observation of the environment end to end: float32[observation_size]."""
        if not self.entries:
            return np.array(observation, dtype=np.float32)
        parts = [np.ravel(observation[entry]) for entry in self.entries]
        return np.concatenate(parts).astype(np.float32)


def with_graph(
    env: gym.Env,
    *,
    node_type: Callable[[str], str] | None = None,
    actuator_nodes: Mapping[str, str] | None = None,
) -> gym.Env:
    """Gives an environment an observation space that carries its robot's graph.

    Works for Gymnasium's MuJoCo bodies that publish `observation_structure` (version 5), for
    InvertedDoublePendulum-v5, and for the dm_control domains of `suite_columns.SUITE` made through
    shimmy. The observation becomes flat float32: Gymnasium's order stays; the entries of a
    dm_control observation follow each other in the order of `SUITE`. Numbers that no joint owns go
    to the root. Action space, reward, termination and bounds of an episode stay.

    Args:
        env: The environment, with or without Gymnasium's usual wrappers. One of morphzoo's own is
            returned as it is.
        node_type: Turns a joint's name into its node's type; by default the index at the name's
            end is cut off.
        actuator_nodes: Names the joint that each actuator without a joint transmission drives.

    Returns:
        The wrapped environment.

    Raises:
        ValueError: If the observation or the body cannot be read, with the reason.
    """
    if isinstance(env, gym.vector.VectorEnv) or not isinstance(env, gym.Env):
        raise ValueError(
            f"expected a Gymnasium environment, found {type(env).__name__}; wrap each single "
            "environment, for example with make_vec(..., wrappers=[morphzoo.with_graph])"
        )
    if has_graph(env.observation_space):
        if node_type is not None or actuator_nodes is not None:
            raise ValueError(
                f"{_label(env)}: expected an environment without a graph, found one that carries "
                "its graph already; leave out node_type and actuator_nodes"
            )
        return env
    return GraphObservation(env, node_type=node_type, actuator_nodes=actuator_nodes)


def _describe(env: gym.Env) -> tuple[Any, tuple[Column, ...], tuple[str, ...]]:
    """Returns the model, the columns of the flat observation and the Dict's entries in order."""
    base: Any = env.unwrapped
    task = getattr(base, "task", None) if hasattr(base, "physics") else None
    if task is not None:
        return _describe_suite(env, base.physics, type(task).__module__)
    model = getattr(base, "model", None)
    if not hasattr(model, "actuator_trnid"):
        raise ValueError(
            f"{_label(env)}: expected a MuJoCo model at env.unwrapped.model, found none; "
            "only bodies that MuJoCo simulates have a graph"
        )
    modules = {cls.__module__.removeprefix("gymnasium.envs.mujoco.") for cls in type(base).mro()}
    if hasattr(base, "observation_structure"):
        columns = _structured(env, model, dict(base.observation_structure))
    elif "inverted_double_pendulum_v5" in modules:
        columns = _double_pendulum(model)
    else:
        raise ValueError(f"{_label(env)}: {_gymnasium_reason(modules)}")
    if env.observation_space.shape != (len(columns),):
        raise ValueError(
            f"{_label(env)}: expected the environment's own observation of {len(columns)} numbers, "
            f"found {env.observation_space}; leave out the wrapper that changes it"
        )
    return model, columns, ()


def _gymnasium_reason(modules: set[str]) -> str:
    """Says why an environment without `observation_structure` has no graph, and what to do."""
    if modules & {"reacher_v5", "pusher_v5", "reacher_v4", "pusher_v4"}:
        return (
            "it observes a target or an object beside the robot and publishes no "
            f"observation_structure that would tell them apart; {_BY_HAND}"
        )
    if any(module.endswith("_v4") for module in modules):
        return "version 4 publishes no observation_structure; make version 5 instead"
    return f"it publishes no observation_structure, so nothing says what each number is; {_BY_HAND}"


def _structured(env: gym.Env, model: Any, structure: dict[str, int]) -> tuple[Column, ...]:
    """Reads the columns off Gymnasium's `observation_structure`: field name -> how many numbers.

    Positions are skipped at the front; of every other field the world's or the root's rows are left
    out at the front, so that the last ones are meant.
    """
    columns: tuple[Column, ...] = ()
    skipped = int(structure.pop("skipped_qpos", 0))
    rows = {"qpos": model.nq, "dof": model.nv, "body": model.nbody, "actuator": model.nu}
    for field, size in ((name, int(size)) for name, size in structure.items()):
        if not size:
            continue
        axis, width = FIELDS.get(field, ("", 1))
        total = rows.get(axis, 0)
        first = total - size // width
        if size % width or first < 0 or (field == "qpos" and first != skipped):
            raise ValueError(
                f"{_label(env)}: expected an observation_structure that the model explains, found "
                f"{size} numbers of {field!r} (of {total * width}); {_BY_HAND}"
            )
        columns += columns_of(model, field, range(first, total))
    return columns


def _double_pendulum(model: Any) -> tuple[Column, ...]:
    """Lists the columns of InvertedDoublePendulum-v5.

    Cart position, sines, then cosines of the two hinges, three velocities (cut off at +-10), and
    the constraint force on the cart (likewise).
    """
    angles = [
        Column("qpos", i, 0, f"{model.joint(i).name}.{name}(qpos)", f"{name}(qpos[0])")
        for name in ("sin", "cos")
        for i in (1, 2)
    ]
    velocities = columns_of(model, "qvel", range(3))
    force = columns_of(model, "qfrc_constraint", [0])
    return (*columns_of(model, "qpos", [0]), *angles, *velocities, *force)


def _describe_suite(
    env: gym.Env, physics: Any, module: str
) -> tuple[Any, tuple[Column, ...], tuple[str, ...]]:
    """Reads the tables of dm_control's suite; `module` is where the task's class stands."""
    domain = module.removeprefix("dm_control.suite.")
    if domain == module:
        raise ValueError(
            f"{_label(env)}: expected a task of dm_control's suite, found one of {module}, whose "
            f"world is compiled anew in every episode; accepted domains: {', '.join(SUITE)}"
        )
    model = physics.model.ptr
    if domain not in SUITE:
        raise ValueError(
            f"{_label(env)}: {domain} has no graph here: {_suite_reason(domain, model)}; "
            f"accepted domains: {', '.join(SUITE)}"
        )
    if not isinstance(env.observation_space, spaces.Dict):
        raise ValueError(
            f"{_label(env)}: expected dm_control's Dict observation, found "
            f"{env.observation_space}; leave out FlattenObservation and flat_observation=True"
        )
    found = env.observation_space.spaces
    table = {entry: make(model) for entry, make in SUITE[domain].items() if entry in found}
    for entry, space in found.items():
        size = int(np.prod(space.shape or ()))
        if size != len(table.get(entry, ())):
            raise ValueError(
                f"{_label(env)}: expected the entries {list(SUITE[domain])} as dm_control gives "
                f"them, found {entry!r} of {size} numbers; leave out the wrapper that changes it"
            )
    return model, tuple(column for part in table.values() for column in part), tuple(table)


def _suite_reason(domain: str, model: Any) -> str:
    """Says why a domain has no table: first what the graph cannot hold, then what was decided."""
    try:
        MorphologyGraph.from_model(model, ())
    except ValueError as error:
        return str(error).partition(";")[0]  # without the remedy, which would not help here
    return SUITE_REFUSED.get(domain, "there is no table of its observation")


def _label(env: gym.Env) -> str:
    """Names an environment in a message."""
    return env.spec.id if env.spec else type(env.unwrapped).__name__
