"""Requests that are meant to be read in two ways, and addresses that a server should not have."""

from __future__ import annotations

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser

from accounts.models import Patient


@pytest.fixture
def signed_in(client, rachel):
    client.force_login(rachel)
    return client


def test_an_address_is_decoded_once(signed_in, anna):
    """%4B is K; %254B is the four characters of it, and matches nobody."""
    name = anna.family_name
    once = "".join(f"%{byte:02X}" for byte in name.encode())

    found = signed_in.get(f"/api/v1/patients/?q={once}").json()["results"]
    twice = signed_in.get(f"/api/v1/patients/?q={once.replace('%', '%25')}").json()["results"]

    assert [row["family_name"] for row in found] == [name]
    assert twice == []


def test_what_is_stored_is_what_was_sent(signed_in, db):
    """Nothing is unescaped on the way in, so nothing becomes markup later."""
    sent = {"mrn": "R-1", "given_name": "&lt;b&gt;", "family_name": "%3Cb%3E", "birth_date": "1970-05-17", "sex": "F"}

    made = signed_in.post("/api/v1/patients/", sent, content_type="application/json")

    assert made.status_code == 201, made.content
    row = Patient.objects.get(mrn="R-1")
    assert (row.given_name, row.family_name) == ("&lt;b&gt;", "%3Cb%3E")
    page = signed_in.get(f"/patients/{row.pk}/").content.decode()
    assert "&amp;lt;b&amp;gt;" in page
    assert "<b>" not in page.replace("<body", "")


def test_what_stands_in_the_address_does_not_change_what_the_body_says(signed_in, db):
    sent = {"mrn": "R-2", "given_name": "Ada", "family_name": "Body", "birth_date": "1970-05-17", "sex": "F"}

    made = signed_in.post(
        "/api/v1/patients/?family_name=Address&mrn=R-3&mrn=R-4", sent, content_type="application/json"
    )

    assert made.status_code == 201, made.content
    assert (made.json()["mrn"], made.json()["family_name"]) == ("R-2", "Body")


@pytest.mark.parametrize("path", ["/", "/patients/", "/api/v1/patients/", "/healthz", "/verify/x/"])
def test_a_request_is_never_sent_back(signed_in, path):
    answer = signed_in.trace(path, headers={"X-Secret": "of the browser"})

    assert answer.status_code == 405
    assert b"of the browser" not in answer.content


@pytest.mark.parametrize(
    "path",
    [
        "/.git/config",
        "/.git/HEAD",
        "/.env",
        "/manage.py",
        "/static/",
        "/static/css/",
        "/static/../manage.py",
        "/static/%2e%2e/manage.py",
        "/media/",
        "/var/",
        "/metrics",
    ],
)
def test_there_is_no_folder_and_no_source(signed_in, path):
    assert signed_in.get(path).status_code == 404


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 4", "Transfer-Encoding: chunked"],
        ["Content-Length: 4", "Content-Length: 5"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding : chunked"],
        ["Content-Length: +4"],
        ["Content-Length: -4"],
        ["Content-Length: 4\nX-Forwarded-For: 192.0.2.1"],
        ["X-Name: a\0b"],
    ],
    ids=["both", "two lengths", "stacked", "unknown", "blank", "plus", "negative", "bare line feed", "zero byte"],
)
def test_the_web_server_refuses_a_request_whose_end_is_in_doubt(lines):
    """By the parser and the configuration that ``serve`` runs gunicorn with: it sets nothing that changes parsing."""
    raw = "\r\n".join(["POST /api/v1/tokens/ HTTP/1.1", "Host: senolens.example", *lines, "", "0\r\n\r\n"])

    with pytest.raises(ParseException):
        next(RequestParser(Config(), iter([raw.encode("latin-1")]), ("192.0.2.7", 443)))
