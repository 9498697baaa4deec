"""The permission table, as the REST API asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.permissions import may

if TYPE_CHECKING:
    # rest_framework.views loads this module while it is being loaded itself.
    from rest_framework.views import APIView


class TablePermission(BasePermission):
    """DRF permission that reads ``required_permissions`` of the view: ``{"GET": ("study", "view"), ...}``.

    A view without an entry for the method is refused; a method that the view does not have is 405 for who is signed in.
    A URL that names one object answers 404, unless ``view.get_object()`` shows that the person may see it: then 403.
    """

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        method = {"HEAD": "GET", "OPTIONS": "GET"}.get(request.method or "", request.method)
        required = getattr(view, "required_permissions", {}).get(method)
        if required is None:
            return bool(request.user.is_authenticated and not hasattr(view, (request.method or "").lower()))
        if may(request.user, *required):
            return True
        if request.user.is_authenticated and view.kwargs:
            self._require_visible(request, view)
        return False

    def _require_visible(self, request: Request, view: APIView) -> None:
        """Raise ``Http404`` unless the object that the URL names is one that the person may see."""
        seen_by = getattr(view, "visible_to", None)
        if seen_by is None or not may(request.user, *seen_by):
            raise Http404
        view.get_object()  # type: ignore[attr-defined]
