"""Which graphics library draws a frame: chosen when the first one is drawn, never before."""

from __future__ import annotations

import ctypes.util
import os
import sys

REMEDY = (
    "On Debian or Ubuntu run `apt-get install libegl1 libopengl0 libgl1-mesa-dri` (EGL, also on a "
    "GPU) or `apt-get install libosmesa6` (OSMesa). Set the environment variable MUJOCO_GL to egl, "
    "osmesa or glfw to choose one of several."
)


class RenderingError(RuntimeError):
    """No frame can be drawn here; the message says what to install."""


def choose_backend() -> None:
    """Set MUJOCO_GL to a library that this machine has, if it is unset and there is no display.

    Left alone, Gymnasium takes GLFW, which fails without a display and does not fall through.

    Raises:
        RenderingError: if there is neither a display nor EGL nor OSMesa.
    """
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if os.environ.get("MUJOCO_GL") or display or not sys.platform.startswith("linux"):
        return
    # EGL hands the drawing to libOpenGL, which is a package of its own
    if ctypes.util.find_library("EGL") and ctypes.util.find_library("OpenGL"):
        os.environ["MUJOCO_GL"] = "egl"
    elif ctypes.util.find_library("OSMesa"):
        os.environ["MUJOCO_GL"] = "osmesa"
    else:
        raise RenderingError(f"Rendering needs EGL, OSMesa or a display; found none. {REMEDY}")
