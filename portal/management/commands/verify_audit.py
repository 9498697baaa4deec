"""Is the ledger as it was written, from the first row to the last?"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections, router

from accounts.ledger import anchors, guard, signing
from accounts.ledger.verification import MOST_FINDINGS, verify
from accounts.models import AuditEvent

DONT = "Change nothing by hand. Keep a copy of the database and of the anchors, and compare with the last backup."


class Command(BaseCommand):
    help = "Follow the chain of the ledger and compare it with its anchors: any edit, deletion, insertion or cut."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--anchors", metavar="FILE", type=Path, help="the file of anchors (default: LEDGER_ANCHOR_FILE)"
        )
        parser.add_argument(
            "--public-key",
            metavar="KEY",
            help="the public key that signed them, as the page of the ledger shows it (default: the site's)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        begin = time.monotonic()
        problems: list[str] = []
        anchored = self._anchors(options["anchors"], options["public_key"], problems)
        found = verify(anchored=anchored)
        for finding in found.findings:
            problems.append(f"row {finding.sequence}: {finding.what}")
        if found.count > MOST_FINDINGS:
            problems.append(f"and {found.count - MOST_FINDINGS:,} more")
        for name in guard.missing(connections[router.db_for_write(AuditEvent)]):
            problems.append(
                f"the database's trigger {name} is missing: the ledger could be changed. "
                "`python manage.py migrate` makes it again; find out who took it away."
            )
        self.stdout.write(
            f"{found.rows:,} rows read in {time.monotonic() - begin:.1f} s, {len(anchored)} anchors compared."
        )
        if not problems:
            self.stdout.write(f"The ledger is whole. Newest row: {found.last_sequence}, {found.last_digest}")
            return
        for problem in problems:
            self.stdout.write(f"  {problem}")
        if not found.is_sound:
            self.stdout.write(f"The last row before the first of these: {found.last_good}.")
        raise CommandError(f"The ledger is not as it was written. {DONT}")

    def _anchors(self, file: Path | None, key: str | None, problems: list[str]) -> dict[int, str]:
        """The digests by row; what is wrong with the file is added to the problems."""
        path = file or anchors.anchor_file()
        if not path.is_file():
            if file is not None:
                raise CommandError(f"There is no file {file}. Nothing was verified.")
            self.stdout.write(f"No anchors yet ({path}): a ledger that was cut off at its end would not be noticed.")
            return {}
        try:
            by = signing.read_public(key) if key else signing.public_key()
        except signing.BadKey as bad:
            raise CommandError(f"{bad} Nothing was verified.") from bad
        digests: dict[int, str] = {}
        for line in anchors.read(path, by=by):
            if line.anchor is None:
                problems.append(f"anchors, line {line.number}: {line.wrong}")
            elif digests.setdefault(line.anchor.sequence, line.anchor.digest) != line.anchor.digest:
                problems.append(
                    f"anchors, line {line.number}: row {line.anchor.sequence} had another digest before: "
                    "the ledger was made anew in between"
                )
        return digests
