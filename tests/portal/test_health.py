"""``/healthz`` and ``/readyz``: what a monitor and a load balancer see without signing in."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from diagnosis import actions, inference
from ml.registry import manifest_seal
from portal import readiness, workers

MODELS = Path(__file__).resolve().parent.parent.parent / "ml" / "artifacts"


@pytest.fixture
def ready_site(db, settings, tmp_path):
    """Everything that a site needs, in a folder of its own."""
    settings.DATA_DIR = tmp_path
    settings.QUEUE_DIR = tmp_path / "queue"
    settings.QUEUE_DIR.mkdir()
    settings.MODEL_DIR = tmp_path / "models"
    shutil.copytree(MODELS, settings.MODEL_DIR)
    actions.register_models(found=inference.installed())
    workers.show()
    return settings


def _answer(client):
    response = client.get("/readyz")
    return response.status_code, response.json()["checks"]


def test_a_living_process_says_so_to_anyone(client, db):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


def test_a_complete_site_is_ready(client, ready_site):
    assert _answer(client) == (
        200,
        {"database": "ready", "queue": "ready", "storage": "ready", "model": "ready", "worker": "ready"},
    )


def test_without_a_worker_it_is_not_ready(client, ready_site):
    workers.leave()
    status, checks = _answer(client)
    assert (status, checks["worker"]) == (503, "not ready")


def test_a_worker_that_was_not_seen_lately_does_not_count(client, ready_site):
    file = next(workers.folder().iterdir())
    long_ago = file.stat().st_mtime - workers.SEEN_SECONDS - 5
    os.utime(file, (long_ago, long_ago))
    assert _answer(client)[0] == 503


def test_without_its_queue_directory_it_is_not_ready(client, ready_site):
    ready_site.QUEUE_DIR.rmdir()
    status, checks = _answer(client)
    assert (status, checks["queue"]) == (503, "not ready")


def test_a_model_file_that_was_altered_is_noticed(client, ready_site):
    assert _answer(client)[0] == 200
    model = next(ready_site.MODEL_DIR.glob("us-mobilenetv2/*/*.tflite"))
    model.write_bytes(model.read_bytes() + b"x")
    status, checks = _answer(client)
    assert (status, checks["model"]) == (503, "not ready")


def test_a_full_disk_is_noticed(client, ready_site, monkeypatch):
    monkeypatch.setattr(readiness, "FREE_BYTES", 2**70)
    status, checks = _answer(client)
    assert (status, checks["storage"]) == (503, "not ready")


def test_a_broker_that_does_not_answer_is_noticed_within_seconds(ready_site, monkeypatch):
    ready_site.CELERY_BROKER_TRANSPORT_OPTIONS = {}

    def refuse(self, *args, **options):
        raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr("kombu.Connection.ensure_connection", refuse)
    queue = next(part for part in readiness.parts() if part.name == "queue")
    assert "kept in the database" in queue.problem
    assert "Nothing is lost" in queue.remedy


def test_the_answer_names_no_path_and_no_address(client, ready_site):
    shutil.rmtree(ready_site.MODEL_DIR)
    text = json.dumps(client.get("/readyz").json())
    assert str(ready_site.DATA_DIR) not in text
    assert "/" not in text


def test_a_model_that_was_replaced_under_its_version_is_noticed(client, ready_site):
    """Sound in itself, but not what was registered: every analysis would fail."""
    assert _answer(client)[0] == 200
    model = next(ready_site.MODEL_DIR.glob("us-mobilenetv2/*/*.tflite"))
    model.write_bytes(model.read_bytes() + b"x")
    manifest = json.loads((model.parent / "manifest.json").read_text())
    manifest["files"][model.name] = hashlib.sha256(model.read_bytes()).hexdigest()
    manifest["seal"] = manifest_seal(manifest)
    (model.parent / "manifest.json").write_text(json.dumps(manifest))
    status, checks = _answer(client)
    assert (status, checks["model"]) == (503, "not ready")
