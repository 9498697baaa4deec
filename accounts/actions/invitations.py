"""Invitations by e-mail: a log-in without a password, and a link that sets it once."""

from __future__ import annotations

from collections.abc import Iterable

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions.mail import enqueue_mail
from accounts.actions.users import create_user, locked
from accounts.models import OutgoingMail, Team, User
from accounts.permissions import may_grant, require
from accounts.roles import Role
from portal import jobs
from portal.jobs import UNFINISHED

INVITATION = "invitation"
"""Kind of the e-mail (``OutgoingMail.kind``)."""


@transaction.atomic
def invite_user(
    *,
    acting_user: User,
    email: str,
    role: Role | str,
    given_name: str = "",
    family_name: str = "",
    teams: Iterable[Team] = (),
) -> User:
    """Create a user who cannot sign in yet, and mail the link with which they choose their password.

    Raises:
        ValidationError, PermissionDenied: as :func:`accounts.actions.create_user`.
    """
    user, _ = create_user(
        acting_user=acting_user,
        email=email,
        role=role,
        given_name=given_name,
        family_name=family_name,
        teams=teams,
        with_password=False,
    )
    _send_link(acting_user=acting_user, user=user)
    return user


@transaction.atomic
def invite_again(*, acting_user: User, user: User) -> User:
    """Mail a new link; the former one no longer works. A revoked invitation stands again.

    Raises:
        ValidationError: when the person has a password by now: then they reset it themselves.
    """
    user = _invited(acting_user=acting_user, user=user)
    if not user.is_active:
        user.is_active = True
        user.save(update_fields=["is_active"])
    _send_link(acting_user=acting_user, user=user)
    return user


@transaction.atomic
def revoke_invitation(*, acting_user: User, user: User) -> User:
    """Make the link worthless and switch the log-in off. The row stays: the ledger refers to it."""
    user = _invited(acting_user=acting_user, user=user)
    user.set_unusable_password()
    user.invited_at, user.is_active = None, False
    user.save(update_fields=["password", "invited_at", "is_active"])
    withdraw_invitation_mail(user=user)
    audit.record("user.invitation_revoked", actor=acting_user, target=user)
    return user


def withdraw_invitation_mail(*, user: User) -> None:
    """Drop what was not sent yet: its link no longer works."""
    for mail in OutgoingMail.objects.filter(user=user, kind=INVITATION, state__in=UNFINISHED):
        jobs.cancel(OutgoingMail, mail.pk)
    OutgoingMail.objects.filter(user=user, kind=INVITATION).exclude(body="").update(body="")


def _invited(*, acting_user: User, user: User) -> User:
    require(acting_user, "user", "create")
    user = locked(user)
    if not may_grant(acting_user, user.role):
        raise PermissionDenied("Your role does not invite users with this role; ask an administrator.")
    if user.has_usable_password():
        raise ValidationError("This person has chosen a password already. Nothing was sent.")
    return user


def _send_link(*, acting_user: User, user: User) -> None:
    """The link holds a signature over the password's row, so a fresh unusable password makes every former one void."""
    withdraw_invitation_mail(user=user)
    user.set_unusable_password()
    user.invited_at = timezone.now()
    user.save(update_fields=["password", "invited_at"])
    key = default_token_generator.make_token(user)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(user), "key": key})
    context = {
        "person": user,
        "site_name": settings.SITE_NAME,
        "link": settings.PUBLIC_URL + path,
        "days": settings.PASSWORD_RESET_TIMEOUT // (24 * 3600),
        "by": acting_user.get_full_name(),
    }
    enqueue_mail(
        kind=INVITATION,
        recipient=user.email,
        subject=f"{settings.SITE_NAME}: choose your password",
        body=render_to_string("emails/invitation.txt", context),
        user=user,
    )
    audit.record("user.invited", actor=acting_user, target=user)
