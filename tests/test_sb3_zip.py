"""Weights out of a Stable-Baselines3 zip: all of them, and nothing is run."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from test_zoo_hostile import _RUNS, Payload, Watch

from morphzoo import zoo
from morphzoo.policies import SnowflakePolicy

HOME = "morphzoo/Centipede-4-v0"
SIZES = {"hidden_size": 8, "num_layers": 1}


def model(seed: int) -> PPO:
    return PPO(
        SnowflakePolicy, gym.make(HOME), n_steps=8, batch_size=8, seed=seed, device="cpu",
        policy_kwargs=SIZES,
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[PPO, bytes]:
    made = model(0)
    path = tmp_path_factory.mktemp("sb3") / "model.zip"
    made.save(path)
    return made, path.read_bytes()


def changed(data: bytes, /, **entries: bytes | None) -> bytes:
    """Return the zip with entries replaced, added, or left out where None."""
    names = {name.replace("_pth", ".pth"): value for name, value in entries.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        kept = {n: old.read(n) for n in old.namelist() if n not in names}
        for name, value in {**kept, **names}.items():
            if value is not None:
                new.writestr(name, value)
    return buffer.getvalue()


def corrupted(data: bytes) -> bytes:
    """Turn one bit inside the policy's entry."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        at = archive.getinfo("policy.pth").header_offset + 3000
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def saved_by_torch(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def deflated(data: bytes) -> bytes:
    """Return torch's zip compressed, as a bomb would be."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
    return buffer.getvalue()


def test_weights_come_over_and_make_a_checkpoint(saved: tuple[PPO, bytes], tmp_path: Path) -> None:
    first, data = saved
    payload = base64.b64encode(pickle.dumps(Payload(tmp_path / "ran"))).decode()
    planted = json.dumps({"policy_class": {":type:": "x", ":serialized:": payload}}).encode()
    pickled = saved_by_torch({"x": Payload(tmp_path / "ran")})
    path = tmp_path / "model.zip"
    path.write_bytes(changed(data, data=planted, pytorch_variables_pth=pickled))
    state = zoo.import_sb3_zip(path)
    assert state.keys() == first.policy.state_dict().keys()
    assert all(torch.equal(state[k], v) for k, v in first.policy.state_dict().items())
    assert not (tmp_path / "ran").exists(), "data or variables were unpickled"
    second = model(1)
    observation, _ = gym.make(HOME).reset(seed=0)
    wanted = first.predict(observation, deterministic=True)[0]
    assert not np.array_equal(second.predict(observation, deterministic=True)[0], wanted)
    second.policy.load_state_dict(state)
    zoo.save(second, tmp_path / "legs")
    loaded = zoo.load(tmp_path / "legs", gym.make(HOME))
    np.testing.assert_array_equal(loaded.predict(observation, deterministic=True)[0], wanted)


def policy_of(value: object) -> Callable[[bytes], bytes]:
    return lambda data: changed(data, policy_pth=saved_by_torch(value))


ROWS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no zip": (lambda d: b"hello", "a zip of Stable-Baselines3"),
    "empty": (lambda d: b"", "a zip of Stable-Baselines3"),
    "cut": (lambda d: d[: len(d) // 2], "a zip of Stable-Baselines3"),
    "a byte changed": (corrupted, "Bad CRC"),
    "no policy": (lambda d: changed(d, policy_pth=None), "with one policy.pth; found another"),
    "policy of text": (lambda d: changed(d, policy_pth=b"hello"), "a file of torch.save"),
    "policy a bare pickle": (lambda d: changed(d, policy_pth=pickle.dumps({})), "of torch.save"),
    "policy compressed": (
        lambda d: changed(d, policy_pth=deflated(saved_by_torch({"a": torch.zeros(10**6)}))),
        "not compressed",
    ),
    "a list": (policy_of([torch.zeros(2)]), "trust_pickle=True unpickles it, which runs"),
    "nothing": (policy_of({}), "expected names and tensors"),
    "numbers": (policy_of({"a": 1.0}), "expected names and tensors; found 'a' of type float"),
    "numbers as names": (policy_of({1: torch.zeros(2)}), "expected names and tensors"),
    "not a number": (policy_of({"a": torch.tensor([float("nan")])}), "finite numbers"),
    "sparse": (policy_of({"a": torch.zeros(3, 3).to_sparse()}), "expected"),
    "a huge view": (policy_of({"a": torch.zeros(1).expand(10**10)}), "at most 512,000,000 bytes"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_hostile_zip_is_refused_and_runs_nothing(
    name: str, saved: tuple[PPO, bytes], tmp_path: Path
) -> None:
    spoil, message = ROWS[name]
    path = tmp_path / "model.zip"
    path.write_bytes(spoil(saved[1]))
    watch = Watch()

    def refused() -> None:
        with pytest.raises(zoo.CheckpointError, match=message) as caught:
            zoo.import_sb3_zip(path)
        assert str(path) in str(caught.value) and len(str(caught.value)) < 600

    seen, _ = watch.run(tmp_path, refused)
    assert not set(seen) & set(_RUNS) and os.listdir(tmp_path) == ["model.zip"]


def test_code_runs_only_when_it_is_trusted(
    saved: tuple[PPO, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(policy_of({"a": torch.ones(2), "b": Payload(tmp_path / "ran")})(saved[1]))
    with pytest.raises(zoo.CheckpointError, match="Never do that with a file from somebody else"):
        zoo.import_sb3_zip(path)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(zoo.CheckpointError, match="'b' of type"):  # and still weights alone
        zoo.import_sb3_zip(path, trust_pickle=True)
    assert (tmp_path / "ran").exists() and "any code in it runs" in caplog.text


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    for name in ("pipe.zip", "none.zip"):
        with pytest.raises(zoo.CheckpointError, match="expected a"):
            zoo.import_sb3_zip(tmp_path / name)
