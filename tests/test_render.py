"""Frames: what is drawn, by which library, and what is said where none can be drawn."""

import ctypes.util
import os
import subprocess
import sys

import gymnasium as gym
import mujoco
import numpy as np
import pytest

import morphzoo  # noqa: F401  (registers the ids)
from morphzoo.envs.centipede import CentipedeEnv
from morphzoo.envs.rendering import choose_backend
from morphzoo.envs.velocity import AntVelocityEnv

LIBRARIES = {"egl": ("EGL", "OpenGL"), "osmesa": ("OSMesa",)}
DRAW = """
import numpy as np
import gymnasium as gym, morphzoo
env = gym.make("morphzoo/Centipede-4-v0", render_mode="rgb_array", width=64, height=48)
env.reset(seed=0)
frame = env.render()
env.close()
assert frame.shape == (48, 64, 3) and frame.dtype == np.uint8 and frame.std() > 10, frame.shape
maps = open("/proc/self/maps").read()
print("libOSMesa" in maps, "libEGL" in maps)
"""


def frame_of(env, **start):
    env.reset(**start)
    try:
        return env.render()
    finally:
        env.close()


def draw_in_a_process(**variables):
    """Draw one frame in a process of its own: a process keeps the library of its first frame."""
    hidden = ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY")
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | variables
    return subprocess.run(
        [sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True
    )


def has(backend):
    return all(map(ctypes.util.find_library, LIBRARIES[backend]))


@pytest.mark.render
@pytest.mark.parametrize("num_legs", [6, 20])
def test_a_frame_shows_the_robot_in_the_middle_and_follows_it(num_legs):
    env = CentipedeEnv(num_legs, render_mode="rgb_array", width=160, height=120)
    env.reset(seed=0)
    near = env.render()
    env.data.qpos[:2] += (10.0, 4.0)  # whole squares of the checkered floor, two metres each
    mujoco.mj_forward(env.model, env.data)
    far = env.render()
    env.close()
    assert near.shape == (120, 160, 3) and near.dtype == np.uint8
    # blue torsos on a grey floor
    blue = near[..., 2].astype(int) - near[..., 0] > 60
    rows, columns = np.nonzero(blue)
    assert 40 < rows.mean() < 80 and 60 < columns.mean() < 110
    assert blue.mean() > 0.01
    assert np.abs(near.astype(int) - far).mean() < 0.5


@pytest.mark.render
@pytest.mark.parametrize("num_legs", [2, 4, 8])
def test_a_frame_shows_the_target_velocity_ant_in_the_middle(num_legs):
    env = AntVelocityEnv(num_legs, render_mode="rgb_array", width=160, height=120)
    frame = frame_of(env, seed=0).astype(int)
    torso = frame[..., 2] - frame[..., 0] > 60
    legs = (frame[..., 1] - frame[..., 0] > 40) & ~torso
    rows, columns = np.nonzero(torso)
    assert 35 < rows.mean() < 75 and 65 < columns.mean() < 95
    assert torso.mean() > 0.005 and legs.mean() > 0.005 * num_legs


@pytest.mark.render
def test_every_render_mode_gives_what_gymnasium_says():
    frames = {
        mode: frame_of(CentipedeEnv(4, render_mode=mode, width=48, height=32), seed=0)
        for mode in ("rgb_array", "depth_array", "rgbd_tuple")
    }
    rgb, depth = frames["rgbd_tuple"]
    np.testing.assert_array_equal(rgb, frames["rgb_array"])
    np.testing.assert_array_equal(depth, frames["depth_array"])
    assert rgb.shape == (32, 48, 3) and rgb.dtype == np.uint8
    assert depth.shape == (32, 48) and depth.dtype == np.float32
    assert 0 <= depth.min() < depth.max() <= 1


@pytest.mark.render
def test_cameras_are_chosen_as_in_gymnasium():
    options = {"render_mode": "rgb_array", "width": 48, "height": 32}
    free = {"distance": 2.0, "elevation": -90.0, "azimuth": 90.0}
    default = frame_of(CentipedeEnv(4, **options), seed=0)
    np.testing.assert_array_equal(
        frame_of(CentipedeEnv(4, camera_name="track", **options), seed=0), default
    )
    np.testing.assert_array_equal(
        frame_of(CentipedeEnv(4, camera_id=0, **options), seed=0), default
    )
    above = frame_of(CentipedeEnv(4, default_camera_config=free, **options), seed=0)
    assert np.abs(above.astype(int) - default).mean() > 5


@pytest.mark.render
def test_drawing_changes_no_number_and_large_frames_fit():
    drawn = CentipedeEnv(4, render_mode="rgb_array", width=1920, height=1080)
    plain = CentipedeEnv(4)
    drawn.reset(seed=0), plain.reset(seed=0)
    for _ in range(3):
        assert drawn.render().shape == (1080, 1920, 3)
        action = np.full(10, 0.3)
        np.testing.assert_array_equal(drawn.step(action)[0], plain.step(action)[0])
    drawn.close()


@pytest.mark.render
def test_the_environment_passes_gymnasiums_render_check_and_records():
    env = gym.make("morphzoo/Centipede-4-v0", render_mode="rgb_array", width=32, height=32)
    env = gym.wrappers.RenderCollection(env)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    frames = env.render()
    env.close()
    assert [frame.shape for frame in frames] == [(32, 32, 3)] * 2


@pytest.mark.render
@pytest.mark.parametrize("backend", LIBRARIES)
def test_a_frame_is_drawn_by_the_library_that_is_asked_for(backend):
    if not has(backend):
        pytest.skip(f"{backend} is not installed: lib{' and lib'.join(LIBRARIES[backend])}")
    done = draw_in_a_process(MUJOCO_GL=backend)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[backend == "egl"] == "True"


@pytest.mark.render
def test_without_a_display_or_a_setting_a_library_is_found():
    done = draw_in_a_process()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[has("egl")] == "True"


def test_a_setting_or_a_display_is_left_alone(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: name)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    choose_backend()
    assert os.environ["MUJOCO_GL"] == "osmesa"
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setenv("DISPLAY", ":0")
    choose_backend()
    assert "MUJOCO_GL" not in os.environ


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [({"EGL", "OpenGL", "OSMesa"}, "egl"), ({"EGL", "OSMesa"}, "osmesa"), ({"OSMesa"}, "osmesa")],
)
def test_egl_comes_before_osmesa_where_it_is_whole(monkeypatch, installed, chosen):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: name in installed or None)
    monkeypatch.setattr(sys, "platform", "linux")
    choose_backend()
    assert os.environ["MUJOCO_GL"] == chosen


def test_a_machine_without_any_library_says_what_to_install(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(sys, "platform", "linux")
    env = CentipedeEnv(4, render_mode="rgb_array")
    env.reset(seed=0)
    with pytest.raises(RuntimeError, match=r"Rendering needs EGL.*apt-get install libegl1"):
        env.render()


def test_a_library_that_does_not_work_says_what_to_install():
    done = draw_in_a_process(MUJOCO_GL="off")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if "RenderingError: No frame" in line]
    assert len(said) == 1 and "apt-get install" in said[0] and "MUJOCO_GL" in said[0]
