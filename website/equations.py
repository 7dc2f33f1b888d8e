"""Equations: LaTeX in a page, pictures on the site that look the same with every browser's fonts.

GitHub draws the same LaTeX by itself. Browsers draw MathML, but few machines, and no phone, have a
font for it, so that indices stand beside their letters; matplotlib, which morphzoo needs anyway,
brings the fonts and draws outlines, in the colour of the text around them.
"""

from __future__ import annotations

import re
from typing import Any

from website.repository import SiteError

_BLOCK = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^(```+|~~~+).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"\$`([^`\n]+)`\$")
_EM = 100  # units of a drawing; more digits would only be longer
_SIZE = 1.2  # of the letters, in those of the text: these are smaller than a sans-serif's
_COMMANDS = {1: "M", 2: "l", 3: "q", 4: "c"}  # of matplotlib's paths: all but the first relative


def drawn(text: str) -> str:
    """Return Markdown with its equations drawn.

    Args:
        text: Markdown with blocks ```` ```math ```` and, within lines, ``$`x_u`$``.

    Raises:
        SiteError: An equation is no LaTeX that matplotlib reads.
    """
    text = _BLOCK.sub(lambda block: f'<div class="equation">{_picture(block[1], True)}</div>', text)
    parts, end = [], 0
    for fence in _FENCED.finditer(text):
        parts += [_inline(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _inline(text[end:])])


def _inline(text: str) -> str:
    return _INLINE.sub(lambda found: _picture(found[1], False), text)


def _picture(latex: str, displayed: bool) -> str:
    """Return an equation as SVG whose letters stand on the line that it is in."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser
    from matplotlib.textpath import TextPath

    latex = " ".join(latex.split())
    source = latex.replace(r"\frac", r"\dfrac") if displayed else latex
    source = f"${source}$"
    font = FontProperties(size=_EM, math_fontfamily="cm")
    try:
        width = MathTextParser("path").parse(source, 72, font)[0]
        path = TextPath((0, 0), source, size=_EM, prop=font)
    except ValueError as error:
        raise SiteError(f"matplotlib does not read the equation {latex}: {error}") from error
    low, high = (float(y) for y in path.get_extents().intervaly)
    # Whatever Markdown could take for its own is written as an entity.
    label = re.sub(r"[^\w ]", lambda sign: f"&#{ord(sign[0])};", latex, flags=re.ASCII)
    style = "; ".join(
        f"{name}: {_SIZE * size / _EM:.3f}em"
        for name, size in (("width", width), ("height", high - low), ("vertical-align", low))
    )
    box = f"0 {-high:.0f} {width:.0f} {high - low:.0f}"
    return (
        f'<svg class="formula" role="img" aria-label="{label}" style="{style}" viewBox="{box}">'
        f'<path d="{_outline(path)}"/></svg>'
    )


def _outline(path: Any) -> str:
    """Return a path of matplotlib's as SVG has it: y grows downwards, steps from point to point."""
    parts, last = [], (0, 0)
    for points, code in path.iter_segments(simplify=False):
        if code == path.CLOSEPOLY:
            parts.append("z")
            continue
        places = [(round(x), -round(y)) for x, y in points.reshape(-1, 2)]
        x, y = (0, 0) if code == path.MOVETO else last
        steps = " ".join(f"{a - x} {b - y}" for a, b in places).replace(" -", "-")
        parts.append(_COMMANDS[int(code)] + steps)
        last = places[-1]
    return "".join(parts)
