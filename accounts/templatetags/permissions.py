"""What the signed-in person may do, for templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from accounts.permissions import may as table_may

register = template.Library()


@register.filter
def may(user: Any, permission: str) -> bool:
    """``{% if user|may:"study.create" %}``. A mistyped name raises ``KeyError``."""
    target, _, verb = permission.partition(".")
    return table_may(user, target, verb)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the navigation."""

    label: str
    url: str
    current: bool


ENTRIES = (
    ("Home", "home", "home.view"),
    ("Messages", "own-messages", "own_record.view"),
    ("Appointments", "own-appointments", "own_record.view"),
    ("Who looked", "own-accesses", "own_record.view"),
    ("Consent and data", "own-consents", "own_record.view"),
    ("Patients", "patient-list", "patient.view"),
    ("History", "history", "analysis.view"),
    ("Models", "model-list", "model.view"),
    ("Users", "user-list", "user.view"),
    ("Ledger", "ledger", "ledger_metadata.view"),
    ("API", "api-docs", "token.create"),
    ("Admin site", "admin:index", "operations.view"),
)


@register.simple_tag(takes_context=True)
def navigation(context: template.Context) -> list[Entry]:
    """The pages this person may open, in the order of the navigation. Empty for a stranger."""
    request: HttpRequest | None = context.get("request")
    user = getattr(request, "user", None)
    if request is None or user is None or not user.is_authenticated:
        return []
    entries = []
    for label, name, permission in ENTRIES:
        if may(user, permission):
            url = _address(name)
            if url:
                here = request.path == url if name == "home" else request.path.startswith(url)
                entries.append(Entry(label=label, url=url, current=here))
    return entries


def _address(name: str) -> str:
    """The address of a page, or nothing where a site leaves that page out."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
