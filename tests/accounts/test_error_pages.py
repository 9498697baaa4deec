"""Pages for when something is not as it should be."""

from __future__ import annotations

import re

import pytest
from django.template.loader import render_to_string

pytestmark = pytest.mark.django_db


def test_not_found_says_so_in_the_houses_design(client, rachel):
    client.force_login(rachel)

    answer = client.get("/no-such-page/")

    assert answer.status_code == 404
    assert "There is nothing at this address, or it is not for you to see." in answer.content.decode()
    assert "css/senolens.css" in answer.content.decode()


def test_not_found_works_for_strangers(client):
    assert client.get("/no-such-page/").status_code == 404


def test_a_closed_page_says_which_role_one_has(client, ivan):
    client.force_login(ivan)

    answer = client.get("/patients/")

    assert answer.status_code == 403
    assert "Ivan Technician, IT staff" in answer.content.decode()


@pytest.mark.parametrize(
    ("template", "sentence"),
    [("500.html", "What was saved before is kept."), ("400.html", "Nothing was changed.")],
)
def test_pages_for_a_portal_in_trouble_need_nothing_but_themselves(template, sentence, django_assert_num_queries):
    with django_assert_num_queries(0):
        page = render_to_string(template)

    assert sentence in page


@pytest.mark.parametrize("path", ["/account/login/", "/account/password/reset/", "/no-such-page/"])
def test_pages_obey_the_content_security_policy(client, path):
    page = client.get(path).content.decode()

    assert re.findall(r"<script(?![^>]*\bsrc=)|\sstyle=|<style|\son[a-z]+=|javascript:", page) == []
