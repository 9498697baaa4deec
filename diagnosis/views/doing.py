"""A verb done for a page: what is not possible is said on the next page, nothing is half done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages

from accounts.http import SignedInRequest
from diagnosis import actions


def do(request: SignedInRequest, verb: Callable[..., Any], *, done: str, **arguments: Any) -> Any:
    """Do a verb; the result of one that raised :class:`actions.WrongState` is ``None``, and the person reads why."""
    try:
        result = verb(acting_user=request.user, **arguments)
    except actions.WrongState as wrong:
        messages.warning(request, str(wrong))
        return None
    messages.info(request, done)
    return result
