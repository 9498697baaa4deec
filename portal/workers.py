"""Which workers are alive: each keeps a small file fresh in ``DATA_DIR/workers``.

Every host of a site shares DATA_DIR (images and reports lie there), so this needs no table and works with any broker.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from django.conf import settings

SEEN_SECONDS = 30.0
"""A worker that did not show itself for so long counts as gone. Hosts' clocks may differ by less than this."""
FORGET_SECONDS = 24 * 3600.0


def folder() -> Path:
    return Path(settings.DATA_DIR) / "workers"


def _own_file() -> Path:
    return folder() / f"{socket.gethostname()}-{os.getpid()}"


def show() -> None:
    """Note that this worker is alive; forget those that have been gone for a day."""
    folder().mkdir(parents=True, exist_ok=True)
    _own_file().touch()
    for file, age in _ages():
        if age > FORGET_SECONDS:
            file.unlink(missing_ok=True)


def leave() -> None:
    """Note that this worker has stopped in order."""
    _own_file().unlink(missing_ok=True)


def seen() -> int:
    """Return how many workers showed themselves lately."""
    return sum(age <= SEEN_SECONDS for _, age in _ages())


def _ages() -> list[tuple[Path, float]]:
    if not folder().is_dir():
        return []
    now = time.time()
    ages = []
    for file in folder().iterdir():
        try:
            ages.append((file, now - file.stat().st_mtime))
        except FileNotFoundError:
            # It left between the listing and the look.
            continue
    return ages
