"""Note the newest digest of the ledger outside the database; workers do it every hour by themselves."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.ledger import anchors, signing


class Command(BaseCommand):
    help = "Add a signed anchor of the ledger to LEDGER_ANCHOR_FILE."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--public-key", action="store_true", help="only print the public key that checks anchors and exports"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["public_key"]:
                self.stdout.write(signing.public_text(signing.public_key()))
                return
            made = anchors.anchor(force=True)
        except (signing.BadKey, OSError) as error:
            raise CommandError(f"No anchor was written. {error}") from error
        if made is None:
            self.stdout.write("Nothing to anchor: no rows since the last anchor.")
        else:
            self.stdout.write(f"Anchored row {made.sequence}, {made.digest}, in {anchors.anchor_file()}")
