"""Images and maps leave the storage only through a view that asked the permission table."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.urls import reverse
from PIL import Image as Pillow

from accounts.models import AuditEvent
from diagnosis.models import Analysis
from diagnosis.stored_files import THUMBNAIL_SIDE
from tests.fixture_results import filed, succeeded


@pytest.fixture
def analysis(study, rachel) -> Analysis:
    return succeeded(study=study, by=rachel)


@pytest.fixture
def reading(client, rachel):
    client.force_login(rachel)
    return client


def address(name: str, analysis: Analysis) -> str:
    return reverse(name, args=[analysis.pk if name == "explanation-file" else analysis.image.pk])


NAMES = ["image-file", "image-thumbnail", "explanation-file"]


@pytest.mark.parametrize("name", NAMES)
def test_they_are_private_and_not_guessed_at_by_the_browser(reading, fetch, analysis, name):
    response = fetch(reading, address(name, analysis))

    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["ETag"]


@pytest.mark.parametrize("name", NAMES)
def test_who_has_the_file_already_is_not_sent_it_again(reading, fetch, analysis, name):
    etag = fetch(reading, address(name, analysis))["ETag"]

    assert fetch(reading, address(name, analysis), headers={"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 404), ("petra", 404)])
def test_other_roles(client, fetch, analysis, name, who, status, request):
    client.force_login(request.getfixturevalue(who))

    assert fetch(client, address(name, analysis)).status_code == status


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_is_sent_to_the_sign_in(client, analysis, name):
    assert client.get(address(name, analysis)).status_code == 302


def test_the_image_is_the_stored_png(reading, fetch, analysis):
    data = fetch(reading, address("image-file", analysis)).whole

    assert data.startswith(b"\x89PNG")
    assert Pillow.open(BytesIO(data)).size == (128, 96)


def test_who_saw_the_image_is_in_the_ledger(reading, fetch, analysis, rachel, anna):
    fetch(reading, address("image-file", analysis))

    event = AuditEvent.objects.get(action="image.viewed")
    assert (event.actor, event.patient, event.object_id) == (rachel, anna, str(analysis.image.pk))


def test_a_thumbnail_is_a_small_jpeg(reading, fetch, analysis):
    picture = Pillow.open(BytesIO(fetch(reading, address("image-thumbnail", analysis)).whole))

    assert picture.format == "JPEG"
    assert max(picture.size) <= THUMBNAIL_SIDE


def test_without_a_result_there_is_no_map(reading, fetch, study, rachel):
    assert fetch(reading, address("explanation-file", filed(study=study, by=rachel, seed=4))).status_code == 404


@pytest.mark.parametrize("name", ["image-file", "image-thumbnail"])
def test_a_file_that_is_gone_is_a_404_and_no_fault(reading, fetch, analysis, name):
    analysis.image.file.storage.delete(analysis.image.file.name)

    assert fetch(reading, address(name, analysis)).status_code == 404
