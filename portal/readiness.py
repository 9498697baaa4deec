"""Is every part of the site ready? Asked by ``/readyz``, by ``doctor`` and by monitoring."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.db import Error, connection
from kombu.exceptions import KombuError

from diagnosis import inference
from diagnosis.models import ModelVersion
from ml.contract import ModelError
from portal import clamd, workers

FREE_BYTES = 200 * 1024 * 1024
"""Below this much free space an upload may fail half-way."""
BROKER_SECONDS = 1.0


class NotReady(Exception):
    """What is wrong, and in ``remedy`` what to do; both are for staff and name no secret."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the site: its name, and when it is not ready what is wrong and what to do."""

    name: str
    problem: str = ""
    remedy: str = ""

    @property
    def ready(self) -> bool:
        return not self.problem

    @property
    def word(self) -> str:
        """What anyone may see of it."""
        return "ready" if self.ready else "not ready"


def database() -> None:
    """Raise ``NotReady`` when the database does not answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except Error as error:
        raise NotReady(
            f"The database does not answer ({type(error).__name__}).",
            remedy="Start it, and check DATABASE_URL.",
        ) from error


def queue() -> None:
    """Raise ``NotReady`` when the broker cannot take a message."""
    if "folder" in settings.CELERY_BROKER_TRANSPORT_OPTIONS:
        if not os.access(settings.QUEUE_DIR, os.W_OK | os.X_OK):
            raise NotReady(
                "The queue directory is missing or cannot be written.",
                remedy="A running worker makes it again within seconds; check the owner of DATA_DIR/queue.",
            )
        return
    try:
        with current_app.connection_for_write() as broker:
            # A channel, because kombu's Redis transport connects lazily.
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
            broker.default_channel.client.ping()
    except (KombuError, OSError) as error:
        raise NotReady(
            f"The broker does not answer ({type(error).__name__}). Uploads are kept in the database and wait.",
            remedy="Start it, and check CELERY_BROKER_URL. Nothing is lost meanwhile.",
        ) from error


def storage() -> None:
    """Raise ``NotReady`` when images and reports cannot be stored."""
    # Before the first upload the folder itself is not there.
    folder = settings.MEDIA_ROOT if settings.MEDIA_ROOT.exists() else settings.DATA_DIR
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NotReady(
            "The folder for images and reports is missing or cannot be written.",
            remedy="Check that the disk is mounted, and the owner of DATA_DIR.",
        )
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise NotReady(
            f"Only {free // 2**20} MB are free on the disk for images and reports.",
            remedy="Make room, or move DATA_DIR to a larger disk.",
        )


def model() -> None:
    """Raise ``NotReady`` when no model is active, or a file of an active one is missing or altered."""
    active = list(ModelVersion.objects.filter(active=True))
    if not active:
        raise NotReady(
            "No model is registered; every analysis would fail.",
            remedy="Put the released artefacts into MODEL_DIR and start the site again.",
        )
    for row in active:
        try:
            folder = inference.card_path(row.name, row.version).parent
            altered = _altered_files(row.name, row.version, row.sha256, _signature(folder))
        except ModelError as error:
            raise NotReady(str(error), remedy=error.remedy) from error
        if altered:
            raise NotReady(
                f"{row.name} {row.version}: {' '.join(altered)}", remedy="Restore the folder from the release."
            )


def scanner() -> None:
    """Raise ``NotReady`` when the virus scanner (``CLAMD``) does not answer."""
    try:
        clamd.ping(address=settings.CLAMD)
    except clamd.ScannerUnavailable as down:
        raise NotReady(str(down), remedy="Start clamd, and check CLAMD. Until then no upload is taken.") from down


def worker() -> None:
    """Raise ``NotReady`` when no worker has shown itself lately."""
    if not workers.seen():
        raise NotReady(
            "No worker is running. Uploads are kept and wait.",
            remedy="Start one: python manage.py serve (web and worker).",
        )


def _signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the files: whether they have to be read again."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files)


@functools.lru_cache(maxsize=8)
def _altered_files(
    name: str, version: str, sha256: str, signature: tuple[tuple[str, int, int], ...]
) -> tuple[str, ...]:
    return tuple(inference.altered_files(name, version, sha256=sha256))


PARTS: tuple[Callable[[], None], ...] = (database, queue, storage, model, scanner, worker)


def parts() -> list[Part]:
    """Ask every part. One that cannot be asked because the database is down counts as not ready."""
    return list(_ask())


def _ask() -> Iterator[Part]:
    for check in PARTS:
        if check is scanner and not settings.CLAMD:
            continue
        try:
            check()
        except NotReady as problem:
            yield Part(name=check.__name__, problem=str(problem), remedy=problem.remedy)
        except Error as error:
            yield Part(
                name=check.__name__,
                problem=f"It could not be asked: the database does not answer ({type(error).__name__}).",
                remedy="Repair the database first.",
            )
        else:
            yield Part(name=check.__name__)
