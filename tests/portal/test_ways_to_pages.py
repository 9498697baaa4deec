"""A page is found from where one would look, under one name, in words that fit the person who reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.urls import reverse

from accounts.actions import create_team
from accounts.notifications import KINDS
from tests.fixture_sign_in import confirm

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


def page(client, user, address, status=200):
    client.force_login(user)
    confirm(client)
    answer = client.get(address)
    assert answer.status_code == status
    return answer.content.decode()


def test_the_list_of_studies_is_reached_from_the_reading_page_and_from_the_patients(client, rachel, adam):
    link = f'href="{reverse("study-list")}"'

    assert link in page(client, rachel, "/")
    assert link in page(client, rachel, "/patients/")
    assert link in page(client, adam, "/patients/")


@pytest.mark.parametrize(("name", "makes_tokens"), [("rachel", True), ("adam", True), ("ivan", True), ("petra", False)])
def test_the_menu_of_the_account_names_settings_and_tokens(client, request, name, makes_tokens):
    html = page(client, request.getfixturevalue(name), reverse("account-sessions"))

    assert f'href="{reverse("notification-choices")}">Notification settings</a>' in html
    assert ("#tokens-heading" in html) is makes_tokens
    assert ('id="tokens-heading"' in html) is makes_tokens


def test_who_cannot_have_tokens_is_not_told_that_they_are_deleted(client, rachel, petra):
    address = reverse("account_change_password")

    assert "your API tokens are deleted" in page(client, rachel, address)
    assert "API token" not in page(client, petra, address)


def test_a_patient_on_a_page_of_the_staff_is_not_sent_to_an_administrator(client, rachel, petra):
    assert "ask an administrator" in page(client, rachel, "/users/", status=403)

    html = page(client, petra, "/users/", status=403)
    assert "ask an administrator" not in html
    assert "Your own reports" in html


def test_signing_out_can_be_left(client, rachel):
    html = page(client, rachel, reverse("account_logout"))

    assert f'href="{reverse("home")}">Cancel</a>' in html


def test_nobody_chooses_about_news_that_never_come_to_them(client, petra, adam):
    about = KINDS["export_ready"].label

    assert about in page(client, adam, reverse("notification-choices"))
    assert about not in page(client, petra, reverse("notification-choices"))


def test_the_admin_site_calls_a_page_by_one_name(client, adam, ivan):
    team = create_team(acting_user=adam, name="Screening")

    html = page(client, ivan, "/admin/diagnosis/modelversion/")
    crumbs = html.split('<div class="breadcrumbs">')[1].split("</div>")[0]
    assert "Administration" in crumbs
    assert "Background work and models" in crumbs
    assert "Installed models" in crumbs
    assert "Model versions" not in crumbs
    html = page(client, ivan, "/admin/accounts/")
    assert "<h1>People and messages</h1>" in html
    assert "Home</a>" not in html.split('<div class="breadcrumbs">')[1]

    html = page(client, ivan, f"/admin/accounts/team/{team.pk}/change/")
    assert "p.m." not in html and "a.m." not in html
    assert f"{team.created_at:%Y, %H:%M}" in html


def test_a_record_is_left_by_the_name_of_the_patient(client, adam, anna):
    for name in ("patient-merge", "patient-split", "transfer-list"):
        html = page(client, adam, reverse(name, args=[anna.pk]))
        assert f'<a href="{reverse("patient-detail", args=[anna.pk])}">{anna.full_name}</a>' in html, name
    assert [
        file.name
        for file in TEMPLATES.rglob("*.html")
        if "Back to the record</a></nav>" in file.read_text(encoding="utf-8")
    ] == []
