"""Shared by all tests: settings of the demonstration on a temporary data directory, and a named cast."""

from __future__ import annotations

import os
import tempfile

_DATA = tempfile.mkdtemp(prefix="senolens-test-")
os.environ.setdefault("DEMO", "1")
os.environ["DATA_DIR"] = _DATA
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

import shutil  # noqa: E402
from datetime import date  # noqa: E402
from pathlib import Path  # noqa: E402

import django  # noqa: E402
import pytest  # noqa: E402

# pytest-django would read the settings before this file has set the environment, were they named in pyproject.toml.
django.setup()

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session", autouse=True)
def _data_directory():
    yield
    shutil.rmtree(_DATA, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _ledger_lets_test_databases_be_emptied():
    """Tests that commit are cleaned up by `flush`, which the ledger's triggers refuse, as they do on a real site."""
    from django.core.management.commands import flush
    from django.db import connections

    from accounts.ledger import guard

    handle = flush.Command.handle

    def without_triggers(self, **options):
        with guard.lifted(connections[options["database"]]):
            handle(self, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", without_triggers)
        yield


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path: Path):
    """Each test has its own storage for images and reports, and plain static files."""
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.LEDGER_ANCHOR_FILE = tmp_path / "ledger-anchors.jsonl"
    settings.LEDGER_KEY_FILE = tmp_path / "ledger-key.pem"
    settings.STORAGES = {
        "default": {"BACKEND": "portal.storage.DurableFileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    # Each test client would else list the collected static files anew.
    settings.WHITENOISE_AUTOREFRESH = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def person(email: str, role: str, given_name: str, family_name: str):
    from accounts.actions import create_user

    user, _ = create_user(
        acting_user=None, email=email, role=role, given_name=given_name, family_name=family_name, password=PASSWORD
    )
    return user


@pytest.fixture
def rachel(db):
    """A radiologist."""
    return person("rachel@test.local", "radiologist", "Rachel", "Radiologist")


@pytest.fixture
def adam(db):
    """An administrator."""
    return person("adam@test.local", "administrator", "Adam", "Administrator")


@pytest.fixture
def ada(db):
    """A second administrator."""
    return person("ada@test.local", "administrator", "Ada", "Administrator-Two")


@pytest.fixture
def ivan(db):
    """IT staff."""
    return person("ivan@test.local", "it_staff", "Ivan", "Technician")


@pytest.fixture
def petra(db):
    """A patient with a log-in."""
    return person("petra@test.local", "patient", "Petra", "Patient")


@pytest.fixture
def anna(db):
    """The patient record that most tests use."""
    from accounts.actions import create_patient

    return create_patient(
        acting_user=None, mrn="MRN-001", given_name="Anna", family_name="Żółć", birth_date=date(1970, 5, 17), sex="F"
    )


@pytest.fixture
def study(anna, rachel):
    """An ultrasound study of Anna."""
    from diagnosis.actions import create_study

    return create_study(acting_user=rachel, patient=anna, modality="US", laterality="L")


@pytest.fixture(autouse=True)
def _empty_cache(request):
    """Counted refusals of one test are not another's. They lie in the database, which most tests roll back."""
    from django.core.cache import cache

    from accounts.ledger import denials

    denials.kinds.clear()
    denials.people.clear()
    if {"transactional_db", "live_server"} & set(request.fixturenames):
        request.getfixturevalue("transactional_db")
        cache.clear()


@pytest.fixture
def api():
    """``api(user)``: a client of the REST API that carries a token of the user; ``api()``: one without."""
    from rest_framework.test import APIClient

    from accounts.actions import create_token

    def signed_in(user=None):
        client = APIClient()
        if user is not None:
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {create_token(acting_user=user)[1]}")
        return client

    return signed_in


@pytest.fixture
def fetch():
    """``fetch(client, address)``: the response with its body read into ``whole`` and its file closed."""

    def get(client, address, *args, **options):
        response = client.get(address, *args, **options)
        response.whole = response.getvalue() if response.streaming else response.content
        response.close()
        return response

    return get
