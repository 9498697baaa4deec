"""The description of the REST API, for programs and for people."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class SchemaView(SpectacularAPIView):
    """OpenAPI 3."""

    required_permissions = {"GET": ("api_schema", "view")}


class DocsView(SpectacularSwaggerSplitView):
    """The same as pages. Scripts and styles come from files, as the content security policy asks."""

    required_permissions = {"GET": ("api_schema", "view")}
    template_name = "portal/api_docs.html"
    url_name = "api-schema"


@extend_schema(exclude=True)
class NoSuchAddress(APIView):
    """Any other address of the API: 404 in the API's own shape, 401 for strangers."""

    required_permissions = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), ("home", "view"))

    def _refuse(self, request: Request, path: str) -> Response:
        raise NotFound("There is no such address. Addresses of records end with a slash; see /api/docs/.")

    get = post = put = patch = delete = _refuse


class BearerScheme(OpenApiAuthenticationExtension):
    """How the schema words ``accounts.tokens.BearerAuthentication``."""

    target_class = "accounts.tokens.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
