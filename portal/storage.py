"""File storage that a killed process cannot leave half-written."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage


class DurableFileSystemStorage(FileSystemStorage):
    """Write beside the target, flush to disk, then rename: under its final name a file is always whole.

    What a killed process leaves behind is a name that starts with ``.partial-``; ``verify_files`` lists and removes it.
    """

    PARTIAL = ".partial-"
    PRIVATE = 0o600
    """Images and reports are for the account that runs the site, not for every account of the host."""

    def _save(self, name: str, content: File) -> str:
        target = Path(self.path(name))
        fresh = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.parent / f"{self.PARTIAL}{uuid.uuid4().hex}"
        try:
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self.PRIVATE), "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            # link() refuses an existing name, where rename() would replace it silently.
            os.link(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        # A name is durable when the folder that holds it is; so is the name of a folder that was just made.
        for folder in [target.parent, *(made.parent for made in fresh)]:
            _flush(folder)
        return name.replace("\\", "/")


def _flush(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
