"""Show a body as a graph: node types, observation and action indices, and what is odd about it.

For example: morphzoo inspect robot.xml -o robot.png --policy snowflake-centipede-6
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add = parser.add_argument
    add("body", metavar="ENV|FILE", help="morphzoo/Ant, Gymnasium's Ant-v5, or robot.xml")
    add("-o", "--out", type=Path, metavar="FILE", help="draw the graph too, FILE.png")
    add("--policy", metavar="NAME", help="say whether this checkpoint runs on it")
    text = "joint that a tendon's, site's or body's actuator belongs to; repeat for more"
    add("--drives", action="append", default=[], metavar="ACTUATOR=JOINT", help=text)


def run(options: argparse.Namespace) -> int:
    """Look, print, draw."""
    drives = dict(_pair(text) for text in options.drives)
    from morphzoo import drawing, files, inspection

    if options.out:
        files.check_writable(options.out.absolute().parent)
        drawing.check_name(options.out)
    try:
        report = inspection.inspect_body(options.body, policy=options.policy, actuator_nodes=drives)
    except ValueError as error:
        here = " (here: --drives ACTUATOR=JOINT)" if "actuator_nodes=" in str(error) else ""
        raise ValueError(f"{error}{here}") from error
    inspection.print_report(report)
    if options.out:
        drawing.save_graph(report, options.out)
        print(options.out)
    return 0


def _pair(text: str) -> tuple[str, str]:
    actuator, equals, joint = text.partition("=")
    if not (actuator and equals and joint):
        raise ValueError(f"--drives: expected ACTUATOR=JOINT, found {text!r}")
    return actuator, joint
