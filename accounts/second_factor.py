"""How allauth's second factors behave here."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts import mfa_policy
from accounts.encryption import seal, unseal
from accounts.models import User


class SecondFactorAdapter(DefaultMFAAdapter):
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": (
            "This code is wrong or was used already. Wait for the next one, then try again. "
            "If that is refused too, look whether your telephone's clock is right."
        ),
        "cannot_delete_authenticator": (
            "Your role needs a second factor and this is your last one. Add another first, then remove this one."
        ),
        "cannot_generate_recovery_codes": "Recovery codes come with an authenticator app or a passkey. Add one first.",
    }

    def get_totp_issuer(self) -> str:
        return str(settings.SITE_NAME)

    def encrypt(self, text: str) -> str:
        return seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        text = unseal(encrypted_text)
        if text is None:
            raise ImproperlyConfigured(
                "A second factor cannot be read: FIELD_KEYS lacks the key that it was encrypted with."
            )
        return text

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return not (mfa_policy.is_demanded_of(authenticator.user) and mfa_policy.is_last_factor(authenticator))

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """The site that a passkey belongs to: the host of ``PUBLIC_URL``, whatever ``Host`` the request named."""
        return {"id": urlsplit(settings.PUBLIC_URL).hostname or "localhost", "name": settings.SITE_NAME}

    def generate_authenticator_name(self, user: Any, type: Authenticator.Type) -> str:
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return "Passkey" if count == 0 else f"Passkey {count + 1}"

    def get_public_key_credential_user_entity(self, user: User) -> dict[str, Any]:  # type: ignore[override]
        return {**super().get_public_key_credential_user_entity(user), "display_name": user.get_full_name()}
