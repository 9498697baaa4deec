"""The part of IT's first page that says whether the site works."""

from __future__ import annotations

import pytest
from django.urls import reverse

from portal import readiness

pytestmark = pytest.mark.django_db


def test_it_says_of_each_part_in_words_whether_it_is_ready(client, ivan, monkeypatch):
    parts = [
        readiness.Part(name="database"),
        readiness.Part(name="worker", problem="No worker has been seen.", remedy="Start the site again."),
    ]
    monkeypatch.setattr(readiness, "parts", lambda: parts)
    client.force_login(ivan)

    html = client.get(reverse("operations-parts")).content.decode()

    assert html.index("Database") < html.index("Ready") < html.index("Worker") < html.index("Not ready")
    assert "No worker has been seen. Start the site again." in html


def test_whoever_does_not_run_the_site_does_not_see_it(client, rachel):
    client.force_login(rachel)

    assert client.get(reverse("operations-parts")).status_code == 403
