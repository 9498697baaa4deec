"""The result and its files are stored together or not at all, whoever dies in between."""

from __future__ import annotations

import io
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.utils import timezone

from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.models import Analysis
from portal import jobs
from portal.jobs import State
from tests.fixture_images import good_png
from tests.fixture_results import MARKS, SIMILAR, filed, lesion, outcome, succeeded


def results_on_disk() -> set[str]:
    root = Path(default_storage.path(""))
    return {path.parts[-3] for path in root.rglob("*.png") if path.parts[-3] in ("explanations", "segmentations")}


def record(claim: jobs.Claim, **changes) -> bool:
    given = {"outcome": outcome(), "explanation": good_png(7), "lesion": lesion(), **changes}
    return actions.record_outcome(claim=claim, **given)


def verified() -> str:
    out = io.StringIO()
    call_command("verify_files", "--settled-minutes=0", stdout=out)
    return out.getvalue()


def test_everything_the_pipeline_says_is_kept_with_one_ledger_row(study, rachel):
    found = lesion(spacing_mm=0.1)
    own = {"benign": 0.1, "malignant": 0.88, "normal": 0.02}
    analysis = succeeded(
        study=study,
        by=rachel,
        found=found,
        uncertain=True,
        marks=MARKS,
        similar=SIMILAR,
        prevalence=0.08,
        own_probabilities=own,
    )
    with analysis.segmentation.open("rb") as file:
        assert file.read() == found.mask_png
    assert analysis.lesion == found.measures
    assert analysis.uncertain
    assert [mark["score"] for mark in analysis.marks] == [0.74, 0.31]
    assert [similar["case"] for similar in analysis.similar_cases] == ["busi/malignant-0042", "busbra/bus-0007-l"]
    assert (analysis.prevalence, analysis.own_probabilities) == (0.08, own)
    assert AuditEvent.objects.get(action="analysis.succeeded").details["prevalence"] == 0.08
    assert verified().startswith("3 stored files checked.\nEvery file on record is there")


def test_the_name_of_the_mask_says_nothing_of_the_patient(study, rachel):
    name = succeeded(study=study, by=rachel, found=lesion()).segmentation.name
    assert "MRN-001" not in name
    assert "scan" not in name


def test_a_model_that_draws_neither_map_nor_outline_leaves_no_file(study, rachel):
    analysis = filed(study=study, by=rachel)
    assert record(jobs.claim(Analysis, analysis.pk), explanation=None, lesion=None)
    analysis.refresh_from_db()
    assert analysis.state == State.SUCCEEDED
    assert (bool(analysis.explanation), bool(analysis.segmentation), analysis.lesion) == (False, False, None)
    assert results_on_disk() == set()


def test_a_worker_that_lost_its_claim_leaves_no_file(study, rachel):
    analysis = filed(study=study, by=rachel)
    claim = jobs.claim(Analysis, analysis.pk)
    actions.cancel_analysis(acting_user=rachel, analysis=analysis)
    assert not record(claim)
    assert results_on_disk() == set()


def test_an_error_in_the_transaction_leaves_no_file_and_the_claim(study, rachel, monkeypatch):
    def fails(**anything):
        raise IntegrityError("no report today")

    monkeypatch.setattr("diagnosis.actions.analyses.enqueue_report", fails)
    analysis = filed(study=study, by=rachel)
    claim = jobs.claim(Analysis, analysis.pk)
    with pytest.raises(IntegrityError):
        record(claim)
    assert results_on_disk() == set()
    analysis.refresh_from_db()
    assert (analysis.state, analysis.label, analysis.lesion) == (State.RUNNING, "", None)


def test_a_result_that_comes_twice_is_written_once(study, rachel):
    analysis = filed(study=study, by=rachel)
    claim = jobs.claim(Analysis, analysis.pk)
    assert record(claim)
    assert not record(claim)
    analysis.refresh_from_db()
    assert analysis.reports.count() == 1
    assert verified().startswith("3 stored files checked.\nEvery file on record is there")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that can be killed between two lines")
def test_a_worker_killed_between_file_and_commit_leaves_orphans_that_are_reported_and_the_work_is_done_again(
    study, rachel, monkeypatch
):
    analysis = filed(study=study, by=rachel)
    claim = jobs.claim(Analysis, analysis.pk)
    child = os.fork()
    if child == 0:
        # As by SIGKILL: no handler runs, nothing is cleaned up, the transaction is never committed.
        jobs.Claim.finish = lambda *anything, **else_: os._exit(9)
        try:
            record(claim)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert results_on_disk() == {"explanations", "segmentations"}
    assert "2 named by no record:" in verified()

    Analysis.objects.filter(pk=analysis.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert record(jobs.claim(Analysis, analysis.pk))
    analysis.refresh_from_db()
    assert (analysis.state, analysis.attempts) == (State.SUCCEEDED, 2)
    said = verified()
    assert "3 stored files checked." in said
    assert "2 named by no record:" in said
    assert "Every file on record is there and unaltered." in said


def test_a_mask_that_was_altered_or_lost_is_noticed(study, rachel):
    path = Path(succeeded(study=study, by=rachel, found=lesion()).segmentation.path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(CommandError, match="0 files are missing and 1 differ"):
        verified()
    path.unlink()
    with pytest.raises(CommandError, match="1 files are missing and 0 differ"):
        verified()
