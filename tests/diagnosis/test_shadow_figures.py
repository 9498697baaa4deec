"""What a candidate said is compared with the model in use, with readers and with what turned out to be true."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis import actions, inference, shadow_figures
from diagnosis.agreement import kappa
from diagnosis.models import Analysis, ModelVersion, ShadowReading
from ml.contract import ModelIdentity
from portal.jobs import State
from tests.fixture_models import registered, switched
from tests.fixture_results import MODEL, rejected, succeeded

CANDIDATE = ModelIdentity(name="us-candidate", version="3.0.0", sha256="ef" * 32, modality="US")


@pytest.fixture
def candidate(db, monkeypatch) -> ModelVersion:
    """A candidate for ultrasound in the shadow, beside the model in use; every artefact is what was registered."""
    monkeypatch.setattr(inference, "altered_files", lambda name, version, *, sha256: [])
    registered(MODEL, active=True)
    return registered(CANDIDATE, shadow=True)


def compared(study, reader, candidate, pairs, *, state: str = State.SUCCEEDED) -> None:
    """Readings as if both models had judged so many images: (label in use, label of the candidate)."""
    begin = timezone.now()
    for seed, (in_use, said) in enumerate(pairs):
        analysis = succeeded(study=study, by=reader, seed=seed, label=in_use)
        Analysis.objects.filter(pk=analysis.pk).update(started_at=begin, finished_at=begin + timedelta(seconds=2))
        ShadowReading.objects.filter(analysis=analysis).update(
            state=state,
            label=said,
            probability_malignant=0.5,
            started_at=begin,
            finished_at=begin + timedelta(seconds=3),
        )


def test_the_comparison_counts_pairs_refusals_differences_and_time(candidate, study, rachel):
    compared(study, rachel, candidate, [("malignant", "malignant")] * 3 + [("benign", "normal")])
    refused = rejected(study=study, by=rachel, seed=50)
    ShadowReading.objects.filter(analysis=refused).update(
        state=State.SUCCEEDED, label="benign", probability_malignant=0
    )
    alone = succeeded(study=study, by=rachel, seed=51)
    ShadowReading.objects.filter(analysis=alone).update(state=State.REJECTED)
    figures = shadow_figures.of_candidate(candidate)
    assert (figures.met, figures.same.hits, figures.same.n) == (6, 3, 4)
    assert dict(figures.table)["benign"] == (0, 0, 1)
    assert (figures.refused_by_both, figures.refused_by_candidate, figures.refused_in_use) == (0, 1, 1)
    assert figures.speed.ratio == pytest.approx(1.5)
    assert figures.differences.median == pytest.approx(0.5 - 0.81)


def test_images_that_another_model_analysed_are_left_out(candidate, study, rachel):
    compared(study, rachel, candidate, [("malignant", "malignant")] * 2)
    Analysis.objects.filter(pk=Analysis.objects.first().pk).update(model_version="0.9.0")
    figures = shadow_figures.of_candidate(candidate)
    assert (figures.met, figures.left_out) == (1, 1)


def test_both_are_held_against_the_same_readers_and_outcomes(candidate, study, rachel):
    compared(study, rachel, candidate, [("malignant", "benign")])
    analysis = Analysis.objects.get()
    actions.conclude(acting_user=rachel, analysis=analysis, label="malignant", birads="5", conclusion="A mass.")
    actions.record_known_outcome(
        acting_user=rachel, study=study, label="malignant", source="histology", determined_on=timezone.localdate()
    )
    figures = shadow_figures.of_candidate(candidate)
    assert (figures.readers.in_use.hits, figures.readers.candidate.hits, figures.readers.candidate.n) == (1, 0, 1)
    assert (figures.truth.in_use.sensitivity.hits, figures.truth.candidate.sensitivity.hits) == (1, 0)
    assert figures.truth.candidate.sensitivity.n == 1


def test_a_few_images_say_that_they_are_too_few(client, adam, candidate, study, rachel):
    compared(study, rachel, candidate, [("malignant", "malignant")] * 2)
    client.force_login(adam)
    html = unescape(client.get(reverse("model-here", args=[candidate.name, candidate.version])).content.decode())
    assert "too few to say: n = 2, 30 are needed" in html
    assert "2 images met by both" in html


def test_after_the_change_the_former_candidate_is_compared_no_longer(adam, ada, candidate, study, rachel):
    compared(study, rachel, candidate, [("malignant", "malignant")] * 2)
    switched(candidate, by=adam, and_by=ada)
    succeeded(study=study, by=rachel, seed=40)
    assert ShadowReading.objects.count() == 2


def test_kappa_is_that_of_the_textbook():
    """Fleiss, Cohen and Everitt (1969): two clinicians, 200 patients, three diagnoses."""
    table = dict(
        zip(
            [(one, other) for one in "abc" for other in "abc"],
            [106, 10, 4, 22, 28, 10, 2, 12, 6],
            strict=True,
        )
    )
    found = kappa(table, labels="abc")
    assert found.value == pytest.approx(0.4286, abs=1e-4)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(0.0537, abs=1e-4)
    assert kappa({}, labels="abc") is None
    assert kappa({("a", "a"): 5}, labels="abc") is None
