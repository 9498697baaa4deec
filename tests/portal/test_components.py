"""Every component is pinned, keys are kept with functions of the day, and lines of the log cannot be forged."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import re
from pathlib import Path

import pytest
from django.conf import global_settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from portal import settings as site
from portal.logs import LOGGING

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]+\])?==([^\s;]+)", re.MULTILINE)


def _pinned(name: str) -> dict[str, str]:
    found = PINNED.findall((ROOT / name).read_text(encoding="utf-8"))
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in found}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_each_package_is_pinned_here_and_in_the_inventory(name):
    wanted = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if re.match(r"[A-Za-z0-9]", line)]
    pinned, inventory = _pinned(name), _pinned("constraints.txt")

    assert len(pinned) == len(wanted)
    assert {package: inventory.get(package) for package in pinned} == pinned


def test_the_inventory_pins_everything_to_one_version():
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line.strip()]

    assert [line for line in lines if not line.startswith("#") and not PINNED.match(line)] == []


def test_each_package_of_the_browser_has_its_digest():
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: row for name, row in lock["packages"].items() if name}

    assert packages
    assert [name for name, row in packages.items() if not row.get("integrity", "").startswith("sha512-")] == []


def test_passwords_are_kept_with_a_slow_function():
    # The tests themselves use a fast one; the site's settings name none, so Django's first one counts.
    assert not hasattr(site, "PASSWORD_HASHERS")
    assert global_settings.PASSWORD_HASHERS[0] == "django.contrib.auth.hashers.PBKDF2PasswordHasher"
    assert PBKDF2PasswordHasher.iterations >= 600_000
    assert PBKDF2PasswordHasher.algorithm == "pbkdf2_sha256"


@pytest.fixture
def log():
    """A logger with the handler and the form of a real site, and what it wrote."""
    written = io.StringIO()
    formatter = logging.config.DictConfigurator(LOGGING).configure_formatter(dict(LOGGING["formatters"]["json"]))
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    logger = logging.getLogger("tests.forged")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_line_of_the_log_is_one_event_in_utc_whatever_it_quotes(log):
    logger, written = log

    logger.warning('x\r\n{"event": "user.signed_in", "actor": 1}\u2028\x1b[31m')

    (line,) = written.getvalue().splitlines()
    event = json.loads(line)
    assert event["event"].startswith("x\r\n")
    assert "actor" not in event
    assert event["level"] == "warning"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", event["timestamp"])
    assert "\x1b" not in line


def test_the_log_goes_to_standard_error_alone():
    assert {name: handler["class"] for name, handler in LOGGING["handlers"].items()} == {"out": "logging.StreamHandler"}
    assert LOGGING["root"]["handlers"] == ["out"]
