"""``tokens/``: sign in and out for programs."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.core.exceptions import PermissionDenied
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import exceptions, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import actions
from accounts.api.serializers import TokenGiven, TokenRequest
from accounts.api.throttles import RefusalsByAddress, RefusalsByEmail
from accounts.models import ApiToken


class TokenList(APIView):
    """Exchange an e-mail address and a password for a token. Open to anybody, so it is throttled."""

    authentication_classes: tuple[Any, ...] = ()
    permission_classes = (AllowAny,)
    required_permissions = {"POST": ("token", "create")}
    throttle_classes = (RefusalsByAddress, RefusalsByEmail)

    def get_authenticate_header(self, request: Request) -> str:
        return "Bearer"

    @extend_schema(
        summary="Sign in: get a token",
        request=TokenRequest,
        responses={
            201: TokenGiven,
            400: OpenApiResponse(description="A field is missing or malformed."),
            401: OpenApiResponse(description="The e-mail address or the password is wrong."),
            403: OpenApiResponse(description="The role uses the website, not the API."),
            429: OpenApiResponse(description="Too many refusals; `Retry-After` says for how long."),
        },
        auth=[],
        examples=[
            OpenApiExample(
                "request",
                value={"email": "radiologist@demo.local", "password": "the password"},
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
        email = asked.validated_data["email"]
        user = authenticate(request._request, username=email, password=asked.validated_data["password"])
        if user is None:
            self._refused(request, email=email, reason="credentials")
            raise exceptions.AuthenticationFailed(
                "The e-mail address or the password is wrong.", code="invalid_credentials"
            )
        try:
            token, secret = actions.create_token(acting_user=user)
        except PermissionDenied as error:
            self._refused(request, email=email, reason="role")
            raise exceptions.PermissionDenied("Your role uses the website, not the API.") from error
        return Response({"token": secret, "expires_at": token.expires_at}, status=status.HTTP_201_CREATED)

    def _refused(self, request: Request, *, email: str, reason: str) -> None:
        for throttle in self.get_throttles():
            throttle.count(request, self)
        actions.note_refused_token(email=email, reason=reason)


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
