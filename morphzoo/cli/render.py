"""Film a policy on a body, trained on it or not: an MP4 that browsers play.

For example: morphzoo render snowflake-centipede-6 morphzoo/Centipede-12 -o twelve.mp4
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add = parser.add_argument
    add("policy", metavar="POLICY", help="bundled name, folder, user/repo on the Hub, or random")
    add("env", metavar="ENV", help="body, such as morphzoo/Centipede-12, or Gymnasium's Ant-v5")
    add("-o", "--out", required=True, metavar="FILE", help="where to write, FILE.mp4")
    add("--seconds", type=float, default=10.0, metavar="S", help="of the robot's time (default 10)")
    add("--seed", type=int, metavar="N", help="of the first episode (default 10000)")
    add("--deterministic", action="store_true", help="the policy's mean actions, not drawn ones")
    add("--size", default="640x360", metavar="WxH", help="pixels (default 640x360)")
    add("--camera", metavar="NAME", help="of the body's model (default: the one that follows it)")
    add("--no-progress", action="store_true", help="no bar; there is none without a terminal")


def run(options: argparse.Namespace) -> int:
    """Film, and print what is seen."""
    size = size_of(options.size)
    from morphzoo import video
    from morphzoo.progress import progress_bar
    from morphzoo.results import TEST_SEED

    with progress_bar(show=not options.no_progress, unit="frame") as progress:
        clip = video.render(
            options.policy,
            options.env,
            options.out,
            seconds=options.seconds,
            seed=TEST_SEED if options.seed is None else options.seed,
            deterministic=options.deterministic,
            size=size,
            camera=options.camera,
            progress=progress,
        )
    print(clip)
    return 0


def size_of(text: str) -> tuple[int, int]:
    """Return width and height written as 640x360.

    Raises:
        ValueError: It is written in another way.
    """
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ValueError(f"--size: expected WIDTHxHEIGHT such as 640x360, found {text!r}")
    return int(width), int(height)
