"""Who sees which people, and how they are found."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import Q

from accounts.permissions import may
from accounts.roles import Role
from accounts.search import patient_search


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


class PatientQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        """Patients whose record ``user`` may open. Scoping by team narrows this one place."""
        return self if may(user, "patient", "view") else self.none()

    def search(self, words: str) -> Self:
        return self.filter(patient_search("", words))
