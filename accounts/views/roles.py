"""What each role may do, in words."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts import role_words
from accounts.http import SignedInRequest
from accounts.permissions import needs
from accounts.roles import Role


@require_safe
@needs("role_table", "view")
def role_table(request: SignedInRequest) -> HttpResponse:
    """The table that pages, API, admin site and files ask, as it is in force."""
    return render(request, "accounts/roles.html", {"roles": Role.choices, "sections": role_words.sections()})
