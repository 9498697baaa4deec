"""A patient comes to a log-in: the clinic's sheet, the code and date of birth, the number by e-mail, the password."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions
from accounts.invitation_code import ALPHABET, digest, new_code
from accounts.models import AuditEvent, OutgoingMail, Patient, PatientInvitation, User
from tests.conftest import PASSWORD
from tests.fixture_joining import (
    ADDRESS,
    BORN,
    CHOOSE,
    EMAIL,
    JOIN,
    NEW_PASSWORD,
    choose,
    give_address,
    joined,
    mailed_number,
    show,
)


@pytest.fixture
def code(anna, adam) -> str:
    """An invitation of Anna."""
    return actions.invite_patient(acting_user=adam, patient=anna)[1]


# The clinic's side


def test_the_sheet_shows_the_code_once_and_only_its_hash_is_kept(client, anna, rachel):
    client.force_login(rachel)

    response = client.post(reverse("patient-invite", args=[anna.pk]))

    html = response.content.decode()
    shown = re.search(r'id="code"[^>]*>([^<]+)<', html)[1].strip()
    invitation = PatientInvitation.objects.get()
    assert response.status_code == 201
    assert invitation.digest == digest(shown)
    assert shown not in str(PatientInvitation.objects.values())
    assert "http://localhost:8000/join/" in html
    assert "Anna Żółć" in html
    assert shown not in client.get(reverse("patient-detail", args=[anna.pk])).content.decode()
    assert not OutgoingMail.objects.exists()
    event = AuditEvent.objects.get(action="patient_invitation.created")
    assert (event.actor, event.patient) == (rachel, anna)
    assert shown not in str(event.details)


def test_a_code_has_75_random_bits_in_letters_that_are_not_mistaken():
    codes = {new_code() for _ in range(200)}

    assert len(codes) == 200
    assert all(re.fullmatch(rf"[{ALPHABET}]{{5}}-[{ALPHABET}]{{5}}-[{ALPHABET}]{{5}}", code) for code in codes)
    assert set("ILOU") & set("".join(codes)) == set()
    assert set("".join(codes)) - {"-"} == set(ALPHABET)


@pytest.mark.parametrize("typed", ["7kq2m-xb4zt-0hnrw", "7KQ2M XB4ZT OHNRW", " 7kq2mxb4ztohnrw "])
def test_a_code_may_be_typed_as_people_type(typed):
    assert digest(typed) == digest("7KQ2M-XB4ZT-0HNRW")
    assert digest("il") == digest("11")


def test_the_mail_that_announces_an_invitation_has_no_code_and_no_name(client, anna, rachel):
    actions.update_patient(acting_user=rachel, patient=anna, email="anna@example.org")
    client.force_login(rachel)

    html = client.post(reverse("patient-invite", args=[anna.pk]), {"mail_too": "on"}).content.decode()

    code = re.search(r'id="code"[^>]*>([^<]+)<', html)[1].strip()
    mail = OutgoingMail.objects.get()
    assert mail.recipient == "anna@example.org"
    assert "http://localhost:8000/join/" in mail.body
    for secret in (code, code.replace("-", ""), "Anna", "MRN-001"):
        assert secret not in mail.body + mail.subject


def test_a_new_invitation_ends_the_one_before(client, anna, adam, code):
    _, newer = actions.invite_patient(acting_user=adam, patient=anna)

    assert show(client, code).status_code == 422
    assert show(client, newer).status_code == 302


def test_a_record_with_a_log_in_is_not_invited(client, anna, adam, petra):
    actions.link_patient_login(acting_user=adam, patient=anna, user=petra)
    client.force_login(adam)

    response = client.post(reverse("patient-invite", args=[anna.pk]), follow=True)

    assert "has a log-in already" in response.content.decode()
    assert not PatientInvitation.objects.exists()


def test_a_revoked_code_opens_nothing(client, anna, rachel, code):
    staff = Client()
    staff.force_login(rachel)
    staff.post(reverse("patient-invitation-revoke", args=[anna.pk]))

    assert show(client, code).status_code == 422
    assert AuditEvent.objects.filter(action="patient_invitation.revoked", patient=anna, actor=rachel).exists()


@pytest.mark.parametrize("who", ["ivan", "petra"])
@pytest.mark.parametrize("address", ["patient-invite", "patient-invitation-revoke", "patient-unlink"])
def test_others_neither_invite_nor_unlink(client, anna, who, address, request):
    user = request.getfixturevalue(who)
    client.force_login(user)

    assert client.post(reverse(address, args=[anna.pk])).status_code == 404
    with pytest.raises(PermissionDenied):
        actions.invite_patient(acting_user=user, patient=anna)
    with pytest.raises(PermissionDenied):
        actions.unlink_patient_login(acting_user=user, patient=anna)
    assert not PatientInvitation.objects.exists()


def test_the_card_tells_how_the_record_stands_with_the_portal(client, anna, rachel):
    staff = Client()
    staff.force_login(rachel)

    def card():
        html = staff.get(reverse("patient-detail", args=[anna.pk])).content.decode()
        return html[html.index("portal-title") :]

    assert "Not invited" in card()
    _, code = actions.invite_patient(acting_user=rachel, patient=anna)
    assert "Code valid until" in card()
    joined(client, code)
    for words in ("Joined", EMAIL, "Last sign-in"):
        assert words in card()
    assert "Invite to the portal" not in card()


# Joining


def test_from_the_code_to_the_signed_in_patient(client, anna, code):
    assert show(client, code).url == reverse(ADDRESS)
    assert give_address(client).url == reverse(CHOOSE)
    response = choose(client, mailed_number())

    user = User.objects.get(email=EMAIL)
    anna.refresh_from_db()
    assert response.url == reverse("own-consents")
    assert (user.role, user.is_staff, anna.user) == ("patient", False, user)
    assert (user.given_name, user.family_name) == ("Anna", "Żółć")
    assert authenticate(username=EMAIL, password=NEW_PASSWORD) == user
    assert client.get(reverse("own-consents")).status_code == 200
    actions_done = AuditEvent.objects.filter(patient=anna).values_list("action", flat=True)
    assert {"patient_invitation.number_sent", "patient_invitation.used"} <= set(actions_done)


def test_a_used_code_opens_nothing_more(client, code):
    joined(client, code)

    other = Client()
    assert show(other, code).status_code == 422
    assert other.get(reverse(ADDRESS)).url == reverse(JOIN)


def test_whatever_is_wrong_the_answer_is_the_same(client, anna, adam, code):
    def said(response):
        text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"|"X-CSRFToken": "[^"]+"', "", response.content.decode())
        return response.status_code, re.sub(r'value="[^"]*"', "", text)

    wrong_date = said(show(Client(), code, "1970-05-18"))
    unknown = said(show(Client(), new_code()))
    PatientInvitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    expired = said(show(Client(), code))
    PatientInvitation.objects.update(expires_at=timezone.now() + timedelta(days=1), revoked_at=timezone.now())
    revoked = said(show(Client(), code))
    PatientInvitation.objects.update(revoked_at=None, used_at=timezone.now())
    used = said(show(Client(), code))

    assert wrong_date[0] == 422
    assert "do not open an invitation" in wrong_date[1]
    assert unknown == wrong_date == expired == revoked == used
    reasons = AuditEvent.objects.filter(action="patient_invitation.refused").order_by("pk")
    assert [event.details["reason"] for event in reasons] == [
        "birth_date",
        "unknown_code",
        "expired",
        "revoked",
        "used",
    ]


def test_five_wrong_dates_of_birth_burn_the_code(client, anna, code):
    for day in range(1, 6):
        assert show(client, code, f"1970-01-0{day}").status_code == 422

    assert show(client, code).status_code == 422
    assert AuditEvent.objects.filter(action="patient_invitation.burnt", patient=anna).count() == 1
    assert not User.objects.filter(role="patient").exists()


def test_four_wrong_dates_do_not(client, code):
    for day in range(1, 5):
        show(client, code, f"1970-01-0{day}")

    assert show(client, code).status_code == 302


def test_guessing_codes_is_slowed_down(client, db):
    statuses = [show(client, new_code()).status_code for _ in range(21)]

    assert statuses[:20] == [422] * 20
    assert statuses[20] == 429


def test_an_address_that_has_a_log_in_is_not_told(client, anna, code, rachel):
    other = Client()
    show(other, code)
    fresh = give_address(other, "nobody@example.org")
    fresh_page = other.get(reverse(CHOOSE)).content.decode().replace("nobody@example.org", "")
    show(client, code)
    taken = give_address(client, rachel.email)
    taken_page = client.get(reverse(CHOOSE)).content.decode().replace(rachel.email, "")

    def plain(html):
        return re.sub(r'(value|hx-headers)=(["\']).*?\2', "", html)

    assert (fresh.status_code, fresh.url) == (taken.status_code, taken.url)
    assert plain(fresh_page) == plain(taken_page)
    mail = OutgoingMail.objects.get(recipient=rachel.email)
    assert "There is one already" in mail.body
    assert mailed_number() == ""
    for number in ("000000", "", "123456"):
        assert choose(client, number).status_code == 422
    rachel.refresh_from_db()
    anna.refresh_from_db()
    assert (rachel.role, anna.user) == ("radiologist", None)
    assert authenticate(username=rachel.email, password=PASSWORD) == rachel


def test_the_number_of_one_address_does_not_confirm_another(client, code):
    show(client, code)
    give_address(client, "first@example.org")
    first = mailed_number()
    give_address(client, "second@example.org")

    answer = choose(client, first)

    assert answer.status_code == 422 or first == mailed_number()
    assert not User.objects.filter(email="first@example.org").exists()


def test_a_number_is_not_guessed(client, code):
    show(client, code)
    give_address(client)
    right = mailed_number()
    wrong = "111111" if right != "111111" else "222222"
    for _ in range(5):
        assert choose(client, wrong).status_code == 422

    assert choose(client, right).status_code == 422
    assert not User.objects.filter(email=EMAIL).exists()


def test_a_number_counts_for_ten_minutes_and_a_new_one_can_be_had(client, code, monkeypatch):
    show(client, code)
    give_address(client)
    late = mailed_number()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 10 * 60)

    answer = choose(client, late)

    assert answer.status_code == 422
    assert "it is too old" in answer.content.decode()
    assert not User.objects.filter(email=EMAIL).exists()
    give_address(client)
    assert choose(client, mailed_number()).status_code == 302
    assert User.objects.filter(email=EMAIL).exists()


def test_a_refused_password_keeps_the_rest(client, code):
    show(client, code)
    give_address(client)
    number = mailed_number()

    for password, again, words in (
        ("short", None, "too short"),
        ("anna@example.org", None, "too similar"),
        (NEW_PASSWORD, "seven green tricycles", "not the same"),
    ):
        response = choose(client, number, password, again)
        assert response.status_code == 422
        assert words in response.content.decode()
    assert choose(client, number).status_code == 302


def test_half_an_hour_is_the_limit(client, code):
    show(client, code)
    session = client.session
    session["joining"] = {**session["joining"], "until": timezone.now().timestamp() - 1}
    session.save()

    assert give_address(client).url == reverse(JOIN)
    assert not OutgoingMail.objects.exists()


def test_nobody_gets_past_the_code(client, anna, code):
    assert give_address(client).url == reverse(JOIN)
    assert choose(client, "000000").url == reverse(JOIN)
    assert not User.objects.filter(role="patient").exists()


def test_the_same_code_in_two_browsers_makes_one_log_in(anna, code):
    one, two = Client(), Client()
    for browser, email in ((one, "one@example.org"), (two, "two@example.org")):
        show(browser, code)
        give_address(browser, email)
        browser.number = mailed_number()

    assert choose(one, one.number).status_code == 302
    assert choose(two, two.number).status_code == 422
    anna.refresh_from_db()
    assert anna.user.email == "one@example.org"
    assert User.objects.filter(role="patient").count() == 1


def test_what_a_stranger_adds_to_the_forms_changes_nothing(client, anna, code):
    extra = {"role": "administrator", "is_staff": "on", "patient": str(anna.pk), "is_active": ""}
    client.post(reverse(JOIN), {"code": code, "birth_date": BORN, **extra})
    client.post(reverse(ADDRESS), {"email": EMAIL, **extra})
    client.post(
        reverse(CHOOSE),
        {"number": mailed_number(), "password1": NEW_PASSWORD, "password2": NEW_PASSWORD, **extra},
    )

    user = User.objects.get(email=EMAIL)
    assert (user.role, user.is_active, user.patient) == ("patient", True, anna)


@pytest.mark.parametrize("typed", ["", "\0", "' OR 1=1 --", "x" * 5_000, "😀", "<script>"])
def test_hostile_codes_are_refused_in_words(client, db, typed):
    response = show(client, typed)

    assert response.status_code == 422
    assert "<script>" not in response.content.decode().replace("<script src", "")


def test_an_address_that_looks_like_a_colleagues_is_not_taken(client, anna, rachel, code):
    show(client, code)
    assert give_address(client, rachel.email.replace("a", "\N{CYRILLIC SMALL LETTER A}")).status_code == 422
    give_address(client, rachel.email.replace("@te", "@t\N{CYRILLIC SMALL LETTER IE}"))

    assert mailed_number() == ""
    assert choose(client, "123456").status_code == 422


def test_a_record_that_was_merged_is_not_joined(client, anna, adam, code):
    other = actions.create_patient(
        acting_user=adam, mrn="MRN-002", given_name="Anna", family_name="Z", birth_date=anna.birth_date
    )
    Patient.objects.filter(pk=anna.pk).update(merged_into=other)

    assert show(client, code).status_code == 422
    with pytest.raises(actions.HasLogIn):
        actions.invite_patient(acting_user=adam, patient=anna)
