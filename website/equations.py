"""Equations: LaTeX in a page, MathML on the site, which browsers draw without any script."""

from __future__ import annotations

import re

_FENCED = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def drawn(text: str) -> str:
    """Return Markdown with its blocks ```` ```math ```` as MathML; GitHub draws them by itself."""
    return _FENCED.sub(lambda block: _equation(block[1].strip()), text)


def _equation(latex: str) -> str:
    from latex2mathml.converter import convert  # pyright: ignore[reportMissingImports]

    return f'<div class="equation">{convert(latex, display="block")}</div>'
