"""Emergency access: a record outside one's teams opens for a reason, for a while, and everybody concerned is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts import actions
from accounts.models import AuditEvent, EmergencyAccess, Notification
from diagnosis.actions import create_study
from diagnosis.models import Study
from tests.conftest import person
from tests.fixture_images import good_png
from tests.fixture_results import succeeded, with_report

pytestmark = pytest.mark.django_db
REASON = "Bleeding after biopsy, the surgeon asks for the images."


@pytest.fixture
def clinic(adam):
    return actions.create_team(acting_user=adam, name="Breast clinic")


@pytest.fixture
def closed(adam, rachel, clinic, anna):
    """Anna's record, with a result, in a team that Bob is not in."""
    actions.set_teams(acting_user=adam, user=rachel, teams=[clinic])
    analysis = succeeded(study=create_study(acting_user=rachel, patient=anna, modality="US"), by=rachel)
    with_report(analysis)
    return analysis


@pytest.fixture
def bob(db):
    """A radiologist of no team."""
    return person("bob@test.local", "radiologist", "Bob", "Radiologist")


def search(client, words):
    answer = client.post("/patients/", {"q": words}, follow=True)
    return answer.content.decode()


def opened(bob, anna, **more):
    access = actions.grant_emergency_access(acting_user=bob, patient=anna, reason=REASON)
    if more:
        EmergencyAccess.objects.filter(pk=access.pk).update(**more)
        access.refresh_from_db()
    return access


def addresses(analysis):
    report = analysis.reports.get()
    return (
        f"/patients/{analysis.patient_id}/",
        f"/studies/{analysis.image.study_id}/",
        f"/analyses/{analysis.pk}/",
        f"/images/{analysis.image_id}/image.png",
        f"/images/{analysis.image_id}/thumbnail.jpg",
        f"/analyses/{analysis.pk}/explanation.png",
        f"/reports/{report.pk}.pdf",
        f"/api/v1/patients/{analysis.patient_id}/",
        f"/api/v1/studies/{analysis.image.study_id}/",
        f"/api/v1/analyses/{analysis.pk}/",
        f"/api/v1/analyses/{analysis.pk}/explanation.png",
        f"/api/v1/analyses/{analysis.pk}/report.pdf",
    )


def statuses(fetch, client, analysis):
    return {fetch(client, address).status_code for address in addresses(analysis)}


def test_the_exact_mrn_says_that_there_is_a_record_and_nothing_of_it(client, bob, closed, anna):
    client.force_login(bob)

    html = search(client, "MRN-001")

    assert "There is a record with this MRN outside your teams" in html
    assert f"/patients/{anna.pk}/emergency/" in html
    for secret in ("Anna", "Żółć", "1970"):
        assert secret not in html


@pytest.mark.parametrize("words", ["MRN-00", "mrn", "Anna", "Żółć", "MRN-001 x", ""])
def test_a_name_or_a_part_of_the_mrn_says_nothing(client, bob, closed, anna, words):
    client.force_login(bob)

    found = search(client, words).split('id="results"')[1]

    assert "outside your teams" not in found
    assert str(anna.pk) not in found


def test_that_somebody_asked_for_the_mrn_is_in_the_ledger_once(client, bob, closed, anna):
    client.force_login(bob)

    search(client, "MRN-001")
    search(client, "MRN-001")

    assert AuditEvent.objects.filter(action="emergency_access.offered", actor=bob, patient=anna).count() == 1


def test_trying_numbers_out_ends_after_some_and_is_kept(client, monkeypatch, bob, rachel, clinic, closed, anna):
    monkeypatch.setattr("accounts.views.patients.MOST_OFFERS", 1)
    other = actions.create_patient(
        acting_user=rachel, mrn="X-1", given_name="X", family_name="Y", birth_date="1980-01-01"
    )
    create_study(acting_user=rachel, patient=other, modality="US")
    client.force_login(bob)

    assert "outside your teams" in search(client, "MRN-001")
    assert "outside your teams" not in search(client, "X-1")
    assert "outside your teams" in search(client, "MRN-001")
    assert AuditEvent.objects.filter(action="emergency_access.refused", actor=bob, patient=other).count() == 1


@pytest.mark.parametrize("who", ["rachel", "adam"])
def test_who_sees_the_record_is_offered_nothing(client, closed, who, request):
    client.force_login(request.getfixturevalue(who))

    html = search(client, "MRN-001")

    assert "outside your teams" not in html
    assert "Żółć" in html


def test_the_form_names_nobody(client, bob, closed, anna):
    client.force_login(bob)

    html = client.get(f"/patients/{anna.pk}/emergency/").content.decode()

    assert "for 60 minutes" in html
    for secret in ("Anna", "Żółć", "MRN-001", "1970"):
        assert secret not in html


