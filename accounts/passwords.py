"""Rules for passwords beyond Django's (ASVS 5.0, V6.2): long ones are welcome, words of this site alone are not."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

LONGEST = 1000
"""Characters. Far above what anybody types or keeps; bounds the work of hashing. Nothing is ever cut off."""
SITE_WORDS = ("senolens", "radiology", "radiologist", "mammography", "mammogram", "ultrasound", "hospital", "breast")
OWN_CHARACTERS = 8
"""So many characters of a password have to be other than words of the site."""


class MaximumLengthValidator:
    """Refuse, and do not cut, what is longer than :data:`LONGEST`."""

    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > LONGEST:
            raise ValidationError(f"This password is longer than {LONGEST} characters.", code="password_too_long")

    def get_help_text(self) -> str:
        return f"Your password has at most {LONGEST} characters."


class CommonCoreValidator(CommonPasswordValidator):
    """Refuse a common password, also one that digits and signs at its ends or a repetition only made longer."""

    def validate(self, password: str, user: Any = None) -> None:
        super().validate(password, user)
        core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", password.casefold())
        half = password.casefold()[: len(password) // 2]
        if core in self.passwords or (half * 2 == password.casefold() and half in self.passwords):
            raise ValidationError(
                "This is a common password that was only made longer. Choose words that are your own.",
                code="password_too_common",
            )


class SiteWordsValidator:
    """Refuse what is made of the names of this site and of its work: they are the first guess."""

    def validate(self, password: str, user: Any = None) -> None:
        rest = password.casefold()
        for word in sorted({*SITE_WORDS, *_words(settings.SITE_NAME)}, key=len, reverse=True):
            rest = rest.replace(word, "")
        if len(rest) < OWN_CHARACTERS and rest != password.casefold():
            raise ValidationError(
                "This password is little more than words of this site. Choose words that are your own.",
                code="password_of_site_words",
            )

    def get_help_text(self) -> str:
        return "Your password is more than words of this site."


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text.casefold()) if len(word) >= 4]
