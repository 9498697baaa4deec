"""A study's page: whose it is, what is asked, its images and how far each is."""

from __future__ import annotations

import re
from itertools import count

import pytest
from django.urls import reverse

from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.models import Analysis, Image, Study
from ml.contract import Mark
from tests.fixture_results import MODEL, RESEARCH, failed, filed, rejected, succeeded


@pytest.fixture
def reading(client, rachel):
    client.force_login(rachel)
    return client


def test_a_new_study_is_made_from_the_form(reading, anna, rachel):
    response = reading.post(
        reverse("study-create", args=[anna.pk]),
        {"modality": "US", "laterality": "R", "clinical_history": "Lump, right.", "accession_number": "A-1"},
    )

    study = Study.objects.get()
    assert response.url == reverse("study-detail", args=[study.pk])
    assert (study.patient, study.laterality, study.clinical_history) == (anna, "R", "Lump, right.")
    assert study.created_by == rachel


def test_a_wrong_value_is_said_at_its_field_and_nothing_is_made(reading, anna):
    response = reading.post(reverse("study-create", args=[anna.pk]), {"modality": "CT"})

    assert response.status_code == 422
    assert "CT is not one of the available choices" in response.content.decode()
    assert not Study.objects.exists()


def test_the_patient_is_always_in_view(reading, study):
    html = reading.get(reverse("study-detail", args=[study.pk])).content.decode()

    for words in ("Anna Żółć", "MRN-001", "17 May 1970", "Female", study.short_id):
        assert words in html


def test_each_image_says_its_state_in_words(reading, study, rachel):
    filed(study=study, by=rachel, seed=1)
    succeeded(study=study, by=rachel, seed=2, suspicion=7, confidence=0.81)
    rejected(study=study, by=rachel, seed=3)
    failed(study=study, by=rachel, seed=4)

    html = reading.get(reverse("study-detail", args=[study.pk])).content.decode()

    for words in ("Waiting", "Suspicious of malignancy", "Suspicion 7 of 10", "81\N{NO-BREAK SPACE}%"):
        assert words in html
    for words in ("Refused", "Failed"):
        assert words in html
    assert "Too blurred." in html
    assert "4 images, 1 still in work, 1 refused, 1 failed" in html


def test_the_cards_ask_again_until_everything_is_finished(reading, study, rachel):
    filed(study=study, by=rachel)
    address = reverse("study-images", args=[study.pk])
    assert "every 1s" in reading.get(address).content.decode()

    Analysis.objects.update(state="cancelled")

    assert "every 1s" not in reading.get(address).content.decode()


def test_unchanged_cards_are_not_sent_again(reading, study, rachel):
    filed(study=study, by=rachel)
    address = reverse("study-images", args=[study.pk])
    html = reading.get(address).content.decode()
    seen = html.split("?seen=")[1].split('"')[0]

    assert reading.get(address, {"seen": seen}).status_code == 204


def test_an_empty_study_teaches_the_next_step(reading, study):
    assert b"No images yet" in reading.get(reverse("study-detail", args=[study.pk])).content


def test_a_signed_study_takes_no_images(reading, study):
    Study.objects.filter(pk=study.pk).update(state=Study.State.SIGNED)

    html = reading.get(reverse("study-detail", args=[study.pk])).content.decode()

    assert "This study is signed" in html
    assert "data-uploader" not in html


def test_who_opened_the_study_is_in_the_ledger_but_not_each_refresh(reading, study):
    reading.get(reverse("study-detail", args=[study.pk]))
    reading.get(reverse("study-images", args=[study.pk]))

    assert AuditEvent.objects.filter(action="study.viewed").count() == 1


@pytest.mark.parametrize("address", ["study-detail", "study-images"])
@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 404), ("petra", 404)])
def test_other_roles(client, study, address, who, status, request):
    client.force_login(request.getfixturevalue(who))

    assert client.get(reverse(address, args=[study.pk])).status_code == status


def test_doubt_and_research_are_said_on_the_card(reading, study, rachel):
    succeeded(study=study, by=rachel, seed=1, uncertain=True)
    assert "read as if there were no AI" in page(reading, study)
    succeeded(study=study, by=rachel, seed=2, model=RESEARCH)
    assert "Research model</span>" in page(reading, study)


# The exam as a whole


