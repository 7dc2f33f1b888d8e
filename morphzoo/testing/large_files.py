"""The Hub's store of large files: sent beside the commit, and fetched from another address."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import quote

from morphzoo.folder_hub import Sum
from morphzoo.testing.wire import Refused, Wire

LARGE = (".safetensors", ".mp4", ".png", ".gif")  # what the Hub keeps in large-file storage

_REPO = r"([^/]+/[^/]+)"
_OID = r"([0-9a-f]{64})"
ROUTES = (
    ("POST", rf"/{_REPO}\.git/info/lfs/objects/batch", "batch"),
    ("POST", rf"/{_REPO}\.git/info/lfs/verify", "verify"),
    ("PUT", rf"/large-files/{_REPO}/{_OID}/(\d+)", "store"),
    ("ANY", rf"/large-files/{_REPO}/{_OID}", "fetch"),
)


class LargeFiles(Wire):
    """The basic transfer of Git LFS, which the client speaks where it is told to leave Xet out.

    What the Hub signs such addresses with is a word here that a server makes up at its start.
    """

    def _is_large(self, path: str) -> bool:
        """Tell whether a file travels beside the commits."""
        return self.served.lfs and path.endswith(LARGE)

    def batch(self, repo: str, *, body: bytes) -> None:
        """Say where each file is to be sent; nowhere, if it is here."""
        self._must_write()
        self.served.hub.state(repo)
        objects = []
        for wish in json.loads(body)["objects"]:
            found = {"oid": str(wish["oid"]), "size": int(wish["size"])}
            if not self.served.hub.has(repo, found["oid"]):
                place = f"/large-files/{repo}/{found['oid']}/{found['size']}"
                verify = f"{self.served.url}/{repo}.git/info/lfs/verify"
                found["actions"] = {
                    "upload": {"href": f"{self.served.elsewhere}{self._signed(place)}"},
                    "verify": {"href": verify},
                }
            objects.append(found)
        self._json({"transfer": "basic", "objects": objects})

    def store(self, repo: str, oid: str, size: str, *, body: bytes) -> None:
        """Take a file, if it is what was said."""
        self._must_be_signed()
        if len(body) != int(size) or hashlib.sha256(body).hexdigest() != oid:
            raise Refused(400, "not the file that was announced")
        self.served.hub.keep(repo, body)
        self._json({})

    def verify(self, repo: str, *, body: bytes) -> None:
        """Say whether a file has arrived."""
        self._must_write()
        if not self.served.hub.has(repo, json.loads(body)["oid"]):
            raise Refused(404, "no such file was sent")
        self._json({})

    def fetch(self, repo: str, oid: str, *, body: bytes) -> None:
        """Send a file to whoever was led here."""
        self._must_be_signed()
        data = self.served.hub.blob(repo, oid)
        self._send_file(oid, data, {"ETag": f'"{oid}"'})

    def _lead_to(self, repo: str, commit: str, sums: Sum) -> None:
        """Answer with the other address of a file, as the Hub does."""
        place = self._signed(f"/large-files/{repo}/{sums.sha256}")
        headers = {
            "Location": f"{self.served.elsewhere}{place}",
            "X-Repo-Commit": commit,
            "X-Linked-ETag": f'"{sums.sha256}"',
            "X-Linked-Size": str(sums.size),
        }
        self._send(302, b"", headers)

    def _signed(self, place: str) -> str:
        """Return an address that may be asked for without a token."""
        return f"{quote(place)}?signature={self.served.signature}"

    def _must_be_signed(self) -> None:
        """Refuse who was not led here, and a token, as the store behind the Hub does."""
        if self.query.get("signature") != [self.served.signature]:
            raise Refused(403, "not signed")
        if self.headers.get("Authorization"):
            raise Refused(400, "only one way to say who one is")
