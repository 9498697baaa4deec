"""Encrypt contact data and messages under the newest key."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import actions


class Command(BaseCommand):
    help = (
        "Encrypt every encrypted column anew under the first key of FIELD_KEYS. Put the new key before the old one, "
        "restart the site, run this, then take the old key away. Killed midway, it is simply started again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only count what is under which key")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        if not check:
            changed, _ = actions.rotate_field_keys()
            self.stdout.write(f"{changed} values were encrypted under the first key.")
        older = unreadable = 0
        for column in actions.sealings():
            self.stdout.write(
                f"{column.name}: {column.current} under the first key, {column.older} under an older one, "
                f"{column.unreadable} that no key opens"
            )
            older, unreadable = older + column.older, unreadable + column.unreadable
        if unreadable:
            raise CommandError(
                f"{unreadable} values cannot be read: their key is missing from FIELD_KEYS. Add it at the end of the "
                "list (it is in the safe copy of the keys), then run this again. Nothing was lost."
            )
        self.stdout.write(
            "Values under older keys are left; run: python manage.py rotate_field_keys"
            if older
            else "Everything is under the first key: the other keys of FIELD_KEYS may be taken away."
        )
