"""What the house no longer needs, and when it goes. ``manage.py purge`` does all of it, the workers' rounds what cannot
wait (``diagnosis.tasks``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from accounts import actions as people
from accounts.models import Patient
from diagnosis import actions
from diagnosis.models import DeidentifiedExport, Erasure
from portal import stored_files, uploads

SETTLED_SECONDS = 3600.0
"""A younger file that no row names may belong to an upload that goes on."""
DAYS_A_YEAR = 365.25


@dataclass(slots=True)
class Purged:
    """What a purge removed, or would remove.

    Attributes:
        counts: how many, by kind.
        left: sentences about what it could not do.
    """

    counts: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def past_retention(now: datetime | None = None) -> QuerySet[Patient]:
    """Patients of whom nothing happened for ``RETENTION_YEARS``, and whom nobody ordered to be kept longer."""
    if not settings.RETENTION_YEARS:
        return Patient.objects.none()
    now = now or timezone.now()
    last_kept = now - timedelta(days=DAYS_A_YEAR * settings.RETENTION_YEARS)
    newest = {
        "newest_study": Max("studies__created_at"),
        "newest_message": Max("messages__created_at"),
        "newest_appointment": Max("appointments__at"),
    }
    idle = Q(created_at__lt=last_kept)
    for name in newest:
        idle &= Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__lt": last_kept})
    not_ordered = Q(retain_until=None) | Q(retain_until__lt=timezone.localdate(now))
    return Patient.objects.filter(not_ordered, merged_into=None).annotate(**newest).filter(idle).order_by("pk")


def expired_packages() -> QuerySet[DeidentifiedExport]:
    """Packages past their time whose file is still there."""
    return DeidentifiedExport.objects.filter(expires_at__lte=timezone.now()).exclude(file="")


def _idle_words() -> str:
    return f"patients of whom nothing happened for {settings.RETENTION_YEARS} years"


def preview() -> Purged:
    """What :func:`purge` would remove, without removing anything."""
    found = Purged()
    for name, rows in people.expired().items():
        found.counts[name] = rows.count()
    found.counts["de-identified packages past their time"] = expired_packages().count()
    found.counts["erasures that were interrupted"] = Erasure.objects.filter(finished_at=None).count()
    found.counts["files that no record names"] = len(stored_files.left_over(settled_seconds=SETTLED_SECONDS))
    if settings.RETENTION_YEARS:
        found.counts[_idle_words()] = past_retention().count()
    return found


def purge() -> Purged:
    """Remove everything whose time has passed. Killed midway, it is started again."""
    done = Purged()
    interrupted = Erasure.objects.filter(finished_at=None).count()
    for patient in past_retention().iterator():
        actions.erase_patient(
            acting_user=None, patient=patient, reason=f"Retention: nothing for {settings.RETENTION_YEARS} years"
        )
        _count(done, _idle_words())
    actions.finish_erasures()
    waiting = Erasure.objects.filter(finished_at=None).count()
    done.counts["erasures that were interrupted"] = max(0, interrupted - waiting)
    if waiting:
        done.left.append(f"{waiting} erasures are not finished: a file or the database is in use. Run this again.")
    done.counts["de-identified packages past their time"] = actions.expire_exports()
    done.counts |= people.remove_expired()
    while forgotten := people.forget_old_notices():
        _count(done, "old notifications and e-mails", forgotten)
    done.counts["uploads that were interrupted"] = uploads.forget_abandoned()
    for file in stored_files.left_over(settled_seconds=SETTLED_SECONDS):
        file.unlink(missing_ok=True)
        _count(done, "files that no record names")
    return done


def _count(done: Purged, name: str, number: int = 1) -> None:
    done.counts[name] = done.counts.get(name, 0) + number
