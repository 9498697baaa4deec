"""The broker that needs no server: messages are files in a directory. It stands in for kombu's ``filesystem``.

kombu's own (5.7) was measured to fail in three ways that a hospital would meet, hence this one:

* a reader may see a message before its bytes are written, and the worker ends with a JSON error;
* when somebody deletes the directory, the worker ends with ``FileNotFoundError``;
* the table of bindings is a file too: once it is deleted, every message is dropped without a word until a restart.

Here a message appears under its name only when it is whole, the directory is made again when it is missing, and the
bindings live in memory: every process declares the queue before it publishes or consumes. Losing a message is harmless,
because the database row is the queue of record (``portal.jobs``).
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import deque
from pathlib import Path
from queue import Empty
from typing import Any

import structlog
from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, virtual

log = structlog.get_logger(__name__)

SUFFIX = ".msg"


class Channel(virtual.Channel):
    """One queue is the set of files ``<time>_<random>.<queue>.msg``; the name sorts by time of publication."""

    supports_fanout = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._listed: dict[str, deque[Path]] = {}

    @property
    def _folder(self) -> Path:
        return Path(self.connection.client.transport_options["folder"])

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        name = f"{time.time_ns():020d}_{uuid.uuid4().hex}.{queue}{SUFFIX}"
        partial = self._folder / f".{name}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(message), encoding="utf-8")
            partial.rename(self._folder / name)
        except OSError as error:
            raise ChannelError(f"The message could not be written to {self._folder}: {error}") from error

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        # A long backlog is listed once, not once a message.
        listed = self._listed.setdefault(queue, deque())
        if not listed:
            listed.extend(self._files(queue))
        while listed:
            message = self._take(listed.popleft())
            if message is not None:
                return message
        raise Empty

    def _take(self, file: Path) -> dict[str, Any] | None:
        """Return the message if this process is the one that removed the file."""
        try:
            content = file.read_bytes()
            file.unlink()
        except FileNotFoundError:
            # Another worker took it, or somebody deleted the directory.
            return None
        try:
            message: dict[str, Any] = json.loads(content)
        except ValueError:
            # A power cut can leave a name without its content.
            log.warning("queue.unreadable_message", file=file.name)
            return None
        return message

    def _files(self, queue: str) -> list[Path]:
        ending = f".{queue}{SUFFIX}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            names = os.listdir(self._folder)
        except OSError as error:
            raise ChannelError(f"The queue cannot be read in {self._folder}: {error}") from error
        return [self._folder / name for name in sorted(names) if name.endswith(ending) and not name.startswith(".")]

    def _size(self, queue: str) -> int:
        return len(self._files(queue))

    def _purge(self, queue: str) -> int:
        files = self._files(queue)
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        return True


class Transport(virtual.Transport):
    """Transport of ``CELERY_BROKER_URL=filesystem://``; the option ``folder`` names the directory."""

    Channel = Channel
    driver_type = "filesystem"
    driver_name = "filesystem"
    global_state = virtual.BrokerState()

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = self.global_state

    def driver_version(self) -> str:
        return "1"


def register() -> None:
    """Have ``filesystem://`` mean this transport in this process."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
