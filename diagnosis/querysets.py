"""Who sees which rows, and the questions that several pages ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import models
from django.db.models import Avg, Count, Exists, OuterRef, Q, Sum

from accounts.models import Consent, Patient
from accounts.permissions import may
from accounts.roles import Role
from accounts.scope import scope_of
from accounts.search import patient_search
from ml.contract import LABELS
from portal.jobs import State

MOST_IMAGES_OF_AN_ORDER = 500
Rows = TypeVar("Rows", bound="models.QuerySet[Any]")

if TYPE_CHECKING:
    from diagnosis.models import Report  # noqa: F401  named in quotes below


def released(prefix: str) -> dict[str, Any]:
    """Conditions of a report that its patient may see; ``prefix`` leads to the report."""
    return {f"{prefix}status": "final", f"{prefix}released_at__isnull": False, f"{prefix}withdrawn_at__isnull": True}


def own_and_agreed(user: Any, prefix: str) -> dict[str, Any]:
    """Conditions of what is on the patient's own record, while they agree to see it here; ``prefix`` leads to it."""
    return {
        f"{prefix}user": user,
        f"{prefix}consents__purpose": Consent.Purpose.PORTAL,
        f"{prefix}consents__withdrawn_at__isnull": True,
    }


def _in_scope(rows: Rows, user: Any, *, team: str, patient: str) -> Rows:
    """The rows of studies that the teams of ``user`` open (``accounts.scope``)."""
    scope = scope_of(user)
    return rows if scope.everything else rows.filter(scope.condition(team=team, patient=patient))


class StudyQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        """Studies that ``user`` may see: a radiologist those of no team, of their teams, or held in an emergency."""
        if not may(user, "study", "view"):
            return self.none()
        return _in_scope(self, user, team="team", patient="patient")

    def search(self, words: str) -> Self:
        return self.filter(patient_search("patient__", words) | Q(accession_number__iexact=words.strip()))


class ImageQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        """A patient sees the images of released reports on their own record; staff see what the table allows."""
        if not may(user, "image", "view"):
            return self.none()
        if user.role == Role.PATIENT:
            own = own_and_agreed(user, "study__patient__")
            return self.filter(**own, **released("analysis__reports__")).distinct()
        return _in_scope(self, user, team="study__team", patient="study__patient")


class AnalysisQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        if not may(user, "analysis", "view"):
            return self.none()
        return _in_scope(self, user, team="team", patient="patient")

    def to_try_again(self) -> Self:
        """Those that failed and wait for somebody: on which no radiologist has concluded without the result."""
        concluded = self.model.assessments.rel.related_model.objects.filter(
            analysis=OuterRef("pk"), answered_opinions=None
        )
        return self.filter(~Exists(concluded), state=State.FAILED)

    def search(self, words: str) -> Self:
        """Analyses of patients whose name or MRN has all the words, or of the order with this accession number."""
        patients = Patient.objects.filter(patient_search("", words)).order_by()
        # Each side of the OR can be looked up in an index only as a plain list of keys of this table.
        ordered = self.model._default_manager.filter(image__study__accession_number=words.strip())
        keys = list(ordered.order_by().values_list("pk", flat=True)[:MOST_IMAGES_OF_AN_ORDER])
        condition = Q(patient__in=patients.values("pk"))
        return self.filter(condition | Q(pk__in=keys) if keys else condition)

    def _counts_in_one_pass(self) -> dict[str, Any]:
        """Counts of filtered rows: the database is free to use the index that suits the filter."""
        # Not Count("pk"): the key is in no index beside these columns, so every row would be read.
        return self.order_by().aggregate(
            total=Count("*"),
            mean_confidence=Avg("confidence"),
            **{label: Count("label", filter=Q(label=label)) for label in LABELS},
        )

    def _counts_in_order_of_index(self) -> dict[str, Any]:
        """The same of all rows, in half the time: the index ``analysis_summary`` has them grouped already."""
        groups = self.order_by().values("label").annotate(count=Count("*"), confidences=Sum("confidence"))
        by_label = {group["label"]: group for group in groups}
        counts = {label: by_label[label]["count"] if label in by_label else 0 for label in LABELS}
        scored = sum(counts.values())
        confidences = sum(group["confidences"] for group in by_label.values() if group["label"])
        return {
            **counts,
            "total": sum(group["count"] for group in by_label.values()),
            "mean_confidence": confidences / scored if scored else None,
        }

    def summary(self) -> dict[str, Any]:
        """Counts and shares by result, mean confidence, in one query that an index answers alone.

        Returns:
            ``total``, ``scored``, ``mean_confidence`` (0-1 or ``None``), and ``by_label``: a list of
            ``{"label", "count", "share"}``, the share being of the scored ones (0-1).
        """
        counts = self._counts_in_order_of_index() if not self.query.where else self._counts_in_one_pass()
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
            return self.filter(**own_and_agreed(user, "analysis__patient__"), **released(""))
        return _in_scope(self, user, team="analysis__team", patient="analysis__patient")

    def taken_back_from(self, user: Any) -> Self:
        """What this patient could read once and cannot now: withdrawn, or replaced by a version not released yet.

        Of each image the newest one, and none where a newer version is released.
        """
        if user.role != Role.PATIENT:
            return self.none()
        own = self.filter(**own_and_agreed(user, "analysis__patient__"), released_at__isnull=False)
        of_image = self.model._default_manager.order_by().filter(analysis=OuterRef("analysis"))
        newer = of_image.filter(released_at__isnull=False, version__gt=OuterRef("version"))
        return own.exclude(**released("")).filter(~Exists(of_image.filter(**released(""))), ~Exists(newer))
