"""``tokens/``: sign in and out for programs."""

from __future__ import annotations

from typing import Any

from allauth.mfa.base.internal.flows import check_rate_limit
from django.contrib.auth import authenticate
from django.core.exceptions import PermissionDenied, ValidationError
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import exceptions, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import actions, mfa_policy
from accounts.addresses import canonical
from accounts.api.serializers import TokenGiven, TokenRequest
from accounts.api.throttles import Try
from accounts.models import ApiToken, User

OTP_REFUSAL_SECONDS = 300
"""After so many wrong codes in a row (``ACCOUNT_RATE_LIMITS["login_failed"]``) none is taken for this long."""


class TokenList(APIView):
    """Exchange an e-mail address and a password, and a one-time code where the account has one, for a token.

    Open to anybody, so it is throttled (``accounts.api.throttles``).
    """

    authentication_classes: tuple[Any, ...] = ()
    permission_classes = (AllowAny,)
    required_permissions = {"POST": ("token", "create")}

    def get_authenticate_header(self, request: Request) -> str:
        return "Bearer"

    @extend_schema(
        summary="Sign in: get a token",
        request=TokenRequest,
        responses={
            201: TokenGiven,
            400: OpenApiResponse(description="A field is missing or malformed."),
            401: OpenApiResponse(
                description="The e-mail address or the password is wrong; `otp_required`: the account has a second "
                "factor and the request no `otp`; `otp_invalid`: the code is wrong or was used already."
            ),
            403: OpenApiResponse(
                description="The role uses the website, not the API; `mfa_required`: the role needs a second factor, "
                "which is set up on the website first; `otp_unavailable`: the account has passkeys alone."
            ),
            429: OpenApiResponse(description="Too many refusals; `Retry-After` says for how long."),
        },
        auth=[],
        examples=[
            OpenApiExample(
                "request",
                value={"email": "radiologist@demo.local", "password": "the password", "otp": "492039"},
                request_only=True,
            ),
            OpenApiExample(
                "answer",
                value={
                    "token": "Zq8x0J9mX2n4v6b8N0a2s4d6f8g0h2j4k6l8z0x2c4v",
                    "expires_at": "2026-11-22T02:00:00Z",
                },
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        asked = TokenRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        email = canonical(asked.validated_data["email"])
        tried = Try(request)
        user = authenticate(request._request, username=email, password=asked.validated_data["password"])
        if not isinstance(user, User):
            actions.note_refused_token(email=email, reason="credentials")
            raise exceptions.AuthenticationFailed(
                "The e-mail address or the password is wrong.", code="invalid_credentials"
            )
        self._second_factor(tried, user=user, code=asked.validated_data.get("otp", ""))
        try:
            token, secret = actions.create_token(acting_user=user)
        except PermissionDenied as error:
            actions.note_refused_token(email=email, reason="role")
            raise exceptions.PermissionDenied("Your role uses the website, not the API.") from error
        tried.take_back()
        return Response({"token": secret, "expires_at": token.expires_at}, status=status.HTTP_201_CREATED)

    def _second_factor(self, tried: Try, *, user: User, code: str) -> None:
        """Let pass who has no second factor and needs none, and who gives a code that was not used before."""
        if not mfa_policy.has_factor(user):
            if mfa_policy.is_demanded_of(user):
                actions.note_refused_token(email=user.email, reason="mfa_required")
                raise exceptions.PermissionDenied(
                    "Your role needs a second factor. Set it up on the website first.", code="mfa_required"
                )
            return
        if not mfa_policy.has_codes(user):
            actions.note_refused_token(email=user.email, reason="otp_unavailable")
            raise exceptions.PermissionDenied(
                "This account has passkeys alone, which programs cannot use. Make a token on the website, or add an "
                "authenticator app there.",
                code="otp_unavailable",
            )
        if not code:
            # Not counted as a refusal: this is how a program learns that it has to ask for the code.
            tried.take_back()
            raise exceptions.AuthenticationFailed(
                "This account has a second factor: send the code as otp.", code="otp_required"
            )
        try:
            forget_tries = check_rate_limit(user)
        except ValidationError as error:
            tried.take_back()
            raise exceptions.Throttled(OTP_REFUSAL_SECONDS) from error
        if actions.use_code(user=user, code=code) is None:
            actions.note_refused_token(email=user.email, reason="otp")
            raise exceptions.AuthenticationFailed("The code is wrong or was used already.", code="otp_invalid")
        forget_tries()


class CurrentToken(APIView):
    """The token that this request carries."""

    required_permissions = {"DELETE": ("token", "delete")}

    @extend_schema(
        summary="Sign out: delete the token of this request",
        request=None,
        responses={204: None, 404: OpenApiResponse(description="The request is signed in by session, not by a token.")},
    )
    def delete(self, request: Request) -> Response:
        if not isinstance(request.auth, ApiToken):
            raise exceptions.NotFound("This request carries no token: it is signed in by session.")
        actions.delete_token(acting_user=request.user, token=request.auth)
        return Response(status=status.HTTP_204_NO_CONTENT)
