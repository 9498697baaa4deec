"""One page that says what is wrong, and what to do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from accounts.actions import sealings
from portal import job_counts, readiness, workers


class Command(BaseCommand):
    help = "Say what is wrong with this site and what to do about it. Ends with an error when something is."
    # A finding of the system checks is a line of the page here, not the end of it.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.wrong = 0
        self.stdout.write(f"Senolens {settings.VERSION}\nData: {settings.DATA_DIR}\n")
        self._settings()
        self._migrations()
        for part in readiness.parts():
            self._line(part.name, part.problem, part.remedy)
        self._field_keys()
        self._jobs()
        if self.wrong:
            raise CommandError(f"{self.wrong} of the points above need attention.")
        self.stdout.write("\nEverything is in order.")

    def _line(self, name: str, problem: str, remedy: str, *, note: str = "ok") -> None:
        if not problem:
            self.stdout.write(f"  ok     {name:<12} {note if note != 'ok' else ''}".rstrip())
            return
        self.wrong += 1
        self.stdout.write(f"  WRONG  {name:<12} {problem}")
        self.stdout.write(f"         {'':<12} -> {remedy}")

    def _settings(self) -> None:
        found = [message for message in checks.run_checks() if message.level >= checks.WARNING]
        for message in found:
            self._line("settings", f"{message.msg} ({message.id})", message.hint or "See docs/operations.md.")
        if not found:
            self._line("settings", "", "", note="demonstration hospital" if settings.DEMO else "ok")

    def _migrations(self) -> None:
        try:
            executor = MigrationExecutor(connection)
            waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except Error as error:
            self._line("migrations", f"They could not be read ({type(error).__name__}).", "Repair the database first.")
            return
        self._line(
            "migrations",
            f"{len(waiting)} are waiting." if waiting else "",
            "Make a backup, then run: python manage.py migrate",
        )

    def _field_keys(self) -> None:
        """Whether the keys of this site open what is encrypted in its database."""
        try:
            closed = sum(column.unreadable for column in sealings())
        except Error as error:
            self._line("field keys", f"They could not be tried ({type(error).__name__}).", "Repair the database first.")
            return
        self._line(
            "field keys",
            f"{closed} encrypted values cannot be read: their key is missing." if closed else "",
            "Add the key to FIELD_KEYS, after the others (docs/privacy.md); nothing is lost.",
        )

    def _jobs(self) -> None:
        """Count the work that waits, and what has failed and waits for a person."""
        try:
            for kind in job_counts.counts():
                self._line(
                    kind.name,
                    "They are waiting, and no worker is running." if kind.queued and not workers.seen() else "",
                    "Start one: python manage.py serve (web and worker).",
                    note=f"{kind.queued} waiting, {kind.running} running, {kind.failed} failed",
                )
        except Error as error:
            self._line("jobs", f"They could not be counted ({type(error).__name__}).", "Repair the database first.")
