"""Remove what the house no longer needs: expired packages, sessions, old notifications, patients past retention."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Patient
from diagnosis import actions
from portal import retention
from portal.database import compact

OUT_OF_REACH = (
    "Out of reach of this command: backups made before today, copies that people saved or printed, and the ledger, "
    "which keeps numbers that lead nowhere and no name."
)


class Command(BaseCommand):
    help = (
        "Remove everything whose time has passed, and patients past RETENTION_YEARS where that is set. Without --yes "
        "it only says what would go. With --patient it erases one record, whatever its age."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do it; without this nothing is removed")
        parser.add_argument(
            "--patient",
            metavar="RECORD",
            help="erase this record: the number in the address of its page (not the MRN, which the shell would keep)",
        )
        parser.add_argument("--reason", default="", help="why the record is erased; kept, so without the name")

    def handle(self, *args: Any, yes: bool, patient: str | None, reason: str, **options: Any) -> None:
        if patient is not None:
            self._erase(patient, reason=reason, yes=yes)
            return
        if not settings.RETENTION_YEARS:
            self.stdout.write("RETENTION_YEARS is not set: no patient is removed for age.")
        found = retention.purge() if yes else retention.preview()
        self._counts(found)
        if not yes:
            self.stdout.write("Nothing was removed. To do it: python manage.py purge --yes")
            return
        self._finish(found.left)

    def _erase(self, number: str, *, reason: str, yes: bool) -> None:
        try:
            record = Patient.objects.filter(pk=number).first()
        except ValidationError:
            record = None
        if record is None:
            raise CommandError("There is no record with this number. It stands in the address of the patient's page.")
        if not reason.strip():
            raise CommandError("Say why with --reason; it is kept, so leave the name out.")
        if not yes:
            self.stdout.write(
                f"The record with {record.studies.count()} studies would be erased, with every file and the log-in. "
                "This cannot be undone. To do it, add --yes."
            )
            return
        erasure = actions.erase_patient(acting_user=None, patient=record, reason=reason)
        self._counts(retention.Purged(counts=erasure.counts))
        left = (
            [] if erasure.finished_at else ["A file or the database is in use; the worker or the next purge finishes."]
        )
        self._finish(left)

    def _counts(self, found: retention.Purged) -> None:
        for name, number in found.counts.items():
            self.stdout.write(f"  {number:>6}  {name}")

    def _finish(self, left: list[str]) -> None:
        remark = compact()
        for sentence in [*left, *([remark] if remark else [])]:
            self.stdout.write(sentence)
        self.stdout.write(OUT_OF_REACH)
        if left:
            raise CommandError("Not everything could be removed; the lines above say what to do.")
