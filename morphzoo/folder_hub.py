"""A folder that acts as a hub: repositories with commits, branches, tags and pull requests."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from morphzoo.files import delete_unfinished, locked, write_bytes_atomic, write_text_atomic

MAIN = "main"
COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_]|[.-](?![.-]))*"
REPO = re.compile(rf"(?!.*\.(?:git|lock)$){_PART}/{_PART}(?<![.-])", re.ASCII)
REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|[./](?![./])){0,198}(?<![./])", re.ASCII)
NAME_LIMIT = 96  # characters of each half of a repository's name


class Absent(LookupError):
    """There is no such repository, revision or file."""

    def __init__(self, kind: Literal["repository", "revision", "file"], name: str) -> None:
        super().__init__(f"no {kind} {name!r}")
        self.kind = kind


class Taken(ValueError):
    """A tag exists already and names another commit."""


class Moved(ValueError):
    """The branch is no longer at the commit that the change was made for."""


@dataclass(frozen=True)
class Sum:
    """What a file must be: its size (bytes) and its SHA-256, its git object id, or both."""

    size: int | None
    sha256: str | None = None
    oid: str | None = None

    @staticmethod
    def of(data: bytes) -> Sum:
        """Return the sums of these bytes."""
        return Sum(len(data), hashlib.sha256(data).hexdigest(), git_oid(data))


@dataclass(frozen=True)
class Commit:
    """A state of a repository.

    Attributes:
        sha: 40 hexadecimal digits that follow from everything else.
        parent: The state before, None for the first.
        message: What changed.
        files: Path -> sums, of every file.
        date: When, ISO 8601.
    """

    sha: str
    parent: str | None
    message: str
    files: dict[str, Sum]
    date: str


def git_oid(data: bytes) -> str:
    """Return the name that git gives to a file of these contents."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def is_repo(name: str) -> bool:
    """Tell whether a name is of the form `user/repo`, in letters that every hub takes."""
    return bool(REPO.fullmatch(name)) and all(len(p) <= NAME_LIMIT for p in name.split("/"))


