"""A candidate in the shadow of a running site: real images, the real worker, killed in the middle of a reading."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ml.registry import manifest_seal
from tests.end_to_end.processes import ROOT, Site, wait_until

pytestmark = pytest.mark.slow

SHIPPED = ROOT / "ml" / "artifacts" / "us-mobilenetv2"
NEWEST = "99.0.0"
"""Version of the copy; the newest one is in use after the start, the shipped one is the candidate."""
A_MOMENT = timedelta(seconds=0.5)
"""Between a worker's look whether other work waits and the start of a reading."""

SET_THE_SHADOW = """
from accounts.models import User
from diagnosis import actions
from diagnosis.models import ModelVersion
adam = User.objects.create(email="adam@test.local", role="administrator")
model = ModelVersion.objects.get(modality="US", active=False)
actions.set_shadow(acting_user=adam, model=model, reason="Compare the two")
"""


def _copy(source: Path, folder: Path, version: str) -> None:
    """An artefact under another version."""
    shutil.copytree(source, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["version"] = version
    manifest["seal"] = manifest_seal(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    """A running site with a model in use and the same network as its candidate."""
    folder = tmp_path_factory.mktemp("shadow")
    (shipped,) = SHIPPED.iterdir()
    models = folder / "models" / SHIPPED.name
    _copy(shipped, models / NEWEST, NEWEST)
    shutil.copytree(shipped, models / shipped.name)
    running = Site(folder, MODEL_DIR=str(folder / "models"))
    running.prepare()
    try:
        running.start()
        done = running.manage("shell", "--no-imports", "--command", SET_THE_SHADOW)
        assert done.returncode == 0, done.stderr
        running.sign_in()
        yield running
    finally:
        running.end()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _readings(site: Site, state: str) -> int:
    return int(site.rows("SELECT COUNT(*) FROM diagnosis_shadowreading WHERE state = ?", [state])[0][0])


def _all_read(site: Site) -> bool:
    return not _readings(site, "queued") and not _readings(site, "running")


def test_every_image_is_read_along_and_no_analysis_waits_for_it(site: Site):
    accepted = site.upload(4)
    site.wait_done(accepted)
    accepted += site.upload(4)
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)
    wait_until(lambda: _all_read(site), what="the readings in the shadow")
    assert _readings(site, "succeeded") == len(accepted)
    analyses = [
        (_moment(asked), _moment(begun))
        for asked, begun in site.rows("SELECT queued_at, started_at FROM diagnosis_analysis")
    ]
    for (begun,) in site.rows("SELECT started_at FROM diagnosis_shadowreading"):
        overtaken = [asked for asked, taken in analyses if asked < _moment(begun) - A_MOMENT and taken > _moment(begun)]
        assert overtaken == [], "a reading began while an analysis waited"


def test_the_same_network_says_the_same_and_nothing_of_it_is_in_the_result(site: Site):
    pairs = site.rows(
        "SELECT s.label, s.suspicion, a.label, a.suspicion, a.model_version FROM diagnosis_shadowreading s "
        "JOIN diagnosis_analysis a ON a.id = s.analysis_id WHERE s.state = 'succeeded'"
    )
    assert pairs
    assert all(pair[:2] == pair[2:4] and pair[4] == NEWEST for pair in pairs)


def test_a_worker_killed_in_the_middle_of_a_reading_changes_no_result(site: Site):
    child = site.worker_child()
    accepted = site.upload(3)
    site.wait_done(accepted)
    columns = (
        "SELECT id, state, label, suspicion, confidence, finished_at, attempts FROM diagnosis_analysis ORDER BY id"
    )
    before = site.rows(columns)
    wait_until(lambda: _readings(site, "running") or _all_read(site), what="a reading", every=0.01)
    site.kill(child)
    wait_until(lambda: _all_read(site), what="the readings after the kill")
    assert site.rows(columns) == before
    assert _readings(site, "failed") == 0
    site.assert_each_done_once(accepted)


def test_a_candidate_whose_files_are_gone_fails_alone(site: Site):
    (shipped,) = SHIPPED.iterdir()
    folder = Path(site.environment["MODEL_DIR"]) / SHIPPED.name / shipped.name
    shutil.rmtree(folder)
    accepted = site.upload(2)
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)
    wait_until(lambda: _all_read(site), what="the readings without a candidate")
    codes = site.rows("SELECT DISTINCT error_code FROM diagnosis_shadowreading WHERE state = 'failed'")
    assert codes == [("model_missing",)]
    assert _readings(site, "failed") == len(accepted)
