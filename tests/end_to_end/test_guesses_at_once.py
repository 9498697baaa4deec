"""Guesses, and a form that is sent twice, at the same moment: no more is done than is allowed, on each database."""

from __future__ import annotations

import pytest

from tests.end_to_end.processes import run_script

pytestmark = pytest.mark.slow

AT_ONCE = """
import collections, json, threading, uuid
from datetime import date
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from accounts.actions import create_patient, create_user
from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.models import Study

call_command("migrate", verbosity=0)
settings.ACCOUNT_RATE_LIMITS["login_failed_elsewhere"] = "6/h/key"
rachel, password = create_user(acting_user=None, email="rachel@test.local", role="radiologist")
errors = []

def at_once(count, call):
    together, answers = threading.Barrier(count), []
    def run(number):
        try:
            together.wait(30)
            answers.append(call(number))
        except Exception as error:
            errors.append(repr(error))
        finally:
            connection.close()
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return answers

def api(number):
    body = {"email": "rachel@test.local", "password": f"guess {number}"}
    return Client().post("/api/v1/tokens/", body, content_type="application/json").status_code

def page(number):
    body = {"login": "rachel@test.local", "password": f"guess {number}"}
    return Client(REMOTE_ADDR=f"192.0.2.{number}").post("/account/login/", body).status_code

program, website = collections.Counter(at_once(16, api)), collections.Counter(at_once(16, page))

anna = create_patient(
    acting_user=None, mrn="ONCE", given_name="Anna", family_name="Once", birth_date=date(1970, 1, 1), sex="F"
)
made = []
for _ in range(5):
    once = uuid.uuid4()
    made.append(at_once(4, lambda number: str(
        actions.create_study(acting_user=rachel, patient=anna, modality="US", clinical_history="Lump.", once=once).pk
    )))
noted = AuditEvent.objects.filter(action="study.created").count()
print(json.dumps({
    "program": program, "website": website, "errors": errors, "noted": noted,
    "made": [[len(keys), len(set(keys))] for keys in made], "studies": Study.objects.count(),
}))
"""


def check(found: dict) -> None:
    assert found["errors"] == []
    # 401 and 200: the password was looked at. A guess that could not be counted in time is refused, never let through.
    assert set(found["program"]) == {"401", "429"}
    assert 1 <= found["program"]["401"] <= 10
    assert set(found["website"]) == {"200", "429"}
    assert 1 <= found["website"]["200"] <= 6
    assert found["made"] == [[4, 1]] * 5
    assert (found["studies"], found["noted"]) == (5, 5)


def test_on_postgresql(postgres: str, tmp_path):
    check(run_script(AT_ONCE, database=postgres, folder=tmp_path, ALLOWED_HOSTS="testserver"))


def test_on_sqlite(tmp_path):
    check(
        run_script(AT_ONCE, database=f"sqlite:///{tmp_path}/once.sqlite3", folder=tmp_path, ALLOWED_HOSTS="testserver")
    )
