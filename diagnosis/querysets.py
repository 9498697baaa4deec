"""Who sees which rows, and the questions that several pages ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Avg, Count, Q

from accounts.permissions import may
from accounts.roles import Role
from ml.contract import LABELS

if TYPE_CHECKING:
    from diagnosis.models import Report


class StudyQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        """Studies that ``user`` may see. Scoping by team narrows this one place."""
        return self if may(user, "study", "view") else self.none()

    def search(self, words: str) -> Self:
        return self.filter(patient_search("patient__", words) | Q(accession_number__iexact=words.strip()))


class ImageQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        return self if may(user, "image", "view") else self.none()


class AnalysisQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        return self if may(user, "analysis", "view") else self.none()

    def search(self, words: str) -> Self:
        prefix = "image__study__"
        return self.filter(
            patient_search(f"{prefix}patient__", words)
            | Q(**{f"{prefix}accession_number__iexact": words.strip()})
            | Q(image__original_name__icontains=words.strip())
        )

    def summary(self) -> dict[str, Any]:
        """Counts and shares by result, mean confidence, in one query.

        Returns:
            ``total``, ``scored``, ``mean_confidence`` (0-1 or ``None``), and ``by_label``: a list of
            ``{"label", "count", "share"}``, the share being of the scored ones (0-1).
        """
        counts = self.order_by().aggregate(
            total=Count("pk"),
            mean_confidence=Avg("confidence"),
            **{label: Count("pk", filter=Q(label=label)) for label in LABELS},
        )
        scored = sum(counts[label] for label in LABELS)
        return {
            "total": counts["total"],
            "scored": scored,
            "mean_confidence": counts["mean_confidence"],
            "by_label": [
                {"label": label, "count": counts[label], "share": counts[label] / scored if scored else 0.0}
                for label in LABELS
            ],
        }


class ReportQuerySet(models.QuerySet["Report"]):
    def visible_to(self, user: Any) -> Self:
        """A patient sees only final reports of their own record; staff see what the table allows."""
        if not may(user, "report", "view"):
            return self.none()
        if user.role == Role.PATIENT:
            return self.filter(status="final", analysis__image__study__patient__user=user)
        return self


def patient_search(prefix: str, words: str) -> Q:
    """Every word has to begin or be part of the MRN or a name of the patient."""
    condition = Q()
    for word in words.split():
        condition &= (
            Q(**{f"{prefix}mrn__icontains": word})
            | Q(**{f"{prefix}family_name__icontains": word})
            | Q(**{f"{prefix}given_name__icontains": word})
        )
    return condition