def test_a_reason_opens_the_whole_record_files_included(client, fetch, bob, closed, anna):
    client.force_login(bob)
    assert statuses(fetch, client, closed) == {404}

    answer = client.post(f"/patients/{anna.pk}/emergency/", {"reason": REASON})

    assert answer.url == f"/patients/{anna.pk}/"
    assert statuses(fetch, client, closed) == {200}
    assert "Żółć" in search(client, "anna")


@pytest.mark.parametrize(
    "reason",
    ["", "   ", "urgent", "asdfasdfasdfasdfasdfasdf", "a b c", "x" * 501, "see \u202e the images now, please do"],
)
def test_less_than_a_sentence_opens_nothing(client, fetch, bob, closed, anna, reason):
    client.force_login(bob)

    answer = client.post(f"/patients/{anna.pk}/emergency/", {"reason": reason})

    assert answer.status_code == 422
    assert not EmergencyAccess.objects.exists()
    assert statuses(fetch, client, closed) == {404}


def test_every_administrator_is_alerted_and_the_alert_names_no_patient(client, adam, bob, closed, anna):
    opened(bob, anna)

    told = Notification.objects.filter(user=adam, kind="emergency_access").get()

    assert "Bob Radiologist" in told.text
    assert told.path == "/emergency-access/"
    assert "Anna" not in told.text


def test_two_clicks_are_one_use_and_one_alert(bob, adam, closed, anna):
    assert opened(bob, anna) == opened(bob, anna)
    assert EmergencyAccess.objects.count() == 1
    assert Notification.objects.filter(user=adam, kind="emergency_access").count() == 1


def test_what_is_opened_meanwhile_is_in_the_ledger_with_the_reason(client, fetch, bob, closed, anna):
    opened(bob, anna)
    client.force_login(bob)

    statuses(fetch, client, closed)

    rows = AuditEvent.objects.filter(actor=bob, patient=anna).exclude(purpose=REASON)
    assert {row.action for row in AuditEvent.objects.filter(actor=bob, purpose=REASON)} >= {
        "emergency_access.granted",
        "patient.viewed",
        "study.viewed",
        "image.viewed",
        "report.downloaded",
    }
    assert not rows.exists()


def test_a_row_about_another_patient_does_not_get_the_reason(client, bob, closed, anna, adam):
    opened(bob, anna)
    other = actions.create_patient(
        acting_user=bob, mrn="MRN-002", given_name="Bea", family_name="Other", birth_date="1980-01-01"
    )

    assert AuditEvent.objects.get(action="patient.created", patient=other).purpose == ""


def test_the_record_has_a_banner_on_each_of_its_pages_and_nowhere_else(client, bob, closed, anna):
    opened(bob, anna)
    client.force_login(bob)

    for address in (*addresses(closed)[:3], f"/patients/{anna.pk}/edit/", f"/patients/{anna.pk}/studies/new/"):
        html = client.get(address).content.decode()
        assert "60 min left" in html, address
        assert "End now" in html
    assert "data-emergency-until" not in client.get("/").content.decode()


def test_end_now_closes_the_record_at_once(client, fetch, bob, closed, anna):
    access = opened(bob, anna)
    client.force_login(bob)

    client.post(f"/emergency-access/{access.pk}/end/")

    assert statuses(fetch, client, closed) == {404}
    assert AuditEvent.objects.filter(action="emergency_access.ended", actor=bob).count() == 1
    client.post(f"/emergency-access/{access.pk}/end/")
    assert AuditEvent.objects.filter(action="emergency_access.ended").count() == 1


def test_when_the_time_is_over_the_next_request_finds_it_closed(client, fetch, bob, closed, anna):
    opened(bob, anna)
    client.force_login(bob)
    assert statuses(fetch, client, closed) == {200}

    EmergencyAccess.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert statuses(fetch, client, closed) == {404}
    assert "Żółć" not in search(client, "anna")


def test_a_study_begun_meanwhile_does_not_keep_the_record_open(client, fetch, bob, closed, anna, adam):
    screening = actions.create_team(acting_user=adam, name="Screening")
    actions.set_teams(acting_user=adam, user=bob, teams=[screening])
    opened(bob, anna)
    client.force_login(bob)

    client.post(f"/patients/{anna.pk}/studies/new/", {"modality": "US"})
    EmergencyAccess.objects.update(ended_at=timezone.now())

    assert Study.objects.get(created_by=bob).team == closed.image.study.team
    assert client.get(f"/patients/{anna.pk}/").status_code == 404


def test_somebody_elses_emergency_opens_nothing_to_me(client, fetch, bob, closed, anna):
    opened(bob, anna)
    carl = person("carl@test.local", "radiologist", "Carl", "Radiologist")
    client.force_login(carl)

    assert statuses(fetch, client, closed) == {404}


