"""``manage.py doctor``: one page that says what is wrong and what to do."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from diagnosis import actions, inference
from portal import workers
from tests.fixture_results import filed


@pytest.fixture
def healthy(db, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    settings.QUEUE_DIR = tmp_path / "queue"
    settings.QUEUE_DIR.mkdir()
    actions.register_models(found=inference.installed())
    workers.show()


def _page() -> str:
    out = io.StringIO()
    call_command("doctor", stdout=out)
    return out.getvalue()


def test_a_healthy_site_is_told_so(healthy):
    assert "Everything is in order." in _page()


def test_what_is_wrong_comes_with_a_remedy_and_a_failure(healthy, study, rachel):
    filed(study=study, by=rachel)
    workers.leave()
    out = io.StringIO()
    with pytest.raises(CommandError, match="2 of the points"):
        call_command("doctor", stdout=out)
    page = out.getvalue()
    assert "No worker is running" in page
    assert "-> Start one: python manage.py serve" in page
    assert "They are waiting, and no worker is running." in page


def test_it_names_no_patient(healthy, study, rachel, anna):
    filed(study=study, by=rachel)
    assert anna.family_name not in _page()
