"""The verbs on log-ins."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q

from accounts import audit
from accounts.actions.mail import enqueue_mail
from accounts.actions.notifications import notify
from accounts.actions.patients import hold_patients_of_login
from accounts.actions.rows import apply, save
from accounts.actions.sign_in import end_all_sign_ins
from accounts.actions.teams import set_teams
from accounts.addresses import look_alike
from accounts.models import Patient, Team, User
from accounts.notifications import KINDS
from accounts.permissions import may_grant, require
from accounts.roles import Role

USER_FIELDS = ("email", "given_name", "family_name", "role", "is_active")
ACCESS_FIELDS = frozenset({"email", "role", "is_active"})
"""A change of one of these ends the person's sessions and is told to them."""
LAST_ADMINISTRATOR = (
    "This is the only active administrator. Make somebody else an administrator first; nothing was changed."
)


@transaction.atomic
def create_user(
    *,
    acting_user: User | None,
    email: str,
    role: Role | str,
    given_name: str = "",
    family_name: str = "",
    password: str | None = None,
    teams: Iterable[Team] = (),
    with_password: bool = True,
) -> tuple[User, str]:
    """Create a user; return it and its password (a fresh one-time password when none is given).

    Args:
        teams: departments they work in.
        with_password: false for a person who chooses it by the link of an invitation; then the text is empty.

    Raises:
        ValidationError: when the address is not one, is taken or looks like a taken one, or the role does not exist.
        PermissionDenied: when ``acting_user`` may not make users, or not with this role.
    """
    if acting_user is not None:
        # As they are now: somebody may have taken their rights since the request began.
        acting_user = User.objects.get(pk=acting_user.pk)
        require(acting_user, "user", "create")
        if not may_grant(acting_user, role):
            raise PermissionDenied("Your role does not make users with this role; ask an administrator.")
    user = User(email=email, role=role, given_name=given_name, family_name=family_name)
    secret = (password or secrets.token_urlsafe(16)) if with_password else ""
    user.set_password(secret or None)
    user.full_clean()
    _refuse_look_alike(user)
    save(user)
    audit.record("user.created", actor=acting_user, target=user, role=str(user.role))
    chosen = list(teams)
    if chosen:
        set_teams(acting_user=acting_user, user=user, teams=chosen)
    return user, secret


@transaction.atomic
def update_user(*, acting_user: User, user: User, **changes: Any) -> User:
    """Change a user.

    A change of address, role or access ends the person's sessions, deletes their API tokens and is told to them;
    deactivation also makes an open invitation worthless.

    Returns the row as it is now: what somebody else changed since ``user`` was read stays changed.

    Raises:
        PermissionError: when the rules keep ``acting_user`` from this change; says which rule.
        ValidationError: when a value is not allowed, or nobody would be left to administer the site.
    """
    require(acting_user, "user", "change")
    # Records before log-ins, as whoever joins or unlinks one holds them.
    hold_patients_of_login(user=user, patient=None)
    user = locked(user, by=acting_user)
    if user.pk == acting_user.pk:
        own = {name: changes[name] for name in ("role", "is_active") if name in changes}
        if any(getattr(user, name) != value for name, value in own.items()):
            from_rules = "Nobody changes their own role or deactivates themselves; ask another administrator."
            raise PermissionError(from_rules)
    former = {name: getattr(user, name) for name in USER_FIELDS}
    changed = apply(user, changes, allowed=USER_FIELDS)
    if set(changed) - {"is_active"} and not (
        may_grant(acting_user, former["role"]) and may_grant(acting_user, user.role)
    ):
        raise PermissionError("You may activate and deactivate this user; the rest is for an administrator to change.")
    user.full_clean()
    changed = [name for name in changed if getattr(user, name) != former[name]]
    if not changed:
        return user
    if "email" in changed:
        _refuse_look_alike(user)
    _keep_an_administrator(user, former=former)
    if "is_active" in changed and not user.is_active and not user.has_usable_password():
        # The link of an invitation is signed over this.
        user.set_unusable_password()
    save(user)
    ended = end_all_sign_ins(user=user) if ACCESS_FIELDS & set(changed) else {}
    if "email" in changed:
        # allauth keeps addresses of its own and would let the old one sign in.
        EmailAddress.objects.filter(user=user).delete()
    if "role" in changed and former["role"] == Role.PATIENT:
        _let_go_of_record(acting_user, user)
    _tell(user, former=former, changed=changed)
    access: dict[str, Any] = {
        name: [former[name], getattr(user, name)] for name in ("role", "is_active") if name in changed
    }
    details: dict[str, Any] = {"fields": changed, **access, **ended}
    audit.record("user.changed", actor=acting_user, target=user, **details)
    return user


