"""Upload handling that stops reading a file the moment it passes the limit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler
from django.urls import reverse

from accounts.permissions import may


class BoundedTemporaryFileUploadHandler(TemporaryFileUploadHandler):
    """Stream each file to a temporary file, and keep at most one byte more than the limit of it.

    The intake sees a file that is one byte too long and refuses it by name with 413, while the other files of the same
    request are unharmed; the surplus is read from the socket and dropped.

    Nothing is written for people who may send no file: a form is parsed before its view is reached (the CSRF token is
    a field of it), so a stranger could fill the disk.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        if not self._is_wanted():
            raise SkipFile
        super().new_file(*args, **kwargs)
        self.kept = 0

    def _is_wanted(self) -> bool:
        """Images, from those who add them; and at its own address the list of people, from those who import it."""
        if self.request is None:
            return False
        user = self.request.user
        return may(user, "image", "add") or (
            may(user, "user", "import") and self.request.path == reverse("people-import")
        )

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        room = settings.MAX_IMAGE_BYTES + 1 - self.kept
        if room > 0:
            self.file.write(raw_data[:room])
            self.kept += min(room, len(raw_data))

    def file_complete(self, file_size: int) -> Any:
        return super().file_complete(self.kept)


ABANDONED_SECONDS = 3600.0
"""No upload lasts so long; an older file belongs to a process that was killed."""


def forget_abandoned() -> int:
    """Delete what killed processes left of uploads; return how many files. They hold images of patients."""
    forgotten = 0
    for file in Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.upload*"):
        try:
            if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
                file.unlink()
                forgotten += 1
        except FileNotFoundError:
            # Its upload ended, or another worker was first.
            continue
    return forgotten
