"""System checks (``manage.py check``, and before every command that runs the site): what a site needs to be safe."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.http.request import validate_host


def data_directory(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``senolens.E001``: nothing can be stored."""
    if os.access(settings.DATA_DIR, os.W_OK | os.X_OK):
        return []
    return [
        Error(
            f"The data directory {settings.DATA_DIR} cannot be written.",
            hint="Set DATA_DIR to a folder that belongs to the account which runs the site.",
            id="senolens.E001",
        )
    ]


def private_data(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``senolens.W003``: every account of the host can read the database."""
    if not settings.DATA_DIR.is_dir() or not settings.DATA_DIR.stat().st_mode & stat.S_IRWXO:
        return []
    return [
        Warning(
            f"Every account of this host can look into {settings.DATA_DIR}, which holds patients' data.",
            hint=f"Run: chmod o-rwx {settings.DATA_DIR}",
            id="senolens.W003",
        )
    ]


def public_address(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``senolens.E002``: links in e-mails and on reports would lead to an address that is refused."""
    name = urlsplit(settings.PUBLIC_URL).hostname or ""
    if name and validate_host(name, settings.ALLOWED_HOSTS):
        return []
    return [
        Error(
            f"PUBLIC_URL names the host {name!r}, which is not one of ALLOWED_HOSTS.",
            hint="Add it to ALLOWED_HOSTS, or correct PUBLIC_URL (https://senolens.example.org).",
            id="senolens.E002",
        )
    ]


def installed_model(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``senolens.W001``: every analysis would fail."""
    if any(settings.MODEL_DIR.glob("*/*/manifest.json")):
        return []
    return [
        Warning(
            f"There is no model in {settings.MODEL_DIR}.",
            hint="Put the released artefacts there, or correct MODEL_DIR.",
            id="senolens.W001",
        )
    ]


def browser_libraries(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``senolens.W002``: pages would come without style and scripts."""
    if (settings.STATIC_ROOT / "staticfiles.json").exists() or settings.NODE_MODULES.is_dir() or settings.DEBUG:
        return []
    return [
        Warning(
            "The browser libraries are not installed.",
            hint="Run: make setup (npm ci and manage.py collectstatic).",
            id="senolens.W002",
        )
    ]


def a_real_site(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """``senolens.E003``, ``senolens.E004``: a demonstration on the open network; patients' data in the clear.
    ``senolens.I001``: a key beside what it protects.
    """
    found: list[CheckMessage] = []
    if settings.DEMO:
        found.append(
            Error(
                "This is the demonstration hospital: its passwords are public.",
                hint="Set DEMO=0, a SECRET_KEY and a fresh DATA_DIR for a real site.",
                id="senolens.E003",
            )
        )
    if not settings.HTTPS:
        found.append(
            Error(
                f"PUBLIC_URL is {settings.PUBLIC_URL}: passwords and images would cross the network in the clear.",
                hint="Put a proxy with a certificate before the site and set PUBLIC_URL=https://...",
                id="senolens.E004",
            )
        )
    if not settings.FIELD_KEYS_GIVEN and not settings.DEMO:
        found.append(
            Info(
                f"The key of contact data lies in {settings.DATA_DIR / 'field_keys'}, beside the database.",
                hint="Move it out of the data directory and its backups, and name it by FIELD_KEYS_FILE.",
                id="senolens.I001",
            )
        )
    return found


def register_all() -> None:
    """Have Django run these checks."""
    register(data_directory, Tags.files)
    register(private_data, Tags.files)
    register(public_address, Tags.urls)
    register(installed_model, Tags.files)
    register(browser_libraries, Tags.staticfiles)
    register(a_real_site, Tags.security, deploy=True)
