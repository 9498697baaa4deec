"""Single sign-on by OpenID Connect: who may come in by the hospital's provider, and as whom.

The provider says who somebody is, never what they may: the role is the one on record, and nobody is created.
"""

from __future__ import annotations

from typing import Any

import jwt
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from accounts import actions
from accounts.addresses import canonical
from accounts.models import User

PROVIDER = "hospital"
"""Name of the one provider in addresses."""
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""Signatures with a public key alone: with a shared one the provider's public key could be passed off as the secret."""


def is_connected(user: User) -> bool:
    """Whether the person can come in by the provider."""
    return bool(settings.OIDC_URL) and SocialAccount.objects.filter(user=user, provider=PROVIDER).exists()


def refused(request: HttpRequest, *, user: User | None, code: str) -> HttpResponse:
    """Note in the ledger that the provider brought somebody who is not let in, and say what to do."""
    actions.note_refused_provider(user=user, code=code)
    return render(request, "account/provider_refused.html", {"code": code}, status=403)


class HospitalProvider(OpenIDConnectOAuth2Adapter):
    """Checks the signature of every ID token, also of those that came directly from the provider, and names this site
    by ``PUBLIC_URL``, whatever ``Host`` the request named."""

    @property
    def openid_config(self) -> dict[str, Any]:
        """What the provider says of itself; refused where it says that it is another one than the site configured."""
        config: dict[str, Any] = super().openid_config
        if str(config.get("issuer", "")).rstrip("/") != settings.OIDC_URL:
            raise OAuth2Error("The provider names another issuer than OIDC_URL.")
        return config

    def _decode_id_token(self, app: Any, id_token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(id_token)
            if header.get("alg") not in ALGORITHMS:
                raise OAuth2Error("The ID token is not signed with a public key.")
            claims: dict[str, Any] = jwtkit.verify_and_decode(
                credential=id_token,
                keys_url=self.openid_config["jwks_uri"],
                issuer=self.openid_config["issuer"],
                audience=app.client_id,
                lookup_kid=jwtkit.lookup_kid_jwk,
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as fault:
            raise OAuth2Error(f"The ID token cannot be read: {type(fault).__name__}.") from fault
        return claims

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        path = reverse("openid_connect_callback", kwargs={"provider_id": self.provider_id})
        return str(settings.PUBLIC_URL) + path


class KnownPeopleAdapter(DefaultSocialAccountAdapter):
    """Lets in active people on record, by the verified address that the provider gives, and nobody else."""

    def get_requests_session(self) -> Any:
        """Asks the provider where the site configured it: an answer that leads elsewhere is not followed."""
        session = super().get_requests_session()
        session.max_redirects = 0
        return session

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        found = super().get_provider(request, provider, client_id=client_id)
        found.oauth2_adapter_class = HospitalProvider
        return found

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        claims = sociallogin.account.extra_data
        userinfo, token = claims.get("userinfo") or {}, claims.get("id_token") or {}
        if not token or (userinfo and userinfo.get("sub") != token.get("sub")):
            # OpenID Connect Core 5.3.2: the two have to be about the same person.
            raise ImmediateHttpResponse(refused(request, user=None, code="subjects_differ"))
        if sociallogin.state.get("process") != AuthProcess.LOGIN:
            raise ImmediateHttpResponse(refused(request, user=None, code="not_a_sign_in"))
        if sociallogin.is_existing:
            return
        user = self._person(sociallogin)
        if user is None:
            raise ImmediateHttpResponse(refused(request, user=None, code="not_on_record"))
        if SocialAccount.objects.filter(user=user, provider=PROVIDER).exists():
            # The address was given to another person of the provider.
            raise ImmediateHttpResponse(refused(request, user=user, code="another_person"))
        sociallogin.connect(request, user)
        actions.note_provider_connected(user=user)

    def _person(self, sociallogin: SocialLogin) -> User | None:
        """The active person whose address the provider has verified."""
        verified = [canonical(one.email) for one in sociallogin.email_addresses if one.verified is True]
        return User.objects.filter(email__in=verified, is_active=True).first()

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        code = type(exception).__name__ if exception else f"provider_{error}"
        raise ImmediateHttpResponse(refused(request, user=None, code=code))
