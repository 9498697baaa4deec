"""Is an export of the ledger as this site, or another, wrote it?"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.ledger import export, signing


class Command(BaseCommand):
    help = "Check the signature of an exported ledger, and compute the digest of every row again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="the zip file from the page of the ledger")
        parser.add_argument(
            "--public-key", metavar="KEY", help="the public key of the site that made it (default: this site's)"
        )

    def handle(self, *args: Any, file: Path, public_key: str | None, **options: Any) -> None:
        try:
            by = signing.read_public(public_key) if public_key else signing.public_key()
            with file.open("rb") as source:
                checked = export.check(source, by=by)
        except (signing.BadKey, export.BadExport, OSError) as error:
            raise CommandError(f"{file}: {error}") from error
        manifest = checked.manifest
        self.stdout.write(
            f"{manifest['site']}: {manifest['rows']:,} rows ({manifest['first_sequence']} to "
            f"{manifest['last_sequence']}), made {manifest['made_at']} by user {manifest['made_by']}."
        )
        self.stdout.write(
            f"The signature fits, {checked.rows_recomputed:,} digests were computed again."
            if checked.rows_recomputed
            else "The signature fits and the file is unchanged. (A CSV file does not let digests be computed again.)"
        )
