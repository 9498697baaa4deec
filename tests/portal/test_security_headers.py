"""What every answer carries to keep a browser from helping an attacker, and the cookies of a real site."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.staticfiles import finders
from django.urls import reverse

from tests.fixture_results import succeeded

ROOT = Path(__file__).resolve().parents[2]
ON_EVERY_ANSWER = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
REAL_SITE = """
import json, django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
client = Client()
host = "senolens.hospital.example"
page = client.get("/account/login/", secure=True, HTTP_HOST=host)
plain = client.get("/account/login/", HTTP_HOST=host)
foreign = client.get("/account/login/", secure=True, HTTP_HOST="evil.example")
program, over_tls = (client.get("/api/v1/patients/", secure=secure, HTTP_HOST=host) for secure in (False, True))
print(json.dumps({
    "page": dict(page.headers), "status": page.status_code, "plain": [plain.status_code, plain.headers.get("Location")],
    "foreign": foreign.status_code,
    "program": [program.status_code, program.json()["code"], program.headers["X-Content-Type-Options"]],
    "over_tls": over_tls.status_code,
    "cookies": {name: {key: morsel[key] for key in ("secure", "httponly", "path", "domain", "samesite")}
                for name, morsel in page.cookies.items()},
    "session": settings.SESSION_COOKIE_NAME,
    "session_cookie": {
        "secure": settings.SESSION_COOKIE_SECURE, "httponly": settings.SESSION_COOKIE_HTTPONLY,
        "path": settings.SESSION_COOKIE_PATH, "domain": settings.SESSION_COOKIE_DOMAIN or "",
        "samesite": settings.SESSION_COOKIE_SAMESITE,
    },
    "celery": [settings.CELERY_ACCEPT_CONTENT, settings.CELERY_TASK_SERIALIZER],
}))
"""


def _carries_them(response) -> None:
    for name, value in ON_EVERY_ANSWER.items():
        assert response.headers.get(name) == value, (name, response.headers.get(name))
    assert not [name for name in response.headers if name.lower().startswith("access-control-")]
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    for directive in ("default-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'"):
        assert directive in policy


@pytest.mark.parametrize(
    "path",
    [
        "/account/login/",
        "/healthz",
        "/",
        "/nothing/here/",
        "/api/v1/patients/",
        "/api/v1/nothing/",
        "/admin/",
        "/verify/x/",
    ],
)
def test_every_answer_to_a_stranger_carries_them(client, db, path):
    _carries_them(client.get(path))


@pytest.mark.parametrize("name", ["home", "history", "patient-list", "model-list"])
def test_every_page_carries_them_and_is_kept_by_no_cache(client, rachel, name):
    client.force_login(rachel)

    page = client.get(reverse(name))

    _carries_them(page)
    assert "no-store" in page["Cache-Control"]


def test_clinical_files_carry_them_and_are_kept_by_no_shared_cache(client, fetch, study, rachel):
    analysis = succeeded(study=study, by=rachel)
    client.force_login(rachel)

    for name, key in (("image-file", analysis.image.pk), ("explanation-file", analysis.pk)):
        file = fetch(client, reverse(name, args=[key]))
        assert file.status_code == 200
        _carries_them(file)
        assert "private" in file["Cache-Control"]


def test_static_files_carry_them(client, db):
    assert finders.find("css/senolens.css")

    response = client.get("/static/css/senolens.css")

    if response.status_code == 404:
        pytest.skip("static files were not collected: make setup")
    _carries_them(response)
    response.close()


def test_a_fault_of_ours_carries_them_and_shows_nothing(client, rachel, monkeypatch):
    client.force_login(rachel)
    client.raise_request_exception = False
    monkeypatch.setattr("accounts.views.patients.paged", _broken)

    answer = client.get(reverse("patient-list"))

    assert answer.status_code == 500
    _carries_them(answer)
    assert b"the secret of the trace" not in answer.content


def _broken(*args, **kwargs):
    raise RuntimeError("the secret of the trace")


def test_a_page_has_no_inline_script_or_style(client, study, rachel):
    analysis = succeeded(study=study, by=rachel)
    client.force_login(rachel)

    for name, keys in (("home", []), ("analysis-detail", [analysis.pk]), ("patient-detail", [study.patient_id])):
        html = client.get(reverse(name, args=keys)).content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>\s*\S", html)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", html)


@pytest.fixture(scope="module")
def real_site(tmp_path_factory):
    """What a site behind TLS answers: its settings are read in a process of their own."""
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATA_DIR": str(tmp_path_factory.mktemp("real")),
        "SECRET_KEY": "a" * 25 + "-of-a-real-site-" + "z" * 25,
        "FIELD_KEYS": "tYzb3Pq0kqO6mJX0dXyI7m0sQ0Jm3G1o5V9h8r2WnBk=",
        "PUBLIC_URL": "https://senolens.hospital.example",
        "DEMO": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", REAL_SITE], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_real_site_speaks_tls_only_and_says_so_for_a_year(real_site):
    assert real_site["status"] == 200
    assert real_site["page"]["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert real_site["plain"] == [301, "https://senolens.hospital.example/account/login/"]


def test_a_program_without_tls_is_refused_and_not_led_on(real_site):
    assert real_site["program"] == [403, "tls_required", "nosniff"]
    assert real_site["over_tls"] == 401


def test_its_cookies_are_bound_to_the_host(real_site):
    assert real_site["session"] == "__Host-sessionid"
    assert set(real_site["cookies"]) == {"__Host-csrftoken"}
    for cookie in (*real_site["cookies"].values(), real_site["session_cookie"]):
        assert cookie == {"secure": True, "httponly": True, "path": "/", "domain": "", "samesite": "Lax"}


def test_a_host_that_is_not_ours_is_refused(real_site):
    assert real_site["foreign"] == 400


def test_messages_between_processes_are_json_alone(real_site):
    assert real_site["celery"] == [["json"], "json"]


def test_a_request_that_is_too_large_is_refused(client, rachel):
    client.force_login(rachel)

    answer = client.post(
        reverse("patient-create"), {"history": "x" * (django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)}
    )

    assert answer.status_code in (400, 413)
