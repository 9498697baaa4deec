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
REFUSAL = "The ledger is append-only."

SQLITE = {
    "ledger_no_update": f"BEFORE UPDATE ON {TABLE} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    "ledger_no_delete": f"BEFORE DELETE ON {TABLE} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    # REPLACE takes the former row away without asking the trigger above.
    "ledger_no_replace": f"BEFORE INSERT ON {TABLE} WHEN NEW.sequence IS NULL OR EXISTS "
    f"(SELECT 1 FROM {TABLE} WHERE id = NEW.id OR sequence = NEW.sequence) "
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
}
POSTGRESQL = {
    "ledger_no_change": f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE} "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_ledger()",
}
POSTGRESQL_FUNCTION = f"""
CREATE OR REPLACE FUNCTION refuse_change_of_ledger() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$
"""


def triggers_of(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """The triggers that belong on this database, by name. None on a kind of database that this site does not use."""
    return {"sqlite": SQLITE, "postgresql": POSTGRESQL}.get(connection.vendor, {})


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
    return sorted(set(triggers_of(connection)) - there)


def install(connection: BaseDatabaseWrapper) -> None:
    """Make the triggers that are missing."""
    absent = missing(connection)
    if not absent:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_FUNCTION)
        for name in absent:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {TABLE}" if _is_postgresql(connection) else ""))
            cursor.execute(f"CREATE TRIGGER {name} {triggers_of(connection)[name]}")


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Take the triggers away while the body runs: for a migration that has to change the table, and for tests."""
    with connection.cursor() as cursor:
        for name in triggers_of(connection):
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {TABLE}" if _is_postgresql(connection) else ""))
    try:
        yield
    finally:
        install(connection)


def _is_postgresql(connection: BaseDatabaseWrapper) -> bool:
    return connection.vendor == "postgresql"


def install_after_migrate(*, using: str, **kwargs: Any) -> None:
    """Receiver of ``post_migrate``: a migration may have made the table anew, without its triggers."""
    connection = connections[using]
    if TABLE in connection.introspection.table_names():
        install(connection)
