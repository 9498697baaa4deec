"""The verbs on log-ins."""

from __future__ import annotations

import secrets
from typing import Any

from allauth.account.models import EmailAddress
from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts import audit
from accounts.actions.rows import apply, save
from accounts.models import User
from accounts.permissions import may_grant, require
from accounts.roles import Role

USER_FIELDS = ("email", "given_name", "family_name", "role", "is_active")


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
    save(user)
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
    changed = apply(user, changes, allowed=USER_FIELDS)
    if set(changed) - {"is_active"} and not (may_grant(acting_user, former_role) and may_grant(acting_user, user.role)):
        raise PermissionError("You may activate and deactivate this user; the rest is for an administrator to change.")
    user.full_clean()
    if changed:
        save(user)
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