@pytest.fixture
def mammograms(anna, rachel):
    """``mammograms((side, score), ...)``: a study with a result of the research model for each."""

    seeds = count(100)

    def make(*views, model=RESEARCH, marks=()):
        study = actions.create_study(acting_user=rachel, patient=anna, modality="MG")
        for seed, (side, score) in zip(seeds, views, strict=False):
            label, confidence = ("malignant", score) if score > 0.5 else ("normal", 1 - score)
            analysis = succeeded(
                study=study, by=rachel, seed=seed, label=label, confidence=confidence, model=model, marks=marks
            )
            Image.objects.filter(pk=analysis.image_id).update(laterality=side)
        return study

    return make


def page(client, study) -> str:
    html = client.get(reverse("study-detail", args=[study.pk])).content.decode()
    return " ".join(html.replace("\N{NO-BREAK SPACE}", " ").split())


def test_several_mammograms_add_up_to_breasts_and_an_exam(reading, mammograms):
    html = page(reading, mammograms(("L", 0.62), ("L", 0.81), ("R", 0.58)))
    assert "The exam as a whole" in html
    assert 'Probability of malignancy <strong class="number">81 %' in html
    assert '<dt>Left breast</dt> <dd class="number">81 %</dd>' in html
    assert '<dt>Right breast</dt> <dd class="number">58 %</dd>' in html
    assert "3 views joined" in html
    assert "a research model: not for clinical decisions; never orders the worklist" in html


def test_a_strong_mark_raises_its_breast_above_the_view(reading, mammograms):
    marks = (Mark(row=10, column=10, radius=5, score=1.0),)
    html = page(reading, mammograms(("L", 0.62), ("L", 0.58), marks=marks))
    # 0.62 of 0.62 + 0.19 that is abnormal at all.
    assert '<strong class="number">77 %' in html


def test_an_image_without_a_side_is_left_out_and_counted(reading, mammograms):
    html = page(reading, mammograms(("L", 0.62), ("R", 0.58), ("", 0.97)))
    assert '<strong class="number">62 %' in html
    assert "1 image without a stated side is left out." in html


def test_one_mammogram_or_two_models_make_no_exam(reading, mammograms, rachel):
    assert "The exam as a whole" not in page(reading, mammograms(("L", 0.81)))
    study = mammograms(("L", 0.81), ("R", 0.7))
    succeeded(study=study, by=rachel, seed=9, model=MODEL)
    assert "The exam as a whole" not in page(reading, study)


def test_an_ultrasound_study_has_no_exam_score(reading, study, rachel):
    for seed in range(2):
        succeeded(study=study, by=rachel, seed=seed)
    assert "The exam as a whole" not in page(reading, study)


# Sent twice


def hidden_key(html: str) -> str:
    return re.search(r'name="once" value="([0-9a-f-]{36})"', html)[1]


def test_a_form_sent_twice_makes_one_study(reading, anna):
    address = reverse("study-create", args=[anna.pk])
    typed = {"modality": "US", "clinical_history": "Lump.", "once": hidden_key(reading.get(address).content.decode())}

    first, second = reading.post(address, typed), reading.post(address, typed)

    assert first.status_code == second.status_code == 302
    assert first.url == second.url
    assert Study.objects.count() == 1
    assert AuditEvent.objects.filter(action="study.created").count() == 1


def test_each_showing_of_the_form_makes_a_study_of_its_own(reading, anna):
    address = reverse("study-create", args=[anna.pk])
    for _ in range(2):
        key = hidden_key(reading.get(address).content.decode())
        reading.post(address, {"modality": "US", "clinical_history": "Lump.", "once": key})

    assert Study.objects.count() == 2


def test_what_was_changed_after_going_back_is_another_study(reading, anna):
    address = reverse("study-create", args=[anna.pk])
    key = hidden_key(reading.get(address).content.decode())
    reading.post(address, {"modality": "US", "laterality": "L", "once": key})
    reading.post(address, {"modality": "US", "laterality": "R", "once": key})

    assert sorted(Study.objects.values_list("laterality", flat=True)) == ["L", "R"]


def test_somebody_elses_key_opens_nothing(reading, client, anna, study, adam, rachel):
    address = reverse("study-create", args=[anna.pk])
    answer = reading.post(address, {"modality": "US", "once": str(study.pk)})

    assert answer.url != reverse("study-detail", args=[study.pk])
    assert reading.post(address, {"modality": "US", "once": "not a key"}).status_code == 422
