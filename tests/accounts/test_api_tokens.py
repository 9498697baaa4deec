"""``/api/v1/tokens/``."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.test import APIClient

from accounts.actions import update_user
from accounts.api.throttles import REFUSALS
from accounts.models import ApiToken, AuditEvent
from tests.conftest import PASSWORD

TOKENS = "/api/v1/tokens/"
CURRENT = "/api/v1/tokens/current/"
LIMIT = int(REFUSALS.split("/")[0])


def sign_in(client, email="rachel@test.local", password=PASSWORD, **more):
    return client.post(TOKENS, {"email": email, "password": password, **more}, format="json")


def is_refusal(response, code):
    body = response.json()
    assert set(body) >= {"code", "detail", "fields"}
    assert body["code"] == code
    assert body["detail"]
    return True


def test_the_right_password_gives_a_token_that_opens_the_api_and_expires(api, rachel, settings):
    answer = sign_in(api())
    assert answer.status_code == 201
    assert set(answer.json()) == {"token", "expires_at"}
    expires = parse_datetime(answer.json()["expires_at"])
    assert abs(expires - timezone.now() - timedelta(hours=settings.API_TOKEN_HOURS)) < timedelta(minutes=1)
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['token']}")
    assert client.get("/api/v1/studies/").status_code == 200
    ApiToken.objects.update(expires_at=timezone.now())
    late = client.get("/api/v1/studies/")
    assert late.status_code == 401
    assert late["WWW-Authenticate"] == "Bearer"


def test_only_the_digest_of_a_token_is_stored(api, rachel):
    token = sign_in(api()).json()["token"]
    row = ApiToken.objects.get()
    assert token not in (row.digest, str(row))
    assert len(row.digest) == 64


def test_the_address_is_compared_without_case_and_a_one_time_code_is_taken(api, rachel):
    assert sign_in(api(), email="RACHEL@Test.Local", otp="").status_code == 201


@pytest.mark.parametrize(("email", "password"), [("rachel@test.local", "wrong"), ("nobody@test.local", PASSWORD)])
def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(api, rachel, email, password):
    answer = sign_in(api(), email=email, password=password)
    assert answer.status_code == 401
    assert is_refusal(answer, "invalid_credentials")
    assert answer.json()["detail"] == "The e-mail address or the password is wrong."
    assert AuditEvent.objects.filter(action="token.refused").count() == 1
    assert not ApiToken.objects.exists()


def test_a_deactivated_user_is_refused_and_her_token_stops_working(api, rachel, adam):
    client = api(rachel)
    assert client.get("/api/v1/studies/").status_code == 200
    update_user(acting_user=adam, user=rachel, is_active=False)
    assert client.get("/api/v1/studies/").status_code == 401
    assert sign_in(api()).status_code == 401


def test_a_patient_uses_the_website_instead(api, petra):
    answer = sign_in(api(), email="petra@test.local")
    assert answer.status_code == 403
    assert AuditEvent.objects.get(action="token.refused").details["reason"] == "role"


def test_guessing_is_slowed_down_by_account_from_whatever_address(api, rachel):
    for number in range(LIMIT):
        guess = api().post(
            TOKENS, {"email": "rachel@test.local", "password": f"guess {number}"}, REMOTE_ADDR=f"10.0.0.{number}"
        )
        assert guess.status_code == 401
    answer = api().post(TOKENS, {"email": "rachel@test.local", "password": PASSWORD}, REMOTE_ADDR="10.0.1.1")
    assert answer.status_code == 429
    assert is_refusal(answer, "throttled")
    assert 0 < int(answer["Retry-After"]) <= 60


def test_blanks_around_the_address_do_not_make_it_another_account(api, rachel):
    for number in range(LIMIT):
        padded = " " * (230 + number) + "rachel@test.local"
        answer = sign_in(api(), email=padded, password="wrong")
        assert answer.status_code == 401
    elsewhere = APIClient(REMOTE_ADDR="203.0.113.9")
    assert sign_in(elsewhere, email=" " * 251 + "rachel@test.local", password="wrong").status_code == 429


def test_a_program_at_its_usual_address_is_not_shut_out_by_strangers(api, rachel):
    typed = {"email": "rachel@test.local", "password": PASSWORD}
    assert api().post(TOKENS, typed, REMOTE_ADDR="192.0.2.80").status_code == 201
    for number in range(LIMIT + 1):
        api().post(TOKENS, {**typed, "password": f"guess {number}"}, REMOTE_ADDR=f"10.0.0.{number}")

    for number in range(LIMIT + 1):
        wrong = {"email": f"nobody{number}@test.local", "password": "wrong"}
        api().post(TOKENS, wrong, REMOTE_ADDR="192.0.2.80")

    assert api().post(TOKENS, typed, REMOTE_ADDR="10.0.1.1").status_code == 429
    assert api().post(TOKENS, typed, REMOTE_ADDR="192.0.2.80").status_code == 201


def test_guessing_is_slowed_down_by_address_whatever_the_forwarding_header_says(api, rachel):
    for number in range(LIMIT):
        sign_in(api(), email=f"nobody{number}@test.local", password="wrong")
    answer = api().post(
        TOKENS, {"email": "rachel@test.local", "password": PASSWORD}, HTTP_X_FORWARDED_FOR="198.51.100.7"
    )
    assert answer.status_code == 429
    assert AuditEvent.objects.filter(action="token.refused").count() == LIMIT


def test_signing_in_often_with_the_right_password_is_not_slowed_down(api, rachel):
    assert {sign_in(api()).status_code for _ in range(LIMIT + 3)} == {201}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'"text"', 400),
        (b"\xff\xfe", 400),
        (b"[" * 200_000, 400),
        (b'{"email": ' + b"[" * 100_000, 400),
        (b'{"email": NaN}', 400),
        (b'{"email": "a@b.c", "password": "\\ud800"}', 400),
        (b'{"email": "a\\u0000@b.c", "password": "x"}', 400),
        (b'{"email": {"a": 1}, "password": ["x"]}', 400),
        (b'{"email": "' + b"a" * 300 + b'@b.cc", "password": "x"}', 400),
        (b'{"email": "a@b.cc", "password": "' + b"x" * 2000 + b'"}', 400),
        (b'{"email": "a@b.cc", "password": "' + b"x" * 2_000_000 + b'"}', 413),
        (json.dumps({"email": "a@b.cc"}).encode(), 400),
    ],
)
def test_a_bad_body_is_refused_in_the_shape_of_the_contract(api, db, body, status):
    answer = api().post(TOKENS, data=body, content_type="application/json")
    assert answer.status_code == status
    assert set(answer.json()) == {"code", "detail", "fields"}


def test_a_missing_field_is_named(api, db):
    answer = api().post(TOKENS, {"email": "rachel@test.local"}, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["password"]


def test_a_form_is_the_wrong_type_of_body(api, rachel):
    answer = api().post(TOKENS, data={"email": "rachel@test.local", "password": PASSWORD}, format="multipart")
    assert answer.status_code == 415
    assert is_refusal(answer, "unsupported_media_type")


def test_reading_tokens_is_not_a_method_of_this_address(api, rachel):
    answer = api().get(TOKENS)
    assert answer.status_code == 405
    assert is_refusal(answer, "method_not_allowed")


def test_signing_out_deletes_the_token_of_the_request_only(api, rachel):
    here, elsewhere = api(rachel), api(rachel)
    assert here.delete(CURRENT).status_code == 204
    assert here.get("/api/v1/studies/").status_code == 401
    assert elsewhere.get("/api/v1/studies/").status_code == 200
    assert AuditEvent.objects.filter(action="token.deleted").count() == 1


def test_a_session_has_no_token_to_delete(api, rachel):
    client = api()
    client.force_login(rachel)
    assert client.delete(CURRENT).status_code == 404


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer wrong", "Bearer a b", "Bearer \x00", "Bearer \xc5\xbc", "bearer x"]
)
def test_a_bad_token_is_401_and_says_how_to_sign_in(api, db, header):
    client = api()
    client.credentials(HTTP_AUTHORIZATION=header)
    answer = client.get("/api/v1/studies/")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert set(answer.json()) == {"code", "detail", "fields"}


def test_a_session_needs_the_csrf_token_to_write(rachel):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(rachel)
    assert client.get("/api/v1/studies/").status_code == 200
    answer = client.post("/api/v1/studies/", {}, format="json")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]
