"""Twenty threads, each with a database connection of its own, fight for the same jobs on a real database file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

RACE = """
import json, threading
from datetime import date
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from accounts.actions import create_patient
from diagnosis.actions import add_image, create_study
from diagnosis.models import Analysis
from portal import jobs
from tests.fixture_images import good_png

call_command("migrate", verbosity=0)
patient = create_patient(
    acting_user=None, mrn="RACE", given_name="Anna", family_name="Race", birth_date=date(1970, 1, 1), sex="F"
)
study = create_study(acting_user=None, patient=patient, modality="US")
for seed in range(5):
    add_image(acting_user=None, study=study, upload=good_png(seed), filename="scan.png")
claims, errors = [], []
start = threading.Barrier(20)

def fight():
    start.wait()
    try:
        for pk in Analysis.objects.order_by("pk").values_list("pk", flat=True):
            claim = jobs.claim(Analysis, pk)
            if claim is not None:
                claims.append((str(pk), str(claim.token)))
    except Exception as error:
        errors.append(repr(error))
    finally:
        connection.close()

threads = [threading.Thread(target=fight) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
held = {str(pk): str(token) for pk, token in Analysis.objects.values_list("pk", "token")}
print(json.dumps({"claims": claims, "held": held, "errors": errors}))
"""


@pytest.mark.slow
def test_of_twenty_workers_at_once_one_gets_the_job(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RACE],
        cwd=ROOT,
        env={**os.environ, "DEMO": "1", "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "portal.settings"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == []
    assert len(found["claims"]) == 5
    assert dict(found["claims"]) == found["held"], "and the row names the one that got it"