@transaction.atomic
def note_new_password(*, user: User, by: str) -> None:
    """After a person set a new password: end everything that the old one had opened, and tell them.

    Args:
        by: ``change`` (signed in) or ``mail`` (reset link).
    """
    ended = end_all_sign_ins(user=user)
    notify("account_event", users=[user], text="Your password was changed. Elsewhere you are signed out.")
    audit.record("user.password_changed", actor=user, target=user, by=by, **ended)


@transaction.atomic
def note_people_exported(*, acting_user: User, filters: dict[str, str], count: int) -> None:
    """Keep in the ledger that a list of users left the house as a file: who, which filters, how many."""
    require(acting_user, "user", "export")
    audit.record("user.exported", actor=acting_user, filters=filters, count=count)


def locked(user: User, *, by: User | None = None) -> User:
    """The row as it is now, held until the transaction ends.

    With ``by``, that person and every active administrator are held too, in one order for everybody: of two
    administrators who demote each other at the same moment, the second waits and then is no administrator any more
    (PostgreSQL; on SQLite the IMMEDIATE transaction has the same effect).
    """
    rows = User.objects.select_for_update(no_key=True).order_by("pk")
    if by is None:
        return rows.get(pk=user.pk)
    administrators = Q(role=Role.ADMINISTRATOR, is_active=True)
    held = {row.pk: row for row in rows.filter(Q(pk__in=(user.pk, by.pk)) | administrators)}
    if by.pk not in held:
        raise PermissionDenied("Your log-in was removed.")
    require(held[by.pk], "user", "change")
    if held[by.pk].role != by.role:
        raise PermissionDenied("Your role was changed a moment ago. Nothing was saved; reload the page.")
    return held[user.pk]


def _keep_an_administrator(user: User, *, former: dict[str, Any]) -> None:
    was_one = former["role"] == Role.ADMINISTRATOR and former["is_active"]
    is_one = user.role == Role.ADMINISTRATOR and user.is_active
    if was_one and not is_one:
        # Who was invited and has no way in yet cannot administer anything.
        can_sign_in = ~Q(password__startswith=UNUSABLE_PASSWORD_PREFIX) | Q(socialaccount__isnull=False)
        others = User.objects.filter(can_sign_in, role=Role.ADMINISTRATOR, is_active=True).exclude(pk=user.pk)
        if not others.exists():
            raise ValidationError(LAST_ADMINISTRATOR)


def _let_go_of_record(acting_user: User, user: User) -> None:
    """A record's log-in is a patient's: who may take it away from the record must not so switch off a colleague."""
    for patient in Patient.objects.select_for_update(no_key=True).filter(user=user):
        patient.user = None
        patient.save(update_fields=["user"])
        audit.record("patient.login_unlinked", actor=acting_user, target=patient, patient=patient)


def twin_of(user: User) -> str | None:
    """The address of another user that a person takes for this user's, though it is a different one."""
    others = User.objects.exclude(pk=user.pk)
    if user.email.isascii():
        # Addresses in plain letters look alike only where they are the same; those are few that are not plain.
        others = others.filter(email__regex=r"[^\x00-\x7F]")
    return look_alike(user.email, others.values_list("email", flat=True))


def _refuse_look_alike(user: User) -> None:
    """An address that a person takes for a colleague's is refused: it would be sent what is meant for them."""
    twin = twin_of(user)
    if twin is not None:
        raise ValidationError(
            {"email": f"This address looks like that of another user ({twin}) but is a different one. Check it."}
        )


def _tell(user: User, *, former: dict[str, Any], changed: list[str]) -> None:
    """Tell the person what happened to their own access; the address they had before is told too."""
    sentences = []
    if "role" in changed:
        sentences.append(f"Your role is now {user.get_role_display()}.")
    if "is_active" in changed:
        sentences.append("Your log-in was switched on." if user.is_active else "Your log-in was switched off.")
    if "email" in changed:
        sentences.append("The e-mail address that you sign in with was changed.")
    if not sentences:
        return
    notify("account_event", users=[user], text=" ".join(sentences))
    about = KINDS["account_event"]
    to_be_told = {former["email"]} if "email" in changed else set()
    if "is_active" in changed and not user.is_active:
        # Who cannot sign in is passed over by notify.
        to_be_told.add(user.email)
    for address in sorted(to_be_told):
        enqueue_mail(kind="account_event", recipient=address, subject=about.subject, body=about.sentence, user=user)
