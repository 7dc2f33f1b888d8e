"""Faults that the test hub can be told to have: what a network, a proxy or a liar may do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: Status -> what the Hub says with it.
STATUSES = {
    401: "Invalid username or password.",
    403: "You don't have the rights to do this.",
    404: "Repository not found",
    409: "A conflicting operation is in progress",
    412: "A commit has happened since. Please refresh and try again.",
    429: "Too many requests",
    500: "Internal Error",
    503: "Service Unavailable",
}

#: Name of every fault that is not a status -> what happens.
KINDS = {
    "checksum": "a file is sent with one byte changed",
    "short": "a file is cut in the middle, and the connection with it",
    "swap": "another, whole file is sent in place of the one that was listed",
    "endless": "a file never ends",
    "loop": "the answer sends one to the same address for ever",
    "stall": "the connection stays open and nothing more comes",
    "hang-up": "the connection is closed without an answer",
    "portal": "a page to log in to a network is the answer to everything",
    "echo": "an error repeats the headers that it was sent, the token among them",
    "no-sums": "files are listed without checksums",
    "wrong-sums": "files are listed with checksums of something else",
    "other-commit": "a listing is of another commit than the one asked for",
}


@dataclass
class Fault:
    """One fault, and which requests have it.

    Attributes:
        kind: A status such as "503", or a key of `KINDS`.
        where: Regular expression, searched in "METHOD /path".
        times: How many requests have it; None for all.
    """

    kind: str
    where: str = ""
    times: int | None = None
    met: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Refuse a kind that there is not."""
        if self.kind not in KINDS and not (self.kind.isdigit() and int(self.kind) in STATUSES):
            listed = ", ".join([*map(str, STATUSES), *KINDS])
            raise ValueError(f"no fault {self.kind!r}: there are {listed}")

    @staticmethod
    def parse(text: str) -> Fault:
        """Read `KIND` or `KIND@WHERE`, as the command line has it."""
        kind, _, where = text.partition("@")
        return Fault(kind, where)

    def strikes(self, request: str) -> bool:
        """Tell whether a request ("METHOD /path") has this fault, and count it."""
        if not re.search(self.where, request) or self.met == self.times:
            return False
        self.met += 1
        return True