def test_after_five_within_an_hour_the_sixth_is_refused_and_said(client, settings, rachel, bob, clinic, adam, closed):
    settings.EMERGENCY_ACCESS_PER_HOUR = 2
    patients = [
        actions.create_patient(
            acting_user=rachel, mrn=f"X-{n}", given_name="X", family_name="Y", birth_date="1980-01-01"
        )
        for n in range(3)
    ]
    for patient in patients:
        create_study(acting_user=rachel, patient=patient, modality="US")
    client.force_login(bob)

    answers = [client.post(f"/patients/{patient.pk}/emergency/", {"reason": REASON}) for patient in patients]

    assert [answer.status_code for answer in answers] == [302, 302, 429]
    assert "2 times within an hour" in answers[2].content.decode()
    assert AuditEvent.objects.filter(action="emergency_access.refused", actor=bob, patient=patients[2]).count() == 1
    assert client.get(f"/patients/{patients[2].pk}/").status_code == 404
    EmergencyAccess.objects.update(granted_at=timezone.now() - timedelta(minutes=61))
    assert client.post(f"/patients/{patients[2].pk}/emergency/", {"reason": REASON}).status_code == 302


@pytest.mark.parametrize("who", ["adam", "ivan", "petra"])
def test_nobody_else_has_the_verb(client, closed, anna, who, request):
    user = request.getfixturevalue(who)
    client.force_login(user)

    assert client.post(f"/patients/{anna.pk}/emergency/", {"reason": REASON}).status_code == 404
    with pytest.raises(PermissionDenied):
        actions.grant_emergency_access(acting_user=user, patient=anna, reason=REASON)
    assert not EmergencyAccess.objects.exists()


def test_who_sees_the_record_anyway_needs_no_emergency(client, rachel, closed, anna):
    client.force_login(rachel)

    assert client.post(f"/patients/{anna.pk}/emergency/", {"reason": REASON}).url == f"/patients/{anna.pk}/"
    assert not EmergencyAccess.objects.exists()


def test_a_record_that_does_not_exist_is_not_found(client, bob, closed):
    client.force_login(bob)

    assert client.get("/patients/00000000-0000-0000-0000-000000000007/emergency/").status_code == 404


# A patient of whom one's teams open one study and not another

OUTSIDE = "This patient has studies outside your teams"


@pytest.fixture
def screening(adam):
    return actions.create_team(acting_user=adam, name="Screening")


@pytest.fixture
def partly(adam, bob, screening, closed, anna):
    """Bob's own study of Anna, beside the closed one."""
    actions.set_teams(acting_user=adam, user=bob, teams=[screening])
    # Filed for Bob's team before the reading in the clinic was known to him.
    return Study.objects.create(patient=anna, team=screening, created_by=bob, modality="US")


def test_the_patients_page_says_that_there_is_more_and_nothing_of_it(client, bob, partly, closed, anna):
    client.force_login(bob)

    html = client.get(f"/patients/{anna.pk}/").content.decode()

    assert OUTSIDE in html
    assert f"/patients/{anna.pk}/emergency/" in html
    assert f"/studies/{partly.pk}/" in html
    for secret in (closed.image.study_id, "Breast clinic", closed.pk):
        assert str(secret) not in html


def test_the_question_why_is_asked_of_who_sees_a_part(client, bob, partly, closed, anna):
    client.force_login(bob)

    html = client.get(f"/patients/{anna.pk}/emergency/").content.decode()

    assert "There are studies of Anna Żółć that belong to other teams" in html
    assert "Breast clinic" not in html


def test_a_reason_opens_the_closed_study_beside_ones_own(client, fetch, bob, partly, closed, anna):
    client.force_login(bob)
    assert statuses(fetch, client, closed) == {200, 404}

    answer = client.post(f"/patients/{anna.pk}/emergency/", {"reason": REASON})

    assert answer.url == f"/patients/{anna.pk}/"
    assert statuses(fetch, client, closed) == {200}
    html = client.get(f"/patients/{anna.pk}/").content.decode()
    assert OUTSIDE not in html
    assert "60 min left" in html
    assert client.get(f"/patients/{anna.pk}/emergency/").url == f"/patients/{anna.pk}/"
    assert EmergencyAccess.objects.count() == 1


def test_when_it_ends_the_part_stays_and_the_rest_is_closed_again(client, fetch, bob, partly, closed, anna):
    access = opened(bob, anna)
    client.force_login(bob)

    answer = client.post(f"/emergency-access/{access.pk}/end/")

    assert answer.url == f"/patients/{anna.pk}/"
    assert client.get(f"/studies/{closed.image.study_id}/").status_code == 404
    assert client.get(f"/studies/{partly.pk}/").status_code == 200
    assert OUTSIDE in client.get(f"/patients/{anna.pk}/").content.decode()


