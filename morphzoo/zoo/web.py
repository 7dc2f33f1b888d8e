"""The Hugging Face Hub over HTTP, through huggingface_hub; what goes wrong has a remedy."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_session,
    hf_hub_url,
    hf_raise_for_status,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers

import morphzoo
from morphzoo.folder_hub import MAIN, Sum
from morphzoo.zoo.quiet import client_bars, unsigned_log
from morphzoo.zoo.remote import HUB, Change, HubError, Listing, Token, patiently, refuse_absent
from morphzoo.zoo.untrusted import CheckpointError, shown

CHUNK = 1 << 14  # bytes

_LOGIN = "Log in with `hf auth login`, or set HF_TOKEN to a token that may write"
#: Status -> why, and what to do. The hub's own words are not repeated: they may hold a token.
_STATUSES = {
    401: ("it does not know you, or has no such repository", _LOGIN),
    403: ("you may not do that", f"{_LOGIN} to that user or organisation"),
    409: ("it is in conflict with another request", "Wait until that one is done, and repeat"),
    412: (
        "somebody published there in between, and nothing of yours was",
        "See what is there now, and push again",
    ),
    413: ("it is too large for it", "Leave media out, or make them smaller"),
    429: (
        "you, or others at your address, have asked too much",
        "Wait some minutes and repeat; who is logged in may ask more",
    ),
}
_TROUBLE = ("it is in trouble itself", "Wait some minutes and repeat; nothing is half-done")
_STRANGE = (
    "its answer is not one of the Hub's",
    f"Check {HUB} and HF_ENDPOINT, and whether your network wants you to log in first",
)
_STORE = (
    "the store behind it has not taken a large file",
    "Check your connection and repeat; HF_HUB_DISABLE_XET=1 takes another way to it",
)
_PASSING = (408, 429, 500, 502, 503, 504)


class WebRemote:
    """The Hub, or a server that speaks its protocol; see `morphzoo.zoo.remote.Remote`.

    Args:
        endpoint: Its address; None for huggingface_hub's own.
        token: As huggingface_hub takes it.
    """

    def __init__(self, endpoint: str | None, token: Token) -> None:
        self.url = _checked(endpoint or HfApi().endpoint, token)
        self._token = token
        self._about: dict[str, Any] = {
            "library_name": "morphzoo",
            "library_version": morphzoo.__version__,
        }
        self._api = HfApi(endpoint=self.url, token=token, **self._about)

    def listing(self, repo: str, revision: str) -> Listing:
        """See `Remote`."""
        return patiently(lambda: self._listing(repo, revision))

    def _listing(self, repo: str, revision: str) -> Listing:
        """List once."""
        with self._told(repo, revision):
            # Without a revision, a repository where nothing was published yet is no error.
            wanted = None if revision == MAIN else revision
            info = self._api.model_info(
                repo, revision=wanted, files_metadata=True, timeout=_timeout()
            )
            files = {file.rfilename: _sums(file) for file in info.siblings or []}
            return Listing(info.sha, files, info.private)

    def chunks(self, repo: str, commit: str, path: str) -> Generator[bytes, None, None]:
        """See `Remote`."""
        # Not snapshot_download: it takes whatever size comes, keeps what it had when it is stopped,
        # and, by its constants, asks a server that has fallen silent for six and a half minutes.
        url = hf_hub_url(repo, path, revision=commit, endpoint=self.url)
        headers = build_hf_headers(token=self._token, **self._about)
        options: dict[str, Any] = {"headers": headers, "timeout": _timeout()}
        with self._told(repo, commit, path):
            session = get_session()
            with session.stream("GET", url, follow_redirects=True, **options) as response:
                hf_raise_for_status(response)
                yield from response.iter_bytes(CHUNK)

    def tags(self, repo: str) -> dict[str, str]:
        """See `Remote`."""
        with self._told(repo):
            return {tag.name: tag.target_commit for tag in self._api.list_repo_refs(repo).tags}

    def create(self, repo: str, private: bool | None) -> None:
        """See `Remote`."""
        with self._told(repo):
            self._api.create_repo(repo, private=private, exist_ok=True)

    def commit(self, repo: str, change: Change) -> tuple[str, str]:
        """See `Remote`."""
        operations = [
            *(CommitOperationAdd(path, data) for path, data in change.add.items()),
            *(CommitOperationDelete(path) for path in change.delete),
        ]
        with self._told(repo), client_bars(change.show):
            made = self._api.create_commit(
                repo,
                operations,
                commit_message=change.message,
                parent_commit=change.parent,
                create_pr=change.create_pr,
            )
            return made.oid, made.pr_url or made.commit_url

    def tag(self, repo: str, name: str, commit: str) -> None:
        """See `Remote`."""
        with self._told(repo):
            self._api.create_tag(repo, tag=name, revision=commit)

    def tagged(self, tag: str) -> list[str]:
        """See `Remote`."""
        with self._told("a list"):
            return sorted(model.id for model in self._api.list_models(filter=tag))

    @contextlib.contextmanager
    def _told(self, repo: str, revision: str = "", path: str = "") -> Iterator[None]:
        """Turn whatever the client raises into an error that names the remedy, and no token."""
        session = get_session()
        before, session.timeout = session.timeout, _timeout()  # some calls of the client have none
        try:
            with unsigned_log():
                yield
        except CheckpointError:
            raise
        # Versions 1 and 2 of huggingface_hub raise what two different HTTP libraries do. The cause
        # is not passed on: it may repeat what was sent.
        except Exception as error:
            found = self._telling(error, repo, revision, path)
            raise found from None
        finally:
            session.timeout = before

    def _telling(self, error: Exception, repo: str, revision: str, path: str) -> HubError:
        """Return what to say of an error."""
        if type(error) is RuntimeError and isinstance(error.__cause__, Exception):
            error = error.__cause__  # which the client wraps in a thread that sends a file
        kinds = {kind.__name__ for kind in type(error).__mro__}
        status = _status(error)
        try:
            if isinstance(error, EntryNotFoundError):
                refuse_absent(self.url, repo, "file", shown(path))
            if isinstance(error, RevisionNotFoundError):
                refuse_absent(self.url, repo, "revision", shown(revision))
            if isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError):
                if status != 401:
                    refuse_absent(self.url, repo, "repository")
            elif status == 404:
                refuse_absent(self.url, repo, "repository")
        except HubError as told:
            return told
        why, remedy = _reason(error, kinds, status)
        number = f" ({status})" if status else ""
        told = HubError(f"{self.url}, asked about {repo}: {why}{number}. {remedy}.")
        told.passing = status in _PASSING or (status is None and bool(kinds & _CONNECTION))
        return told


# Not of an HTTP library, but of Xet, which is written in Rust and sends large files.
_OF_THE_STORE = {"ConnectionError", "XetAuthenticationError", "XetObjectNotFoundError"}
_CONNECTION = {"TimeoutException", "NetworkError", "RemoteProtocolError"}


def _reason(error: Exception, kinds: set[str], status: int | None) -> tuple[str, str]:
    """Return why, and what to do."""
    if status is not None:
        if status in _STATUSES:
            return _STATUSES[status]
        return _TROUBLE if status >= 500 else ("it refuses", _LOGIN)
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set", "Unset it, or use what is cached: local_files_only=True"
    if "TimeoutException" in kinds:
        seconds = f"it has said nothing for {_timeout():g} s"
        return seconds, "Check your connection and repeat; HF_HUB_DOWNLOAD_TIMEOUT=60 waits longer"
    if "TooManyRedirects" in kinds:
        return "it sends one round in circles", f"Check {HUB} and HF_ENDPOINT, or wait and repeat"
    if "RemoteProtocolError" in kinds or "ReadError" in kinds:
        return "the connection broke off", "Repeat; nothing is half-done"
    if kinds & _OF_THE_STORE:
        return _STATUSES[401] if "PermissionError" in kinds else _STORE
    if "NetworkError" in kinds:
        cached = "what was pulled before still loads with local_files_only=True"
        return "it cannot be reached", f"Check your connection and {HUB}; {cached}"
    if isinstance(error, OSError) and not isinstance(error, HfHubHTTPError):
        return f"{type(error).__name__} on this machine", "Check the disk and the permissions"
    return f"{_STRANGE[0]} ({type(error).__name__})", _STRANGE[1]


def _status(error: Exception) -> int | None:
    """Return the status of an answer, where there was one."""
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def _timeout() -> float:
    """Return how long to wait for a sign of life (s); a user sets HF_HUB_DOWNLOAD_TIMEOUT."""
    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def _sums(file: Any) -> Sum:
    """Return what a listing says of a file."""
    if file.lfs is not None:  # its blob_id is that of a pointer to the file
        return Sum(file.lfs.size, sha256=file.lfs.sha256)
    return Sum(file.size, oid=file.blob_id)


def _checked(endpoint: str, token: Token) -> str:
    """Refuse an address that a token must not be sent to, or that must not be shown."""
    split = urlsplit(endpoint)
    if "@" in split.netloc or split.query or split.fragment:
        raise HubError(
            f"{HUB}, HF_ENDPOINT or endpoint: expected an address without a name, password or "
            "query in it, which would end up in logs. Log in with `hf auth login`, or set HF_TOKEN."
        )
    if split.scheme not in ("http", "https") or not split.hostname:
        raise HubError(
            f"{HUB}, HF_ENDPOINT or endpoint: expected https://host, http://localhost:port or "
            f"file:///dir; found {shown(endpoint)}. Give one of these, or leave it out."
        )
    if split.scheme == "http" and not _is_loopback(split.hostname) and token is not False:
        raise HubError(
            f"{shown(endpoint)}: your token would be sent readable for all on the way. Use "
            "https://, or token=False to go without one."
        )
    return endpoint.rstrip("/")


def _is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
