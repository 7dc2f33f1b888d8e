"""For mkdocstrings, which reads docstrings with griffe: see `website.docstrings`."""

from __future__ import annotations

from typing import Any

import griffe  # pyright: ignore[reportMissingImports]

from website.docstrings import as_markdown


class HouseStyle(griffe.Extension):
    """Writes every docstring as Markdown before it is parsed."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Change an object's docstring, if it has one."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
