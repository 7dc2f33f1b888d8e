"""The Hub's protocol, as far as its client speaks it to publish, find and fetch checkpoints."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from morphzoo.folder_hub import Absent, Commit, Sum, is_repo
from morphzoo.testing import large_files
from morphzoo.testing.large_files import LARGE, LargeFiles
from morphzoo.testing.wire import Refused

_REPO = r"([^/]+/[^/]+)"
_ROUTES = (
    ("POST", "/api/repos/create", "create"),
    ("POST", "/api/validate-yaml", "validate"),
    ("GET", "/api/whoami-v2", "who"),
    ("GET", "/api/models", "models"),
    ("POST", rf"/api/models/{_REPO}/preupload/([^/]+)", "preupload"),
    ("POST", rf"/api/models/{_REPO}/commit/([^/]+)", "commit"),
    ("POST", rf"/api/models/{_REPO}/tag/([^/]+)", "tag"),
    ("GET", rf"/api/models/{_REPO}/refs", "refs"),
    ("GET", rf"/api/models/{_REPO}/tree/([^/]+)", "tree"),
    ("GET", rf"/api/models/{_REPO}/revision/([^/]+)", "info"),
    ("GET", rf"/api/models/{_REPO}", "info"),
    ("ANY", rf"/{_REPO}/resolve/([^/]+)/(.+)", "resolve"),
    *large_files.ROUTES,
)


class Protocol(LargeFiles):
    """What the client asks for: each method is named in a route; `body` is the request's."""

    routes = _ROUTES

    def create(self, *, body: bytes) -> None:
        """Make a repository."""
        self._must_write()
        wish = json.loads(body)
        repo = f"{wish.get('organization') or 'me'}/{wish['name']}"
        if not is_repo(repo):
            raise Refused(400, f"{repo!r} is no name of a repository")
        private = wish.get("visibility") == "private" or bool(wish.get("private"))
        new = self.served.hub.create(repo, private=private)
        value = {"url": f"{self.served.url}/{repo}", "name": repo, "id": repo}
        self._json(value if new else {"error": "exists", **value}, 200 if new else 409)

    def validate(self, *, body: bytes) -> None:
        """Find nothing wrong with a card."""
        self._json({"errors": [], "warnings": []})

    def who(self, *, body: bytes) -> None:
        """Say whose token it is."""
        self._must_write()
        self._json({"type": "user", "name": "me", "orgs": [], "auth": {"type": "access_token"}})

    def preupload(self, repo: str, revision: str, *, body: bytes) -> None:
        """Say which way each file is to be sent, and which are there already, and the same."""
        self._must_write()
        try:
            known = self._commit(repo, revision).files
        except Absent as absent:
            if absent.kind == "repository":
                raise
            known = {}
        paths = [file["path"] for file in json.loads(body)["files"]]
        files = []
        for path in paths:
            large, sums = self._is_large(path), known.get(path)
            mode = "lfs" if large else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False})
            if sums is not None:
                files[-1]["oid"] = sums.sha256 if large else sums.oid
        self._json({"files": files})

    def commit(self, repo: str, revision: str, *, body: bytes) -> None:
        """Change files in one step."""
        self._must_write()
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        values = [(line["key"], line["value"]) for line in lines]
        header = next(value for key, value in values if key == "header")
        hub = self.served.hub
        add = {v["path"]: base64.b64decode(v["content"]) for k, v in values if k == "file"}
        add |= {v["path"]: hub.blob(repo, v["oid"]) for k, v in values if k == "lfsFile"}
        delete = [v["path"] for k, v in values if k == "deletedFile"]
        delete += [f"{v['path'].rstrip('/')}/" for k, v in values if k == "deletedFolder"]
        made, name = hub.commit(
            repo,
            add,
            delete,
            message=header.get("summary", ""),
            branch=revision,
            parent=header.get("parentCommit"),
            create_pr="create_pr" in self.query,
        )
        url = f"{self.served.url}/{repo}"
        answer = {"success": True, "commitOid": made.sha, "commitUrl": f"{url}/commit/{made.sha}"}
        if name.startswith("refs/pr/"):
            answer["pullRequestUrl"] = f"{url}/discussions/{name.rsplit('/', 1)[1]}"
        self._json(answer)

    def tag(self, repo: str, revision: str, *, body: bytes) -> None:
        """Name a commit."""
        self._must_write()
        hub = self.served.hub
        hub.tag(repo, json.loads(body)["tag"], hub.resolve(repo, revision))
        self._json({})

    def refs(self, repo: str, *, body: bytes) -> None:
        """List branches, tags and pull requests."""
        self._must_see(repo)
        state = self.served.hub.state(repo)

        def listed(names: Mapping[str, str], prefix: str) -> list[dict[str, str]]:
            return [{"name": n, "ref": prefix + n, "targetCommit": c} for n, c in names.items()]

        answer = {"branches": listed(state["branches"], "refs/heads/"), "converts": []}
        answer["tags"] = listed(state["tags"], "refs/tags/")
        if "include_prs" in self.query:
            answer["pullRequests"] = listed(state["pulls"], "")
        self._json(answer)

    def models(self, *, body: bytes) -> None:
        """List public repositories, of a tag or with a word in the name."""
        hub = self.served.hub
        found = [r for r in hub.repos() if not hub.state(r)["private"]]
        for tag in self.query.get("filter", []):
            found = [repo for repo in found if tag in hub.card_tags(repo)]
        for word in self.query.get("search", []) + self.query.get("author", []):
            found = [repo for repo in found if word.lower() in repo.lower()]
        self._json([{"id": r, "modelId": r, "tags": hub.card_tags(r)} for r in found])

    def info(self, repo: str, revision: str = "main", *, body: bytes) -> None:
        """Tell of a repository, and which files it has at a revision."""
        self._must_see(repo)
        state = self.served.hub.state(repo)
        value: dict[str, Any] = {"id": repo, "modelId": repo, "private": state["private"]}
        value |= {"tags": self.served.hub.card_tags(repo), "siblings": [], "sha": None}
        if state["branches"] or revision != "main":
            commit = self._commit(repo, revision)
            value["sha"] = "0" * 40 if self.fault == "other-commit" else commit.sha
            value["lastModified"] = commit.date
            value["siblings"] = [self._sibling(p, s) for p, s in commit.files.items()]
        self._json(value)

    def tree(self, repo: str, revision: str, *, body: bytes) -> None:
        """List files with their sums, in the other form that the Hub has."""
        self._must_see(repo)
        files = []
        for path, sums in self._commit(repo, revision).files.items():
            files.append({"type": "file", "path": path, "size": sums.size, "oid": sums.oid})
            if path.endswith(LARGE):
                lfs = {"oid": sums.sha256, "size": sums.size, "pointerSize": 130}
                files[-1]["lfs"] = lfs
        self._json(files)

    def resolve(self, repo: str, revision: str, path: str, *, body: bytes) -> None:
        """Send a file."""
        self._must_see(repo)
        commit = self._commit(repo, revision)
        data = self.served.hub.read(repo, commit.sha, path)
        sums = Sum.of(data)
        if self._is_large(path):
            self._lead_to(repo, commit.sha, sums)
            return
        etag = sums.sha256 if path.endswith(LARGE) else sums.oid
        self._send_file(path, data, {"X-Repo-Commit": commit.sha, "ETag": f'"{etag}"'})

    def _commit(self, repo: str, revision: str) -> Commit:
        """Find a commit."""
        hub = self.served.hub
        return hub.commit_of(repo, hub.resolve(repo, revision))

    def _sibling(self, path: str, sums: Sum) -> dict[str, Any]:
        """Describe a file of a listing, with its sums if they were asked for."""
        sibling: dict[str, Any] = {"rfilename": path}
        if "blobs" in self.query and self.fault != "no-sums":
            if self.fault == "wrong-sums":
                sums = Sum(sums.size, "0" * 64, "0" * 40)
            sibling |= {"size": sums.size, "blobId": sums.oid}
            if path.endswith(LARGE):
                lfs = {"sha256": sums.sha256, "size": sums.size, "pointerSize": 130}
                sibling["lfs"] = lfs
        return sibling
