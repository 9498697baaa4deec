"""The small hospital of ``access_world``, for the tests of who may do what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction
from django.test import override_settings

from tests.portal.access_world import World, build

FAST = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="module")
def hospital(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[World]:
    """Built once a module, in a transaction that is rolled back at its end."""
    folder = tmp_path_factory.mktemp("files")
    with django_db_blocker.unblock(), override_settings(MEDIA_ROOT=folder, PASSWORD_HASHERS=FAST):
        with transaction.atomic():
            world = build()
            world.folder = folder
            yield world
            transaction.set_rollback(True)


@pytest.fixture
def world(hospital, db, settings) -> World:
    """The same for each test: what it changes is rolled back."""
    settings.MEDIA_ROOT = hospital.folder
    return hospital
