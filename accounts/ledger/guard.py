"""The database itself refuses to change or delete a row of the ledger, whoever asks.

Triggers are no lock against somebody who owns the database; against them there are the chain and the anchors. They stop
a mistake in a program, a query typed by hand, and what slipped in through a query.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "accounts_auditevent"

SQLITE = {
    "ledger_no_update": """
        CREATE TRIGGER ledger_no_update BEFORE UPDATE ON accounts_auditevent
        BEGIN SELECT RAISE(ABORT, 'The ledger is append-only.'); END
    """,
    "ledger_no_delete": """
        CREATE TRIGGER ledger_no_delete BEFORE DELETE ON accounts_auditevent
        BEGIN SELECT RAISE(ABORT, 'The ledger is append-only.'); END
    """,
    # REPLACE takes the former row away without asking the trigger above.
    "ledger_no_replace": """
        CREATE TRIGGER ledger_no_replace BEFORE INSERT ON accounts_auditevent
        WHEN NEW.sequence IS NULL
            OR EXISTS (SELECT 1 FROM accounts_auditevent WHERE id = NEW.id OR sequence = NEW.sequence)
        BEGIN SELECT RAISE(ABORT, 'The ledger is append-only.'); END
    """,
}
SQLITE_DROP = {name: f"DROP TRIGGER IF EXISTS {name}" for name in SQLITE}
POSTGRESQL = {
    "ledger_no_change": """
        CREATE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts_auditevent
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_ledger()
    """,
}
POSTGRESQL_DROP = {name: f"DROP TRIGGER IF EXISTS {name} ON accounts_auditevent" for name in POSTGRESQL}
POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change_of_ledger() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'The ledger is append-only.' USING ERRCODE = 'restrict_violation'; END $$
"""


def _triggers(connection: BaseDatabaseWrapper) -> tuple[dict[str, str], dict[str, str]]:
    """How to make and to drop each trigger of this kind of database. None on a kind that this site does not use."""
    kinds = {"sqlite": (SQLITE, SQLITE_DROP), "postgresql": (POSTGRESQL, POSTGRESQL_DROP)}
    return kinds.get(connection.vendor, ({}, {}))


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of triggers that should be there and are not, or are switched off."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [TABLE])
        elif connection.vendor == "postgresql":
            cursor.execute(
                "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled <> 'D'",
                [TABLE],
            )
        else:
            return []
        there = {name for (name,) in cursor.fetchall()}
    return sorted(set(_triggers(connection)[0]) - there)


def install(connection: BaseDatabaseWrapper) -> None:
    """Make the triggers that are missing."""
    absent = missing(connection)
    if not absent:
        return
    make, drop = _triggers(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_FUNCTION)
        for name in absent:
            # One that is there but switched off is made anew.
            cursor.execute(drop[name])
            cursor.execute(make[name])


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Take the triggers away while the body runs: for a migration that has to change the table, and for tests."""
    with connection.cursor() as cursor:
        for statement in _triggers(connection)[1].values():
            cursor.execute(statement)
    try:
        yield
    finally:
        install(connection)


def install_after_migrate(*, using: str, **kwargs: Any) -> None:
    """Receiver of ``post_migrate``: a migration may have made the table anew, without its triggers."""
    connection = connections[using]
    if TABLE in connection.introspection.table_names():
        install(connection)
