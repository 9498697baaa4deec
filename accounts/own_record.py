"""The pages of a patient about themselves: whose record it is, and whether they agreed to see it here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import redirect, render

from accounts.consents import Purpose, has_consent
from accounts.http import SignedInRequest
from accounts.models import Patient

View = Callable[..., HttpResponseBase]


def record_of(request: SignedInRequest) -> Patient | None:
    """The record of the signed-in person, with its log-in; one that was merged into another is nobody's any more."""
    return Patient.objects.select_related("user").filter(user=request.user, merged_into=None).first()


def no_record(request: SignedInRequest) -> HttpResponseBase:
    """A log-in without a record has nothing to see yet."""
    return render(request, "accounts/own_no_record.html")


def with_own_record(*, consented: bool = True) -> Callable[[View], View]:
    """Hand a view the record of the signed-in patient as ``patient``. Goes under ``@needs``.

    Args:
        consented: whether the page needs the agreement to use the website; without it the page of consents opens.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            patient = record_of(request)
            if patient is None:
                return no_record(request)
            if consented and not has_consent(patient, Purpose.PORTAL):
                return redirect("own-consents")
            return view(request, *args, patient=patient, **kwargs)

        return guarded

    return decorate
