"""What the ledger needs of a request: from where and by which door, who was refused, and that no view goes untold."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts import audit
from accounts.ledger.chain import plain_address
from accounts.ledger.denials import Denial, note
from accounts.models import Patient
from accounts.permissions import may
from accounts.roles import Role
from portal.channel import ADMIN, API, WEB, through

DOORS = (("/api/", API), ("/admin/", ADMIN))
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SHOWN = frozenset({200, 206, 422})
"""Answers that hold a record: 422 is a form that comes back, on the page of the record."""

WATCHED = frozenset(
    {
        "home",
        "user",
        "patient",
        "emergency_access",
        "study",
        "image",
        "analysis",
        "assessment",
        "known_outcome",
        "second_opinion",
        "report",
        "own_record",
        "patient_invitation",
        "message",
        "appointment",
        "deidentified_export",
    }
)
"""Objects of the permission table that are about people: whoever looks is in the ledger, by the view itself or here."""

NOT_A_VIEW = ("user.", "token.", "mfa.", "access.")
"""Beginnings of actions that say something about the session, not about what the page shows."""


class LedgerMiddleware:
    """Give the ledger its context, and note refusals and views that did not tell by themselves.

    The address is ``REMOTE_ADDR``, which ``portal.middleware`` corrects behind the site's own proxy. Comes after
    authentication and around everything that refuses.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        door = next((door for prefix, door in DOORS if request.path.startswith(prefix)), WEB)
        address = audit.client_address.set(plain_address(request.META.get("REMOTE_ADDR")))
        purpose = audit.purpose_of_request.set("")
        noted = audit.noted_in_request.set([])
        try:
            with through(door):
                response = self.get_response(request)
                _tell(request, response, door=door)
                return response
        finally:
            audit.noted_in_request.reset(noted)
            audit.purpose_of_request.reset(purpose)
            audit.client_address.reset(address)


def _tell(request: HttpRequest, response: HttpResponse, *, door: str) -> None:
    match = request.resolver_match
    if match is None:
        return
    asked = _permission(match.func, request.method or "")
    reason = _refusal(request, response, asked=asked, door=door)
    if reason:
        object_type, object_id = _object(asked, match.kwargs, match.route)
        note(
            Denial(
                user_id=request.user.pk if request.user.is_authenticated else None,
                address=audit.client_address.get(),
                channel=door,
                reason=reason,
                page=match.view_name[:60],
                asked=".".join(asked or ()),
                object_type=object_type,
                object_id=object_id,
                status=response.status_code,
                method=request.method if request.method in METHODS else "other",
            )
        )
        return
    looks = asked is not None and asked[0] in WATCHED and response.status_code in SHOWN
    if asked and looks and request.user.is_authenticated and not _has_told():
        _note_view(request, asked, match.kwargs, match.route, page=match.view_name)


def _permission(view: Any, method: str) -> tuple[str, str] | None:
    """What the view asks of the permission table."""
    if hasattr(view, "required_permission"):
        return view.required_permission
    cls = getattr(view, "view_class", None) or getattr(view, "cls", None)
    needed = getattr(cls, "required_permissions", {})
    return needed.get({"HEAD": "GET", "OPTIONS": "GET"}.get(method, method))


def _refusal(request: HttpRequest, response: HttpResponse, *, asked: tuple[str, str] | None, door: str) -> str | None:
    """Why the answer is a refusal, or ``None`` where it is none."""
    status = response.status_code
    if status == 401:
        return "not_signed_in" if "Authorization" in request.headers and not audit.noted_in_request.get() else None
    sent_away = status == 302 and door == ADMIN and "/login/" in response.headers.get("Location", "")
    if not (status in (403, 404) or sent_away) or not request.user.is_authenticated:
        return None
    if sent_away or (asked is not None and not may(request.user, *asked)):
        return "role"
    if status == 403:
        return "refused"
    return "not_theirs" if request.resolver_match and _key(request.resolver_match.kwargs) else None


def _key(kwargs: dict[str, Any]) -> str:
    """The key of the object that the address names. Text that somebody made up is none."""
    return next((str(value) for value in kwargs.values() if isinstance(value, uuid.UUID | int)), "")


def _object(asked: tuple[str, str] | None, kwargs: dict[str, Any], route: str) -> tuple[str, str]:
    key = _key(kwargs)
    if not key:
        return "", ""
    if "patients/<uuid:" in route:
        return "patient", key
    return (asked[0] if asked else ""), key


def _has_told() -> bool:
    return any(not action.startswith(NOT_A_VIEW) for action in audit.noted_in_request.get() or ())


def _note_view(request: HttpRequest, asked: tuple[str, str], kwargs: dict[str, Any], route: str, *, page: str) -> None:
    object_type, object_id = _object(asked, kwargs, route)
    patient = None
    if object_type == "patient":
        patient = Patient.objects.filter(pk=object_id).first()
    elif request.user.role == Role.PATIENT:  # type: ignore[union-attr]
        patient = Patient.objects.filter(user=request.user.pk).first()
    verb = "viewed" if object_id or asked[0] == "home" else "listed"
    audit.note_viewing(
        f"{object_type or asked[0]}.{verb}",
        actor=request.user,  # type: ignore[arg-type]
        object_type=object_type or asked[0],
        object_id=object_id,
        patient=patient,
        details={"page": page},
    )
