"""What a database needs now and then to stay fast."""

from __future__ import annotations

from django.db import connection

ANALYSIS_LIMIT = 1_000
"""Rows of each index that SQLite looks at: enough to choose an index by, and done in milliseconds."""


def refresh_statistics() -> None:
    """Have the database look at its data again, where it does not do so by itself (PostgreSQL does).

    Without it SQLite guesses, and sorts 100,000 rows where it could read 50 from an index. It does nothing when little
    has changed (sqlite.org, "PRAGMA optimize").
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit = {ANALYSIS_LIMIT}")
            cursor.execute("PRAGMA optimize = 0x10002")
