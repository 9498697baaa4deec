"""The figures of administrators on the database of production: the same questions, the same numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.end_to_end.processes import ROOT

pytestmark = pytest.mark.slow

SCRIPT = """
import json
import django
django.setup()
from django.conf import settings
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
from django.core.management import call_command
from django.test import Client
from accounts.actions import create_user
from diagnosis import dashboard, discordance, drift_months, outcomes
from diagnosis.dashboard import Span
from diagnosis.filters import AnalysisFilter
from diagnosis.models import Analysis, Image, ModelVersion
from portal.bench import dashboard as bench
from portal.bench.history_data import fill

call_command("migrate", verbosity=0)
create_user(acting_user=None, email="bench-radiologist@test.local", role="radiologist")
adam, _ = create_user(acting_user=None, email="adam@test.local", role="administrator")
model = ModelVersion.objects.create(
    name=bench.MODEL[0], version=bench.MODEL[1], modality="US", status="released", sha256="0" * 64, active=True
)
bench.EVERY = 2
fill(600)
bench._reviewed()
Image.objects.update(device="GE LOGIQ E9")
failed = [{"name": "blur", "value": 1.0, "passed": False, "limit": ">= 20", "message": "Too blurred."}]
passed = [{"name": "doppler", "value": 1.0, "passed": True, "limit": "<= 2", "message": ""}]
Analysis.objects.filter(state="rejected").update(quality=passed + failed)

client = Client(SERVER_NAME="localhost")
client.force_login(adam, backend="django.contrib.auth.backends.ModelBackend")
pages = [f"/dashboard/?days={days}" for days in dashboard.RANGES]
pages += ["/models/us-bench/1.0.0/here/", "/models/", "/studies/?from=2020-01-01", "/history/?released=2020-01-01"]
statuses = {page: client.get(page).status_code for page in pages}
every = Analysis.objects.all()
listed = {check: AnalysisFilter({"reason": check}, queryset=every).qs.count() for check in ("blur", "doppler")}
results, _ = dashboard.by_result(adam, Span(days=365))
(scanner,) = discordance.by_scanner(model)
(drift,) = drift_months.by_scanner(model)
print(json.dumps({
    "statuses": statuses,
    "listed": listed,
    "refused": Analysis.objects.filter(state="rejected").count(),
    "by_day": sum(point.value for point in dashboard.by_day(adam, Span(days=365))),
    "by_result": sum(bar.value for bar in results),
    "discordance": [scanner.name, scanner.total.share.n],
    "scored": drift.total.scored,
    "outcomes": outcomes.of_model(model).n,
}))
"""


def test_every_page_answers_and_every_number_adds_up(postgres: str, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={
            **os.environ,
            "DEMO": "1",
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": postgres,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["statuses"].values()) == {200}, found["statuses"]
    assert found["listed"] == {"blur": found["refused"], "doppler": 0}
    assert found["by_day"] == found["by_result"] == 600
    assert found["discordance"][0] == "GE LOGIQ E9"
    assert found["discordance"][1] > 100
    assert found["scored"] > 400
    assert found["outcomes"] > 10
