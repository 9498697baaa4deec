"""From a stored image to what is recorded: the pipeline's outcome, re-based, with its map and its lesion."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

import ml.pipeline
from diagnosis import actions, inference, tasks
from diagnosis.models import Analysis, Image, ModelVersion
from ml.contract import LABELS, ModelError
from ml.prevalence import rebase_prediction
from portal import jobs
from portal.job_task import work_now
from tests.fixture_images import HEIGHT, WIDTH
from tests.fixture_models import switched
from tests.fixture_results import MARKS, MODEL, RESEARCH, SIMILAR, filed, outcome, square

SHARES = {"benign": 0.45, "malignant": 0.40, "normal": 0.15}
CUTS = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95]


@pytest.fixture
def artefact(db, monkeypatch):
    """``artefact(said, calibration)``: a model in use that says the same of every image."""

    def install(said, *, calibration=MappingProxyType({"prevalence": SHARES, "suspicion_cuts": CUTS})):
        ModelVersion.objects.create(
            name=said.model.name,
            version=said.model.version,
            modality=said.model.modality,
            status=said.model.status,
            sha256=said.model.sha256,
            active=True,
        )
        manifest = {"calibration": calibration}
        monkeypatch.setattr("ml.registry.find_model", lambda *names, **options: SimpleNamespace(manifest=manifest))
        monkeypatch.setattr(inference, "_loaded", lambda *names, **options: None)
        monkeypatch.setattr(ml.pipeline, "analyse", lambda pixels, model: said)
        return said

    return install


def drawn(**said):
    """A judged image with maps, an outlined lesion, marks and similar cases."""
    maps = {label: np.full((HEIGHT, WIDTH), index / 2, np.float32) for index, label in enumerate(LABELS)}
    return dataclasses.replace(outcome(marks=MARKS, similar=SIMILAR, **said), class_maps=maps, segmentation=square())


def worked(analysis: Analysis) -> Analysis:
    work_now(tasks.analyse, analysis.pk)
    analysis.refresh_from_db()
    return analysis


def test_the_lesion_is_measured_with_the_images_own_spacing(artefact, study, rachel):
    artefact(drawn())
    analysis = filed(study=study, by=rachel)
    Image.objects.filter(pk=analysis.image_id).update(row_spacing_mm=0.1, column_spacing_mm=0.2)
    done = worked(analysis)
    assert done.state == jobs.State.SUCCEEDED
    assert done.lesion["area_mm2"] == pytest.approx(31 * 31 * 0.02, abs=0.06)
    assert done.lesion["longest_diameter_mm"] == pytest.approx(np.hypot(3, 6), abs=0.06)
    assert done.segmentation
    assert (len(done.marks), len(done.similar_cases)) == (2, 2)


def test_a_model_without_the_new_abilities_still_works(artefact, study, rachel):
    said = dataclasses.replace(drawn(), segmentation=None, marks=(), similar=(), class_maps=None)
    artefact(said, calibration={})
    done = worked(filed(study=study, by=rachel))
    assert done.state == jobs.State.SUCCEEDED
    assert (done.lesion, done.marks, done.similar_cases, bool(done.explanation)) == (None, [], [], False)


def test_without_a_prevalence_of_the_site_the_models_own_probabilities_hold(artefact, study, rachel):
    artefact(drawn())
    done = worked(filed(study=study, by=rachel))
    assert (done.prevalence, done.own_probabilities) == (None, None)
    assert done.probability_malignant == pytest.approx(0.81)


def test_a_prevalence_of_the_site_rebases_label_probability_and_suspicion_and_keeps_the_models_own(
    artefact, study, rachel, adam
):
    said = artefact(drawn(confidence=0.6, suspicion=6, uncertain=True))
    actions.set_prevalence(acting_user=adam, modality="US", prevalence=0.02)
    done = worked(filed(study=study, by=rachel))
    expected = rebase_prediction(said.prediction, training=SHARES, malignant=0.02, cuts=CUTS)
    assert done.prevalence == 0.02
    assert done.own_probabilities == pytest.approx(dict(said.prediction.probabilities))
    assert done.probabilities == pytest.approx(dict(expected.probabilities))
    assert done.probability_malignant < 0.1
    assert (done.label, done.suspicion) == (expected.label, expected.suspicion)
    assert done.label == "benign"
    assert done.uncertain, "whether the model can tell does not hang on how common cancer is"


def test_the_map_is_that_of_the_label_that_counts(artefact, study, rachel, adam):
    artefact(drawn(confidence=0.6, suspicion=6))
    before = worked(filed(study=study, by=rachel, seed=1))
    actions.set_prevalence(acting_user=adam, modality="US", prevalence=0.02)
    after = worked(filed(study=study, by=rachel, seed=2))
    assert before.explanation_sha256 != after.explanation_sha256


def test_a_prevalence_of_another_modality_changes_nothing(artefact, study, rachel, adam):
    artefact(drawn())
    actions.set_prevalence(acting_user=adam, modality="MG", prevalence=0.01)
    assert worked(filed(study=study, by=rachel)).prevalence is None


def test_a_model_that_states_no_shares_is_not_rebased(artefact, study, rachel, adam):
    artefact(drawn(), calibration={"suspicion_cuts": CUTS})
    actions.set_prevalence(acting_user=adam, modality="US", prevalence=0.08)
    done = worked(filed(study=study, by=rachel))
    assert (done.state, done.prevalence) == (jobs.State.SUCCEEDED, None)


def test_a_model_whose_shares_make_no_sense_fails_with_the_remedy(artefact, study, rachel, adam):
    artefact(drawn(), calibration={"prevalence": {"benign": 3}, "suspicion_cuts": CUTS})
    actions.set_prevalence(acting_user=adam, modality="US", prevalence=0.08)
    done = worked(filed(study=study, by=rachel))
    assert (done.state, done.error_code) == (jobs.State.FAILED, "model_invalid")
    assert "Remove the prevalence" in done.error_detail


def test_mammograms_wait_for_a_model_until_a_research_model_is_chosen(artefact, anna, rachel, adam, ada, monkeypatch):
    artefact(drawn(model=MODEL))
    mammogram = actions.create_study(acting_user=rachel, patient=anna, modality="MG")
    analysis = worked(filed(study=mammogram, by=rachel, seed=3))
    assert (analysis.state, analysis.error_code) == (jobs.State.REJECTED, actions.NO_MODEL)
    assert "No released model reads this kind of image (mammogram) yet." in analysis.reasons[0]

    trial = ModelVersion.objects.create(
        name=RESEARCH.name, version=RESEARCH.version, modality="MG", status="research", sha256=RESEARCH.sha256
    )
    monkeypatch.setattr(inference, "altered_files", lambda name, version, *, sha256: [])
    switched(trial, by=adam, and_by=ada)
    monkeypatch.setattr(ml.pipeline, "analyse", lambda pixels, model: drawn(model=RESEARCH))
    actions.retry_analysis(acting_user=rachel, analysis=analysis)
    done = worked(analysis)
    assert (done.state, done.model_status, done.may_order_worklist) == (jobs.State.SUCCEEDED, "research", False)


def test_shares_of_a_model_that_is_not_installed_are_an_error_not_a_guess(db):
    with pytest.raises(ModelError):
        inference.training_shares("no-such-model", "1.0.0")
