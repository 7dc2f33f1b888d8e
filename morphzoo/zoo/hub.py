"""Publish a checkpoint on a hub, and fetch one: only what it should be, whole or not at all."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from morphzoo.files import PathLike, delete_unfinished, locked, recover_folder
from morphzoo.folder_hub import COMMIT, MAIN, REVISION, is_repo
from morphzoo.progress import ProgressCallback
from morphzoo.zoo.address import Address, parse_address, repo_name
from morphzoo.zoo.cache import Cached, cache_root, cached, remember, remembered, shelf
from morphzoo.zoo.card import addressed
from morphzoo.zoo.catalogue import bundled, locate
from morphzoo.zoo.folder import CARD, LIMITS
from morphzoo.zoo.parcel import agrees, card_of, incoming, outgoing, receive
from morphzoo.zoo.pins import Pin, fits_pin, pin_of
from morphzoo.zoo.remote import Change, HubError, Listing, Remote, Token, remote_of
from morphzoo.zoo.schema import read_config_of
from morphzoo.zoo.untrusted import refuse, shown
from morphzoo.zoo.weights import WEIGHTS

__all__ = ["Cached", "HubError", "Published", "cached", "pull", "push", "tagged"]

_log = logging.getLogger("morphzoo.zoo")


class Published(NamedTuple):
    """What `push` has done.

    Attributes:
        repo: The repository, user/name.
        revision: The commit; `zoo.load(f"{repo}@{revision}", env)` loads just this for ever.
        url: Where a person can see it: the commit, or the pull request.
    """

    repo: str
    revision: str
    url: str


def push(
    folder: PathLike,
    repo_id: str,
    *,
    private: bool | None = None,
    tag: str | None = None,
    create_pr: bool = False,
    token: Token = None,
    endpoint: str | None = None,
    progress: ProgressCallback | None = None,
) -> Published:
    """Publish a checkpoint's folder as a repository on the Hugging Face Hub, in one commit.

    The checkpoint is checked first, as `load` checks it; only its own files and its media go out,
    and its card's program then loads it from there.
    What was interrupted is finished by the same call; what is there already makes no new commit.

    Args:
        folder: A folder that `save` wrote, or a bundled name.
        repo_id: user/name, or user alone for the zoo's own name, {algo}-{policy}-{env}.
        private: Whether a new repository is; None leaves that to the hub.
        tag: A name for this version, such as v1; it is never moved.
        create_pr: Propose the change to its owner instead; the repository must exist.
        token: None for the one of `hf auth login` or HF_TOKEN.
        endpoint: The hub; None for MORPHZOO_HUB, or the Hugging Face Hub. See `remote_of`.
        progress: Told of bytes that the hub has taken.

    Returns:
        The commit and where to see it.

    Raises:
        HubError: The hub refused, or could not be reached; nothing is half-published.
        CheckpointError: The folder is no sound checkpoint, or holds what looks like a token.
        ValueError: The name or the tag is none.
    """
    folder = locate(folder) if folder in bundled() else Path(folder).expanduser()
    files = outgoing(folder)
    repo = repo_id if "/" in str(repo_id) else f"{repo_id}/{repo_name(read_config_of(folder))}"
    if not is_repo(repo):
        raise ValueError(f"repo_id: expected user/name or user; found {shown(repo_id)}")
    if tag is not None and (create_pr or not REVISION.fullmatch(tag)):
        raise ValueError(f"tag: expected a name such as v1, and no create_pr; found {shown(tag)}")
    files[CARD] = addressed(files[CARD], repo)
    remote = remote_of(endpoint, token)
    if not create_pr:
        remote.create(repo, private)
    there = remote.listing(repo, MAIN)
    if private and there.private is False:
        raise HubError(
            f"{remote.url}: {repo} exists and is public: nothing was published. Make it private in "
            "its settings, give another name, or leave out private."
        )
    if tag and (named := remote.tags(repo).get(tag)):
        if any(_difference(files, remote.listing(repo, named))):
            raise HubError(
                f"{remote.url}: the tag {tag} of {repo} names another version already: nothing was "
                "published. Give a new tag; one that people rely on is not moved."
            )
        return Published(repo, named, f"{remote.url}/{repo}/commit/{named}")
    tell, size = progress or (lambda *_: None), sum(map(len, files.values()))
    tell(repo, 0, size)
    show = progress is not None and sys.stderr.isatty()
    commit, url = _commit(remote, repo, files, there, create_pr, show)
    tell(repo, size, size)
    if tag:
        remote.tag(repo, tag, commit)
    return Published(repo, commit, url)


def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    cache_dir: PathLike | None = None,
    token: Token = None,
    local_files_only: bool = False,
    endpoint: str | None = None,
    progress: ProgressCallback | None = None,
) -> Path:
    """Fetch a checkpoint from the Hugging Face Hub, or find it where it was fetched before.

    Asked for are the files of `parcel.ALLOWED`, nothing else. Sizes and
    sums are compared with the hub's listing, and the checkpoint is checked as `load` checks it,
    before it appears in the cache. A commit that is there already is found without a request.

    Args:
        repo_id: user/repo, or user/repo@revision.
        revision: A tag, branch, or commit of 40 digits; by default the newest.
        cache_dir: Where to keep it; by default in huggingface_hub's folder for assets.
        token: None for the one of `hf auth login` or HF_TOKEN, False for none.
        local_files_only: Make no request; HF_HUB_OFFLINE=1 does the same.
        endpoint: The hub; None for MORPHZOO_HUB, or the Hugging Face Hub. See `remote_of`.
        progress: Told of every part that has arrived.

    Returns:
        The checkpoint's folder, for `load`. It is the cache's: copy it before you change it.

    Raises:
        HubError: The hub does not have it, or could not be reached; nothing is half-fetched.
        CheckpointError: What came is not what the hub lists, or no sound checkpoint.
    """
    address = parse_address(repo_id, revision)
    remote = remote_of(endpoint, token)
    place = shelf(cache_root(cache_dir), remote.url, address.repo)
    pin = pin_of(address.repo, address.revision)
    if address.is_fixed and _is_here(place / address.revision, pin):
        return place / address.revision
    if local_files_only or (not remote.url.startswith("file:") and _is_offline()):
        return _found_here(place, address, pin)
    listing = remote.listing(address.repo, address.revision)
    where = f"{remote.url}/{address.repo}"
    if listing.commit is None or not COMMIT.fullmatch(listing.commit):
        refuse(where, "something published", shown(listing.commit), "Push a checkpoint to it first")
    if address.is_fixed and listing.commit != address.revision:
        found = f"commit {listing.commit}"
        refuse(where, f"commit {address.revision}", found, "Do not trust that hub")
    wanted = incoming(listing, f"{where}@{listing.commit[:8]}")
    with locked(place):
        delete_unfinished(place)  # of this commit, or of one that nobody asks for again
        folder = place / listing.commit
        recover_folder(folder)
        if not _is_here(folder, pin):
            receive(remote, address.repo, listing.commit, wanted, folder, pin, progress)
        _note(place, address, listing.commit)
    return folder


def tagged(tag: str = "morphzoo", *, endpoint: str | None = None, token: Token = None) -> list[str]:
    """List the repositories on a hub whose card has a tag.

    Args:
        tag: The tag; every checkpoint of ours has "morphzoo".
        endpoint: As for `pull`.
        token: As for `pull`.

    Returns:
        Names for `pull`, sorted.

    Raises:
        HubError: The hub could not be asked.
    """
    return [repo for repo in remote_of(endpoint, token).tagged(tag) if is_repo(repo)]


def read_card(repo_id: str, *, endpoint: str | None = None, token: Token = None) -> str:
    """Read a checkpoint's card on a hub, and nothing else of it.

    Args:
        repo_id: user/repo, or user/repo@revision.
        endpoint: As for `pull`.
        token: As for `pull`.

    Raises:
        HubError: The hub does not have it, or could not be reached.
        CheckpointError: What came is not what the hub lists.
    """
    address, remote = parse_address(repo_id, None), remote_of(endpoint, token)
    listing = remote.listing(address.repo, address.revision)
    return card_of(remote, address.repo, listing).decode("utf-8", "replace")


def _difference(files: Mapping[str, bytes], there: Listing) -> tuple[dict[str, bytes], list[str]]:
    """Return which files a hub has not, or not so, and which of ours it has too many."""
    add = {name: data for name, data in files.items() if not agrees(there.files.get(name), data)}
    gone = [name for name in there.files if name in LIMITS and name not in files]
    return add, gone


def _commit(
    remote: Remote,
    repo: str,
    files: Mapping[str, bytes],
    there: Listing,
    create_pr: bool,
    show: bool,
) -> tuple[str, str]:
    """Publish what differs, in one commit; return the commit and its page."""
    add, gone = _difference(files, there)
    if not add and not gone and there.commit is not None:
        return there.commit, f"{remote.url}/{repo}/commit/{there.commit}"
    message = f"{'Update' if WEIGHTS in there.files else 'Publish'} a morphzoo checkpoint"
    return remote.commit(repo, Change(add, gone, message, there.commit, create_pr, show))


def _is_here(folder: Path, pin: Pin | None) -> bool:
    """Tell whether a commit was pulled, and is still what it was pinned as."""
    return folder.is_dir() and fits_pin(pin, folder)


def _is_offline() -> bool:
    """Tell whether the user forbids requests."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def _found_here(place: Path, address: Address, pin: Pin | None) -> Path:
    """Return what was pulled before, without a request."""
    commit = address.revision if address.is_fixed else remembered(place, address.revision)
    if commit is None or not _is_here(place / commit, pin):
        raise HubError(
            f"{address} was not pulled before, and no request may be made: leave out "
            "local_files_only, and unset HF_HUB_OFFLINE."
        )
    return place / commit


def _note(place: Path, address: Address, commit: str) -> None:
    """Remember what a branch or tag means, and report that it means something else now."""
    if address.is_fixed:
        return
    before = remembered(place, address.revision)
    if before not in (None, commit):
        _log.warning(
            "%s: %r has moved since it was last pulled, from %s to %s. To stay with the old one, "
            "load %s@%s.",
            *(address.repo, address.revision, before, commit, address.repo, before),
        )
    if before != commit:
        remember(place, address.revision, commit)
