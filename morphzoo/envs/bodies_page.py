"""Writes docs/bodies.md: which existing environments `with_graph` accepts, and why not the rest.

`python -m morphzoo.envs.bodies_page > docs/bodies.md`
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import gymnasium as gym

from morphzoo.envs.existing import with_graph
from morphzoo.envs.suite_columns import SUITE
from morphzoo.morphology import MorphologyGraph

_HEAD = """# Bodies that are not ours

`morphzoo.with_graph(env)` reads the robot's graph off an environment that knows nothing of
morphzoo, so that graph policies train on it:

```python
import gymnasium as gym, morphzoo
from stable_baselines3 import PPO
from morphzoo.policies import SnowflakePolicy

env = morphzoo.with_graph(gym.make("Ant-v5"))
PPO(SnowflakePolicy, env).learn(2_048)
```

Six of Gymnasium's bodies also come with their graph and batched, and equal the originals:
`gym.make_vec("morphzoo/Ant-v5", num_envs=64)`.

dm_control's suite comes as Gymnasium environments through
[Shimmy](https://shimmy.farama.org) (`pip install morphzoo[suite]`, then `import shimmy`).

The observation becomes flat float32; actions, rewards and episodes stay as they are. A Dict
observation is laid end to end in the order of the column "Flat observation". A joint's own numbers
go to the joint's node, a body's to every joint that moves that body, and what no joint owns goes to
the root. "Types" are the joint names without the index at their end; pass `node_type=` to name them
alike on several bodies.

This page is generated: `python -m morphzoo.envs.bodies_page > docs/bodies.md`.

## Accepted

| Environments | Nodes | Types | Motors | Flat observation | The root reads | Joints read |
| --- | --- | --- | --- | --- | --- | --- |
"""

_REFUSED = """
## Refused

`with_graph` raises a `ValueError` that says why. One id stands for its kind: for version 4 of every
Gymnasium body, for all tasks of a domain, and for dm_control's locomotion and manipulation.

| Environments | Reason |
| --- | --- |
"""


def example_ids() -> dict[str, str]:
    """Returns one environment for every accepted body: name of the body -> id."""
    robots = ("Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup")
    robots += ("InvertedDoublePendulum", "InvertedPendulum", "Swimmer", "Walker2d")
    return {robot: f"{robot}-v5" for robot in robots} | {
        f"dm_control {domain}": tasks[0]
        for domain, tasks in _suite_ids().items()
        if domain in SUITE
    }


def page() -> str:
    """Makes every environment that is listed and returns the page as Markdown.

    Raises:
        ModuleNotFoundError: If shimmy is not installed.
    """
    accepted: dict[tuple[str, ...], list[str]] = {}
    refused: dict[str, list[str]] = {}
    for name in _listed_ids():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of version 4
            env = gym.make(name, disable_env_checker=True)
        try:
            accepted.setdefault(_row(with_graph(env)), []).append(name)
        except ValueError as error:
            refused.setdefault(_reason(name, str(error)), []).append(name)
        env.close()
    lines = [_HEAD]
    lines += (f"| {_ids(ids)} | {' | '.join(row)} |\n" for row, ids in accepted.items())
    lines += [_REFUSED]
    lines += (f"| {_ids(ids)} | {reason} |\n" for reason, ids in refused.items())
    return "".join(lines)


def _suite_ids() -> dict[str, list[str]]:
    """Lists the suite's tasks that shimmy registers: domain -> ids."""
    from shimmy.utils.envs_configs import DM_CONTROL_SUITE_ENVS

    domains: dict[str, list[str]] = {}
    for domain, task in DM_CONTROL_SUITE_ENVS:
        domains.setdefault(domain, []).append(f"dm_control/{domain}-{task}-v0")
    return domains


def _listed_ids() -> Iterator[str]:
    """Names every environment on the page; of a refused kind one stands for all."""
    ours = [spec for spec in gym.registry.values() if "envs.mujoco" in str(spec.entry_point)]
    yield from sorted(spec.id for spec in ours if spec.version == 5)
    yield from ("Hopper-v4",)
    for domain, tasks in _suite_ids().items():
        yield from tasks if domain in SUITE else tasks[:1]
    yield "dm_control/reach_site_features-v0"  # the one that opens no camera when it is made


def _row(env: Any) -> tuple[str, ...]:
    """Returns what the table says of an accepted environment."""
    graph: MorphologyGraph = env.graph
    types = [kind for kind in graph.types if kind != "root"]
    shown = f"{len(types)}: {', '.join(types)}" if len(types) <= 8 else str(len(types))
    layout = ", ".join(f"`{part}`" for part in env.entries) or "as Gymnasium gives it"
    return (
        f"{graph.num_nodes}",
        f"root and {shown}",
        f"{graph.action_size}",
        f"{graph.observation_size}: {layout}",
        _features(graph.features("root")),
        _features(graph.features("joint")),
    )


def _features(names: Iterable[str]) -> str:
    """Lists feature names, those that differ only in an index or in their part in one piece."""
    groups: dict[str, list[int]] = {}
    for name in names:
        plain = re.sub(r"@.*", "@part", name)
        index = re.search(r"\[(\d+)\](?!.*\[)", plain)
        key = re.sub(r"\[(\d+)\](?!.*\[)", "[]", plain)
        groups.setdefault(key, []).append(int(index.group(1)) if index else 0)
    return ", ".join(f"`{_indexed(key, rows)}`" for key, rows in groups.items()) or "nothing"


def _indexed(key: str, indices: list[int]) -> str:
    """Writes the indices of a group back into its name, as a range if they make one."""
    rows = sorted(set(indices))
    whole = rows == list(range(rows[0], rows[-1] + 1)) and len(rows) > 1
    text = f"{rows[0]}..{rows[-1]}" if whole else ", ".join(map(str, rows))
    return key.replace("[]", f"[{text}]")


def _reason(name: str, message: str) -> str:
    """Cuts a refusal down to its reason: without the id, and without the list of what is taken."""
    return message.removeprefix(f"{name}: ").partition("; accepted domains")[0]


def _ids(ids: list[str]) -> str:
    """Writes ids as code."""
    return ", ".join(f"`{name}`" for name in ids)


if __name__ == "__main__":
    print(page(), end="")
