"""The edges of a de-identified package: asked for, made, fetched, gone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions import notify
from accounts.models import Consent, User
from accounts.permissions import require
from diagnosis.actions.steps import WrongState, no_file_left_on_error
from diagnosis.deidentify.pseudonyms import new_salt
from diagnosis.models import DeidentifiedExport, Study
from portal import jobs
from portal.jobs import UNFINISHED, Claim, State

IN_WORK = "exports/in-work"
"""Folder of the storage in which packages are put together, each in a folder of its own."""
MOST_STUDIES = 500
"""Of one package: so many are cleaned within the hour on a small machine."""


def without_consent(studies: QuerySet[Study]) -> QuerySet[Study]:
    """The studies whose patients did not agree to research, where this site asks for that."""
    if not settings.EXPORT_NEEDS_CONSENT:
        return studies.none()
    agreed = Consent.objects.filter(purpose=Consent.Purpose.RESEARCH, withdrawn_at=None)
    return studies.exclude(patient__in=agreed.values("patient"))


@transaction.atomic
def request_export(*, acting_user: User, studies: Iterable[Study], purpose: str) -> DeidentifiedExport:
    """Have a package made of those studies whose patients agreed.

    Raises:
        ValidationError: no purpose, or a too long one.
        WrongState: nobody agreed, or there are too many studies.
    """
    require(acting_user, "deidentified_export", "create")
    visible = Study.objects.visible_to(acting_user).filter(pk__in=[study.pk for study in studies])
    refused = without_consent(visible)
    chosen = list(visible.exclude(pk__in=refused.values("pk")).order_by("pk"))
    if not chosen:
        raise WrongState("None of these patients agreed to the use of their images for quality and research.")
    if len(chosen) > MOST_STUDIES:
        raise WrongState(f"A package holds at most {MOST_STUDIES} studies. Narrow the choice, and make several.")
    export = DeidentifiedExport(requested_by=acting_user, purpose=purpose.strip(), salt=new_salt())
    export.full_clean(exclude=["salt", "byte_size", "image_count"])
    export.save(force_insert=True)
    export.studies.set(chosen)
    audit.record(
        "export.requested",
        actor=acting_user,
        target=export,
        reason=export.purpose,
        studies=len(chosen),
        without_consent=refused.count(),
    )
    jobs.publish(export)
    return export


@transaction.atomic
def record_export(
    *, claim: Claim, package: Path, sha256: str, image_count: int, left_out: list[dict[str, str]]
) -> bool:
    """``RUNNING -> SUCCEEDED``: store the package and tell who asked for it."""
    export = DeidentifiedExport.objects.select_related("requested_by").get(pk=claim.pk)
    with no_file_left_on_error() as written:
        with package.open("rb") as content:
            export.file.save(f"{claim.token.hex[:12]}.zip", File(content), save=False)
        written.append(export.file)
        finished = claim.finish(
            state=State.SUCCEEDED,
            file=export.file.name,
            sha256=sha256,
            byte_size=export.file.size,
            image_count=image_count,
            left_out=left_out,
            expires_at=timezone.now() + timedelta(days=settings.EXPORT_DAYS),
        )
        if not finished:
            export.file.delete(save=False)
            return False
        notify(
            "export_ready",
            users=[export.requested_by],
            text=f"Your de-identified package is ready: {image_count} image{'' if image_count == 1 else 's'}.",
            path=reverse("export-detail", args=[export.pk]),
        )
        audit.record(
            "export.stored", actor=None, target=export, sha256=sha256, images=image_count, left_out=len(left_out)
        )
    return True


@transaction.atomic
def fail_export(
    *, claim: Claim, code: str, message: str, detail: str, left_out: list[dict[str, str]] | None = None
) -> bool:
    """``RUNNING -> FAILED``."""
    finished = claim.finish(
        state=State.FAILED,
        error_code=code,
        error_message=message,
        error_detail=detail[:10_000],
        left_out=left_out or [],
    )
    if not finished:
        return False
    audit.record("export.failed", actor=None, target=DeidentifiedExport.objects.get(pk=claim.pk), code=code)
    return True


@transaction.atomic
def abandon_export(pk: Any) -> bool:
    """``RUNNING -> FAILED`` for a package whose worker was lost on its last attempt."""
    failed = jobs.abandon(
        DeidentifiedExport,
        pk,
        error_code="worker_lost",
        error_message="The package could not be made. Ask for it again, with fewer studies if it happens twice.",
        error_detail="The lease ran out on the last attempt: the worker was killed or hung.",
    )
    if failed:
        audit.record("export.failed", actor=None, target=DeidentifiedExport.objects.get(pk=pk), code="worker_lost")
    return failed


@transaction.atomic
def cancel_export(*, acting_user: User, export: DeidentifiedExport) -> DeidentifiedExport:
    """``QUEUED or RUNNING -> CANCELLED``, or take back a package that can still be fetched. The file is removed."""
    require(acting_user, "deidentified_export", "create")
    export = DeidentifiedExport.objects.select_for_update(of=("self",)).get(pk=export.pk)
    if export.is_finished and not export.file:
        raise WrongState("This package is gone already.")
    jobs.cancel(DeidentifiedExport, export.pk)
    audit.record("export.cancelled", actor=acting_user, target=export)
    DeidentifiedExport.objects.filter(pk=export.pk).update(expires_at=timezone.now())
    export.refresh_from_db()
    transaction.on_commit(lambda: _remove(export))
    return export


def note_export_download(*, acting_user: User, export: DeidentifiedExport) -> None:
    """Keep in the ledger who fetched a package."""
    require(acting_user, "deidentified_export", "view")
    audit.record("export.downloaded", actor=acting_user, target=export, sha256=export.sha256, reason=export.purpose)


def expire_exports() -> int:
    """Remove the files of packages past their time, and what was prepared for those that will not be made."""
    gone = 0
    for export in DeidentifiedExport.objects.filter(expires_at__lte=timezone.now()).exclude(file="", salt=""):
        _remove(export)
        gone += 1
    at_work = {str(pk) for pk in DeidentifiedExport.objects.filter(state__in=UNFINISHED).values_list("pk", flat=True)}
    for folder in _work_folders():
        if folder.name not in at_work:
            _empty(folder)
    ended = DeidentifiedExport.objects.filter(state__in=(State.FAILED, State.CANCELLED)).exclude(salt="")
    ended.update(salt="")
    return gone


def _remove(export: DeidentifiedExport) -> None:
    """The file first: a row whose file is gone says so, a file whose row forgot it would stay."""
    clear_work(export)
    if export.file:
        export.file.delete(save=False)
    with transaction.atomic():
        ended = DeidentifiedExport.objects.filter(pk=export.pk).exclude(state__in=UNFINISHED)
        if ended.update(file="", salt="", expires_at=export.expires_at or timezone.now()):
            audit.record("export.removed", actor=None, target=export)


def work_folder(export: DeidentifiedExport) -> Path:
    """Where the parts of a package are made."""
    return Path(default_storage.path(f"{IN_WORK}/{export.pk}"))


def clear_work(export: DeidentifiedExport) -> None:
    """Remove the parts."""
    _empty(work_folder(export))


def _work_folders() -> list[Path]:
    root = Path(default_storage.path(IN_WORK))
    return [folder for folder in root.iterdir() if folder.is_dir()] if root.is_dir() else []


def _empty(folder: Path) -> None:
    """Remove a folder and the files in it; another worker may be at it, too."""
    for file in folder.iterdir() if folder.is_dir() else ():
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
