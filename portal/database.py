"""What a database keeps of rows that are gone, and how it is made to let go of it."""

from __future__ import annotations

import structlog
from django.db import OperationalError, connection

log = structlog.get_logger(__name__)


def let_go_of_deleted_rows() -> bool:
    """Have SQLite move its write-ahead log into the database, where deleted rows are zeros, and empty the log.

    False: somebody is reading at this moment; ask again. PostgreSQL needs no such step, see :func:`compact`.
    """
    if connection.vendor != "sqlite":
        return True
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy, *_ = cursor.fetchone()
    except OperationalError:
        return False
    return not busy


def compact() -> str:
    """Rewrite the database without the places of deleted rows; return what is left to do, or nothing.

    SQLite only: a PostgreSQL server's own VACUUM FULL locks its tables, which is the administrator's to decide.
    """
    if connection.vendor != "sqlite":
        return (
            "PostgreSQL: what deleted rows held is overwritten in time. To have it gone now, run VACUUM FULL in the "
            "database while nobody works, and let the write-ahead log and the replicas catch up."
        )
    try:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
    except OperationalError as error:
        log.warning("database.not_compacted", error=str(error))
        return "The database is in use and was not rewritten. Run this again when the site is quiet."
    return "" if let_go_of_deleted_rows() else "Somebody is reading the database. Run this again in a moment."
