"""``manage.py write_access_document``: the tables in docs/access.md, from the roles and addresses in force."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import access_document


class Command(BaseCommand):
    help = "Write the tables of roles and addresses into docs/access.md, as they are in force."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when the document is out of date")

    def handle(self, *args: Any, **options: Any) -> None:
        file = access_document.path()
        try:
            former = file.read_text(encoding="utf-8")
            fresh = access_document.written(former)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        if options["check"]:
            if fresh != former:
                raise CommandError(f"{access_document.DOCUMENT} is out of date: run manage.py write_access_document.")
        else:
            file.write_text(fresh, encoding="utf-8")
        self.stdout.write(f"{access_document.DOCUMENT} says what is in force.")
