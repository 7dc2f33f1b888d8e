"""A hub on this machine alone: `python -m morphzoo.testing.hub --root DIR --port 0`."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import threading
from collections.abc import Iterable, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from morphzoo.folder_hub import FolderHub
from morphzoo.testing.faults import KINDS, STATUSES, Fault
from morphzoo.testing.protocol import Protocol

TOKENS = "MORPHZOO_TEST_HUB_TOKENS"  # environment: tokens that may write, with commas between


class _Server(ThreadingHTTPServer):
    """Says nothing of clients that go away, which every killed and every impatient one does."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what is a mistake of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class HubServer:
    """The Hub's protocol over HTTP on loopback, its repositories in a `FolderHub`.

    Use it as a context manager, or `start` and `stop` it.

    Args:
        root: Folder of the repositories.
        port: 0 takes a free one.
        tokens: Token -> "read" or "write"; None lets any token write.
        faults: What goes wrong; `faults` may be changed while the server runs.
        lfs: Keep large files as the Hub does: they are sent beside the commit by Git LFS, which
            the client speaks with HF_HUB_DISABLE_XET=1, and fetched from another address.

    Attributes:
        url: Where it answers, once it is made.
        elsewhere: Where large files are sent and fetched: to a client, another host.
        signature: What addresses there are signed with.
        requests: "METHOD /path?query" of every request, in order.
    """

    def __init__(
        self,
        root: Path,
        port: int = 0,
        *,
        tokens: Mapping[str, str] | None = None,
        faults: Iterable[Fault] = (),
        lfs: bool = False,
    ) -> None:
        self.hub = FolderHub(root)
        self.tokens = tokens
        self.faults = list(faults)
        self.lfs = lfs
        self.requests: list[str] = []
        self.struck = threading.Event()  # set when a fault first strikes
        self.stopping = threading.Event()
        handler = type("Handler", (Protocol,), {"served": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False  # a client may keep its connection open for ever
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.elsewhere = f"http://localhost:{self._server.server_address[1]}"
        self.signature = secrets.token_urlsafe(12)

    def start(self) -> HubServer:
        """Answer from now on, in a thread."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Take no more requests, and let go of those that are stalled."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> HubServer:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m morphzoo.testing.hub", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of the repositories")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    listed = ", ".join([*map(str, STATUSES), *KINDS])
    text = "keep large files as the Hub does: clients need HF_HUB_DISABLE_XET=1 to send them"
    parser.add_argument("--lfs", action="store_true", help=text)
    text = f"have a fault, at requests whose 'METHOD /path' fits a pattern; kinds: {listed}"
    parser.add_argument("--fault", action="append", default=[], metavar="KIND[@WHERE]", help=text)
    options = parser.parse_args()
    known = dict.fromkeys(filter(None, os.environ.get(TOKENS, "").split(",")), "write") or None
    try:
        faults = [Fault.parse(text) for text in options.fault]
    except ValueError as error:
        parser.error(str(error))
    with HubServer(
        options.root, options.port, tokens=known, faults=faults, lfs=options.lfs
    ) as server:
        who = f"one of the tokens in {TOKENS}" if known else "any token may write"
        print(f"{server.url}  ({who}; Ctrl-C stops)", flush=True)
        try:
            server.stopping.wait()
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