class FolderHub:
    """Repositories under one folder: `<user>/<repo>/{repo.json, commits/, blobs/}`.

    A repository changes in one step, when its `repo.json` is replaced: whatever was interrupted
    before has left blobs and commits that nothing names, and the same change again names them.

    Args:
        root: The folder; it is made when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def repos(self) -> list[str]:
        """List the names of all repositories."""
        found = (f"{p.parent.parent.name}/{p.parent.name}" for p in self.root.glob("*/*/repo.json"))
        return sorted(filter(is_repo, found))

    def create(self, repo: str, *, private: bool = False) -> bool:
        """Make an empty repository; False where it is there already."""
        with self._held(repo):
            if (self._folder(repo) / "repo.json").exists():
                return False
            state = {"private": private, "branches": {}, "tags": {}, "pulls": {}}
            self._write(repo, state)
            return True

    def state(self, repo: str) -> dict[str, Any]:
        """Return `private`, and name -> commit of `branches`, `tags` and `pulls`.

        Raises:
            Absent: There is no such repository.
        """
        try:
            return json.loads((self._folder(repo) / "repo.json").read_bytes())
        except FileNotFoundError:
            raise Absent("repository", repo) from None

    def resolve(self, repo: str, revision: str = MAIN) -> str:
        """Return the commit that a branch, tag, `refs/pr/N` or commit means.

        Raises:
            Absent: There is no such repository or revision.
        """
        state = self.state(repo)
        for kind in ("branches", "tags", "pulls"):
            if revision in state[kind]:
                return state[kind][revision]
        if COMMIT.fullmatch(revision) and self._commit_file(repo, revision).is_file():
            return revision
        raise Absent("revision", revision)

    def commit_of(self, repo: str, sha: str) -> Commit:
        """Read a commit that `resolve` has returned."""
        value = json.loads(self._commit_file(repo, sha).read_bytes())
        files = {path: Sum(**sums) for path, sums in value.pop("files").items()}
        return Commit(sha=sha, files=files, **value)

    def read(self, repo: str, sha: str, path: str) -> bytes:
        """Read a file of a commit.

        Raises:
            Absent: The commit has no such file.
        """
        sums = self.commit_of(repo, sha).files.get(path)
        if sums is None:
            raise Absent("file", path)
        return self.blob(repo, str(sums.sha256))

    def has(self, repo: str, sha256: str) -> bool:
        """Tell whether there are contents of this sum, in a commit or not."""
        return bool(_SHA256.fullmatch(sha256)) and (self._folder(repo) / "blobs" / sha256).is_file()

    def blob(self, repo: str, sha256: str) -> bytes:
        """Read contents by their sum.

        Raises:
            Absent: There are none.
        """
        if not self.has(repo, sha256):
            raise Absent("file", sha256)
        return (self._folder(repo) / "blobs" / sha256).read_bytes()

    def keep(self, repo: str, data: bytes) -> Sum:
        """Store contents for a commit that is to come, in a repository that exists."""
        self.state(repo)
        with self._held(repo):
            return self._keep(repo, data)

    def commit(
        self,
        repo: str,
        add: Mapping[str, bytes],
        delete: Iterable[str] = (),
        *,
        message: str,
        branch: str = MAIN,
        parent: str | None = None,
        create_pr: bool = False,
    ) -> tuple[Commit, str]:
        """Change files in one step.

        Args:
            repo: The repository.
            add: Path -> contents.
            delete: Paths to remove; a path that ends in a slash means all that is in it.
            message: What changed.
            branch: Where; it is made if it is new.
            parent: The commit that the branch must still be at; None for any.
            create_pr: Leave the branch as it is and put the change beside it, for review.

        Returns:
            The commit, and the name that now means it: the branch, or `refs/pr/N`.

        Raises:
            Absent: There is no such repository.
            Moved: The branch is at another commit than `parent`.
        """
        self.state(repo)  # nothing is made, not even a lock, for one that is not there
        with self._held(repo):
            state = self.state(repo)
            head = state["branches"].get(branch) or state["pulls"].get(branch)
            if parent is not None and parent != head:
                raise Moved(f"{repo}: {branch} is at {head}, no longer at {parent}")
            files = dict(self.commit_of(repo, head).files) if head else {}
            gone = tuple(delete)
            folders = tuple(path for path in gone if path.endswith("/"))
            files = {p: s for p, s in files.items() if p not in gone and not p.startswith(folders)}
            for path, data in add.items():
                files[path] = self._keep(repo, data)
            commit = self._record(repo, head, message, files)
            name = f"refs/pr/{len(state['pulls']) + 1}" if create_pr else branch
            kind = "pulls" if name.startswith("refs/pr/") else "branches"
            state[kind][name] = commit.sha
            self._write(repo, state)
        return commit, name

    def tag(self, repo: str, name: str, sha: str) -> None:
        """Name a commit for good.

        Raises:
            Absent: There is no such repository.
            Taken: The tag exists, whatever it names.
        """
        self.state(repo)
        with self._held(repo):
            state = self.state(repo)
            if name in state["tags"]:
                raise Taken(f"{repo}: the tag {name} names {state['tags'][name]}")
            state["tags"][name] = sha
            self._write(repo, state)

    def tagged(self, tag: str) -> list[str]:
        """List the public repositories whose card has a tag, such as morphzoo."""
        public = (repo for repo in self.repos() if not self.state(repo)["private"])
        return [repo for repo in public if tag in self.card_tags(repo)]

    def card_tags(self, repo: str) -> list[str]:
        """Return the tags in the header of a repository's card; none where it has no card."""
        head = self.state(repo)["branches"].get(MAIN)
        if head is None or "README.md" not in self.commit_of(repo, head).files:
            return []
        text = self.read(repo, head, "README.md").decode("utf-8", "replace")
        header = re.match(r"---\n(.*?)\n---\n", text, re.S)
        listed = re.search(r"^tags:\n((?:[ ]*- .*(?:\n|\Z))+)", header[1] if header else "", re.M)
        return [line.strip()[2:].strip("'\" ") for line in listed[1].splitlines()] if listed else []

    def _folder(self, repo: str) -> Path:
        """Return a repository's folder; no name leads out of the root."""
        if not is_repo(repo):
            raise Absent("repository", repo)
        return self.root / repo

    @contextlib.contextmanager
    def _held(self, repo: str) -> Iterator[None]:
        """Hold a repository for this process alone, without what a killed one left."""
        with locked(self._folder(repo)):
            delete_unfinished(self._folder(repo))
            yield

    def _commit_file(self, repo: str, sha: str) -> Path:
        """Return the file of a commit."""
        return self._folder(repo) / "commits" / f"{sha}.json"

    def _keep(self, repo: str, data: bytes) -> Sum:
        """Store contents under their own sum."""
        sums = Sum.of(data)
        blob = self._folder(repo) / "blobs" / str(sums.sha256)
        blob.parent.mkdir(exist_ok=True)
        if not blob.exists():
            write_bytes_atomic(blob, data)
        return sums

    def _record(self, repo: str, parent: str | None, message: str, files: dict[str, Sum]) -> Commit:
        """Store a commit under the sum of all that is in it."""
        value = {
            "parent": parent,
            "message": message,
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "files": {path: asdict(files[path]) for path in sorted(files)},
        }
        text = json.dumps(value, indent=1, sort_keys=True)
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        file = self._commit_file(repo, sha)
        file.parent.mkdir(exist_ok=True)
        write_text_atomic(file, text)
        return self.commit_of(repo, sha)

    def _write(self, repo: str, state: Mapping[str, Any]) -> None:
        """Replace a repository's `repo.json`."""
        file = self._folder(repo) / "repo.json"
        write_text_atomic(file, json.dumps(state, indent=1, sort_keys=True))
