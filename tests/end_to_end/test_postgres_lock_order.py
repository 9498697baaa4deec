"""Two verbs on the same rows at the same moment: on PostgreSQL, where one waits for what the other holds, both end.

The first one is stopped with the ledger in its hands, until the second has taken what it takes before it writes to the
ledger. A verb that takes a row after its first ledger row then waits for the second, and the second for it.
"""

from __future__ import annotations

import pytest

from tests.end_to_end.processes import run_script

pytestmark = pytest.mark.slow

PAIRS = """
import json, threading, time
from datetime import date
import django
django.setup()
from django.core.management import call_command
from django.db import connection, transaction
from accounts import audit
from accounts import actions as people
from accounts.models import Patient, User
from diagnosis import actions
from diagnosis.models import Analysis, Report, Study
from tests.fixture_results import concluded, filed, succeeded, _claimed, outcome
from tests.fixture_images import good_png

call_command("migrate", verbosity=0)
def person(email, role):
    return people.create_user(acting_user=None, email=email, role=role, given_name="A", family_name="B")[0]
def patient(mrn):
    return people.create_patient(
        acting_user=None, mrn=mrn, given_name="Anna", family_name="Order", birth_date=date(1970, 1, 1), sex="F"
    )
adam, rachel = person("adam@test.local", "administrator"), person("rachel@test.local", "radiologist")
robert = person("robert@test.local", "radiologist")

append, first = audit._append, threading.local()
def pausing(*args, **options):
    event = append(*args, **options)
    if getattr(first, "reached", None) is not None:
        reached, first.reached = first.reached, None
        reached.set()
        time.sleep(1.5)  # the second takes its rows, and then waits for the ledger
    return event
audit._append = pausing

ends = {}
def pair(name, one, other):
    reached, found = threading.Event(), []
    def run(call, is_first):
        try:
            if is_first:
                first.reached = reached
            else:
                reached.wait(20)
            with transaction.atomic():
                call()
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}".splitlines()[0])
        finally:
            first.reached = None
            reached.set()
            connection.close()
    threads = [threading.Thread(target=run, args=(one, True)), threading.Thread(target=run, args=(other, False))]
    for thread in threads: thread.start()
    for thread in threads: thread.join(30)
    ends[name] = found or "both"

# A log-in is made for a record that somebody corrects
anna = patient("A-1")
def make_log_in():
    people.hold_patients_of_login(user=None, patient=anna)
    user, _ = people.create_user(acting_user=adam, email="petra@test.local", role="patient")
    people.set_patient_of_login(acting_user=adam, user=user, patient=anna)
pair("log-in for a record", make_log_in,
     lambda: people.update_patient(acting_user=rachel, patient=anna, history="Corrected."))

# The members of a team are set while one of them is changed
north = people.create_team(acting_user=adam, name="North")
pair("members of a team", lambda: people.set_team_members(acting_user=adam, team=north, members=[rachel, robert]),
     lambda: people.update_user(acting_user=adam, user=User.objects.get(pk=robert.pk), given_name="Robert"))

# A study is moved to a new record while a radiologist concludes on its image
def study_of(mrn):
    return actions.create_study(acting_user=None, patient=patient(mrn), modality="US")
study = study_of("B-1")
read = succeeded(study=study, by=rachel)
new = {"mrn": "B-2", "given_name": "New", "family_name": "Person", "birth_date": date(1980, 1, 1), "sex": "F"}
pair("split to a new record",
     lambda: actions.split_patient(acting_user=adam, source=study.patient, studies=[study], new_record=new, reason="x"),
     lambda: actions.conclude(acting_user=rachel, analysis=read, label="benign", birads="2", conclusion="A cyst."))

# A record gets another number while a study is made on it: the database checks the reference at the commit
carla = patient("C-1")
def renumber():
    people.update_patient(acting_user=rachel, patient=carla, mrn="C-2")
pair("reference to a renumbered record",
     lambda: actions.create_study(acting_user=None, patient=carla, modality="US"), renumber)

# Somebody joins while a worker ends the analysis of their image
dora = study_of("D-1")
waiting = filed(study=dora, by=rachel)
claim = _claimed(waiting)
invitation, code = people.invite_patient(acting_user=adam, patient=dora.patient)
pair("joining while an analysis ends",
     lambda: people.join(invitation=invitation, email="dora@test.local", password="correct horse battery staple"),
     lambda: actions.record_outcome(claim=claim, outcome=outcome(), explanation=good_png(3)))
print(json.dumps(ends))
"""

ROWS = """
import json, threading, time
from datetime import date
import django
django.setup()
from django.core.management import call_command
from django.db import connection, transaction
from accounts import actions as people
from diagnosis import actions
from diagnosis.models import Analysis, Report, Study
from portal import jobs
from tests.fixture_images import good_png
from tests.fixture_results import _claimed, concluded, filed, outcome, succeeded, with_report

call_command("migrate", verbosity=0)
adam, rachel = (
    people.create_user(acting_user=None, email=f"{role}@test.local", role=role)[0]
    for role in ("administrator", "radiologist")
)
anna = people.create_patient(
    acting_user=None, mrn="R-1", given_name="Anna", family_name="Rows", birth_date=date(1970, 1, 1), sex="F"
)
team = people.create_team(acting_user=adam, name="South")
ends = {"assigned": [], "reissued": []}

def at_once(*calls):
    together, found = threading.Barrier(len(calls)), []
    def run(call):
        try:
            together.wait(20)
            call()
        except actions.WrongState:
            pass
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}".splitlines()[0])
        finally:
            connection.close()
    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads: thread.start()
    for thread in threads: thread.join(60)
    return found

# The last analyses of a study end while it is given to another team and back
for turn in range(8):
    study = actions.create_study(acting_user=None, patient=anna, modality="US")
    claims = [_claimed(filed(study=study, by=rachel, seed=10 * turn + number)) for number in range(3)]
    def end(claim):
        return lambda: actions.fail_analysis(claim=claim, code="x", message="m", detail="d")
    ends["assigned"] += at_once(
        *(end(claim) for claim in claims),
        lambda: actions.assign_study(acting_user=adam, study=study, team=team),
        lambda: actions.assign_study(acting_user=adam, study=study, team=None),
    )

# A version is stored while somebody concludes anew
for turn in range(8):
    study = actions.create_study(acting_user=None, patient=anna, modality="US")
    analysis = succeeded(study=study, by=rachel, seed=500 + turn)
    with_report(analysis)
    concluded(analysis, by=rachel)
    again = actions.reissue_report(acting_user=rachel, analysis=analysis)
    claim = jobs.claim(Report, again.pk)
    ends["reissued"] += at_once(
        lambda: actions.record_report(claim=claim, pdf=b"%PDF", sha256="0" * 64, page_count=1),
        lambda: actions.conclude(acting_user=rachel, analysis=analysis, label="benign", birads="2", conclusion="Two."),
    )
print(json.dumps(ends))
"""


def test_whoever_holds_the_ledger_waits_for_nobody(postgres: str, tmp_path):
    assert run_script(PAIRS, database=postgres, folder=tmp_path) == {
        "log-in for a record": "both",
        "members of a team": "both",
        "split to a new record": "both",
        "reference to a renumbered record": "both",
        "joining while an analysis ends": "both",
    }


def test_rows_are_held_in_one_order(postgres: str, tmp_path):
    assert run_script(ROWS, database=postgres, folder=tmp_path) == {"assigned": [], "reissued": []}
