"""What must not be guessed is random, long enough, and never the same twice."""

from __future__ import annotations

import math

import pytest
from django.contrib.sessions.backends import base
from django.contrib.sessions.backends.db import SessionStore

from accounts import invitation_code
from accounts.actions import create_user
from accounts.tokens import new_token
from diagnosis.models.report import Report

MANY = 200


def _bits(values: list[str], alphabet: int) -> float:
    assert len(set(values)) == MANY
    return min(len(value) for value in values) * math.log2(alphabet)


def test_an_api_token_has_256_bits():
    assert _bits([new_token() for _ in range(MANY)], 64) >= 256


@pytest.mark.django_db
def test_a_session_has_165_bits_and_a_new_one_never_takes_an_old_key():
    assert len(base.VALID_KEY_CHARS) == 36
    keys = [SessionStore()._get_new_session_key() for _ in range(MANY)]
    assert _bits(keys, 36) >= 165


def test_the_code_that_checks_a_report_has_128_bits():
    make = Report._meta.get_field("verification_code").default
    assert _bits([make() for _ in range(MANY)], 64) >= 128


@pytest.mark.django_db
def test_a_one_time_password_has_128_bits():
    made = [
        create_user(acting_user=None, email=f"new{number}@test.local", role="radiologist")[1] for number in range(MANY)
    ]
    assert _bits(made, 64) >= 128


def test_the_code_of_an_invitation_has_75_bits():
    assert invitation_code.LENGTH * math.log2(len(set(invitation_code.ALPHABET))) == 75
