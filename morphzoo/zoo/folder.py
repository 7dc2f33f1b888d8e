"""The folder of a checkpoint: which files it has, and how it is put in place whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morphzoo.files import check_writable, folder_atomic, recover_folder
from morphzoo.zoo.card import card
from morphzoo.zoo.media import MEDIA, MEDIA_LIMIT, check_media
from morphzoo.zoo.metadata import LICENSE
from morphzoo.zoo.records import (
    CURVE,
    CURVE_LIMIT,
    RECIPE,
    RECIPE_LIMIT,
    RESULTS,
    RESULTS_LIMIT,
    check_recipe,
    score_in,
    tables_in,
)
from morphzoo.zoo.schema import (
    CONFIG,
    CONFIG_LIMIT,
    check_against_weights,
    check_config,
    read_config_of,
)
from morphzoo.zoo.untrusted import CheckpointError, check_plain, read_json, shown
from morphzoo.zoo.weights import WEIGHTS, WEIGHTS_LIMIT, read_header, read_weights

if TYPE_CHECKING:
    import torch

CARD = "README.md"
CARD_LIMIT = 1_000_000  # bytes

#: What the folder of a checkpoint may hold: file -> largest size (bytes).
LIMITS = {
    CONFIG: CONFIG_LIMIT,
    WEIGHTS: WEIGHTS_LIMIT,
    CARD: CARD_LIMIT,
    RESULTS: RESULTS_LIMIT,
    RECIPE: RECIPE_LIMIT,
    CURVE: CURVE_LIMIT,
    **dict.fromkeys(MEDIA, MEDIA_LIMIT),
}


def pack_folder(
    name: str,
    config: Mapping[str, Any],
    weights: bytes,
    results: Mapping[str, Any] | None,
    recipe: Mapping[str, Any] | None,
    curve: bytes | None,
    *,
    media: Mapping[str, bytes] | None = None,
    license: str | None = None,
) -> dict[str, bytes]:
    """Turn the parts of a checkpoint into the bytes of its files.

    Args:
        name: Name of the checkpoint.
        config: Its configuration; the score is filled in from the results.
        weights: Bytes of its weights file.
        results: Its results.
        recipe: Its recipe.
        curve: Bytes of its training curve.
        media: Its pictures and clips: a name in `media.MEDIA` -> contents.
        license: Identifier of the licence that its card names, as the Hub writes it.

    Returns:
        File name -> contents.

    Raises:
        CheckpointError: A part is not of the form that `load` takes.
    """
    name = name.encode("utf-8", "replace").decode("utf-8")
    media = media or {}
    _check_extras(media, license)
    for part, where in ((config, CONFIG), (results or {}, RESULTS), (recipe or {}, RECIPE)):
        check_plain(part, where)
    tables = [] if results is None else tables_in(results, RESULTS)
    if recipe is not None:
        check_recipe(recipe, RECIPE)
    score = score_in(name, config, tables, results, recipe)
    config = {**config, "score": score or config["score"]}
    check_config(config, CONFIG)
    clips = (results or {}).get("media")
    text = card(name, config, tables, recipe, media=media, shown=clips, license=license)
    files = {
        CONFIG: _json(config),
        WEIGHTS: weights,
        CARD: text.encode("utf-8"),
        **media,
    }
    optional = {RESULTS: results, RECIPE: recipe}
    files |= {file: _json(part) for file, part in optional.items() if part is not None}
    if curve is not None:
        files[CURVE] = curve
    for file in (CONFIG, RESULTS, RECIPE, CURVE):
        size = len(files.get(file, b""))
        if size > LIMITS[file]:
            raise CheckpointError(
                f"{file}: expected at most {LIMITS[file]:,} bytes; found {size:,}. Leave "
                "something out of it, or save without it."
            )
    return files


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read a checkpoint's configuration and weights, and check all that needs no policy.

    Args:
        folder: Its folder.

    Returns:
        The configuration, and tensor name -> tensor.

    Raises:
        CheckpointError: It is not sound.
    """
    config = read_config_of(folder)
    check_against_weights(config, read_header(folder), folder / CONFIG)
    return config, read_weights(folder)


def _check_extras(media: Mapping[str, bytes], license: str | None) -> None:
    """Refuse media and a licence that a checkpoint does not take."""
    if unknown := sorted(set(media) - set(MEDIA)):
        raise CheckpointError(f"media: expected {', '.join(MEDIA)}; found {', '.join(unknown)}")
    for file, data in media.items():
        check_media(file, data, file)
    if license is not None and not LICENSE.fullmatch(license):
        raise CheckpointError(
            f"license: expected an identifier of the Hub's, such as mit or apache-2.0; found "
            f"{shown(license)}"
        )


def write_folder(folder: Path, files: Mapping[str, bytes], *, overwrite: bool) -> Path:
    """Put a checkpoint in place: afterwards the folder is the new one whole, or still the old one.

    Args:
        folder: Absolute path of the folder.
        files: File name -> contents.
        overwrite: Replace a checkpoint that is there.

    Returns:
        The folder.

    Raises:
        ValueError: It holds files that are not a checkpoint's.
        FileExistsError: It is a file, or a checkpoint and `overwrite` is False.
        OSError: It cannot be written.
    """
    check_writable(folder.parent, 2 * sum(map(len, files.values())))
    recover_folder(folder)
    _check_place(folder, overwrite)
    with folder_atomic(folder) as aside:
        for name, data in files.items():
            (aside / name).write_bytes(data)
    return folder


def _check_place(folder: Path, overwrite: bool) -> None:
    """Raise unless a checkpoint may be put here without a loss of something else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileExistsError(f"'{folder}' is a file: give the name of a folder")
    names = {entry.name for entry in folder.iterdir()}
    if not names:
        return
    if foreign := sorted(names - set(LIMITS)):
        raise ValueError(
            f"'{folder}' holds files that zoo.save did not write ({', '.join(foreign[:5])}), which "
            "replacing it would delete: give another folder, or move them away"
        )
    try:
        ours = {"policy_schema", "format_version"} <= set(read_json(folder, CONFIG, CONFIG_LIMIT))
    except CheckpointError:
        ours = False
    if not ours:
        raise ValueError(
            f"'{folder}' is no checkpoint of morphzoo, or a damaged one: give another folder, or "
            "delete it yourself"
        )
    if not overwrite:
        raise FileExistsError(f"'{folder}' holds a checkpoint: give overwrite=True to replace it")


def _json(value: Mapping[str, Any]) -> bytes:
    """Return JSON as people and version control like it: sorted, indented, a line at the end."""
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode("utf-8")
