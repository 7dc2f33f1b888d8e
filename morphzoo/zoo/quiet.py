"""What huggingface_hub shows of itself: bars where they are wanted, and no signed address."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator

# Who knows the query of such an address may write or read a file there for a while.
_SIGNED = re.compile(r"(https?://[^\s?]+)\?\S+")
_RETRIES = "huggingface_hub.utils._http"  # the logger that repeats addresses


@contextlib.contextmanager
def client_bars(show: bool) -> Iterator[None]:
    """Let the client show bars or not; a user who has settled that by a variable has the last word.

    Args:
        show: Whether it may. By itself it also does where nobody looks.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    settled = constants.HF_HUB_DISABLE_PROGRESS_BARS is not None
    if show or settled or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


@contextlib.contextmanager
def unsigned_log() -> Iterator[None]:
    """Take the queries off the addresses that the client logs when it tries again."""
    logger = logging.getLogger(_RETRIES)
    logger.addFilter(_without_queries)
    try:
        yield
    finally:
        logger.removeFilter(_without_queries)


def _without_queries(record: logging.LogRecord) -> bool:
    """Change a record, and let it pass."""
    record.msg, record.args = _SIGNED.sub(r"\1", record.getMessage()), ()
    return True
