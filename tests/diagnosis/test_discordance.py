"""How a model does here: where readers disagree with it, and how its scores move, by scanner and month."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis import actions, discordance, drift_months, inference
from diagnosis.discordance import by_scanner
from diagnosis.models import Analysis, Assessment, Image, ModelVersion
from diagnosis.scanner_months import ALL, LISTED_SCANNERS, NOT_STATED, OTHERS, lines, months
from ml.monitoring import monitoring_reference
from tests.conftest import person
from tests.fixture_models import registered
from tests.fixture_results import MODEL, RESEARCH, rejected, succeeded


@pytest.fixture
def model(db) -> ModelVersion:
    """The ultrasound model in use."""
    return registered(MODEL, active=True)


def concluded(study, reader, *, seed: int, said: str, reader_says: str, device: str = "", at=None) -> Analysis:
    """An image that the model called one thing and the reader the same or another."""
    analysis = succeeded(study=study, by=reader, seed=seed, label=said)
    Image.objects.filter(pk=analysis.image_id).update(device=device)
    made = actions.conclude(
        acting_user=reader, analysis=analysis, label=reader_says, birads="4A", conclusion="As I see it."
    )
    if at is not None:
        Assessment.objects.filter(pk=made.pk).update(created_at=at)
    return analysis


def totals(model: ModelVersion) -> dict[str, tuple[int, int, int, int]]:
    """Scanner -> concluded, discordant, by the reader alone, by the model alone."""
    return {
        one.name: (one.total.share.n, one.total.share.hits, one.total.reader_alone, one.total.model_alone)
        for one in by_scanner(model)
    }


def test_malignant_or_not_is_what_they_agree_or_disagree_on(model, study, rachel):
    concluded(study, rachel, seed=1, said="malignant", reader_says="malignant")
    concluded(study, rachel, seed=2, said="malignant", reader_says="benign")
    concluded(study, rachel, seed=3, said="normal", reader_says="malignant")
    concluded(study, rachel, seed=4, said="normal", reader_says="benign")
    assert totals(model) == {NOT_STATED: (4, 2, 1, 1)}


def test_each_scanner_has_its_line_and_all_come_first(model, study, rachel):
    concluded(study, rachel, seed=1, said="malignant", reader_says="benign", device="GE LOGIQ E9")
    concluded(study, rachel, seed=2, said="benign", reader_says="benign", device="GE LOGIQ E9")
    concluded(study, rachel, seed=3, said="benign", reader_says="benign", device="Philips EPIQ")
    assert totals(model) == {ALL: (3, 1, 0, 1), "GE LOGIQ E9": (2, 1, 0, 1), "Philips EPIQ": (1, 0, 0, 0)}
    assert next(iter(totals(model))) == ALL


def test_a_second_thought_takes_the_place_of_the_first(model, study, rachel):
    analysis = concluded(study, rachel, seed=1, said="malignant", reader_says="benign")
    actions.conclude(acting_user=rachel, analysis=analysis, label="malignant", birads="5", conclusion="A mass.")
    assert totals(model) == {NOT_STATED: (1, 0, 0, 0)}


def test_an_answer_to_a_second_opinion_does_not_count(model, study, rachel):
    colleague = person("rita@test.local", "radiologist", "Rita", "Radiologist")
    analysis = concluded(study, rachel, seed=1, said="malignant", reader_says="malignant")
    asked = actions.ask_second_opinion(acting_user=rachel, analysis=analysis, asked_of=colleague, question="Agreed?")
    actions.answer_second_opinion(
        acting_user=colleague, opinion=asked, label="benign", birads="2", conclusion="I see a cyst."
    )
    assert totals(model) == {NOT_STATED: (1, 0, 0, 0)}


def test_what_another_model_said_is_not_in_its_figures(model, study, rachel):
    concluded(study, rachel, seed=1, said="malignant", reader_says="benign")
    assert by_scanner(registered(RESEARCH)) == []


def test_a_conclusion_counts_in_the_month_it_was_written_and_not_after_a_year(model, study, rachel):
    first = months()[0]
    begin = datetime(first.year, first.month, 1, tzinfo=timezone.get_current_timezone())
    concluded(study, rachel, seed=1, said="malignant", reader_says="benign", at=begin)
    concluded(study, rachel, seed=2, said="malignant", reader_says="benign", at=begin - timedelta(microseconds=1))
    concluded(study, rachel, seed=3, said="malignant", reader_says="benign")
    (line,) = by_scanner(model)
    assert [cell.share.n if cell else None for cell in line.by_month] == [1, *[None] * 10, 1]


def test_the_months_are_twelve_and_end_with_this_one():
    today = timezone.localdate()
    assert len(months()) == 12
    assert months()[-1] == date(today.year, today.month, 1)
    assert months() == sorted(set(months()))


def test_small_scanners_are_added_up():
    size = {f"scanner {number}": 10 * number for number in range(1, LISTED_SCANNERS + 3)}
    found = lines(size)
    assert list(found) == [ALL, *sorted(size, key=lambda name: -size[name])[:LISTED_SCANNERS], OTHERS]
    assert sorted(found[OTHERS]) == ["scanner 1", "scanner 2"]
    assert lines({}) == {}
    assert lines({"one": 3}) == {"one": ["one"]}


# Scores by month


def test_mean_score_and_refusals_are_counted_by_scanner(model, study, rachel):
    succeeded(study=study, by=rachel, seed=1, label="malignant", confidence=0.8)
    succeeded(study=study, by=rachel, seed=2, label="benign", confidence=0.8)
    refused = rejected(study=study, by=rachel, seed=3)
    Analysis.objects.filter(pk=refused.pk).update(model_name=model.name, model_version=model.version)
    (line,) = drift_months.by_scanner(model)
    assert (line.total.scored, line.total.refused.hits, line.total.refused.n) == (2, 1, 3)
    assert line.total.mean == pytest.approx((0.8 + 0.1) / 2)


def test_the_models_own_score_counts_where_it_was_rebased(model, study, rachel):
    own = {"benign": 0.1, "malignant": 0.7, "normal": 0.2}
    succeeded(study=study, by=rachel, label="malignant", confidence=0.3, prevalence=0.05, own_probabilities=own)
    (line,) = drift_months.by_scanner(model)
    assert line.total.mean == pytest.approx(0.7)


@pytest.mark.parametrize(
    "damaged", [{}, {"monitoring": 3}, {"monitoring": {"probability_malignant": {"quantiles": []}}}]
)
def test_a_model_without_a_reference_has_no_line_for_it(damaged):
    assert drift_months.reference_mean(damaged) is None


@pytest.fixture
def watched(model, tmp_path, monkeypatch) -> ModelVersion:
    """The model with a reference of scores, measured on 400 images."""
    reference = monitoring_reference({"probability_malignant": np.random.default_rng(3).random(400)})
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"monitoring": reference}), encoding="utf-8")
    monkeypatch.setattr(inference, "evaluation_path", lambda name, version: path)
    return model


def scored(study, reader, model, *, device: str, count: int, score) -> None:
    """Rows as if the model had judged so many images of a scanner."""
    analysis = succeeded(study=study, by=reader, seed=len(device))
    image = analysis.image
    images = [
        Image(
            study=study,
            original_name="x.png",
            source_format="PNG",
            sha256=f"{device}{place}".rjust(64, "0")[:64],
            pixels_sha256="0" * 64,
            byte_size=1,
            width=1,
            height=1,
            file=image.file.name,
            device=device,
        )
        for place in range(count)
    ]
    Image.objects.bulk_create(images)
    Analysis.objects.filter(pk=analysis.pk).update(model_name="other")
    Analysis.objects.bulk_create(
        Analysis(
            image=one,
            patient=study.patient,
            modality="US",
            patient_name="x",
            state="succeeded",
            label="benign",
            confidence=0.5,
            suspicion=5,
            probability_benign=0.5,
            probability_malignant=score(place),
            probability_normal=0.0,
            model_name=model.name,
            model_version=model.version,
        )
        for place, one in enumerate(images)
    )


def test_one_scanner_that_moved_is_told_from_one_that_did_not(watched, study, rachel, adam, client):
    scored(study, rachel, watched, device="Steady", count=120, score=lambda place: (place * 0.618) % 1)
    scored(study, rachel, watched, device="Moved", count=120, score=lambda place: 0.7 + 0.3 * ((place * 0.618) % 1))
    scored(study, rachel, watched, device="Rare", count=8, score=lambda place: 0.9)
    client.force_login(adam)
    html = unescape(client.get(reverse("model-here", args=[watched.name, watched.version])).content.decode())
    verdicts = dict(re.findall(r'<th scope="row">(\w+)</th><td class="number">\d+</td><td>([^<]+)</td>', html))
    assert verdicts == {
        "Steady": "As when it was measured",
        "Moved": "Has moved",
        "Rare": "Not enough images yet",
    }


# The page


def here(client, user, model) -> str:
    client.force_login(user)
    response = client.get(reverse("model-here", args=[model.name, model.version]))
    assert response.status_code == 200
    return unescape(response.content.decode()).replace("\N{NO-BREAK SPACE}", " ")


def test_a_model_that_has_done_nothing_here_says_so(client, adam, model):
    html = here(client, adam, model)
    assert "This version has analysed no image in these months." in html
    assert "No reader has concluded on an image" in html
    assert "No outcome has been entered" in html
    assert "<canvas" not in html


def test_a_model_that_was_never_in_use_teaches_the_next_step(client, adam, model):
    assert "Read in the shadow, it can be compared" in here(client, adam, registered(RESEARCH))


def test_a_few_cases_are_too_few_and_leave_a_gap_in_the_line(client, adam, study, rachel, model):
    concluded(study, rachel, seed=1, said="malignant", reader_says="benign")
    html = here(client, adam, model)
    table = html[html.index('id="discordance-table"') :]
    assert "n = 1, too few" in table
    assert not re.search(r'data-value="[\d.]', table[: table.index("</table>")])


def test_enough_cases_are_a_share_with_its_interval_and_a_point(client, adam, study, rachel, model):
    for seed in range(30):
        concluded(study, rachel, seed=seed, said="malignant", reader_says="benign" if seed < 6 else "malignant")
    html = here(client, adam, model)
    assert "20 % (10 to 37), n = 30" in html
    assert 'data-value="0.2000"' in html


@pytest.mark.parametrize("device", ["<script>alert(1)</script>", "=cmd|' /C calc'!A0", "Ж" * 200, "  "])
def test_hostile_names_of_scanners_are_shown_not_run(client, adam, study, rachel, model, device):
    concluded(study, rachel, seed=1, said="malignant", reader_says="benign", device=device)
    client.force_login(adam)
    raw = client.get(reverse("model-here", args=[model.name, model.version])).content.decode()
    assert "<script>alert" not in raw
    assert len(discordance.by_scanner(model)) == 1


def test_months_follow_the_site_across_a_change_of_the_clock(model, study, rachel):
    """A conclusion written in the last hour of a month by the site's clock is not the next month's."""
    timezone.activate("Europe/Berlin")
    try:
        last = months()[-1]
        begin = datetime(last.year, last.month, 1, tzinfo=timezone.get_current_timezone())
        before = (begin - timedelta(minutes=30)).astimezone(UTC)
        concluded(study, rachel, seed=1, said="malignant", reader_says="benign", at=before)
        (line,) = by_scanner(model)
        assert line.by_month[-1] is None
        assert line.by_month[-2].share.n == 1
    finally:
        timezone.deactivate()
