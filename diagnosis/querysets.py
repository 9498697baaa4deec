"""Who sees which rows, and the questions that several pages ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Count, Q, Sum

from accounts.permissions import may
from accounts.roles import Role
from accounts.search import patient_search
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
        """Analyses of patients whose name or MRN has all the words, or of the study with this accession number."""
        patients = Patient.objects.filter(patient_search("", words)).order_by().values("pk")
        found = self.filter(patient__in=patients)
        studies = self.model.image.field.related_model.study.field.related_model
        ordered = studies.objects.filter(accession_number=words.strip()).values_list("pk", flat=True)[:ACCESSION_LIMIT]
        # Asked first: an OR of the two would read every row.
        return self.filter(Q(patient__in=patients) | Q(image__study__in=list(ordered))) if ordered else found

    def summary(self) -> dict[str, Any]:
        """Counts and shares by result, mean confidence, in one query that the index ``analysis_summary`` answers alone.

        Returns:
            ``total``, ``scored``, ``mean_confidence`` (0-1 or ``None``), and ``by_label``: a list of
            ``{"label", "count", "share"}``, the share being of the scored ones (0-1).
        """
        groups = self.order_by().values("label").annotate(count=Count("*"), sum_of_confidence=Sum("confidence"))
        by_label = {group["label"]: group for group in groups}
        counts = {label: by_label[label]["count"] if label in by_label else 0 for label in LABELS}
        scored = sum(counts.values())
        sum_of_confidence = sum(by_label[label]["sum_of_confidence"] for label in LABELS if label in by_label)
        return {
            "total": sum(group["count"] for group in by_label.values()),
            "scored": scored,
            "mean_confidence": sum_of_confidence / scored if scored else None,
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
