"""Steps that several verbs take: settling a study, undoing files, refusing a wrong state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models.fields.files import FieldFile

from accounts.models import Patient
from diagnosis.models import Analysis, Study
from portal import jobs


class WrongState(Exception):
    """The object is in a state that does not allow this; the message is for the person who asked."""


@contextmanager
def no_file_left_on_error() -> Iterator[list[FieldFile]]:
    """Delete the files that the body noted in the list when it raises: the rows that name them are rolled back."""
    written: list[FieldFile] = []
    try:
        yield written
    except BaseException:
        for file in written:
            file.delete(save=False)
        raise


def hold_study_of(analysis: Any) -> None:
    """Hold the study of an analysis (its key), before the analysis itself is written.

    Everybody holds rows in one order, so that no two wait for each other: patient, study, analysis, report, people, and
    the ledger last (``accounts.audit``). A study that was erased meanwhile is held by nobody.
    """
    Study.objects.select_for_update(no_key=True, of=("self",)).filter(images__analysis=analysis).first()


def reopen(study: Study) -> None:
    """``ANALYSED -> RECEIVED`` when work is queued again."""
    _one_at_a_time(study.pk)
    Study.objects.filter(pk=study.pk, state=Study.State.ANALYSED).update(state=Study.State.RECEIVED)


def settle(study_id: Any) -> None:
    """``RECEIVED -> ANALYSED`` when no analysis of the study is unfinished."""
    _one_at_a_time(study_id)
    unfinished = Analysis.objects.filter(image__study_id=study_id, state__in=jobs.UNFINISHED).exists()
    if not unfinished:
        Study.objects.filter(pk=study_id, state=Study.State.RECEIVED).update(state=Study.State.ANALYSED)


def _one_at_a_time(study_id: Any) -> None:
    """Wait for whoever settles or reopens the same study: the last two analyses may end at the same moment, and each
    would see the other as unfinished (PostgreSQL; SQLite's IMMEDIATE transaction has the same effect)."""
    Study.objects.select_for_update(no_key=True).get(pk=study_id)


def patient_of(analysis: Analysis) -> Patient:
    return analysis.image.study.patient
