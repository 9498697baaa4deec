"""Text that is encrypted in the database: contact data and what patients write.

Fernet (AES-128-CBC with HMAC-SHA256, github.com/fernet/spec) under ``settings.FIELD_KEYS``: the first key encrypts, all
decrypt, so that keys can be changed while the site runs (``manage.py rotate_field_keys``). Our own field, because the
libraries for it hand out the ciphertext as if it were the text when the key is missing, and the next save of the record
would encrypt that once more: see docs/privacy.md.
"""

from __future__ import annotations

import functools
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models

UNREADABLE = "cannot be read: key missing"


@functools.lru_cache(maxsize=4)
def _keys(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


@functools.lru_cache(maxsize=4)
def _first_key(key: str) -> Fernet:
    return Fernet(key)


def seal(text: str) -> str:
    """Encrypt under the first key. The empty text stays empty: that nothing was noted is no secret."""
    return _keys(tuple(settings.FIELD_KEYS)).encrypt(text.encode()).decode() if text else ""


def unseal(stored: str) -> str | None:
    """The text, or ``None`` when no key of this site opens it."""
    if not stored:
        return ""
    try:
        return _keys(tuple(settings.FIELD_KEYS)).decrypt(stored.encode()).decode()
    except (InvalidToken, ValueError):
        return None


def is_under_first_key(stored: str) -> bool:
    """Whether nothing is left to rotate."""
    if not stored:
        return True
    try:
        _first_key(settings.FIELD_KEYS[0]).decrypt(stored.encode())
    except (InvalidToken, ValueError):
        return False
    return True


class Sealed(str):
    """A stored value that no key of this site opens. It reads as a sentence, and is written back as it was stored.

    Attributes:
        stored: what is in the database.
    """

    stored: str

    def __new__(cls, stored: str) -> Sealed:
        value = super().__new__(cls, UNREADABLE)
        value.stored = stored
        return value

    def __reduce__(self) -> Any:
        return Sealed, (self.stored,)


class EncryptedField(models.Field):  # type: ignore[type-arg]
    """Encrypts on the way into the database. Length and validators hold for the text, not for what is stored."""

    def get_internal_type(self) -> str:
        return "TextField"

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Sealed):
            return value.stored
        value = super().get_prep_value(value)
        return value if value is None else seal(str(value))

    def from_db_value(self, value: Any, *_: Any) -> Any:
        if value is None:
            return None
        text = unseal(value)
        return Sealed(value) if text is None else text

    def run_validators(self, value: Any) -> None:
        if not isinstance(value, Sealed):
            super().run_validators(value)

    def get_lookup(self, lookup_name: str) -> Any:
        """Each encryption of a text is different, so nothing can be looked up by it."""
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted: rows cannot be looked up by it.")
        return super().get_lookup(lookup_name)

    def get_transform(self, lookup_name: str) -> Any:
        raise FieldError(f"{self.name} is encrypted: rows cannot be looked up by it.")


class EncryptedCharField(EncryptedField, models.CharField):  # type: ignore[type-arg]
    pass


class EncryptedEmailField(EncryptedField, models.EmailField):  # type: ignore[type-arg]
    pass


class EncryptedTextField(EncryptedField, models.TextField):  # type: ignore[type-arg]
    pass
