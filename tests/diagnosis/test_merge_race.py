"""Two administrators merge and move at the same moment, each with a database connection of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RACE = """
import json, threading
from datetime import date
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from accounts.actions import create_patient, create_user
from accounts.models import Patient
from diagnosis import actions
from diagnosis.models import RecordTransfer, Study

call_command("migrate", verbosity=0)
adam, _ = create_user(acting_user=None, email="adam@test.local", role="administrator")
born = date(1970, 1, 1)
one, two, three = (
    create_patient(acting_user=None, mrn=mrn, given_name="A", family_name="B", birth_date=born) for mrn in "123"
)
studies = [actions.create_study(acting_user=None, patient=patient, modality="US") for patient in (one, two, three)]

def merge(source, target):
    return actions.merge_patients(
        acting_user=adam, source=source, target=target, take_from_source=[], reason="Same person"
    )

def at_once(*calls):
    done, refused, errors, start = [], [], [], threading.Barrier(len(calls))
    def run(call):
        start.wait()
        try:
            done.append(call().pk)
        except actions.WrongState as wrong:
            refused.append(str(wrong))
        except Exception as error:
            errors.append(repr(error))
        finally:
            connection.close()
    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return len(done), len(refused), errors

told = {"crosswise": at_once(lambda: merge(one, two), lambda: merge(two, one))}
left = Patient.objects.get(merged_into=None, mrn__in=("1", "2"))
told["twice"] = at_once(*[lambda: merge(three, left)] * 4)
newest = RecordTransfer.objects.order_by("-pk").first()
told["undone"] = at_once(*[lambda: actions.undo_transfer(acting_user=adam, transfer=newest)] * 4)
told["transfers"] = RecordTransfer.objects.count()
told["of_the_one_left"] = Study.objects.filter(patient=left).count()
told["of_three"] = Study.objects.filter(patient=three).count()
told["listed"] = Patient.objects.filter(merged_into=None).count()
print(json.dumps(told))
"""


@pytest.mark.slow
def test_of_several_at_once_one_is_done_and_the_others_are_told(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RACE],
        cwd=ROOT,
        env={**os.environ, "DEMO": "1", "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "portal.settings"},
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["crosswise"] == [1, 1, []]
    assert told["twice"] == [1, 3, []]
    assert told["undone"] == [1, 3, []]
    assert (told["transfers"], told["of_the_one_left"], told["of_three"], told["listed"]) == (2, 2, 1, 2)
