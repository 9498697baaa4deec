"""Two administrators take each other's rights at the same moment: only one succeeds, on each database."""

from __future__ import annotations

import pytest

from tests.end_to_end.processes import run_script

pytestmark = pytest.mark.slow

RACES = """
import json, threading
import django
django.setup()
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import call_command
from django.db import connection
from accounts.actions import create_user, update_user
from accounts.models import User

call_command("migrate", verbosity=0)
adam, eve = (
    create_user(acting_user=None, email=f"{name}@test.local", role="administrator")[0] for name in ("adam", "eve")
)
ivan = create_user(acting_user=None, email="ivan@test.local", role="it_staff")[0]
errors, rounds = [], []

def at_once(*calls):
    together, refused = threading.Barrier(len(calls)), []
    def run(call):
        try:
            together.wait(20)
            call()
        except (PermissionDenied, PermissionError, ValidationError) as rule:
            refused.append(type(rule).__name__)
        except Exception as error:
            errors.append(repr(error))
        finally:
            connection.close()
    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    left = User.objects.filter(role="administrator", is_active=True).count()
    rounds.append([len(refused), left])

for _ in range(5):
    User.objects.filter(pk__in=(adam.pk, eve.pk)).update(role="administrator", is_active=True)
    # As two requests find them: read before either is changed.
    people = {pk: User.objects.get(pk=pk) for pk in (adam.pk, eve.pk, ivan.pk)}
    at_once(
        lambda: update_user(acting_user=people[adam.pk], user=people[eve.pk], role="radiologist"),
        lambda: update_user(acting_user=people[eve.pk], user=people[adam.pk], role="radiologist"),
    )
for _ in range(5):
    User.objects.filter(pk__in=(adam.pk, eve.pk)).update(role="administrator", is_active=True)
    people = {pk: User.objects.get(pk=pk) for pk in (adam.pk, eve.pk, ivan.pk)}
    at_once(
        lambda: update_user(acting_user=people[ivan.pk], user=people[eve.pk], is_active=False),
        lambda: update_user(acting_user=people[ivan.pk], user=people[adam.pk], is_active=False),
    )
print(json.dumps({"errors": errors, "rounds": rounds}))
"""


EXPECTED = {"errors": [], "rounds": [[1, 1]] * 10}


def test_on_postgresql_one_of_them_stays(postgres: str, tmp_path):
    assert run_script(RACES, database=postgres, folder=tmp_path) == EXPECTED


def test_on_sqlite_one_of_them_stays(tmp_path):
    assert run_script(RACES, database=f"sqlite:///{tmp_path}/race.sqlite3", folder=tmp_path) == EXPECTED
