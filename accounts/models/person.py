"""People who sign in, and the teams they work in."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.addresses import canonical
from accounts.plain_text import one_line
from accounts.querysets import TeamQuerySet, UserQuerySet
from accounts.roles import Role


class Team(models.Model):
    """A department. Studies that belong to a team are seen by its members; studies of no team by every radiologist."""

    name = models.CharField(
        max_length=80,
        unique=True,
        validators=[one_line],
        error_messages={"unique": "There is already a team with this name."},
    )
    is_active = models.BooleanField("active", default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TeamQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Creates users by e-mail address; addresses are compared without case."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person who signs in, by e-mail address, with one role."""

    email = models.EmailField(
        unique=True, error_messages={"unique": "There is already a user with this e-mail address."}
    )
    given_name = models.CharField(max_length=100, blank=True, validators=[one_line])
    family_name = models.CharField(max_length=100, blank=True, validators=[one_line])
    role = models.CharField(max_length=20, choices=Role, db_index=True)
    is_active = models.BooleanField("active", default=True)
    teams = models.ManyToManyField(Team, blank=True, related_name="members")
    invited_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the newest invitation was sent; it sets the password."
    )
    sign_in_epoch = models.PositiveIntegerField(
        default=0, editable=False, help_text="Raised to end every session of this person."
    )
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["role"]

    class Meta:
        ordering = ["family_name", "given_name", "email"]

    def __str__(self) -> str:
        return self.get_full_name()

    def clean(self) -> None:
        super().clean()
        self.email = canonical(self.email)

    def get_full_name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip() or self.email

    @property
    def is_invited(self) -> bool:
        """Whether they were invited and have not chosen a password yet."""
        return self.invited_at is not None and not self.has_usable_password()

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What every session of this person carries; another password or a raised epoch ends them all."""
        salt = "accounts.models.User.session_auth_hash"
        return salted_hmac(salt, f"{self.password}:{self.sign_in_epoch}", secret=secret, algorithm="sha256").hexdigest()

    @property
    def is_staff(self) -> bool:
        """Whether Django's admin site opens (contract: ``/admin/`` for IT staff and administrators)."""
        return self.role in (Role.IT_STAFF, Role.ADMINISTRATOR)

    @property
    def is_superuser(self) -> bool:
        return False

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Django's own permissions are not used: ``accounts.roles`` decides, and each admin class asks it."""
        return False

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_staff
