"""Small models for the graph's tests, and what is asked of their graphs."""

from __future__ import annotations

import mujoco

from morphzoo.columns import Column, columns_of
from morphzoo.morphology import MorphologyGraph

GEOM = '<geom type="sphere" size=".05" mass="1"/>'


def model_of(bodies: str, rest: str = "") -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{bodies}</worldbody>{rest}</mujoco>")


def all_columns(model: mujoco.MjModel) -> tuple[Column, ...]:
    """Every position, velocity, control and contact force, the world's included."""
    columns = columns_of(model, "qpos", range(model.nq))
    columns += columns_of(model, "qvel", range(model.nv))
    columns += columns_of(model, "ctrl", range(model.nu))
    return columns + columns_of(model, "cfrc_ext", range(model.nbody))


def readers(graph: MorphologyGraph, column: int) -> set[str]:
    return {node.name for node in graph.nodes if column in node.columns}
