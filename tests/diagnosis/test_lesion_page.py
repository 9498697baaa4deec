"""The result page with what the newer models add: outline, measures, doubt, marks, similar cases, research."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.urls import reverse

from diagnosis.wording import RESEARCH, UNCERTAIN, UNCERTAIN_MEANING, check_remedy, check_words
from ml.contract import Quality, QualityCheck
from tests.fixture_results import MARKS, SIMILAR, filed, lesion, rejected, succeeded
from tests.fixture_results import RESEARCH as RESEARCH_MODEL

SPACE = "\N{NO-BREAK SPACE}"


@pytest.fixture
def open_page(client, rachel):
    client.force_login(rachel)

    def get(analysis, name: str = "analysis-detail") -> str:
        response = client.get(reverse(name, args=[analysis.pk]))
        assert response.status_code == 200
        return response.content.decode()

    return get


def data(page: str, name: str):
    found = re.search(rf'data-{name}="([^"]+)"', page)
    return json.loads(html.unescape(found[1])) if found else None


def test_the_lesion_is_measured_in_words_with_units(open_page, study, rachel):
    page = open_page(succeeded(study=study, by=rachel, found=lesion(spacing_mm=0.1)))
    assert f"4.2{SPACE}mm" in page
    assert f"9.6{SPACE}mm² (7.8{SPACE}% of the image)" in page
    assert "Measured on the outline that the model drew." in page


def test_without_pixel_spacing_pixels_are_named_and_why(open_page, study, rachel):
    page = open_page(succeeded(study=study, by=rachel, found=lesion()))
    assert f"42{SPACE}pixels (the file does not say how large a pixel is)" in page
    assert f"7.8{SPACE}% of the image" in page
    assert f"{SPACE}mm" not in page


def test_the_viewer_gets_the_outline_and_a_control_with_its_key(open_page, study, rachel):
    found = lesion()
    page = open_page(succeeded(study=study, by=rachel, found=found))
    assert data(page, "outline") == found.measures["outline"]
    assert 'data-act="outline" data-key="o"' in page
    assert not re.search(r"data-lesion-controls\s+hidden", page)


def test_an_image_without_lesion_and_marks_shows_no_such_control(open_page, study, rachel):
    page = open_page(succeeded(study=study, by=rachel))
    assert data(page, "outline") is None
    assert re.search(r"data-lesion-controls\s+hidden", page)
    assert "Longest diameter" not in page
    assert "Similar cases" not in page


def test_the_outline_comes_with_the_panel_that_renews_itself(open_page, study, rachel):
    analysis = succeeded(study=study, by=rachel, found=lesion(), marks=MARKS)
    panel = open_page(analysis, "analysis-panel")
    assert data(panel, "outline")
    assert [mark["score"] for mark in data(panel, "marks")] == [0.74, 0.31]


def test_an_image_that_waits_has_nothing_to_draw(open_page, study, rachel):
    page = open_page(filed(study=study, by=rachel))
    assert data(page, "outline") is None
    assert data(page, "marks") is None


def test_doubt_is_said_in_words_with_what_it_means(open_page, study, rachel):
    page = open_page(succeeded(study=study, by=rachel, uncertain=True))
    assert UNCERTAIN in page
    assert UNCERTAIN_MEANING in page
    assert f"7 of 10. {UNCERTAIN}" in page, "it is spoken when the result arrives"


def test_a_result_without_doubt_says_nothing_of_it(open_page, study, rachel):
    assert "Uncertain" not in open_page(succeeded(study=study, by=rachel))


def test_marks_are_listed_by_the_numbers_of_their_circles(open_page, study, rachel):
    page = open_page(succeeded(study=study, by=rachel, marks=MARKS))
    places = re.findall(r"<li>Probability of a lesion <span class=\"number\">([^<]+)</span>", page)
    assert places == [f"74{SPACE}%", f"31{SPACE}%"]
    assert "Marked places" in page


def test_similar_cases_are_numbers_with_their_known_outcome(open_page, study, rachel):
    page = open_page(succeeded(study=study, by=rachel, similar=SIMILAR))
    assert "Similar cases from the training sets (for reference; numbers only)" in page
    for words in ("BUSI", "busi/malignant-0042", "BUS-BRA", "busbra/bus-0007-l", "0.93", "0.71"):
        assert words in page
    assert page.index("0.93") < page.index("0.71")


def test_a_research_model_is_called_one_first_of_all(open_page, study, rachel):
    page = open_page(succeeded(study=study, by=rachel, model=RESEARCH_MODEL))
    said = page.index("<strong>Research model</strong>: not for clinical decisions; never orders the worklist.")
    assert said < page.index("Suspicious of malignancy</span>")
    assert f"7 of 10. {RESEARCH}" in page


def test_a_released_model_is_not_called_research(open_page, study, rachel):
    assert "esearch model" not in open_page(succeeded(study=study, by=rachel))


def test_rebased_probabilities_say_so_and_name_the_models_own(open_page, study, rachel):
    own = {"benign": 0.05, "malignant": 0.93, "normal": 0.02}
    page = open_page(succeeded(study=study, by=rachel, prevalence=0.08, own_probabilities=own))
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert f"Re-based to this site's prevalence of 8{SPACE}%." in html.unescape(page).replace(
        '<span class="number">', ""
    ).replace("</span>", "")
    assert "malignant 93 %" in said
    assert "benign 5 %" in said


def test_a_foreign_image_is_refused_with_what_to_do(open_page, study, rachel):
    foreign = Quality((QualityCheck(name="novelty", value=31.4, passed=False, limit="<= 12.5", message="Unlike."),))
    page = open_page(rejected(study=study, by=rachel, quality=foreign))
    assert "No score was made for this image." in page
    assert "What to do" in page
    assert "add it to a study of that kind" in page
    assert "Likeness to the images the model knows" in page


@pytest.mark.parametrize("name", ["crop", "text", "mammogram", "novelty", "doppler", "contrast", "chest_wall"])
def test_every_new_reason_to_refuse_has_words_of_its_own(open_page, study, rachel, name):
    check = Quality((QualityCheck(name=name, value=1, passed=False, limit="<= 0", message="No."),))
    page = open_page(rejected(study=study, by=rachel, quality=check))
    assert f"<span>{check_words(name)}</span>" in page
    assert check_words(name) != name.replace("_", " ").capitalize()
    assert ("<strong>What to do</strong>" in page) == bool(check_remedy(name))


def test_several_signs_of_another_examination_give_one_advice(open_page, study, rachel):
    checks = tuple(
        QualityCheck(name=name, value=1, passed=False, limit="<= 0", message="No.")
        for name in ("background", "shape", "novelty")
    )
    page = open_page(rejected(study=study, by=rachel, quality=Quality(checks)))
    assert page.count("add it to a study of that kind") == 1
