"""Does every stored file exist, and is it the one that was stored?"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from portal import stored_files

SHOWN = 20


class Command(BaseCommand):
    help = "Compare every image, map and report on disk with its record: present, and with the same SHA-256."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--delete-orphans", action="store_true", help="delete files that no record names and unfinished ones"
        )
        parser.add_argument(
            "--settled-minutes",
            type=float,
            default=60,
            help="leave younger files alone: an upload may be going on (default: 60)",
        )

    def handle(self, *args: Any, delete_orphans: bool, settled_minutes: float, **options: Any) -> None:
        findings = stored_files.verify(settled_seconds=60 * settled_minutes)
        self.stdout.write(f"{findings.checked} stored files checked.")
        left_over = [*findings.orphans, *findings.partial]
        for words, names in (
            ("missing", findings.missing),
            ("altered", findings.altered),
            ("named by no record", [str(file.relative_to(settings.MEDIA_ROOT)) for file in findings.orphans]),
            ("unfinished", [str(file.relative_to(settings.MEDIA_ROOT)) for file in findings.partial]),
        ):
            if names:
                self.stdout.write(f"{len(names)} {words}:")
                for name in names[:SHOWN]:
                    self.stdout.write(f"  {name}")
                if len(names) > SHOWN:
                    self.stdout.write(f"  and {len(names) - SHOWN} more")
        if left_over and delete_orphans:
            for file in left_over:
                file.unlink(missing_ok=True)
            self.stdout.write(f"{len(left_over)} left-over files deleted.")
        elif left_over:
            self.stdout.write(
                "Left-over files are what a killed process did not finish; no record needs them. "
                "Remove them with: python manage.py verify_files --delete-orphans"
            )
        if not findings.sound:
            raise CommandError(
                f"{len(findings.missing)} files are missing and {len(findings.altered)} differ from what was stored. "
                "Restore them from the backup, and find out who or what changed the disk."
            )
        self.stdout.write("Every file on record is there and unaltered.")
