"""Reset a second factor from the server's command line: for the administrator whom no other can help."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import actions
from accounts.addresses import canonical
from accounts.models import User


class Command(BaseCommand):
    help = (
        "Take away somebody's passkeys, app and recovery codes, and sign them out everywhere. Where another "
        "administrator can sign in, they do it on the user's page instead."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="the address they sign in with")
        parser.add_argument("--reason", required=True, help="why; kept in the ledger")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=canonical(options["email"])).first()
        if user is None:
            raise CommandError(f"There is no user with the address {options['email']}. Nothing was changed.")
        try:
            removed = actions.reset_mfa(acting_user=None, user=user, reason=options["reason"])
        except ValueError as refusal:
            raise CommandError(f"{refusal} Nothing was changed.") from refusal
        self.stdout.write(
            f"{removed} removed, {user.email} is signed out everywhere. With the password they set up a second factor "
            "anew, where their role needs one."
        )
