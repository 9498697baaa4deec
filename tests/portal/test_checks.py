"""The settings of a site are checked before it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portal import checks

ROOT = Path(__file__).resolve().parent.parent.parent


def _ids(messages) -> list[str]:
    return [message.id for message in messages]


def test_a_complete_site_passes(settings):
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://breast.example", ["breast.example"]
    assert checks.data_directory(None) == []
    assert checks.public_address(None) == []
    assert checks.installed_model(None) == []


def test_a_public_address_that_would_be_refused_is_an_error(settings):
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://breast.example", ["other.example"]
    assert _ids(checks.public_address(None)) == ["senolens.E002"]


def test_a_folder_without_a_model_is_a_warning_with_a_remedy(settings, tmp_path):
    settings.MODEL_DIR = tmp_path
    found = checks.installed_model(None)
    assert _ids(found) == ["senolens.W001"]
    assert "MODEL_DIR" in found[0].hint


def test_a_data_directory_that_is_missing_is_an_error(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "unmounted"
    assert _ids(checks.data_directory(None)) == ["senolens.E001"]


def test_the_demonstration_is_not_a_real_site(settings):
    settings.DEMO, settings.HTTPS = True, False
    assert _ids(checks.a_real_site(None)) == ["senolens.E003", "senolens.E004"]


def _manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("DEMO", "SECRET_KEY", "PUBLIC_URL")}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_a_secret_key_a_real_site_does_not_start(tmp_path):
    refused = _manage("check", DATA_DIR=str(tmp_path))
    assert refused.returncode != 0
    assert "SECRET_KEY is not set" in refused.stderr
    assert "DEMO=1" in refused.stderr


@pytest.mark.parametrize("broker", ["filesystem://localhost", "redis://127.0.0.1:6379/0"])
def test_the_settings_of_a_real_site_pass_the_deployment_check_without_a_warning(tmp_path, broker):
    passed = _manage(
        *("check", "--deploy", "--fail-level", "WARNING"),
        DATA_DIR=str(tmp_path),
        SECRET_KEY="vN3kq0Zr8yTfXw2LbPc6uJdHs4gAeMi9RoK7tBnCxVqYl1Wz5E",
        FIELD_KEYS="tYzb3Pq0kqO6mJX0dXyI7m0sQ0Jm3G1o5V9h8r2WnBk=",
        PUBLIC_URL="https://senolens.hospital.example",
        ALLOWED_HOSTS="senolens.hospital.example",
        CELERY_BROKER_URL=broker,
    )
    assert passed.returncode == 0, passed.stderr


def test_a_key_beside_the_database_is_pointed_out(settings):
    settings.DEMO, settings.HTTPS = False, True
    settings.FIELD_KEYS_GIVEN = False
    assert _ids(checks.a_real_site(None)) == ["senolens.I001"]
    settings.FIELD_KEYS_GIVEN = True
    assert checks.a_real_site(None) == []


def test_a_data_directory_that_every_account_can_look_into_is_a_warning(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    tmp_path.chmod(0o750)
    assert checks.private_data(None) == []
    tmp_path.chmod(0o755)
    found = checks.private_data(None)
    assert _ids(found) == ["senolens.W003"]
    assert f"chmod o-rwx {tmp_path}" in found[0].hint
