"""Asks ClamAV's daemon about an upload before anything reads it. Configured by ``CLAMD``; without it nothing is asked.

The protocol is clamd(8), "zINSTREAM": chunks of a length (4 bytes, network order) and as many bytes, ended by a length
of 0; the answer is ``stream: OK``, ``stream: <name> FOUND`` or ``... ERROR``. Knows no domain.
"""

from __future__ import annotations

import socket
import struct
from typing import Protocol
from urllib.parse import urlsplit

CHUNK_BYTES = 64 * 1024
SECONDS = 30.0
"""For connecting, and for each part of the conversation."""
LONGEST_ANSWER = 4096


class Scannable(Protocol):
    """An open binary file that can be read again from its beginning."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class Infected(Exception):
    """The scanner knows this file as harmful; the message is the signature's name."""


class ScannerUnavailable(Exception):
    """The scanner was configured and gave no verdict: down, too slow, or the file is larger than it takes."""


def scan(file: Scannable, *, address: str) -> None:
    """Return when the scanner finds nothing; leave ``file`` at its beginning.

    Args:
        file: read from its beginning.
        address: ``unix:///run/clamav/clamd.ctl`` or ``tcp://host:3310``.

    Raises:
        Infected: the file is known to be harmful.
        ScannerUnavailable: there is no verdict, so the file must not be taken.
    """
    file.seek(0)
    try:
        with _connect(address) as connection:
            connection.sendall(b"zINSTREAM\0")
            while chunk := file.read(CHUNK_BYTES):
                connection.sendall(struct.pack("!L", len(chunk)) + chunk)
            connection.sendall(struct.pack("!L", 0))
            answer = _answer(connection)
    except OSError as error:
        raise ScannerUnavailable(f"The virus scanner at {address} does not answer ({type(error).__name__}).") from error
    finally:
        file.seek(0)
    verdict = answer.removeprefix("stream: ")
    if verdict == "OK":
        return
    if verdict.endswith(" FOUND"):
        raise Infected(verdict.removesuffix(" FOUND"))
    raise ScannerUnavailable(f"The virus scanner gave no verdict: {verdict[:200] or 'it closed the connection'}.")


def ping(*, address: str) -> None:
    """Raise ``ScannerUnavailable`` unless the scanner answers."""
    try:
        with _connect(address) as connection:
            connection.sendall(b"zPING\0")
            answer = _answer(connection)
    except OSError as error:
        raise ScannerUnavailable(f"The virus scanner at {address} does not answer ({type(error).__name__}).") from error
    if answer != "PONG":
        raise ScannerUnavailable(f"The virus scanner at {address} answers oddly.")


def is_address(text: str) -> bool:
    """Whether ``text`` names a scanner as :func:`scan` takes it."""
    try:
        parts = urlsplit(text)
        return bool(
            (parts.scheme == "unix" and parts.path) or (parts.scheme == "tcp" and parts.hostname and parts.port)
        )
    except ValueError:
        return False


def _connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(SECONDS)
        try:
            connection.connect(parts.path)
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=SECONDS)


def _answer(connection: socket.socket) -> str:
    received = b""
    while not received.endswith(b"\0") and len(received) < LONGEST_ANSWER:
        part = connection.recv(LONGEST_ANSWER)
        if not part:
            break
        received += part
    return received.rstrip(b"\0").decode("ascii", errors="replace").strip()
