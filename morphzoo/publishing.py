"""A checkpoint made ready to be shown: its curve drawn, its clips filmed, its card written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from morphzoo import curves, plots, video, zoo
from morphzoo.files import PathLike
from morphzoo.progress import ProgressCallback
from morphzoo.results import TEST_SEED, tables_of
from morphzoo.zoo.catalogue import locate
from morphzoo.zoo.media import PICTURE, REPLAY, TRANSFER
from morphzoo.zoo.records import CURVE
from morphzoo.zoo.schema import CONFIG
from morphzoo.zoo.scores import home_of, middle_body, own_tables, transfer_row

SECONDS = 12.0  # of a clip; about 800 kB


def prepare(
    name_or_folder: PathLike,
    into: PathLike,
    *,
    license: str | None = None,
    other: str | None = None,
    seconds: float = SECONDS,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> Path:
    """Write a checkpoint with all that a page about it shows.

    Clips are made here, when a checkpoint is published, and are not bundled: they weigh as much as
    the weights, and can be made again at any time, byte for byte on one machine. They show the
    episodes whose scores come first in the results, not chosen ones.

    Args:
        name_or_folder: The checkpoint; what `zoo.load` takes.
        into: Folder to write, or the checkpoint's own.
        license: Licence of the weights, an identifier of the Hub's; kept where it was chosen.
        other: Id of a body it was never trained on, for the second clip; by default, of those it
            was scored on, the one of median return.
        seconds: Length of each clip (s).
        overwrite: Replace a checkpoint that is in `into`.
        progress: Called with a label, 1 and the number of frames, for every frame.

    Returns:
        The folder's absolute path.

    Raises:
        CheckpointError: The checkpoint is not sound, or a clip is too large.
        ValueError: `other` is no body that it fits.
        FileExistsError, OSError, ImportError, RenderingError: As `zoo.save` and `video.render`.
    """
    folder, into = locate(name_or_folder), Path(into).expanduser().resolve()
    if (into / CONFIG).exists() and not overwrite:  # before minutes of filming, not after
        raise FileExistsError(f"'{into}' holds a checkpoint: give overwrite=True to replace it")
    config = zoo.read_config(folder)
    home = home_of(config)
    results = zoo.read_results(folder) or {}
    tables = tables_of(results) if "scores" in results else []
    other = other or middle_body(transfer_row(own_tables(folder.name, tables), home), home)
    shown: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as aside:
        for file, body in ((REPLAY, home), (TRANSFER, other)):
            if body is not None:
                clip = video.render(
                    os.fspath(folder),
                    body,
                    Path(aside) / file,
                    seconds=seconds,
                    progress=progress,
                )
                shown[file] = _account(clip)
        if (folder / CURVE).is_file():
            figure = curves.training_curve(folder / CURVE, title=f"Training of {folder.name}")
            plots.save_png(figure, Path(aside) / PICTURE)
        return zoo.annotate(
            folder,
            results={"media": shown} if shown else None,
            media={name: Path(aside) / name for name in sorted(os.listdir(aside))},
            license=license,
            into=into,
            overwrite=overwrite,
        )


def _account(clip: video.Clip) -> dict[str, Any]:
    """Return what results.json says of a clip."""
    seconds = round(float(clip.frames / clip.fps), 3)
    return {"actions": clip.actions, "env": clip.body, "seconds": seconds, "seed": TEST_SEED}
