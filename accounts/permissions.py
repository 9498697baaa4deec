"""The one place that answers "may this person do that?".

Pages use :func:`needs`, the REST API uses :class:`accounts.api_permissions.TablePermission`, both read
``accounts.roles.TABLE``. A page or endpoint that names no permission is refused (and
tests/portal/test_closed_by_default.py fails).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase

from accounts.roles import GRANTS, TABLE


def may(user: Any, target: str, verb: str) -> bool:
    """Whether ``user`` may do ``verb`` to objects of the kind ``target``.

    Raises:
        KeyError: when the table has no such object or verb: a mistyped name must not read as "no".
    """
    roles = TABLE[target][verb]
    return bool(user.is_authenticated and user.is_active and user.role in roles)


def require(user: Any, target: str, verb: str) -> None:
    """Raise ``PermissionDenied`` unless ``user`` may."""
    if not may(user, target, verb):
        raise PermissionDenied("Your role does not allow this.")


def require_any(user: Any, *permissions: tuple[str, str]) -> None:
    """Raise ``PermissionDenied`` unless one of the permissions (object, verb) allows it."""
    if not any(may(user, target, verb) for target, verb in permissions):
        raise PermissionDenied("Your role does not allow this.")


def may_grant(user: Any, role: str) -> bool:
    """Whether ``user`` may make and change log-ins that have ``role``."""
    return role in GRANTS.get(user.role, frozenset())


READING = ("GET", "HEAD", "OPTIONS")
View = Callable[..., HttpResponseBase]


def needs(target: str, verb: str, *, writing: str = "") -> Callable[[View], View]:
    """Guard a view function. Without the permission a page about one object answers 404 (it does not say that the
    object exists), any other page 403. Anonymous requests never arrive here (``LoginRequiredMiddleware``).

    Args:
        writing: the verb that a form sent to the page needs, where that is another one: 403 to who may only read.
    """
    for asked in (verb, writing or verb):
        TABLE[target][asked]  # a mistyped name fails at import

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not may(request.user, target, verb):
                if kwargs:
                    raise Http404
                raise PermissionDenied("Your role does not open this page.")
            if request.method not in READING and not may(request.user, target, writing or verb):
                raise PermissionDenied("Your role reads this page and does not change it.")
            return view(request, *args, **kwargs)

        guarded.required_permission = (target, verb)  # type: ignore[attr-defined]
        guarded.required_for_writing = (target, writing or verb)  # type: ignore[attr-defined]
        return guarded

    return decorate
