"""Fetch a collection from its publisher, or say exactly what a person has to do.

A file is written beside its final name as ``.partial`` and renamed only when its size and checksum are right, so a
file that bears its name is whole. An interrupted download goes on where it stopped, if the server still offers the
same file (RFC 9110, 14.2 and 13.1.5).
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ml.data.collections import Collection, RemoteFile
from ml.data.records import DataError

TIMEOUT_S = 30.0
"""Silence of the server after which the connection counts as lost."""

_CHUNK = 1 << 20
_AGENT = "senolens-ml-data"


@dataclass(frozen=True, slots=True)
class Fetched:
    """One file that is now whole on disk.

    Attributes:
        path: where it is.
        sha256: its digest, for the record.
        verified: its digest equals the one that the publisher states.
        present: it was there before; nothing was transferred.
    """

    path: Path
    sha256: str
    verified: bool
    present: bool = False


def fetch(
    collection: Collection,
    folder: Path,
    *,
    accept_licence: bool = False,
    unpack: bool = True,
    say: Callable[[str], None] = print,
) -> list[Fetched]:
    """Download, verify and unpack whatever the publisher offers by plain download.

    Args:
        collection: which one.
        folder: receives the files; made if need be.
        accept_licence: the person has read the licence and accepts it; needed where it allows research only.
        unpack: unpack archives into the folder.
        say: receives one sentence for each step.

    Returns:
        the files, verified and in place. A collection that also needs work by hand raises after its files are there.

    Raises:
        DataError: ``licence_not_accepted``, ``offline``, ``server_refused``, ``truncated``, ``checksum_mismatch``,
            ``bad_archive``, ``by_hand`` (what remains to be done by a person); every message says what to do.
    """
    if collection.research_only and collection.files and not accept_licence:
        raise DataError(
            f"{collection.title} may be used under this licence only: {collection.licence}.",
            code="licence_not_accepted",
            remedy=f"Read it at {collection.address}; if you accept it, run the command again with --accept-licence.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    fetched = []
    for file in collection.files:
        done = download(file, folder, collection=collection)
        fetched.append(done)
        how = "as the publisher states" if done.verified else "the publisher states no checksum; keep this one"
        say(f"{done.path.name}: {'already there' if done.present else 'fetched'}, SHA-256 {done.sha256} ({how}).")
        if unpack and file.is_archive:
            unpack_archive(done.path, folder)
            say(f"{done.path.name}: unpacked into {folder}.")
    if collection.by_hand:
        raise DataError(
            f"{collection.title}: the images have to be fetched by hand.",
            code="by_hand",
            remedy=told(collection, folder),
        )
    return fetched


def told(collection: Collection, folder: Path) -> str:
    """What a person has to know to fetch the collection herself: address, licence, what to unpack where, citation."""
    files = "".join(f"\n  {file.name}: {file.url}" for file in collection.files)
    lines = [
        f"Address: {collection.address}",
        f"Licence: {collection.licence}" + (" (models trained on it are for research only)" * collection.research_only),
        f"Files by plain download:{files}" if files else "Files by plain download: none",
        *([f"By hand: {collection.by_hand}"] if collection.by_hand else []),
        f"Put into {folder}: {collection.unpacked}",
        f"Then check it: python -m ml data check {folder} --layout {collection.name}",
        f"Cite: {collection.citation}",
    ]
    return "\n".join(lines)


def download(file: RemoteFile, folder: Path, *, collection: Collection) -> Fetched:
    """Fetch one file, going on with what an earlier attempt left.

    Raises:
        DataError: see :func:`fetch`. What arrived stays beside the name for the next attempt, unless its checksum
            is wrong: then it is removed.
    """
    path = folder / file.name
    if path.is_file():
        sha256 = _digest(path, "sha256")
        if file.digest and not _matches(path, file.digest):
            raise DataError(
                f"the file is there, but its checksum is not {file.digest}.",
                code="checksum_mismatch",
                path=path,
                remedy="Remove it and run the command again.",
            )
        return Fetched(path=path, sha256=sha256, verified=bool(file.digest), present=True)
    partial = folder / f"{file.name}.partial"
    try:
        _transfer(file, partial)
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(
            f"The publisher's server refused {file.url} ({error.code} {error.reason}).",
            code="server_refused",
            remedy=f"Fetch it by hand.\n{told(collection, folder)}",
        ) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        kept = partial.stat().st_size if partial.is_file() else 0
        reason = getattr(error, "reason", error)
        raise DataError(
            f"{file.url} cannot be reached ({reason}).",
            code="offline",
            remedy=f"{_kept(kept)}Connect to the network and run the command again, or fetch it elsewhere.\n"
            f"{told(collection, folder)}",
        ) from error
    if file.digest and not _matches(partial, file.digest):
        found = _digest(partial, file.digest.partition(":")[0])
        partial.unlink()
        _tag_of(partial).unlink(missing_ok=True)
        raise DataError(
            f"{file.name} arrived with the checksum {found} instead of {file.digest}; it was removed.",
            code="checksum_mismatch",
            remedy=f"Run the command again; if it happens again, ask the publisher at {collection.address}.",
        )
    _tag_of(partial).unlink(missing_ok=True)
    partial.replace(path)
    return Fetched(path=path, sha256=_digest(path, "sha256"), verified=bool(file.digest))


def _transfer(file: RemoteFile, partial: Path) -> None:
    """Append what is missing to ``partial``.

    Raises:
        DataError: ``truncated``. OSError and its kin as urllib raises them.
    """
    tag = _tag_of(partial)
    start = partial.stat().st_size if partial.is_file() and tag.is_file() else 0
    request = urllib.request.Request(file.url, headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", tag.read_text(encoding="ascii"))
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # nosec B310: addresses of the registry only
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            # Nothing is missing any more: the last attempt ended between the last byte and the renaming.
            return
        raise
    with response:
        goes_on = response.status == http.client.PARTIAL_CONTENT
        start = start if goes_on else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else file.size
        tag.unlink(missing_ok=True)
        # Only a strong validator promises that the bytes that follow belong to those that are here.
        etag = response.headers.get("ETag", "")
        if etag and not etag.startswith("W/") and etag.isascii():
            tag.write_text(etag, encoding="ascii")
        with (
            partial.open("ab" if goes_on else "wb") as out,
            tqdm(total=total, initial=start, unit="B", unit_scale=True, unit_divisor=1024, desc=file.name) as bar,
        ):
            while chunk := response.read(_CHUNK):
                out.write(chunk)
                bar.update(len(chunk))
    received = partial.stat().st_size
    if total is not None and received != total:
        raise DataError(
            f"{file.name} ended after {received} of {total} bytes.",
            code="truncated",
            remedy=f"{_kept(received if tag.is_file() else 0)}Run the command again.",
        )


def _tag_of(partial: Path) -> Path:
    """Where the server's mark of the version (ETag) is kept beside an unfinished file."""
    return partial.with_name(f"{partial.name}.etag")


def _kept(count: int) -> str:
    return f"{count} bytes are kept and will not be fetched again. " if count else ""


def _matches(path: Path, digest: str) -> bool:
    algorithm, _, expected = digest.partition(":")
    return _digest(path, algorithm) == expected.lower()


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def unpack_archive(archive: Path, folder: Path) -> None:
    """Unpack a ZIP or tar.gz archive; entries that would lie outside the folder are refused.

    Raises:
        DataError: ``bad_archive``: damaged, dangerous, or the disk is full.
    """
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as opened:
                # ZipFile strips drive letters and '..', so an entry cannot leave the folder.
                opened.extractall(folder)  # nosec B202
        else:
            shutil.unpack_archive(archive, folder, format="gztar", filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, shutil.ReadError, EOFError, OSError, ValueError) as error:
        raise DataError(
            f"the archive cannot be unpacked ({error}).",
            code="bad_archive",
            path=archive,
            remedy="Remove it and run the command again.",
        ) from error
