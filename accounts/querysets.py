"""Who sees which people, and how they are found."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.permissions import may
from accounts.roles import Role
from accounts.scope import Scope, scope_of
from accounts.search import patient_search
from portal.jobs import State

MOST_MERGED = 200
"""Records that were merged away and match a search: so many lead to the record that stayed."""


class UserQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        """Users that ``user`` may see. IT staff do not see patients' log-ins: those are patient names."""
        if not may(user, "user", "view"):
            return self.none()
        return self.exclude(role=Role.PATIENT) if user.role == Role.IT_STAFF else self

    def search(self, words: str) -> Self:
        """Every word has to be part of the e-mail address or of a name."""
        found = self
        for word in words.split():
            found = found.filter(
                Q(email__icontains=word) | Q(given_name__icontains=word) | Q(family_name__icontains=word)
            )
        return found


class TeamQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        return self if may(user, "team", "view") else self.none()

    def taking_studies_of(self, user: Any) -> Self:
        """The teams that a new study of ``user`` may belong to."""
        return self.filter(members=user.pk, is_active=True)


class PatientQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        """Patients whose record ``user`` may open: with no study yet, with a study that they see, or in an emergency.

        A record that was merged into another one is not among them.
        """
        if not may(user, "patient", "view"):
            return self.none()
        # Not "merged_into is null", which SQLite would look up in the index of that column and then sort all rows.
        rows = self.filter(~Q(merged_into__isnull=False))
        scope = scope_of(user)
        return rows if scope.everything else rows.filter(self._open(scope))

    def outside_teams_of(self, user: Any) -> Self:
        """Patients of whose record ``user`` sees nothing: only emergency access opens it."""
        if not may(user, "emergency_access", "create"):
            return self.none()
        scope = scope_of(user)
        return self.none() if scope.everything else self.filter(~Q(merged_into__isnull=False), ~self._open(scope))

    def with_studies_outside_teams_of(self, user: Any) -> Self:
        """Patients with a study that only emergency access opens to ``user``, whether or not they see another one."""
        if not may(user, "emergency_access", "create"):
            return self.none()
        scope = scope_of(user)
        if scope.everything:
            return self.none()
        closed = self._studies().exclude(scope.condition(team="team", patient="patient"))
        return self.filter(~Q(merged_into__isnull=False), Exists(closed))

    def _studies(self) -> models.QuerySet[Any]:
        studies = self.model._meta.get_field("studies").related_model._default_manager.order_by()
        return studies.filter(patient_id=OuterRef("pk"))

    def _open(self, scope: Scope) -> Q:
        of_patient = self._studies()
        seen = of_patient.filter(scope.condition(team="team", patient="patient"))
        condition = Q(~Exists(of_patient)) | Q(Exists(seen))
        return condition | Q(pk__in=sorted(scope.emergencies)) if scope.emergencies else condition

    def search(self, words: str) -> Self:
        """By name or MRN; a record is found by those of the records that were merged into it, too."""
        named = patient_search("", words)
        if not words.strip():
            return self
        merged = self.model._default_manager.filter(named, merged_into__isnull=False).order_by()
        # Keys, not a query within the query: most sites have none, and then the search reads one index alone.
        stayed = list(merged.values_list("merged_into", flat=True)[:MOST_MERGED])
        return self.filter(named | Q(pk__in=stayed) if stayed else named)


class EmergencyAccessQuerySet(models.QuerySet[Any]):
    def running(self) -> Self:
        """Those that hold now."""
        return self.filter(ended_at=None, expires_at__gt=timezone.now())

    def visible_to(self, user: Any) -> Self:
        """Everybody's to who reviews them, else one's own."""
        if may(user, "emergency_access", "view"):
            return self
        return self.filter(user=user.pk) if may(user, "emergency_access", "create") else self.none()


class NotificationQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        """One's own, whatever the role."""
        return self.filter(user=user) if may(user, "notification", "view") else self.none()

    def unread(self) -> Self:
        return self.filter(read_at=None)


class OutgoingMailQuerySet(models.QuerySet[Any]):
    def unsent(self) -> Self:
        """What the mail server refused, for now or for good; the newest trouble first."""
        for_good = Q(state=State.FAILED)
        for_now = Q(state=State.QUEUED, lease_until__isnull=False)
        return self.filter(for_good | for_now).order_by("-created_at")
