"""The verbs on people: the only writer of users, patients and tokens.

Every function takes ``acting_user`` by keyword (``None``: a command on the server), asks the permission table, and
writes its ledger row in the same transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import ApiToken, Patient, User
from accounts.permissions import may_grant, require
from accounts.roles import Role
from accounts.tokens import digest, new_token

USER_FIELDS = ("email", "given_name", "family_name", "role", "is_active")
PATIENT_FIELDS = ("mrn", "given_name", "family_name", "birth_date", "sex", "phone", "email", "history")


def _apply(target: Any, changes: Mapping[str, Any], *, allowed: tuple[str, ...]) -> list[str]:
    """Set the allowed fields and return the names of those that changed."""
    unknown = set(changes) - set(allowed)
    if unknown:
        raise TypeError(f"Not fields that may be written here: {', '.join(sorted(unknown))}.")
    changed = [name for name, value in changes.items() if getattr(target, name) != value]
    for name in changed:
        setattr(target, name, changes[name])
    return changed


def _save(row: models.Model, *, force_insert: bool = False) -> None:
    """Save a validated row. A value that somebody else took since it was validated raises ``ValidationError``."""
    try:
        with transaction.atomic():
            row.save(force_insert=force_insert)
    except IntegrityError:
        row.validate_unique()
        raise


@transaction.atomic
def create_user(
    *,
    acting_user: User | None,
    email: str,
    role: Role | str,
    given_name: str = "",
    family_name: str = "",
    password: str | None = None,
) -> tuple[User, str]:
    """Create a user; return it and its password (a fresh one-time password when none is given).

    Raises:
        ValidationError: when the address is not one or is taken, or the role does not exist.
        PermissionDenied: when ``acting_user`` may not make users, or not with this role.
    """
    if acting_user is not None:
        require(acting_user, "user", "create")
        if not may_grant(acting_user, role):
            raise PermissionDenied("Your role does not make users with this role; ask an administrator.")
    user = User(email=email, role=role, given_name=given_name, family_name=family_name)
    secret = password or secrets.token_urlsafe(12)
    user.set_password(secret)
    user.full_clean()
    _save(user)
    audit.record("user.created", actor=acting_user, target=user, role=str(user.role))
    return user, secret


@transaction.atomic
def update_user(*, acting_user: User, user: User, **changes: Any) -> User:
    """Change a user. Deactivation ends sessions (Django's backend refuses inactive users) and deletes API tokens.

    Returns the row as it is now: what somebody else changed since ``user`` was read stays changed.
    """
    require(acting_user, "user", "change")
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.pk == acting_user.pk and ({"role", "is_active"} & set(changes)):
        own = {name: changes[name] for name in ("role", "is_active") if name in changes}
        if any(getattr(user, name) != value for name, value in own.items()):
            from_rules = "Nobody changes their own role or deactivates themselves; ask another administrator."
            raise PermissionError(from_rules)
    former_role = user.role
    changed = _apply(user, changes, allowed=USER_FIELDS)
    if set(changed) - {"is_active"} and not (may_grant(acting_user, former_role) and may_grant(acting_user, user.role)):
        raise PermissionError("You may activate and deactivate this user; the rest is for an administrator to change.")
    user.full_clean()
    if changed:
        _save(user)
        if not user.is_active:
            user.api_tokens.all().delete()
        if "email" in changed:
            # allauth keeps addresses of its own and would let the old one sign in.
            EmailAddress.objects.filter(user=user).delete()
        audit.record("user.changed", actor=acting_user, target=user, fields=changed)
    return user


@transaction.atomic
def note_new_password(*, user: User, by: str) -> None:
    """After a person set a new password: delete their API tokens, which the old password had opened.

    Args:
        by: ``change`` (signed in) or ``mail`` (reset link).
    """
    tokens, _ = user.api_tokens.all().delete()
    audit.record("user.password_changed", actor=user, target=user, by=by, tokens_deleted=tokens)


@transaction.atomic
def create_patient(*, acting_user: User | None, synthetic: bool = False, **values: Any) -> Patient:
    """Create a patient record.

    Raises:
        ValidationError: when a value is not allowed or the MRN is taken.
    """
    if acting_user is not None:
        require(acting_user, "patient", "create")
    patient = Patient(synthetic=synthetic)
    _apply(patient, values, allowed=PATIENT_FIELDS)
    patient.full_clean()
    _save(patient, force_insert=True)
    audit.record("patient.created", actor=acting_user, target=patient, patient=patient)
    return patient


@transaction.atomic
def update_patient(*, acting_user: User, patient: Patient, **changes: Any) -> Patient:
    """Change a patient record; the ledger keeps which fields changed, not their content.

    Returns the row as it is now: what somebody else changed since ``patient`` was read stays changed.
    """
    require(acting_user, "patient", "change")
    patient = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    changed = _apply(patient, changes, allowed=PATIENT_FIELDS)
    patient.full_clean()
    if changed:
        _save(patient)
        audit.record("patient.changed", actor=acting_user, target=patient, patient=patient, fields=changed)
    return patient


@transaction.atomic
def link_patient_login(*, acting_user: User | None, patient: Patient, user: User) -> None:
    """Connect a patient's log-in with the patient's record."""
    if acting_user is not None:
        require(acting_user, "user", "change")
    patient.user = user
    patient.save(update_fields=["user"])
    audit.record("patient.login_linked", actor=acting_user, target=patient, patient=patient)


@transaction.atomic
def set_patient_of_login(*, acting_user: User, user: User, patient: Patient | None) -> None:
    """Connect a patient's log-in with this record, and with no other; ``None`` only takes the connection away."""
    require(acting_user, "user", "change")
    for former in Patient.objects.filter(user=user):
        if former == patient:
            return
        former.user = None
        former.save(update_fields=["user"])
        audit.record("patient.login_unlinked", actor=acting_user, target=former, patient=former)
    if patient is not None:
        link_patient_login(acting_user=acting_user, patient=patient, user=user)


@transaction.atomic
def create_token(*, acting_user: User) -> tuple[ApiToken, str]:
    """Create an API token for oneself; return the row and the token, which is shown this once."""
    require(acting_user, "token", "create")
    secret = new_token()
    token = ApiToken.objects.create(
        user=acting_user,
        digest=digest(secret),
        expires_at=timezone.now() + timedelta(hours=settings.API_TOKEN_HOURS),
    )
    audit.record("token.created", actor=acting_user, target=token)
    return token, secret


@transaction.atomic
def delete_token(*, acting_user: User, token: ApiToken) -> None:
    require(acting_user, "token", "delete")
    audit.record("token.deleted", actor=acting_user, target=token)
    token.delete()


@transaction.atomic
def note_refused_token(*, email: str, reason: str) -> None:
    """Keep in the ledger that somebody was refused a token; the typed address only where it is an account's."""
    user = User.objects.filter(email__iexact=email).first()
    audit.record("token.refused", actor=None, target=user, reason=reason)
