"""Create a user from the server's command line: the first administrator of a site, or when nobody can sign in."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import actions
from accounts.roles import Role


class Command(BaseCommand):
    help = "Create a user and print a one-time password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="the address they sign in with")
        parser.add_argument("--role", required=True, help=f"one of: {', '.join(Role.values)}")
        parser.add_argument("--given-name", default="")
        parser.add_argument("--family-name", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["role"] not in Role.values:
            raise CommandError(
                f"There is no role {options['role']!r}. The roles are: {', '.join(Role.values)}. Nothing was created."
            )
        try:
            user, password = actions.create_user(
                acting_user=None,
                email=options["email"],
                role=options["role"],
                given_name=options["given_name"],
                family_name=options["family_name"],
            )
        except ValidationError as refusal:
            raise CommandError(f"{' '.join(refusal.messages)} Nothing was created.") from refusal
        self.stdout.write(f"Created {user.email}, role {user.get_role_display()}.")
        self.stdout.write("Hand over this one-time password; it is not shown again:")
        self.stdout.write(password)
