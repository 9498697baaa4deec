"""``/api/v1/models/``."""

from __future__ import annotations

import pytest

from diagnosis import inference
from diagnosis.actions import register_models
from diagnosis.models import ModelVersion
from ml.contract import ModelError


@pytest.fixture
def model(db):
    candidate = ModelVersion(name="us-test", version="1.0.0", modality="US", status="released", sha256="ab" * 32)
    return register_models(found=[candidate])[0]


@pytest.fixture
def card(tmp_path, monkeypatch):
    path = tmp_path / "MODEL_CARD.md"
    path.write_text("# us-test\n\nIntended use: żółć <script>", encoding="utf-8")
    monkeypatch.setattr(inference, "card_path", lambda name, version: path)
    return path


def test_models_are_listed_with_their_digest_and_card(api, ivan, model, card):
    client = api(ivan)
    (row,) = client.get("/api/v1/models/").json()["results"]
    assert row.items() >= {"name": "us-test", "version": "1.0.0", "status": "released", "active": True}.items()
    assert row["sha256"] == "ab" * 32
    answer = client.get(row["card_url"])
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer.content.decode() == card.read_text(encoding="utf-8")


def test_a_model_that_is_not_registered_is_404(api, rachel, model, card):
    for path in ("us-test/9.9.9", "other/1.0.0", "..%2f..%2fetc/passwd"):
        assert api(rachel).get(f"/api/v1/models/{path}/card/").status_code == 404


def test_a_card_that_is_not_installed_any_more_is_404_with_a_reason(api, rachel, model, monkeypatch):
    def missing(name, version):
        raise ModelError("model_missing", "gone")

    monkeypatch.setattr(inference, "card_path", missing)
    answer = api(rachel).get("/api/v1/models/us-test/1.0.0/card/")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_card")


def test_a_patient_sees_no_models(api, petra, model):
    client = api()
    client.force_login(petra)
    assert client.get("/api/v1/models/").status_code == 403


def test_a_research_model_is_never_made_active_by_itself(db):
    found = ModelVersion(name="mg-trial", version="0.1.0", modality="MG", status="research", sha256="0" * 64)
    assert [row.active for row in register_models(found=[found])] == [False]
