"""Where checkpoints are published: what a hub can be asked, and a folder that answers as one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from morphzoo.folder_hub import MAIN, Absent, FolderHub, Moved, Sum, Taken
from morphzoo.zoo.untrusted import CheckpointError, shown

HUB = "MORPHZOO_HUB"  # environment: a hub other than the Hugging Face Hub, file:///dir or https://

WAITS = (1.0, 3.0)  # seconds before a listing or a file is asked for again

Token = str | bool | None
T = TypeVar("T")


class HubError(CheckpointError):
    """A hub did not give or take a checkpoint; the message says why, and what to do.

    Attributes:
        passing: Whether the same request may well succeed a moment later.
    """

    passing = False


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit.

    Attributes:
        commit: 40 hexadecimal digits; None where nothing was published yet.
        files: Path -> what the file must be.
        private: Whether only some may see it; None where the hub does not say.
    """

    commit: str | None
    files: dict[str, Sum]
    private: bool | None = None


@dataclass(frozen=True)
class Change:
    """What is to be published, in one step.

    Attributes:
        add: File name -> contents.
        delete: Names of files to remove.
        message: What changes.
        parent: The commit that was looked at; None for the first.
        create_pr: Propose it only.
        show: Whether the client may show bars of its own.
    """

    add: Mapping[str, bytes]
    delete: Sequence[str]
    message: str
    parent: str | None
    create_pr: bool
    show: bool = False


class Remote(Protocol):
    """What `push` and `pull` ask of a hub. Every method raises `HubError`."""

    url: str

    def listing(self, repo: str, revision: str) -> Listing:
        """List a revision's files with their sums."""
        ...

    def chunks(self, repo: str, commit: str, path: str) -> Generator[bytes, None, None]:
        """Read a file, part by part."""
        ...

    def tags(self, repo: str) -> dict[str, str]:
        """Return tag -> commit."""
        ...

    def create(self, repo: str, private: bool | None) -> None:
        """Make a repository where there is none."""
        ...

    def commit(self, repo: str, change: Change) -> tuple[str, str]:
        """Publish; return the commit, and where a person can see it."""
        ...

    def tag(self, repo: str, name: str, commit: str) -> None:
        """Name a commit."""
        ...

    def tagged(self, tag: str) -> list[str]:
        """List repositories whose card has a tag."""
        ...


def remote_of(endpoint: str | None, token: Token) -> Remote:
    """Find the hub that is meant.

    Args:
        endpoint: Its address, https://... or file:///dir; None takes the environment's
            MORPHZOO_HUB, or the Hugging Face Hub (its HF_ENDPOINT).
        token: As huggingface_hub takes it: None for the one stored by `hf auth login` or in
            HF_TOKEN, False for none.

    Raises:
        HubError: It is no address of a hub.
    """
    address = endpoint or os.environ.get(HUB) or None
    if address is not None and urlsplit(address).scheme == "file":
        return FolderRemote(address)
    from morphzoo.zoo.web import WebRemote  # a second to import

    return WebRemote(address, token)


class FolderRemote:
    """A folder as a hub: `file:///dir`."""

    def __init__(self, address: str) -> None:
        split = urlsplit(address)
        if split.netloc not in ("", "localhost") or not split.path.strip("/"):
            raise HubError(
                f"{HUB} or endpoint: expected file:///dir; found {shown(address)}. Give the whole "
                "path of the folder after file://."
            )
        self.hub = FolderHub(Path(url2pathname(split.path)))
        self.url = self.hub.root.as_uri()

    def listing(self, repo: str, revision: str) -> Listing:
        """See `Remote`."""
        with self._told(repo):
            state = self.hub.state(repo)
            if revision == MAIN and MAIN not in state["branches"]:
                return Listing(None, {}, state["private"])
            commit = self.hub.commit_of(repo, self.hub.resolve(repo, revision))
            return Listing(commit.sha, commit.files, state["private"])

    def chunks(self, repo: str, commit: str, path: str) -> Generator[bytes, None, None]:
        """See `Remote`."""
        with self._told(repo):
            yield self.hub.read(repo, commit, path)

    def tags(self, repo: str) -> dict[str, str]:
        """See `Remote`."""
        with self._told(repo):
            return self.hub.state(repo)["tags"]

    def create(self, repo: str, private: bool | None) -> None:
        """See `Remote`."""
        with self._told(repo):
            self.hub.create(repo, private=bool(private))

    def commit(self, repo: str, change: Change) -> tuple[str, str]:
        """See `Remote`."""
        with self._told(repo):
            made, name = self.hub.commit(
                repo,
                change.add,
                change.delete,
                message=change.message,
                parent=change.parent,
                create_pr=change.create_pr,
            )
            return made.sha, f"{self.url}/{repo}@{name}"

    def tag(self, repo: str, name: str, commit: str) -> None:
        """See `Remote`."""
        with self._told(repo):
            self.hub.tag(repo, name, commit)

    def tagged(self, tag: str) -> list[str]:
        """See `Remote`."""
        return self.hub.tagged(tag)

    @contextlib.contextmanager
    def _told(self, repo: str) -> Iterator[None]:
        """Say of a failure what the web's hub would be said of."""
        try:
            yield
        except Absent as absent:
            refuse_absent(self.url, repo, absent.kind, str(absent.args[0]))
        except (Moved, Taken) as error:
            raise HubError(
                f"{self.url}: {error}: somebody published there in between, and nothing of yours "
                "was. See what is there now, and push again."
            ) from None
        except ValueError as error:
            raise HubError(f"{self.url}: {repo} is damaged there: {shown(str(error))}") from None


def patiently(ask: Callable[[], T]) -> T:
    """Call, and call again after a while where that may help.

    Args:
        ask: What may raise a `HubError` that is `passing`.

    Returns:
        What it returns.
    """
    for wait in WAITS:
        try:
            return ask()
        except HubError as error:
            if not error.passing:
                raise
        time.sleep(wait)
    return ask()


def refuse_absent(url: str, repo: str, kind: str, what: str = "") -> NoReturn:
    """Raise the error for something that a hub does not have.

    Args:
        url: The hub.
        repo: The repository that was asked for.
        kind: "repository", "revision" or "file".
        what: What was missing in it.

    Raises:
        HubError: Always.
    """
    if kind == "repository":
        raise HubError(
            f"{url}: there is no repository {repo}, or it is private and you may not see it. Check "
            "the spelling; for a private one log in with `hf auth login`, or set HF_TOKEN."
        )
    if kind == "revision":
        raise HubError(
            f"{url}: {repo} has no such revision ({what}). Leave the revision out for the newest, "
            "or give one of its tags or commits."
        )
    raise HubError(
        f"{url}: {repo} lists a file that is not there ({what}). Pull again; if it stays so, the "
        "repository is damaged: take another revision, or tell its owner."
    )
