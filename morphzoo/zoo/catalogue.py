"""Where checkpoints are: bundled or pinned by name, others by folder or address on a hub."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from morphzoo.zoo.address import Address, address_in
from morphzoo.zoo.json_schema import suggestion
from morphzoo.zoo.pins import NAME, pins
from morphzoo.zoo.schema import CONFIG
from morphzoo.zoo.untrusted import CheckpointError, refuse, said, shown

PRETRAINED = Path(__file__).parent / "pretrained"


def bundled() -> tuple[str, ...]:
    """List the checkpoints that come with morphzoo.

    Returns:
        Names for `morphzoo.zoo.load`, sorted; each is a folder in `morphzoo/zoo/pretrained`.
    """
    if not PRETRAINED.is_dir():
        return ()
    found = (entry.name for entry in PRETRAINED.iterdir() if (entry / CONFIG).is_file())
    return tuple(sorted(name for name in found if NAME.fullmatch(name)))


def locate(name_or_folder: str | os.PathLike[str]) -> Path:
    """Find the folder that a bundled name, a path or an address on a hub means, in this order.

    A bundled name wins over a folder of that name in the working directory; `./name` means the
    latter. Only an exact bundled name is looked up among morphzoo's own files, so no name leads
    anywhere else. A hub is asked only for what is neither, and looks like user/repo[@revision].

    Args:
        name_or_folder: A name of `bundled()` or `pins()`, the path of a checkpoint's folder, or
            user/repo[@revision].

    Returns:
        An existing folder.

    Raises:
        CheckpointError: There is neither; the message says what is near.
        TypeError: It is not a name or a path.
    """
    if not isinstance(name_or_folder, str | os.PathLike):
        kind = type(name_or_folder).__name__
        raise TypeError(f"expected a bundled name or the path of a folder, found a {kind}")
    text = os.fspath(name_or_folder)
    if text in bundled():
        return PRETRAINED / text
    if text in pins():
        pin = pins()[text]
        return _pulled(text, Address(pin.repo, pin.revision))
    try:
        folder = Path(text).expanduser()
        if folder.is_dir():
            return folder
        is_file, left = folder.is_file(), _interrupted(folder)
    except (OSError, ValueError, RuntimeError) as error:  # names no file system takes
        raise CheckpointError(f"{shown(text)} cannot be a folder: {said(error)}") from error
    if is_file:
        remedy = "An SB3 .zip holds pickles: open it with SB3 where you trust it, then zoo.save"
        refuse(shown(text), "a checkpoint's folder", "a file", remedy)
    if left:
        remedy = f"A save was interrupted; the folder before it is whole: rename {left[0]} back"
        refuse(shown(text), "a checkpoint's folder", "none", remedy)
    if (address := address_in(text)) is not None:
        return _pulled(text, address)
    remedy = suggestion(text, (*bundled(), *pins()))
    refuse(shown(text), "a bundled name or a folder", "neither", remedy)


def _pulled(text: str, address: Address) -> Path:
    """Fetch what is only on a hub, or say that it is not there either."""
    from morphzoo.zoo.hub import HubError, pull

    try:
        return pull(address.repo, revision=address.revision)
    except HubError as error:
        raise HubError(f"{shown(text)} is no bundled name and no folder here. {error}") from None


def _interrupted(folder: Path) -> list[Path]:
    """Find the folder that a save was about to replace when it was killed."""
    return sorted(folder.parent.glob(f".old-????????-{glob.escape(folder.name)}"))
