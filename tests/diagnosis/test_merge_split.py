"""Two records of one person made one, one record of two people made two, and both undone."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts.actions import create_patient, link_patient_login, update_patient
from accounts.models import Appointment, AuditEvent, Consent, Message, Patient
from diagnosis import actions
from diagnosis.models import Analysis, RecordTransfer, Report, Study
from portal.jobs import State
from tests.fixture_results import succeeded, with_report
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(db):
    """A second record of Anna, made by mistake at another desk."""
    return create_patient(
        acting_user=None,
        mrn="MRN-002",
        given_name="Ania",
        family_name="Zolc",
        birth_date=date(1970, 5, 17),
        phone="+48 600 111 222",
    )


@pytest.fixture
def other_study(second, rachel):
    return actions.create_study(acting_user=rachel, patient=second, modality="US")


def released(analysis, *, by) -> Report:
    """A final report that its patient may see."""
    with_report(analysis)
    actions.conclude(acting_user=by, analysis=analysis, label="benign", birads="2", conclusion="A cyst.")
    report = with_report(analysis)
    return actions.release_report(acting_user=by, report=report, letter="All is well.")


def merged(adam, *, source, target, take=(), reason="Same person, two desks"):
    return actions.merge_patients(acting_user=adam, source=source, target=target, take_from_source=take, reason=reason)


def test_everything_moves_to_the_record_that_stays(adam, rachel, anna, second, study, other_study):
    analysis = succeeded(study=other_study, by=rachel)
    message = Message.objects.create(patient=second, author=rachel, from_patient=False, text="Hello")
    visit = Appointment.objects.create(patient=second, at="2027-01-05T08:00Z", place="Room 2", purpose="Ultrasound")
    Consent.objects.create(patient=second, purpose="research", wording="w")

    merged(adam, source=second, target=anna, take=["phone"])

    anna.refresh_from_db()
    analysis.refresh_from_db()
    assert set(Study.objects.filter(patient=anna)) == {study, other_study}
    assert (analysis.patient_id, analysis.patient_name) == (anna.pk, "zolc anna mrn-001")
    assert (anna.phone, anna.given_name, anna.mrn) == ("+48 600 111 222", "Anna", "MRN-001")
    for row in (message, visit):
        row.refresh_from_db()
        assert row.patient_id == anna.pk
    assert Consent.objects.get().patient_id == anna.pk


def test_the_other_record_is_no_longer_listed_or_opened(client, api, adam, anna, second):
    merged(adam, source=second, target=anna)
    client.force_login(adam)
    confirm(client)

    assert "MRN-002" not in client.get("/patients/").content.decode()
    assert client.get(f"/patients/{second.pk}/")["Location"] == f"/patients/{anna.pk}/"
    assert client.get(f"/patients/{second.pk}/edit/").status_code == 404
    assert client.get(f"/patients/{anna.pk}/").status_code == 200
    assert api(adam).get(f"/api/v1/patients/{second.pk}/").status_code == 404


@pytest.mark.parametrize("words", ["MRN-002", "ania zolc"])
def test_a_record_is_found_by_the_number_and_name_of_the_other_one(client, adam, anna, second, words):
    merged(adam, source=second, target=anna)
    client.force_login(adam)
    confirm(client)

    found = client.post("/patients/", {"q": words}, follow=True)

    assert [patient.mrn for patient in found.context["page"]] == ["MRN-001"]


def test_reports_that_printed_the_old_record_are_made_anew(adam, rachel, anna, second, other_study):
    analysis = succeeded(study=other_study, by=rachel)
    old = released(analysis, by=rachel)

    merged(adam, source=second, target=anna)
    new = with_report(analysis)

    old.refresh_from_db()
    assert (old.status, new.status) == ("superseded", "final")
    assert new.version == old.version + 1
    assert new.is_released, "the same person would lose sight of a report that was released"


def test_reports_of_the_record_that_stays_are_made_anew_where_its_name_changes(adam, rachel, anna, second, study):
    analysis = succeeded(study=study, by=rachel)
    with_report(analysis)

    merged(adam, source=second, target=anna, take=["phone"])
    assert not analysis.reports.filter(state=State.QUEUED).exists()

    RecordTransfer.objects.all().delete()
    Patient.objects.update(merged_into=None)
    merged(adam, source=second, target=anna, take=["family_name"])
    assert analysis.reports.filter(state=State.QUEUED).exists()


def test_the_ledger_of_both_records_has_it_and_names_nobody(adam, anna, second):
    merged(adam, source=second, target=anna, take=["family_name", "phone"])

    events = AuditEvent.objects.filter(action="patient.merged")
    assert {event.patient_id for event in events} == {anna.pk, second.pk}
    assert {event.actor_id for event in events} == {adam.pk}
    told = " ".join(str(event.details) for event in AuditEvent.objects.all())
    for name in ("Anna", "Ania", "Żółć", "Zolc", "MRN-00", "600 111"):
        assert name not in told


def test_a_log_in_follows_the_person(adam, anna, second, petra):
    link_patient_login(acting_user=None, patient=second, user=petra)

    transfer = merged(adam, source=second, target=anna)

    anna.refresh_from_db()
    assert anna.user == petra
    actions.undo_transfer(acting_user=adam, transfer=transfer)
    anna.refresh_from_db()
    second.refresh_from_db()
    assert (anna.user, second.user) == (None, petra)


def test_a_consent_that_stands_on_both_stays_on_both(adam, anna, second):
    for patient in (anna, second):
        Consent.objects.create(patient=patient, purpose="research", wording="w")

    merged(adam, source=second, target=anna)

    assert Consent.objects.filter(patient=anna).count() == 1
    assert Consent.objects.filter(patient=second).count() == 1


# Undo


def test_undo_gives_both_records_back(client, adam, rachel, anna, second, study, other_study):
    analysis = succeeded(study=other_study, by=rachel)
    message = Message.objects.create(patient=second, author=rachel, from_patient=False, text="Hello")
    transfer = merged(adam, source=second, target=anna, take=["family_name", "birth_date", "phone"])

    actions.undo_transfer(acting_user=adam, transfer=transfer)

    anna.refresh_from_db()
    second.refresh_from_db()
    analysis.refresh_from_db()
    message.refresh_from_db()
    assert (anna.family_name, anna.phone, anna.birth_date) == ("Żółć", "", date(1970, 5, 17))
    assert second.merged_into is None
    assert set(Study.objects.filter(patient=second)) == {other_study}
    assert (analysis.patient_id, analysis.patient_name) == (second.pk, "zolc ania mrn-002")
    assert message.patient_id == second.pk
    client.force_login(adam)
    confirm(client)
    assert client.get(f"/patients/{second.pk}/").status_code == 200


def test_undo_keeps_what_was_added_and_corrected_since(adam, rachel, anna, second, other_study):
    transfer = merged(adam, source=second, target=anna, take=["family_name", "phone"])
    anna.refresh_from_db()
    update_patient(acting_user=adam, patient=anna, phone="112")
    since = actions.create_study(acting_user=rachel, patient=anna, modality="US")

    actions.undo_transfer(acting_user=adam, transfer=transfer)

    anna.refresh_from_db()
    assert (anna.family_name, anna.phone) == ("Żółć", "112")
    assert list(Study.objects.filter(patient=anna)) == [since]


def test_undo_is_done_once(adam, anna, second):
    transfer = merged(adam, source=second, target=anna)
    actions.undo_transfer(acting_user=adam, transfer=transfer)

    with pytest.raises(actions.WrongState, match="undone already"):
        actions.undo_transfer(acting_user=adam, transfer=transfer)


def test_what_was_moved_on_since_is_undone_first(adam, anna, second, other_study, db):
    third = create_patient(acting_user=None, mrn="MRN-003", given_name="T", family_name="T", birth_date="1970-01-01")
    first = merged(adam, source=second, target=anna)
    moved_on = actions.split_patient(
        acting_user=adam, source=anna, studies=[other_study], target=third, reason="Somebody else"
    )
    assert "moved on since" in actions.contradiction(RecordTransfer.objects.get(pk=first.pk))
    with pytest.raises(actions.WrongState, match="moved on since"):
        actions.undo_transfer(acting_user=adam, transfer=first)

    actions.undo_transfer(acting_user=adam, transfer=moved_on)
    actions.undo_transfer(acting_user=adam, transfer=first)

    other_study.refresh_from_db()
    assert other_study.patient_id == second.pk


def test_former_values_do_not_lie_beside_in_the_clear(adam, anna, second):
    update_patient(acting_user=adam, patient=anna, phone="+48 999 888 777")

    transfer = merged(adam, source=second, target=anna, take=["phone", "family_name"])

    assert "999" not in str(transfer.moved)
    assert "Żółć" not in str(transfer.moved)


# Refused


def test_a_record_is_not_merged_with_itself_nor_twice(adam, anna, second):
    with pytest.raises(actions.WrongState, match="same record"):
        merged(adam, source=anna, target=anna)
    merged(adam, source=second, target=anna)
    with pytest.raises(actions.WrongState, match="merged into another one meanwhile"):
        merged(adam, source=second, target=anna)
    with pytest.raises(actions.WrongState, match="merged into another one meanwhile"):
        merged(adam, source=anna, target=second)
    assert RecordTransfer.objects.count() == 1


def test_a_reason_is_asked_for_and_without_one_nothing_changes(adam, anna, second, other_study):
    with pytest.raises(ValidationError):
        merged(adam, source=second, target=anna, reason="  ")

    other_study.refresh_from_db()
    assert other_study.patient_id == second.pk
    assert Patient.objects.filter(merged_into=None).count() == 2


@pytest.mark.parametrize("who", ["rachel", "ivan", "petra"])
def test_only_administrators_merge_split_and_undo(client, request, adam, anna, second, other_study, who):
    person = request.getfixturevalue(who)
    transfer = merged(adam, source=second, target=anna)
    for verb in (
        lambda: merged(person, source=second, target=anna),
        lambda: actions.split_patient(
            acting_user=person, source=anna, studies=[other_study], target=second, reason="x"
        ),
        lambda: actions.undo_transfer(acting_user=person, transfer=transfer),
    ):
        with pytest.raises(PermissionDenied):
            verb()
    client.force_login(person)
    confirm(client)
    for path in ("merge", "split", "transfers"):
        assert client.get(f"/patients/{anna.pk}/{path}/").status_code == 404
    assert client.post(f"/patients/{anna.pk}/transfers/{transfer.pk}/undo/").status_code == 404
    transfer.refresh_from_db()
    assert transfer.undone_at is None


# Split


def test_studies_of_somebody_else_go_to_a_new_record(adam, rachel, anna, study):
    wrong = actions.create_study(acting_user=rachel, patient=anna, modality="US")
    analysis = succeeded(study=wrong, by=rachel)

    transfer = actions.split_patient(
        acting_user=adam,
        source=anna,
        studies=[wrong],
        new_record={"mrn": "MRN-9", "given_name": "Bea", "family_name": "Braun", "birth_date": date(1980, 1, 1)},
        reason="Filed on the wrong record",
    )

    analysis.refresh_from_db()
    bea = Patient.objects.get(mrn="MRN-9")
    assert transfer.target == bea
    assert list(bea.studies.all()) == [wrong]
    assert (analysis.patient_id, analysis.patient_name) == (bea.pk, "braun bea mrn-9")
    assert list(anna.studies.all()) == [study]


def test_the_wrong_person_s_report_is_taken_back_at_once_and_nobody_sees_it_unreleased(
    client, adam, rachel, anna, second, study, petra
):
    link_patient_login(acting_user=None, patient=second, user=petra)
    Consent.objects.create(patient=second, purpose="portal", wording="w")
    analysis = succeeded(study=study, by=rachel)
    old = released(analysis, by=rachel)

    actions.split_patient(acting_user=adam, source=anna, studies=[study], target=second, reason="Wrong record")

    old.refresh_from_db()
    assert old.status == "superseded"
    client.force_login(petra)
    confirm(client)
    assert client.get(f"/reports/{old.pk}.pdf").status_code == 404
    new = with_report(analysis)
    assert not new.is_released
    assert client.get(f"/reports/{new.pk}.pdf").status_code == 404


def test_undoing_a_split_hides_the_record_that_was_made_for_it(adam, rachel, anna, study):
    values = {"mrn": "MRN-9", "given_name": "Bea", "family_name": "Braun", "birth_date": date(1980, 1, 1)}
    transfer = actions.split_patient(
        acting_user=adam, source=anna, studies=[study], new_record=values, reason="Wrong record"
    )

    actions.undo_transfer(acting_user=adam, transfer=transfer)

    assert list(anna.studies.all()) == [study]
    assert not Patient.objects.visible_to(adam).filter(mrn="MRN-9").exists()


def test_studies_that_are_elsewhere_by_now_are_not_moved(adam, anna, second, study, other_study):
    with pytest.raises(actions.WrongState, match="no longer on this record"):
        actions.split_patient(
            acting_user=adam, source=anna, studies=[study, other_study], target=second, reason="Wrong record"
        )
    with pytest.raises(actions.WrongState, match="Choose the studies"):
        actions.split_patient(acting_user=adam, source=anna, studies=[], target=second, reason="Wrong record")
    assert study.patient_id == anna.pk


def test_a_new_record_that_is_refused_leaves_nothing_behind(adam, anna, study):
    with pytest.raises(ValidationError):
        actions.split_patient(
            acting_user=adam,
            source=anna,
            studies=[study],
            new_record={"mrn": "MRN-001", "given_name": "B", "family_name": "B", "birth_date": date(1980, 1, 1)},
            reason="Wrong record",
        )
    assert Patient.objects.count() == 1
    assert not RecordTransfer.objects.exists()


# The pages


def test_the_other_record_is_found_by_its_mrn_which_no_address_shows(client, adam, anna, second, other_study):
    client.force_login(adam)
    confirm(client)

    page = client.post(f"/patients/{anna.pk}/merge/", {"mrn": "MRN-002"})

    text = page.content.decode()
    assert page.status_code == 200
    for shown in ("MRN-001", "MRN-002", "Ania", "Anna", "+48 600 111 222", "1, all moved"):
        assert shown in text
    assert "dates of birth differ" not in text
    Patient.objects.filter(pk=second.pk).update(birth_date=date(1971, 5, 17))
    assert "dates of birth differ" in client.post(f"/patients/{anna.pk}/merge/", {"mrn": "MRN-002"}).content.decode()
    assert "MRN" not in page.wsgi_request.get_full_path()
    assert "<title>Merge records - " in text
    assert RecordTransfer.objects.count() == 0


@pytest.mark.parametrize("typed", ["MRN-404", "MRN-001", "", "x" * 100, "<b>"])
def test_another_record_that_is_none_is_said(client, adam, anna, typed):
    client.force_login(adam)
    confirm(client)

    page = client.post(f"/patients/{anna.pk}/merge/", {"mrn": typed})

    assert page.status_code == 422
    assert "<b>" not in page.content.decode().replace("<b>MRN", "")


def test_a_merge_by_the_page(client, adam, anna, second, other_study):
    client.force_login(adam)
    confirm(client)
    decided = {"mrn": "MRN-002", "decided": "1", "keep_phone": "source", "keep_given_name": "target"}

    refused = client.post(f"/patients/{anna.pk}/merge/", decided)
    assert refused.status_code == 422
    assert "Say why" in refused.content.decode()
    done = client.post(f"/patients/{anna.pk}/merge/", {**decided, "reason": "Same person"})

    assert done.status_code == 302
    anna.refresh_from_db()
    assert (anna.phone, anna.given_name) == ("+48 600 111 222", "Anna")
    listed = client.get(f"/patients/{anna.pk}/transfers/").content.decode()
    assert "merged into" in listed
    (transfer,) = RecordTransfer.objects.all()
    assert client.post(f"/patients/{anna.pk}/transfers/{transfer.pk}/undo/").status_code == 302
    assert "undone" in client.get(f"/patients/{anna.pk}/transfers/").content.decode()


def test_a_split_by_the_page(client, adam, rachel, anna, second, study):
    client.force_login(adam)
    confirm(client)
    page = f"/patients/{anna.pk}/split/"
    assert "Ultrasound of" in client.get(page).content.decode()

    nothing = client.post(page, {"to": "existing", "mrn": "MRN-002", "reason": "Wrong record"})
    nowhere = client.post(page, {"to": "existing", "studies": [study.pk], "reason": "Wrong record"})
    assert (nothing.status_code, nowhere.status_code) == (422, 422)
    unheard_of = client.post(page, {"to": "new", "studies": [study.pk], "reason": "x", "new-mrn": "MRN-002"})
    assert unheard_of.status_code == 422
    assert Study.objects.get().patient == anna

    new = {"new-mrn": "M-5", "new-given_name": "B", "new-family_name": "B", "new-birth_date": "1980-01-01"}
    done = client.post(page, {"to": "new", "studies": [study.pk], "reason": "Wrong record", "new-sex": "F", **new})

    made = Patient.objects.get(mrn="M-5")
    assert done["Location"] == f"/patients/{made.pk}/"
    assert Study.objects.get().patient == made
    assert not Analysis.objects.exclude(patient=made).exists()
