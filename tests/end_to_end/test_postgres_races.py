"""What SQLite's single writer hides: two transactions of PostgreSQL that cannot see each other's rows yet."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.end_to_end.processes import ROOT

pytestmark = pytest.mark.slow

RACES = """
import json, threading
from datetime import date, timedelta
import django
django.setup()
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from accounts.actions import create_patient, create_user, enqueue_mail, look_for_trouble, postpone_mail
from accounts.models import OutgoingMail
from diagnosis import actions
from diagnosis.actions.steps import settle
from diagnosis.models import Analysis, Report, Study
from portal import jobs
from portal.jobs import State
from tests.fixture_images import good_png

call_command("migrate", verbosity=0)
rachel, _ = create_user(acting_user=None, email="rachel@test.local", role="radiologist")
patient = create_patient(
    acting_user=None, mrn="RACE", given_name="Anna", family_name="Race", birth_date=date(1970, 1, 1), sex="F"
)
study = actions.create_study(acting_user=None, patient=patient, modality="US")
for seed in range(2):
    actions.add_image(acting_user=None, study=study, upload=good_png(seed), filename="scan.png")
together, errors = threading.Barrier(2), []

def at_once(*calls):
    def run(call):
        try:
            call()
        except Exception as error:
            errors.append(repr(error))
        finally:
            connection.close()
    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

def end(pk):
    with transaction.atomic():
        jobs.claim(Analysis, pk).finish(state=State.REJECTED)
        together.wait(20)
        settle(study.pk)

at_once(*(lambda pk=pk: end(pk) for pk in Analysis.objects.values_list("pk", flat=True)))
settled = Study.objects.get(pk=study.pk).state

scored = Analysis.objects.first()
Analysis.objects.filter(pk=scored.pk).update(state="succeeded", label="benign", suspicion=1, confidence=0.9)

def reissue():
    together.wait(20)
    try:
        actions.reissue_report(acting_user=rachel, analysis=Analysis.objects.get(pk=scored.pk))
    except actions.WrongState:
        refused.append(1)

refused = []
for _ in range(5):
    Report.objects.all().delete()
    at_once(reissue, reissue)

ivan, _ = create_user(acting_user=None, email="ivan@test.local", role="it_staff")
late = enqueue_mail(kind="account", recipient="rachel@test.local", subject="Late", body="Late.")
OutgoingMail.objects.filter(pk=late.pk).update(queued_at=timezone.now() - timedelta(hours=1))

def look():
    together.wait(20)
    look_for_trouble()

for _ in range(3):
    at_once(look, look)
told = ivan.notifications.filter(kind="queue_trouble").count()
claim = jobs.claim(OutgoingMail, late.pk)
postpone_mail(claim=claim, code="server_busy", message="Not now.", detail="451")
late.refresh_from_db()
postponed = [late.state, late.attempts, jobs.claim(OutgoingMail, late.pk) is None]
counted = {"refused": len(refused), "reports": Report.objects.count(), "told": told}
print(json.dumps({"settled": settled, "errors": errors, "postponed": postponed, **counted}))
"""


def test_what_ends_or_is_asked_for_at_the_same_moment_is_done_once(postgres: str, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RACES],
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
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "settled": "analysed",
        "errors": [],
        "refused": 5,
        "reports": 1,
        "told": 1,
        "postponed": ["queued", 0, True],
    }
