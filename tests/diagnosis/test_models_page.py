"""The pages of models: what they are, how they were measured, and what an administrator decides about them."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from django.urls import reverse

from accounts.models import AuditEvent
from diagnosis import inference
from diagnosis.actions import register_models
from diagnosis.model_card import rendered
from diagnosis.model_figures import measured
from diagnosis.models import Analysis, ModalitySetting, ModelVersion
from ml.monitoring import monitoring_reference
from portal.bench.history_data import fill
from tests.fixture_models import switched
from tests.fixture_results import succeeded


@pytest.fixture
def shipped(db) -> ModelVersion:
    """The ultrasound model that comes with the site, in use."""
    rows = register_models(found=inference.installed())
    return next(row for row in rows if row.modality == "US" and row.active)


@pytest.fixture
def trial(db, monkeypatch) -> ModelVersion:
    """A research model for mammograms whose files are sound."""
    monkeypatch.setattr(inference, "altered_files", lambda name, version, *, sha256: [])
    return ModelVersion.objects.create(
        name="mg-trial", version="0.1.0", modality="MG", status="research", sha256="cd" * 32
    )


def page(client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode()).replace("\N{NO-BREAK SPACE}", " ")


def card_of(model: ModelVersion) -> str:
    return reverse("model-card", args=[model.name, model.version])


# The card


def test_the_card_is_a_page_with_tables_headings_and_plots(client, rachel, shipped):
    client.force_login(rachel)
    html = page(client, card_of(shipped))
    assert "<table>" in html
    assert "| --- |" not in html
    assert "<h3>Training data</h3>" in html
    assert html.count("<h1") == 1
    assert shipped.sha256 in html
    assert re.search(rf'<img src="{re.escape(card_of(shipped))}[a-z-]+\.png"', html)


def test_its_figures_carry_their_interval_and_number_of_images(client, rachel, shipped):
    client.force_login(rachel)
    html = re.sub(r"<[^>]+>", "", page(client, card_of(shipped)))
    assert re.search(r"AUC, malignant against the rest\s*0\.\d{3} \(0\.\d{3} to 0\.\d{3}\), n = \d+", html)


@pytest.mark.parametrize("place", ["cross_validation", "films"])
def test_figures_are_found_where_each_kind_of_model_keeps_them(place):
    whole = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 258}
    (found,) = measured({place: {"mini-mias": {"auc_malignant": whole, "accuracy": {"value": 1}, "counts": [1]}}})
    assert (found.collection, [(one.value, one.n) for one in found.figures]) == ("mini-MIAS", [(0.8, 258)])


@pytest.mark.parametrize("damaged", [{}, {"films": 3}, {"films": {"x": None}}, {"cross_validation": [1]}])
def test_a_file_of_figures_in_another_form_shows_none(damaged):
    assert measured(damaged) == []


def test_the_plots_of_the_manifest_are_sent_and_nothing_else_of_the_folder(client, fetch, rachel, shipped):
    client.force_login(rachel)
    name = next(iter(inference.plots(shipped.name, shipped.version))).removesuffix(".png")
    answer = fetch(client, reverse("model-plot", args=[shipped.name, shipped.version, name]))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert answer.whole.startswith(b"\x89PNG")
    for other in ("manifest", "model", "nothing"):
        assert client.get(reverse("model-plot", args=[shipped.name, shipped.version, other])).status_code == 404
    assert client.get(f"{card_of(shipped)}..%2Froc.png").status_code == 404


def test_html_in_a_card_is_shown_not_run():
    html = rendered("# A\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) [y](evaluation.json)", pictures={})
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "href" not in html
    assert "<h1" not in html


def test_a_picture_from_elsewhere_is_a_word_only():
    html = rendered("![far](https://example.org/a.png) ![ROC](roc.png)", pictures={"roc.png": "/models/x/1/roc.png"})
    assert "example.org" not in html
    assert "far" in html
    assert 'src="/models/x/1/roc.png"' in html
    assert 'alt="ROC"' in html


def test_a_wide_table_scrolls_by_itself_and_can_be_reached_by_keyboard():
    html = rendered('| a "b" | c |\n| --- | --- |\n| 1 | 2 |\n', pictures={})
    assert '<div class="card-table" tabindex="0" role="region" aria-label="Table: a &quot;b&quot;, c">' in html


def test_a_card_that_is_gone_says_so(client, rachel, trial):
    client.force_login(rachel)
    html = page(client, card_of(trial))
    assert "The card is not installed" in html


# Of late


@pytest.fixture
def watched(shipped, tmp_path, monkeypatch):
    """The shipped model with a reference of scores and sharpness, measured on 400 images."""
    chance = np.random.default_rng(3)
    reference = monitoring_reference({"probability_malignant": chance.random(400), "blur": chance.random(400)})
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"monitoring": reference}), encoding="utf-8")
    monkeypatch.setattr(inference, "evaluation_path", lambda name, version: path)
    return shipped


def analysed(study, reader, model, *, count: int, score) -> None:
    """Rows as if the model had judged so many images; ``score(place)`` is its own probability of malignancy."""
    fill(count)
    for place, row in enumerate(Analysis.objects.filter(state="succeeded")):
        Analysis.objects.filter(pk=row.pk).update(
            model_name=model.name,
            model_version=model.version,
            probability_malignant=0.01,
            own_probabilities={"malignant": score(place)},
            quality=[{"name": "blur", "value": (place * 0.618) % 1, "passed": True, "limit": "", "message": ""}],
        )


def test_before_fifty_images_nothing_is_concluded(client, adam, watched):
    client.force_login(adam)
    html = page(client, card_of(watched))
    assert "Not enough images yet" in html
    assert "Fifty are needed." in html


def test_scores_like_those_it_was_measured_on_are_called_so(client, adam, study, watched):
    analysed(study, adam, watched, count=150, score=lambda place: (place * 0.618) % 1)
    client.force_login(adam)
    html = page(client, card_of(watched))
    assert "As when it was measured" in html
    assert "That is no proof that its results are right." in html
    assert "Probability of malignancy" in html
    assert "Sharpness" in html


def test_scores_that_moved_are_called_so_with_what_to_do(client, ivan, study, rachel, watched):
    analysed(study, rachel, watched, count=150, score=lambda place: 0.6 + 0.4 * ((place * 0.618) % 1))
    client.force_login(ivan)
    html = page(client, card_of(watched))
    assert '<span class="mark mark-warn">Has moved</span>' in html
    assert "Compare recent results with the final diagnoses" in html


def test_a_model_without_a_reference_is_said_not_to_be_watched(client, rachel, trial):
    client.force_login(rachel)
    assert "so it is not watched" in page(client, card_of(trial))


# A research model, switched on and off (tests/diagnosis/test_model_proposals.py has the steps)


def active() -> set[str]:
    return set(ModelVersion.objects.filter(active=True).values_list("name", flat=True))


def test_a_research_model_is_used_and_stopped_by_two_persons_with_a_ledger_row_each(client, adam, ada, trial):
    switched(trial, by=adam, and_by=ada)
    assert active() == {"mg-trial"}
    client.force_login(adam)
    assert "Trial of the board, 14 Nov" in page(client, card_of(trial))
    event = AuditEvent.objects.get(action="model.activated")
    assert (event.actor, event.details["status"], event.details["proposed_by"]) == (ada, "research", adam.pk)

    switched(trial, by=ada, and_by=adam, change="stop")
    assert active() == set()
    assert AuditEvent.objects.get(action="model.retired").actor == adam


@pytest.mark.parametrize("who", ["rachel", "ivan", "petra"])
def test_nobody_else_decides_about_models(client, request, trial, who):
    client.force_login(request.getfixturevalue(who))
    assert client.post(reverse("model-shadow", args=[trial.name, trial.version]), {"reason": "x"}).status_code == 404
    assert client.post(reverse("model-shadow-end", args=[trial.name, trial.version])).status_code == 404
    assert client.post(reverse("model-prevalence", args=["US"]), {"percent": "8"}).status_code == 404
    assert not ModelVersion.objects.filter(shadow=True).exists()
    assert not ModalitySetting.objects.exists()


@pytest.mark.parametrize("who", ["rachel", "ivan"])
def test_who_may_not_decide_sees_no_button(client, request, shipped, trial, who):
    client.force_login(request.getfixturevalue(who))
    html = page(client, card_of(trial))
    assert "Propose" not in html
    assert "Read in the shadow" not in html
    assert "examined here" not in page(client, reverse("model-list"))


def test_a_research_model_beside_a_released_one_can_only_read_along(client, adam, shipped, trial):
    rival = ModelVersion.objects.create(
        name="us-trial", version="9.0.0", modality="US", status="research", sha256="ef" * 32
    )
    client.force_login(adam)
    html = page(client, card_of(rival))
    assert "a released model, reads these images" in html
    assert "Propose this research model" not in html
    assert "Read in the shadow" in html


def test_a_released_model_that_arrives_takes_over_from_research(adam, ada, trial):
    switched(trial, by=adam, and_by=ada)
    released = ModelVersion(name="mg-good", version="1.0.0", modality="MG", status="released", sha256="ab" * 32)
    register_models(found=[released, ModelVersion(name="mg-trial", version="0.1.0", modality="MG", status="research")])
    assert active() == {"mg-good"}
    assert ModelVersion.objects.get(name="mg-trial").chosen_because == ""


def test_a_modality_without_a_released_model_says_so_and_that_research_waits(client, rachel, trial):
    client.force_login(rachel)
    html = page(client, reverse("model-list"))
    assert "No released model." in html
    assert "A research model is installed; two administrators can have it used from its page." in html


# The site's own prevalence


def keep(client, percent: str, modality: str = "US"):
    return client.post(reverse("model-prevalence", args=[modality]), {"percent": percent}, follow=True)


def test_the_prevalence_is_kept_with_who_and_what_it_was(client, adam, shipped):
    client.force_login(adam)
    keep(client, "8")
    html = page(client, reverse("model-list"))
    assert '<strong class="number">8 %</strong>, this site' in html
    keep(client, "0.5")
    assert ModalitySetting.objects.get(modality="US").prevalence == pytest.approx(0.005)
    last = AuditEvent.objects.filter(action="prevalence.changed").latest("pk")
    assert (last.actor, last.details) == (adam, {"modality": "US", "before": 0.08, "after": 0.005})


def test_an_empty_field_goes_back_to_the_models_own(client, adam, shipped):
    client.force_login(adam)
    keep(client, "8")
    keep(client, "")
    assert ModalitySetting.objects.get(modality="US").prevalence is None


@pytest.mark.parametrize("percent", ["0", "0.05", "91", "-3", "eight", "nan", "1e400"])
def test_a_prevalence_out_of_range_is_refused(client, adam, shipped, percent):
    client.force_login(adam)
    assert "from 0.1 to 90 percent" in keep(client, percent).content.decode()
    assert not ModalitySetting.objects.exists()


def test_a_modality_that_does_not_exist_is_404(client, adam, db):
    client.force_login(adam)
    assert client.post(reverse("model-prevalence", args=["CT"]), {"percent": "8"}).status_code == 404


def test_results_that_exist_do_not_change(client, adam, rachel, study, shipped):
    before = succeeded(study=study, by=rachel)
    client.force_login(adam)
    keep(client, "8")
    told = (before.probability_malignant, before.suspicion, before.prevalence)
    before.refresh_from_db()
    assert (before.probability_malignant, before.suspicion, before.prevalence) == told


def test_the_artefacts_folder_is_where_the_plots_come_from(shipped):
    for path, digest in inference.plots(shipped.name, shipped.version).values():
        assert isinstance(path, Path)
        assert path.is_file()
        assert len(digest) == 64
