"""What the models said against what turned out to be true, breast by breast.

A study has several images of a breast and one outcome a breast, so the breast is the case: the model called it
malignant when it called any of its images so. Outcomes are known of those who were examined further, mostly because
something looked suspicious, so sensitivity reads too high and specificity too low (verification bias: Begg and Greenes,
*Biometrics* 39:207-215, 1983); the pages say so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from diagnosis.agreement import Proportion
from diagnosis.models import Image, KnownOutcome, Laterality, ModelVersion
from diagnosis.models.analysis import Label

Breast = tuple[Any, str]
"""Key of a study, and a side."""


@dataclass(frozen=True, slots=True)
class Read:
    """One image that was read: of which breast, and whether it was called malignant."""

    study: Any
    side: str
    malignant: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """Readings against outcomes.

    Attributes:
        sensitivity: of the breasts that turned out malignant, those called so.
        specificity: of the others, those not called so.
        accuracy: of all, those called as they turned out.
    """

    sensitivity: Proportion
    specificity: Proportion

    @property
    def accuracy(self) -> Proportion:
        return Proportion(hits=self.sensitivity.hits + self.specificity.hits, n=self.sensitivity.n + self.specificity.n)

    @property
    def n(self) -> int:
        return self.accuracy.n


def side_of(own: str, of_study: str) -> str:
    """The side of an image or an outcome: its own, else the study's; empty where neither says one."""
    return own or of_study


def known(studies: Any = None) -> dict[Breast, bool]:
    """Breasts whose outcome was entered -> whether it was malignant. The newest entry of a study and side counts.

    Args:
        studies: keys or a query of keys of the studies alone that matter; all of them when left out.
    """
    rows = KnownOutcome.objects.order_by("entered_at", "pk")
    if studies is not None:
        rows = rows.filter(study__in=studies)
    found = {}
    for study, own, of_study, label in rows.values_list("study_id", "laterality", "study__laterality", "label"):
        found[study, side_of(own, of_study)] = label == Label.MALIGNANT
    return found


def against(outcomes: dict[Breast, bool], reads: Iterable[Read]) -> Truth:
    """Compare readings with outcomes. An image and an outcome belong together when they are of the same study and side;
    an outcome of both sides belongs to every image of its study."""
    called: dict[Breast, bool] = {}
    turned_out: dict[Breast, bool] = {}
    for read in reads:
        breast = (read.study, read.side)
        outcome = outcomes.get(breast, outcomes.get((read.study, str(Laterality.BOTH))))
        if outcome is None:
            continue
        turned_out[breast] = outcome
        called[breast] = called.get(breast, False) or read.malignant
    malignant = [breast for breast, outcome in turned_out.items() if outcome]
    others = [breast for breast, outcome in turned_out.items() if not outcome]
    return Truth(
        sensitivity=Proportion(hits=sum(called[breast] for breast in malignant), n=len(malignant)),
        specificity=Proportion(hits=sum(not called[breast] for breast in others), n=len(others)),
    )


def of_model(model: ModelVersion) -> Truth:
    """What a version said here against the outcomes that were entered, since it was installed."""
    # From the few images of studies with an outcome to their analyses: the other way round, every analysis of the
    # version would be read.
    with_outcome = KnownOutcome.objects.order_by().values("study")
    rows = Image.objects.filter(study__in=with_outcome).order_by()
    said = rows.values_list(
        "study_id",
        "laterality",
        "study__laterality",
        "analysis__label",
        "analysis__model_name",
        "analysis__model_version",
    )
    return against(
        known(),
        (
            Read(study=study, side=side_of(own, of_study), malignant=label == Label.MALIGNANT)
            for study, own, of_study, label, *spoke in said
            if label and spoke == [model.name, model.version]
        ),
    )
