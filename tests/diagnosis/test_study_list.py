"""Every study, newest first: what the numbers of studies lead to."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.fixture_results import succeeded


def test_the_list_of_studies_is_filtered_by_the_address(client, adam, study, rachel):
    succeeded(study=study, by=rachel)
    client.force_login(adam)
    address = reverse("study-list")
    html = client.get(address).content.decode()
    assert "1 study" in html
    assert reverse("study-detail", args=[study.pk]) in html
    assert "Nothing matches" in client.get(address, {"modality": "MG"}).content.decode()
    assert "This filter was left out." in client.get(address, {"from": "yesterday"}).content.decode()


@pytest.mark.parametrize(("who", "status"), [("rachel", 200), ("ivan", 403), ("petra", 403)])
def test_the_list_of_studies_is_for_those_who_see_studies(client, request, study, who, status):
    client.force_login(request.getfixturevalue(who))
    assert client.get(reverse("study-list")).status_code == status


def test_no_search_by_name_gets_into_its_address(client, adam, study):
    client.force_login(adam)
    assert "1 study" in client.get(reverse("study-list"), {"q": "nobody"}).content.decode()