def test_a_study_begun_meanwhile_is_the_readers_where_their_team_has_the_patient_too(
    client, bob, partly, closed, anna, screening
):
    opened(bob, anna)
    client.force_login(bob)

    client.post(f"/patients/{anna.pk}/studies/new/", {"modality": "MG"})

    assert Study.objects.get(modality="MG").team == screening


def test_without_a_reason_the_closed_study_stays_closed(client, fetch, bob, partly, closed, anna):
    client.force_login(bob)

    assert client.post(f"/patients/{anna.pk}/emergency/", {"reason": "urgent"}).status_code == 422
    assert client.get(f"/studies/{closed.image.study_id}/").status_code == 404
    assert not EmergencyAccess.objects.exists()


@pytest.mark.parametrize("who", ["rachel", "adam"])
def test_who_sees_all_of_the_patient_reads_nothing_of_it(client, adam, screening, partly, who, anna, request):
    user = request.getfixturevalue(who)
    if who == "rachel":
        actions.set_teams(acting_user=adam, user=user, teams=[*user.teams.all(), screening])
    client.force_login(user)

    assert OUTSIDE not in client.get(f"/patients/{anna.pk}/").content.decode()


# What administrators do about it


def test_the_list_shows_each_use_with_its_state(client, fetch, adam, bob, closed, anna):
    access = opened(bob, anna)
    client.force_login(adam)

    html = client.get("/emergency-access/").content.decode()

    for words in ("Bob Radiologist", "Anna Żółć", REASON, "60 min left", "1 waits for a review"):
        assert words in html
    assert f"/emergency-access/{access.pk}/" in html


def test_an_administrator_reviews_a_use_with_what_was_done(client, fetch, adam, bob, closed, anna):
    access = opened(bob, anna)
    client.force_login(bob)
    statuses(fetch, client, closed)
    client.force_login(adam)

    page = client.get(f"/emergency-access/{access.pk}/").content.decode()
    answer = client.post(f"/emergency-access/{access.pk}/", {"note": "  The surgeon confirms it. "})

    assert "downloaded a report" in page
    assert "opened the record" in page
    assert answer.url == "/emergency-access/"
    access.refresh_from_db()
    assert (access.reviewed_by, access.review_note) == (adam, "The surgeon confirms it.")
    assert AuditEvent.objects.get(action="emergency_access.reviewed").actor == adam
    assert "Nothing to review" in client.get("/emergency-access/?show=open").content.decode()


def test_the_first_review_stays(client, adam, bob, closed, anna):
    access = opened(bob, anna)
    actions.review_emergency_access(acting_user=adam, access=access, note="Fine.")
    other = person("alma@test.local", "administrator", "Alma", "Administrator")
    client.force_login(other)

    answer = client.post(f"/emergency-access/{access.pk}/", {"note": "Not fine."}, follow=True)

    assert "was reviewed already" in answer.content.decode()
    access.refresh_from_db()
    assert (access.reviewed_by, access.review_note) == (adam, "Fine.")


def test_nobody_reviews_their_own_use(client, bob, closed, anna):
    access = opened(bob, anna)
    bob.role = "administrator"
    bob.save()
    client.force_login(bob)

    page = client.get(f"/emergency-access/{access.pk}/").content.decode()
    answer = client.post(f"/emergency-access/{access.pk}/", {"note": "All good."})

    assert "another administrator reviews it" in page
    assert answer.status_code == 422
    access.refresh_from_db()
    assert access.reviewed_at is None


def test_an_empty_note_is_no_review(client, adam, bob, closed, anna):
    access = opened(bob, anna)
    client.force_login(adam)

    assert client.post(f"/emergency-access/{access.pk}/", {"note": "  "}).status_code == 422
    access.refresh_from_db()
    assert access.reviewed_at is None


def test_an_administrator_ends_a_use(client, fetch, adam, bob, closed, anna):
    access = opened(bob, anna)
    client.force_login(adam)

    assert client.post(f"/emergency-access/{access.pk}/end/").url == "/emergency-access/"

    client.force_login(bob)
    assert statuses(fetch, client, closed) == {404}


def test_an_image_is_filed_meanwhile(client, bob, closed, anna):
    opened(bob, anna)
    client.force_login(bob)
    file = SimpleUploadedFile("scan.png", good_png(5), content_type="image/png")

    answer = client.post(
        f"/studies/{closed.image.study_id}/upload/", {"file": file}, headers={"accept": "application/json"}
    )

    assert answer.status_code == 201
