"""IT staff are told once when the queue is in trouble, and once when that is over.

What stands is read from the ledger, not from a process's memory: a restart, or a second worker, repeats nothing.
"""

from __future__ import annotations

from django.db import transaction
from django.urls import reverse

from accounts import audit
from accounts.actions.notifications import notify
from accounts.models import AuditEvent, User
from accounts.roles import Role
from portal import trouble

BEGAN, ENDED = "queue.trouble_began", "queue.trouble_ended"


def standing_troubles() -> frozenset[str]:
    """Codes of the troubles that began and have not ended."""
    told = AuditEvent.objects.filter(action__in=(BEGAN, ENDED))
    codes = set(told.order_by().values_list("details__trouble", flat=True).distinct())
    return frozenset(
        code
        for code in codes
        if told.filter(details__trouble=code).order_by("-pk").values_list("action", flat=True).first() == BEGAN
    )


def look_for_trouble() -> int:
    """Tell IT staff what began and what ended since the last look; return how many troubles did."""
    standing = standing_troubles()
    return 0 if standing == set(trouble.found(standing=standing)) else _tell()


@transaction.atomic
def _tell() -> int:
    # Two workers may look at the same moment; the second waits for the first one's word to the same people.
    staff = list(User.objects.select_for_update(no_key=True).filter(role=Role.IT_STAFF, is_active=True).order_by("pk"))
    standing = standing_troubles()
    found = trouble.found(standing=standing)
    news = [(BEGAN, code, sentence) for code, sentence in found.items() if code not in standing]
    news += [(ENDED, code, trouble.OVER[code]) for code in sorted(standing - set(found)) if code in trouble.OVER]
    for _, _, sentence in news:
        notify("queue_trouble", users=staff, text=sentence, path=reverse("home"))
    for action, code, _ in news:
        audit.record(action, actor=None, trouble=code)
    return len(news)
