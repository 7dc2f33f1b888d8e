"""One connection to the test hub: requests in, answers and faults out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qs, quote, unquote, urlsplit

from morphzoo.folder_hub import Absent, Moved, Taken
from morphzoo.testing.faults import STATUSES

if TYPE_CHECKING:
    from morphzoo.testing.hub import HubServer

BODY_LIMIT = 1_000_000_000  # bytes
_FILE = re.compile(r"/[^/]+/[^/]+/resolve/|/large-files/")  # an address that is a file's
_CODES = {"repository": "RepoNotFound", "revision": "RevisionNotFound", "file": "EntryNotFound"}


class Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, message: str = "", code: str = "") -> None:
        super().__init__(message or STATUSES.get(status, "Error"))
        self.status, self.code = status, code


class _Answered(Exception):
    """The answer is on its way, and there is no more to it."""


class Wire(BaseHTTPRequestHandler):
    """One connection; a subclass has `routes` and the methods that they name."""

    protocol_version = "HTTP/1.1"
    served: HubServer
    routes: tuple[tuple[str, str, str], ...] = ()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: a log of requests could hold what nobody should read."""

    def do_GET(self) -> None:
        """Answer."""
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        """Route one request, and have its fault."""
        split = urlsplit(self.path)
        self.query = parse_qs(split.query)
        request = f"{self.command} {unquote(split.path)}"
        self.served.requests.append(f"{self.command} {self.path}")
        body = self._body()
        if self.served.stopping.is_set():  # a connection that was kept open
            self.close_connection = True
            return
        self.fault = next((f.kind for f in self.served.faults if f.strikes(request)), "")
        if self.fault:
            self.served.struck.set()
        try:
            self._fail_at_once()
            for method, pattern, name in self.routes:
                if method in (self.command, "ANY") and (found := re.fullmatch(pattern, split.path)):
                    getattr(self, name)(*map(unquote, found.groups()), body=body)
                    return
            raise Refused(404, f"no such address: {request}")
        except Refused as refused:
            self._json({"error": str(refused)}, refused.status, {"X-Error-Code": refused.code})
        except Absent as absent:
            self._json({"error": str(absent)}, 404, {"X-Error-Code": _CODES[absent.kind]})
        except (Taken, Moved) as conflict:
            self._json({"error": str(conflict)}, 409 if isinstance(conflict, Taken) else 412)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except _Answered:
            pass

    def _fail_at_once(self) -> None:
        """Have those faults that need not know what was asked for."""
        if self.fault.isdigit():
            code = "RepoNotFound" if self.fault == "404" else ""
            raise Refused(int(self.fault), code=code)
        if self.fault == "echo":
            raise Refused(403, f"not with these headers: {dict(self.headers)}")
        if self.fault == "hang-up":
            self.close_connection = True
            raise BrokenPipeError
        if self.fault == "loop":
            self._send(302, b"", {"Location": self.path})
            raise _Answered
        if self.fault == "portal":
            self._send(200, b"<html>Log in to the network</html>", {"Content-Type": "text/html"})
            raise _Answered
        if self.fault == "stall" and (self.command == "PUT" or not _FILE.match(self.path)):
            self._stall()

    def _stall(self) -> NoReturn:
        """Hold the connection and say nothing, until the server stops."""
        self.served.stopping.wait()
        self.close_connection = True
        raise BrokenPipeError

    def _body(self) -> bytes:
        """Read the request's body, of known length or in chunks."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), BODY_LIMIT))

    def _json(
        self, value: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with JSON."""
        more = {key: text for key, text in (headers or {}).items() if text}
        if status >= 400 and isinstance(value, dict):
            more["X-Error-Message"] = quote(str(value["error"]), safe=" :/'{},.-_")
        data = json.dumps(value).encode()
        self._send(status, data, {"Content-Type": "application/json", **more})

    def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        """Answer."""
        self.send_response(status)
        for key, text in headers.items():
            self.send_header(key, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _send_file(self, name: str, data: bytes, headers: Mapping[str, str]) -> None:
        """Answer with a file, or have the fault that it is sent with."""
        if self.fault == "checksum":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if self.fault == "swap":
            data = json.dumps({"swapped": name}).encode()
        headers = {**headers, "Content-Type": "application/octet-stream"}
        if self.fault in ("short", "stall", "endless") and self.command == "GET":
            self._send_badly(data, headers)
        self._send(200, data, headers)

    def _role(self) -> str:
        """Return what the request's token may do: "", "read" or "write"."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()
        if not token:
            return ""
        if self.served.tokens is None:
            return "write"
        if token not in self.served.tokens:
            raise Refused(401)
        return self.served.tokens[token]

    def _must_write(self) -> None:
        """Refuse whoever may not write."""
        if (role := self._role()) != "write":
            raise Refused(403 if role else 401)

    def _must_see(self, repo: str) -> None:
        """Refuse whoever may not know of a private repository, as if there were none."""
        role = self._role()  # a token that is unknown may not even see what all may
        if self.served.hub.state(repo)["private"] and not role:
            raise Absent("repository", repo)

    def _send_badly(self, data: bytes, headers: Mapping[str, str]) -> NoReturn:
        """Begin to send a file and do not come to its end."""
        self.send_response(200)
        for key, text in headers.items():
            self.send_header(key, text)
        if self.fault != "endless":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.close_connection = True
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        if self.fault == "stall":
            self._stall()
        while self.fault == "endless" and not self.served.stopping.is_set():
            self.wfile.write(bytes(65536))
        raise BrokenPipeError
