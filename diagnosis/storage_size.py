"""How much is stored: bytes of images, reports and packages, of the database, and what is free on the disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.models import Sum

from diagnosis.models import DeidentifiedExport, Image, Report


@dataclass(frozen=True, slots=True)
class StorageSize:
    """Bytes.

    Attributes:
        images: as they were uploaded; the copies that are shown and analysed take about the same again.
        reports: PDF files.
        packages: de-identified ones that can still be fetched.
        database: of the database itself; ``None`` where it does not say.
        free, total: of the disk that holds the files.
    """

    images: int
    reports: int
    packages: int
    database: int | None
    free: int
    total: int


def measured() -> StorageSize:
    """Add up and measure. No folder is walked: the rows have the size of each file."""
    folder = settings.MEDIA_ROOT if Path(settings.MEDIA_ROOT).exists() else settings.DATA_DIR
    disk = shutil.disk_usage(folder)
    packages = DeidentifiedExport.objects.exclude(file="")
    return StorageSize(
        images=Image.objects.order_by().aggregate(bytes=Sum("byte_size"))["bytes"] or 0,
        reports=Report.objects.order_by().aggregate(bytes=Sum("byte_size"))["bytes"] or 0,
        packages=packages.order_by().aggregate(bytes=Sum("byte_size"))["bytes"] or 0,
        database=_database(),
        free=disk.free,
        total=disk.total,
    )


def _database() -> int | None:
    if connection.vendor == "sqlite":
        file = Path(connection.settings_dict["NAME"])
        parts = [file, file.with_name(f"{file.name}-wal")]
        return sum(part.stat().st_size for part in parts if part.is_file()) or None
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    return None
