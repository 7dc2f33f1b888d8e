"""Docstrings as Markdown: what the house writes in its own way, which readers of Google's take ill.

`Source:` and `Differs:` with further lines below would become boxes that fold, with their first
line for a title; a paragraph that ends in `::` keeps both.
"""

from __future__ import annotations

import re

_NOTE = re.compile(r"(Source|Differs): (.+)")


def as_markdown(text: str) -> str:
    """Return a docstring, without the indentation of its code, as the reference shows it."""
    lines: list[str] = []
    noted = False  # below the first line of a note
    for line in text.split("\n"):
        if found := _NOTE.fullmatch(line):
            lines += ["", f"*{found[1]}:* {found[2]}"]
            noted = True
        elif noted and line.startswith("    "):
            lines[-1] += f" {line.strip()}"  # a line that begins with 16. would begin a list
        else:
            if noted and line.strip():
                lines.append("")
            noted = False
            lines.append(re.sub(r" ?::$", ":", line))
    return "\n".join(lines)
