"""The model in use is changed by two persons: one proposes with a reason, another administrator confirms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts.actions import create_user, reset_mfa, update_user
from accounts.models import AuditEvent, Notification
from diagnosis import actions, inference
from diagnosis.actions import WrongState, confirm_change, proposals, propose_change, register_models, withdraw_change
from diagnosis.models import ModelProposal, ModelVersion
from diagnosis.proposals import rolls_back_to
from ml.contract import ModelIdentity
from tests.fixture_models import registered, switched
from tests.fixture_results import MODEL, RESEARCH

ROOT = Path(__file__).resolve().parents[2]
NEWER = ModelIdentity(name="us-test", version="2.0.0", sha256="ef" * 32, modality="US")
REASON = "Better on dense breasts, see the card"


@pytest.fixture
def sound(monkeypatch):
    """Every artefact is what was registered; ``sound.add(sentence)`` has one of them altered."""
    altered: list[str] = []
    monkeypatch.setattr(inference, "altered_files", lambda name, version, *, sha256: list(altered))
    return altered


@pytest.fixture
def now(db, sound) -> ModelVersion:
    """The ultrasound model in use."""
    return registered(MODEL, active=True)


@pytest.fixture
def newer(now) -> ModelVersion:
    """Another released version for ultrasound."""
    return registered(NEWER)


@pytest.fixture
def trial(db, sound) -> ModelVersion:
    """A research model for mammograms, which no released model reads."""
    return registered(RESEARCH)


def in_use() -> set[str]:
    return {str(row) for row in ModelVersion.objects.filter(active=True)}


def proposed(model, by, change: str = "use") -> ModelProposal:
    return propose_change(acting_user=by, model=model, change=change, reason=REASON)


def page(client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode())


# The verbs


def test_a_proposal_alone_changes_nothing(adam, ada, now, newer):
    proposal = proposed(newer, adam)
    assert in_use() == {"us-test 1.0.0"}
    assert (proposal.is_open, proposal.replaced) == (True, now)


def test_another_administrator_confirms_and_the_ledger_names_both(adam, ada, now, newer):
    confirm_change(acting_user=ada, proposal=proposed(newer, adam))
    assert in_use() == {"us-test 2.0.0"}
    newer.refresh_from_db()
    assert (newer.chosen_by, newer.chosen_because) == (adam, REASON)
    row = AuditEvent.objects.get(action="model.activated")
    assert (row.actor, row.details["proposed_by"], row.purpose) == (ada, adam.pk, REASON)
    assert AuditEvent.objects.get(action="model.retired").object_id == str(now.pk)
    assert AuditEvent.objects.get(action="model.change_proposed").actor == adam
    assert AuditEvent.objects.get(action="model.change_confirmed").actor == ada


def test_who_proposed_cannot_confirm_by_the_verb(adam, ada, newer):
    proposal = proposed(newer, adam)
    with pytest.raises(WrongState, match="Another administrator"):
        confirm_change(acting_user=adam, proposal=proposal)
    assert in_use() == {"us-test 1.0.0"}


def test_nor_in_the_database(adam, newer):
    proposal = proposed(newer, adam)
    with pytest.raises(IntegrityError, match="proposal_confirmed_by_another"), transaction.atomic():
        ModelProposal.objects.filter(pk=proposal.pk).update(confirmed_by=adam)


def test_who_made_the_second_log_in_does_not_confirm_with_it(adam, now, newer):
    second, _ = create_user(acting_user=adam, email="adam.too@test.local", role="administrator")
    proposal = proposed(newer, adam)

    with pytest.raises(WrongState, match="within the last day"):
        confirm_change(acting_user=second, proposal=proposal)

    assert in_use() == {str(now)}


@pytest.mark.parametrize("way", ["address", "factor"])
def test_who_took_over_a_colleagues_log_in_does_not_confirm_with_their_own(adam, ada, now, newer, way):
    if way == "address":
        update_user(acting_user=adam, user=ada, email="adam.too@test.local")
    else:
        reset_mfa(acting_user=adam, user=ada, reason="Her telephone is lost.")
    proposal = proposed(newer, ada)

    with pytest.raises(WrongState, match="within the last day"):
        confirm_change(acting_user=adam, proposal=proposal)

    assert in_use() == {str(now)}


def test_a_corrected_name_does_not_make_two_people_one(adam, ada, newer):
    update_user(acting_user=adam, user=ada, given_name="Adele")

    confirm_change(acting_user=ada, proposal=proposed(newer, adam))

    assert in_use() == {str(newer)}


def test_a_colleague_whom_one_invited_long_ago_confirms(adam, newer, monkeypatch):
    second, _ = create_user(acting_user=adam, email="eve@test.local", role="administrator")
    monkeypatch.setattr(proposals, "TOUCHED_LATELY", timedelta(0))

    confirm_change(acting_user=second, proposal=proposed(newer, adam))

    assert in_use() == {str(newer)}


@pytest.mark.parametrize("who", ["rachel", "ivan", "petra"])
def test_nobody_but_administrators_proposes_confirms_or_declines(request, adam, newer, who):
    person = request.getfixturevalue(who)
    proposal = proposed(newer, adam)
    with pytest.raises(PermissionDenied):
        proposed(newer, person)
    with pytest.raises(PermissionDenied):
        confirm_change(acting_user=person, proposal=proposal)
    with pytest.raises(PermissionDenied):
        withdraw_change(acting_user=person, proposal=proposal)
    assert in_use() == {"us-test 1.0.0"}


@pytest.mark.parametrize("reason", ["", "   ", "\n\t"])
def test_without_a_reason_nothing_is_proposed(adam, newer, reason):
    with pytest.raises(WrongState, match="Say why"):
        propose_change(acting_user=adam, model=newer, change="use", reason=reason)
    assert not ModelProposal.objects.exists()


def test_the_second_of_two_who_confirm_is_told_that_it_is_done(adam, ada, request, newer):
    proposal = proposed(newer, adam)
    confirm_change(acting_user=ada, proposal=proposal)
    with pytest.raises(WrongState, match="confirmed already"):
        confirm_change(acting_user=ada, proposal=proposal)
    assert AuditEvent.objects.filter(action="model.activated").count() == 1


def test_one_proposal_at_a_time_waits_for_a_kind_of_image(adam, ada, newer, trial):
    proposed(newer, adam)
    with pytest.raises(WrongState, match="is open"):
        proposed(newer, ada)
    proposed(trial, ada)
    assert ModelProposal.objects.count() == 2


def test_a_proposal_of_somebody_who_lost_the_role_cannot_be_confirmed_but_declined(adam, ada, newer):
    proposal = proposed(newer, adam)
    update_user(acting_user=ada, user=adam, is_active=False)
    with pytest.raises(WrongState, match="no longer an administrator"):
        confirm_change(acting_user=ada, proposal=ModelProposal.objects.get(pk=proposal.pk))
    withdraw_change(acting_user=ada, proposal=proposal)
    assert in_use() == {"us-test 1.0.0"}


def test_an_artefact_altered_between_the_two_steps_is_not_taken(adam, ada, sound, newer):
    proposal = proposed(newer, adam)
    sound.append("model.tflite differs")
    with pytest.raises(WrongState, match="missing or were altered"):
        confirm_change(acting_user=ada, proposal=proposal)
    assert in_use() == {"us-test 1.0.0"}
    assert ModelProposal.objects.get().is_open


def test_an_altered_research_model_can_still_be_stopped(adam, ada, sound, trial):
    switched(trial, by=adam, and_by=ada)
    sound.append("model.tflite differs")
    switched(trial, by=adam, and_by=ada, change="stop")
    assert in_use() == set()


def test_a_proposal_does_not_fit_once_the_model_in_use_has_changed(adam, ada, now, newer, tmp_path):
    proposal = proposed(newer, adam)
    # The folder of the model in use was removed at an upgrade, and a third version came.
    register_models(found=[ModelVersion(name="us-test", version="3.0.0", modality="US", status="released")])
    assert in_use() == {"us-test 3.0.0"}
    with pytest.raises(WrongState, match=r"it was us-test 1.0.0 then, and is us-test 3.0.0 now"):
        confirm_change(acting_user=ada, proposal=proposal)


def test_a_withdrawn_proposal_cannot_be_confirmed(adam, ada, newer):
    proposal = proposed(newer, adam)
    withdraw_change(acting_user=adam, proposal=proposal)
    with pytest.raises(WrongState, match="withdrawn or declined already"):
        confirm_change(acting_user=ada, proposal=proposal)
    assert AuditEvent.objects.get(action="model.change_withdrawn").actor == adam
    assert proposed(newer, adam).is_open


def test_a_research_model_does_not_take_the_place_of_a_released_one(adam, now):
    rival = registered(ModelIdentity(name="us-trial", version="9", sha256="0" * 64, modality="US", status="research"))
    with pytest.raises(WrongState, match="does not take its place"):
        proposed(rival, adam)


def test_a_released_model_is_replaced_not_stopped(adam, now):
    with pytest.raises(WrongState, match="Only a research model"):
        proposed(now, adam, change="stop")


def test_what_is_in_use_cannot_be_proposed_again(adam, now):
    with pytest.raises(WrongState, match="in use already"):
        proposed(now, adam)


@pytest.mark.parametrize("change", ["", "delete", "USE", "use\0"])
def test_a_change_that_does_not_exist_is_refused(adam, newer, change):
    with pytest.raises(WrongState, match="no such change"):
        proposed(newer, adam, change=change)


def test_the_one_before_comes_back_by_two_persons_too(adam, ada, now, newer):
    switched(newer, by=adam, and_by=ada)
    assert rolls_back_to("US") == now
    proposal = proposed(now, ada, change="roll_back")
    assert in_use() == {"us-test 2.0.0"}
    confirm_change(acting_user=adam, proposal=proposal)
    assert in_use() == {"us-test 1.0.0"}


def test_there_is_no_going_back_to_what_was_not_in_use_before(adam, ada, now, newer):
    other = registered(ModelIdentity(name="us-test", version="0.5.0", sha256="1" * 64, modality="US"))
    with pytest.raises(WrongState, match="no going back"):
        proposed(newer, adam, change="roll_back")
    switched(newer, by=adam, and_by=ada)
    with pytest.raises(WrongState, match="no going back"):
        proposed(other, adam, change="roll_back")


def test_after_a_stop_one_goes_back_to_what_was_stopped(adam, ada, trial):
    switched(trial, by=adam, and_by=ada)
    assert rolls_back_to("MG") is None
    switched(trial, by=ada, and_by=adam, change="stop")
    assert rolls_back_to("MG") == trial


def test_a_candidate_that_is_taken_into_use_leaves_the_shadow(adam, ada, newer):
    actions.set_shadow(acting_user=adam, model=newer, reason="Compare first")
    switched(newer, by=adam, and_by=ada)
    newer.refresh_from_db()
    assert (newer.active, newer.shadow) == (True, False)


def test_the_other_administrators_are_told_of_each_step_and_nobody_else(adam, ada, ivan, rachel, newer):
    proposal = proposed(newer, adam)
    told = Notification.objects.get()
    assert (told.user, told.kind, told.path) == (ada, "model_change", reverse("model-proposal", args=[proposal.pk]))
    assert "Adam Administrator proposes" in told.text
    confirm_change(acting_user=ada, proposal=proposal)
    assert Notification.objects.exclude(pk=told.pk).get().user == adam


RACE = """
import json, threading
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from accounts.actions import create_user
from accounts.models import AuditEvent
from diagnosis import actions, inference
from diagnosis.models import ModelVersion
inference.altered_files = lambda name, version, *, sha256: []

call_command("migrate", verbosity=0)
people = [
    create_user(acting_user=None, email=f"a{n}@test.local", role="administrator", password="correct horse battery")[0]
    for n in range(6)
]
model = ModelVersion.objects.create(name="us-test", version="2", modality="US", status="released", sha256="0" * 64)
proposal = actions.propose_change(acting_user=people[0], model=model, change="use", reason="Race")
said, start = [], threading.Barrier(5)

def confirm(person):
    start.wait()
    try:
        actions.confirm_change(acting_user=person, proposal=proposal)
        said.append("done")
    except actions.WrongState as wrong:
        said.append(str(wrong))
    except Exception as error:
        said.append(repr(error))
    finally:
        connection.close()

threads = [threading.Thread(target=confirm, args=[person]) for person in people[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps({"said": said, "activations": AuditEvent.objects.filter(action="model.activated").count()}))
"""


@pytest.mark.slow
def test_of_five_who_confirm_at_once_one_does_it(tmp_path):
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
    assert sorted(found["said"]) == ["This was confirmed already. Nothing more is to do."] * 4 + ["done"]
    assert found["activations"] == 1
