"""The settings as they are in effect, for IT: an explicit list, so that a secret is never on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Setting:
    """One line: the variable that sets it (empty: nothing does), and its value in words."""

    variable: str
    meaning: str
    value: str


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    lines: list[Setting]


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(sorted(set(map(str, value)))) or "none"
    return str(value) if value not in ("", None) else "not set"


def _without_credentials(url: str) -> str:
    """An address without the name and password in it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _database() -> str:
    one = settings.DATABASES["default"]
    engine = one["ENGINE"].rpartition(".")[2]
    return f"{engine}, {one['NAME']}" + (f" on {one['HOST']}" if one.get("HOST") else "")


def _mail() -> str:
    kind = settings.EMAIL_BACKEND.rsplit(".", 2)[-2]
    if kind != "smtp":
        return f"kept as files in {settings.EMAIL_FILE_PATH}; nothing is sent" if kind == "filebased" else kind
    sealed = "TLS" if settings.EMAIL_USE_SSL else "STARTTLS" if settings.EMAIL_USE_TLS else "not encrypted"
    return f"{settings.EMAIL_HOST}, port {settings.EMAIL_PORT}, {sealed}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes"


Line = tuple[str, str, Callable[[], Any]]

GROUPS: tuple[tuple[str, tuple[Line, ...]], ...] = (
    (
        "Site",
        (
            ("", "Version", lambda: settings.VERSION),
            ("SITE_NAME", "Name", lambda: settings.SITE_NAME),
            ("PUBLIC_URL", "Address", lambda: settings.PUBLIC_URL),
            ("ALLOWED_HOSTS", "Host names that are answered", lambda: settings.ALLOWED_HOSTS),
            ("BEHIND_PROXY", "Believes one reverse proxy", lambda: settings.BEHIND_PROXY),
            ("TIME_ZONE", "Time zone", lambda: settings.TIME_ZONE),
            ("DEMO", "Demonstration", lambda: settings.DEMO),
            ("DEBUG", "Debug", lambda: settings.DEBUG),
        ),
    ),
    (
        "Storage and queue",
        (
            ("DATA_DIR", "Data directory", lambda: settings.DATA_DIR),
            ("DATABASE_URL", "Database", _database),
            ("CELERY_BROKER_URL", "Queue", lambda: _without_credentials(settings.CELERY_BROKER_URL)),
            ("WORKER_CONCURRENCY", "Jobs at a time, of one worker", lambda: settings.CELERY_WORKER_CONCURRENCY),
            ("JOB_TIME_LIMIT_SECONDS", "Longest job", lambda: f"{settings.JOB_TIME_LIMIT_SECONDS} s"),
            ("MAX_IMAGE_MB", "Largest image", lambda: f"{settings.MAX_IMAGE_BYTES // 1024 // 1024} MB"),
        ),
    ),
    (
        "Models",
        (
            ("MODEL_DIR", "Folder of the released models", lambda: settings.MODEL_DIR),
            ("MODEL_THREADS", "Threads of one reading", lambda: settings.MODEL_THREADS),
            ("READING_MODE", "Reading mode", lambda: settings.READING_MODE),
        ),
    ),
    (
        "Signing in",
        (
            ("MFA_ROLES", "Roles that need a second factor", lambda: settings.MFA_ROLES),
            ("SESSION_IDLE_MINUTES", "Signed out without use after", lambda: _minutes(settings.SESSION_IDLE_SECONDS)),
            (
                "SESSION_ABSOLUTE_HOURS",
                "Signed out in any case after",
                lambda: _minutes(settings.SESSION_ABSOLUTE_SECONDS),
            ),
            ("API_TOKEN_HOURS", "API tokens hold", lambda: f"{settings.API_TOKEN_HOURS} hours"),
            ("", "Links of invitations hold", lambda: f"{settings.PASSWORD_RESET_TIMEOUT // 3600} hours"),
            (
                "OIDC_URL",
                "Single sign-on",
                lambda: _without_credentials(settings.OIDC_URL) if settings.OIDC_URL else "",
            ),
            ("", "Cookies only over HTTPS", lambda: settings.SESSION_COOKIE_SECURE),
            (
                "",
                "HSTS",
                lambda: f"{settings.SECURE_HSTS_SECONDS // 86400} days" if settings.SECURE_HSTS_SECONDS else "",
            ),
        ),
    ),
    (
        "E-mail",
        (
            ("EMAIL_URL", "Mail server", _mail),
            ("DEFAULT_FROM_EMAIL", "Sender", lambda: settings.DEFAULT_FROM_EMAIL),
        ),
    ),
)
"""What the page shows. Keys, passwords and tokens have no line here, not even a masked one."""


def effective_settings() -> list[Group]:
    return [
        Group(title, [Setting(variable, meaning, _words(value())) for variable, meaning, value in lines])
        for title, lines in GROUPS
    ]
