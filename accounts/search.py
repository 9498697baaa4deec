"""Finding a patient by what is typed, whatever the case and the accents."""

from __future__ import annotations

from django.db.models import Q

from accounts.folding import fold


def patient_search(prefix: str, words: str) -> Q:
    """Every word has to be part of the MRN or of a name of the patient.

    Args:
        prefix: path from the searched model to the patient, such as ``"patient__"``; empty on patients themselves.
    """
    condition = Q()
    for word in fold(words).split():
        condition &= Q(**{f"{prefix}search_text__contains": word})
    return condition
