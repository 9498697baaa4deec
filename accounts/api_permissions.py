"""The permission table, as the REST API asks it."""

from __future__ import annotations

from django.http import Http404
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import may


class TablePermission(BasePermission):
    """DRF permission that reads ``required_permissions`` of the view: ``{"GET": ("study", "view"), ...}``.

    A view without an entry for the method is refused. Like :func:`needs`, a URL that names one object answers 404.
    """

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        method = {"HEAD": "GET", "OPTIONS": "GET"}.get(request.method or "", request.method)
        required = getattr(view, "required_permissions", {}).get(method)
        if required is None:
            # The schema and documentation views are the library's: they have no attribute of ours.
            required = ("api_schema", "view") if view.__class__.__module__.startswith("drf_spectacular") else None
        if required is None:
            return False
        if may(request.user, *required):
            return True
        if request.user.is_authenticated and view.kwargs:
            raise Http404
        return False
