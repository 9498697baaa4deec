"""Which model is active after the artefacts were looked at."""

from __future__ import annotations

import pytest

from accounts.models import AuditEvent
from diagnosis.actions import register_models
from diagnosis.models import ModelVersion

pytestmark = pytest.mark.django_db


def artefact(version: str, *, digest: str = "a", status: str = "released") -> ModelVersion:
    return ModelVersion(name="us-test", version=version, modality="US", status=status, sha256=digest * 64)


def active() -> list[str]:
    return list(ModelVersion.objects.filter(active=True).values_list("version", flat=True))


def test_the_first_released_model_becomes_active():
    register_models(found=[artefact("1.0.0")])
    assert active() == ["1.0.0"]


def test_a_newer_version_beside_it_waits_to_be_chosen():
    register_models(found=[artefact("1.0.0")])
    register_models(found=[artefact("1.1.0", digest="b"), artefact("1.0.0")])
    assert active() == ["1.0.0"]


def test_a_newer_version_takes_over_when_the_older_was_removed():
    register_models(found=[artefact("1.0.0")])
    register_models(found=[artefact("1.1.0", digest="b")])
    assert active() == ["1.1.0"]
    assert AuditEvent.objects.filter(action="model.retired").count() == 1


def test_a_model_whose_folder_is_gone_stays_active_so_that_analyses_fail_clearly():
    register_models(found=[artefact("1.0.0")])
    register_models(found=[])
    assert active() == ["1.0.0"]


def test_research_does_not_take_over():
    register_models(found=[artefact("1.0.0")])
    register_models(found=[artefact("1.1.0", digest="b", status="research")])
    assert active() == ["1.0.0"]


def test_what_was_registered_under_a_version_stays():
    register_models(found=[artefact("1.0.0")])
    register_models(found=[artefact("1.0.0", digest="b")])
    assert ModelVersion.objects.get().sha256 == "a" * 64


def test_looking_again_writes_nothing():
    register_models(found=[artefact("1.0.0")])
    before = AuditEvent.objects.count()
    register_models(found=[artefact("1.0.0")])
    assert AuditEvent.objects.count() == before
