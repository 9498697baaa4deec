"""The bell, the page of notifications, and the page of choices: each person's own and nobody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import actions
from accounts.models import AuditEvent, Notification, NotificationPreference, OutgoingMail
from accounts.notifications import KINDS, kinds_of
from accounts.roles import Role

pytestmark = pytest.mark.django_db
ALL = "/notifications/"
BELL = "/notifications/bell/"
PANEL = "/notifications/newest/"
READ = "/notifications/read/"
CHOICES = "/notifications/choices/"


def tell(user, text="A result is ready (study 1A2B3C4D).", *, kind="result_ready", path="/patients/") -> Notification:
    actions.notify(kind, users=[user], text=text, path=path)
    return user.notifications.get(text=text)


def page(client, address, **options) -> str:
    answer = client.get(address, **options)
    assert answer.status_code == 200
    return answer.content.decode()


# The bell


def test_the_bell_says_in_words_how_many_are_unread(client, rachel):
    for number in range(3):
        tell(rachel, f"Result {number} is ready.")
    client.force_login(rachel)

    bell = page(client, "/patients/")

    assert "Notifications, <span data-bell-words>3</span> unread" in bell
    assert 'href="/notifications/"' in bell, "without JavaScript it is a link"


def test_the_bell_of_somebody_with_nothing_new_shows_no_number(client, rachel):
    client.force_login(rachel)
    assert "<span data-bell-words>none</span> unread" in page(client, "/patients/")


def test_a_stranger_sees_no_bell(client):
    assert "data-bell" not in page(client, "/account/login/")


@pytest.mark.parametrize("address", [ALL, BELL, PANEL, CHOICES])
def test_a_stranger_is_sent_to_sign_in(client, address):
    answer = client.get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/account/login/")


@pytest.mark.parametrize("who", ["rachel", "adam", "ivan", "petra"])
def test_every_role_has_a_bell_of_its_own(client, request, rachel, who):
    person = request.getfixturevalue(who)
    if person != rachel:
        tell(rachel, "Only for Rachel.")
    actions.notify("account_event", users=[person], text="Only for this one.")
    client.force_login(person)

    assert client.get(BELL).json() == {"unread": 1}
    for address in (ALL, PANEL):
        shown = page(client, address)
        assert "Only for this one." in shown
        assert "Only for Rachel." not in shown


def test_the_question_of_the_bell_is_cheap(client, rachel, django_assert_max_num_queries):
    Notification.objects.bulk_create(
        Notification(user=rachel, kind="result_ready", text="Read.", read_at=timezone.now()) for _ in range(200)
    )
    tell(rachel)
    client.force_login(rachel)
    with django_assert_max_num_queries(3):  # session, person, count
        assert client.get(BELL).json() == {"unread": 1}


def test_the_panel_shows_the_newest_unread_and_read(client, rachel):
    for number in range(10):
        row = tell(rachel, f"Line {number}.")
        Notification.objects.filter(pk=row.pk).update(created_at=timezone.now() + timedelta(seconds=number))
    client.force_login(rachel)

    shown = page(client, PANEL)

    assert [number for number in range(10) if f"Line {number}." in shown] == list(range(2, 10))
    assert shown.index("Line 9.") < shown.index("Line 2.")
    assert "Mark all as read" in shown


def test_an_empty_panel_says_what_will_be_there(client, rachel):
    client.force_login(rachel)
    shown = page(client, PANEL)
    assert "Nothing yet" in shown
    assert "Mark all as read" not in shown


# Opening and marking


def test_opening_one_marks_it_and_leads_to_its_page(client, rachel):
    row = tell(rachel, path="/patients/?q=x")
    other = tell(rachel, "Another.")
    client.force_login(rachel)

    answer = client.get(f"/notifications/{row.pk}/")

    assert (answer.status_code, answer["Location"]) == (302, "/patients/?q=x")
    row.refresh_from_db()
    other.refresh_from_db()
    assert row.read_at is not None
    assert other.read_at is None
    first_read = row.read_at
    client.get(f"/notifications/{row.pk}/")
    row.refresh_from_db()
    assert row.read_at == first_read, "twice is once"


def test_a_look_at_the_headers_marks_nothing(client, rachel):
    row = tell(rachel)
    client.force_login(rachel)
    client.head(f"/notifications/{row.pk}/")
    row.refresh_from_db()
    assert row.read_at is None


def test_somebody_elses_notification_is_not_there(client, rachel, adam):
    row = tell(rachel)
    client.force_login(adam)

    assert client.get(f"/notifications/{row.pk}/").status_code == 404

    row.refresh_from_db()
    assert row.read_at is None


@pytest.mark.parametrize("path", ["//evil.test/", "https://evil.test/", "javascript:alert(1)", "\\\\evil.test"])
def test_a_notification_leads_to_no_other_site(client, rachel, path):
    with pytest.raises(ValueError, match="this site"):
        tell(rachel, path=path)
    row = Notification.objects.create(user=rachel, kind="result_ready", text="Written past the verb.", path=path)
    client.force_login(rachel)
    assert client.get(f"/notifications/{row.pk}/")["Location"] == ALL


def test_all_are_marked_but_what_came_after_the_page_was_drawn(client, rachel, adam):
    seen, others = tell(rachel, "Seen."), tell(adam, "Somebody else's.", kind="model_change")
    client.force_login(rachel)
    drawn_at = client.get(ALL).context["drawn_at"]
    unseen = tell(rachel, "Came later.")

    answer = client.post(READ, {"until": drawn_at})

    assert answer["Location"] == ALL
    unread = set(Notification.objects.unread().values_list("pk", flat=True))
    assert unread == {unseen.pk, others.pk}
    assert seen.pk not in unread


def test_in_the_panel_the_answer_is_the_panel(client, rachel):
    tell(rachel)
    client.force_login(rachel)
    answer = client.post(READ, {"until": timezone.now().isoformat()}, headers={"HX-Request": "true"})
    assert 'data-bell-unread="0"' in answer.content.decode()
    assert "<html" not in answer.content.decode()


@pytest.mark.parametrize("until", ["", "yesterday", "2026-13-45T99:00", "2026-01-01T00:00:00", "9" * 400, "\0"])
def test_a_time_that_is_none_is_refused_and_marks_nothing(client, rachel, until):
    row = tell(rachel)
    client.force_login(rachel)
    assert client.post(READ, {"until": until}).status_code == 400
    row.refresh_from_db()
    assert row.read_at is None


# The page


def test_the_page_narrows_by_kind_and_to_the_unread(client, rachel):
    tell(rachel, "A read one.")
    rachel.notifications.update(read_at=timezone.now())
    tell(rachel, "An unread one.")
    tell(rachel, "An unread refusal.", kind="analysis_refused")
    client.force_login(rachel)

    unread = page(client, f"{ALL}?show=unread")
    refused = page(client, f"{ALL}?kind=analysis_refused")

    assert ("A read one." in unread, "An unread one." in unread) == (False, True)
    assert ("An unread one." in refused, "An unread refusal." in refused) == (False, True)


def test_a_filter_that_is_none_narrows_nothing(client, rachel):
    tell(rachel, "There.")
    client.force_login(rachel)
    shown = page(client, f"{ALL}?kind=%27%3BDROP&show=%00&page=%3Cscript%3E")
    assert "There." in shown
    assert "DROP" not in shown


def test_nothing_found_offers_the_way_back(client, rachel):
    tell(rachel)
    client.force_login(rachel)
    shown = page(client, f"{ALL}?kind=analysis_failed")
    assert "No notification matches this choice" in shown
    assert "Show all notifications" in shown


def test_long_lists_have_pages_that_keep_the_filter(client, rachel):
    Notification.objects.bulk_create(
        Notification(user=rachel, kind="result_ready", text=f"Line {number}.") for number in range(60)
    )
    client.force_login(rachel)
    shown = page(client, f"{ALL}?show=unread&page=2")
    assert "60 notifications" in shown
    assert "show=unread&amp;page=3" in shown
    assert shown.count('class="notice-row') == 25


def test_htmx_gets_the_rows_alone(client, rachel):
    tell(rachel)
    client.force_login(rachel)
    shown = page(client, ALL, headers={"HX-Request": "true"})
    assert "<html" not in shown
    assert "A result is ready" in shown


def test_what_is_written_in_a_line_is_text(client, rachel):
    tell(rachel, "<img src=x onerror=alert(1)>")
    client.force_login(rachel)
    for address in (ALL, PANEL):
        shown = page(client, address)
        assert "<img" not in shown
        assert "&lt;img src=x" in shown


def test_a_kind_that_no_longer_exists_is_still_listed(client, rachel):
    Notification.objects.create(user=rachel, kind="of_an_older_release", text="From before.")
    client.force_login(rachel)
    assert "From before." in page(client, ALL)


# The choices


@pytest.mark.parametrize("who", ["rachel", "adam", "ivan", "petra"])
def test_one_chooses_among_the_kinds_of_ones_role(client, request, who):
    person = request.getfixturevalue(who)
    client.force_login(person)

    shown = page(client, CHOICES)

    own, others = kinds_of(person.role), set(KINDS) - set(kinds_of(person.role))
    assert [key for key in own if f'value="{key}"' not in shown] == []
    assert [key for key in others if f'value="{key}"' in shown] == []


def test_what_is_switched_off_comes_no_more(client, rachel):
    client.force_login(rachel)
    answer = client.post(CHOICES, {"in_app": ["suspicious_result"], "by_email": ["result_ready"]}, follow=True)
    assert "Saved." in answer.content.decode()

    tell_nothing = actions.notify("analysis_refused", users=[rachel], text="Refused.")
    actions.notify("suspicious_result", users=[rachel], text="Soon.")
    actions.notify("result_ready", users=[rachel], text="Ready.")

    assert tell_nothing == 0
    assert list(rachel.notifications.values_list("text", flat=True)) == ["Soon."]
    assert list(OutgoingMail.objects.values_list("kind", flat=True)) == ["result_ready"]
    assert AuditEvent.objects.get(action="notifications.chosen").actor == rachel


def test_saving_what_was_so_already_changes_nothing(client, rachel):
    client.force_login(rachel)
    own = kinds_of(Role.RADIOLOGIST)
    as_it_is = {
        "in_app": [key for key, kind in own.items() if kind.in_app],
        "by_email": [key for key, kind in own.items() if kind.by_email],
    }
    assert "Nothing was changed." in client.post(CHOICES, as_it_is, follow=True).content.decode()
    assert not NotificationPreference.objects.exists()
    assert not AuditEvent.objects.filter(action="notifications.chosen").exists()


@pytest.mark.parametrize("who", ["rachel", "adam", "ivan", "petra"])
def test_what_concerns_the_own_account_cannot_be_switched_off_and_the_page_says_why(client, request, who):
    person = request.getfixturevalue(who)
    client.force_login(person)
    client.post(CHOICES, {"in_app": [], "by_email": []})

    assert "Always on: if somebody else changes your account" in page(client, CHOICES)
    assert not NotificationPreference.objects.filter(kind="account_event").exists()
    NotificationPreference.objects.create(user=person, kind="account_event", in_app=False, by_email=False)
    assert actions.notify("account_event", users=[person], text="Your address was changed.") == 1
    assert person.notifications.count() == 1
    assert OutgoingMail.objects.get().recipient == person.email


def test_kinds_of_other_roles_are_not_written(client, rachel):
    client.force_login(rachel)
    client.post(CHOICES, {"in_app": ["queue_trouble", "emergency_access", "x" * 500], "by_email": ["model_change"]})
    assert not set(NotificationPreference.objects.values_list("kind", flat=True)) - set(kinds_of(rachel.role))
    with pytest.raises(ValueError, match="Not yours"):
        actions.choose_notifications(acting_user=rachel, choices={"queue_trouble": (True, True)})


def test_a_patient_who_did_not_agree_to_mail_is_told_so_and_mailed_nothing(client, petra):
    client.force_login(petra)
    assert "have not agreed to hear from us by e-mail" in page(client, CHOICES)
    actions.notify("report_released", users=[petra], text="A report is ready.")
    assert petra.notifications.count() == 1
    assert not OutgoingMail.objects.exists()


def test_a_patient_who_agreed_is_mailed_that_a_report_is_ready_and_nothing_else(client, petra, anna):
    type(anna).objects.filter(pk=anna.pk).update(user=petra)
    actions.give_consent(acting_user=petra, purpose="email")
    actions.notify("report_released", users=[petra], text="A report is ready.", path="/")
    mail = OutgoingMail.objects.get()
    assert "A report is ready." in mail.body
    assert not any(word in mail.subject + mail.body for word in (anna.mrn, anna.given_name, anna.family_name, "1970"))
    actions.withdraw_consent(acting_user=petra, purpose="email")
    actions.notify("report_released", users=[petra], text="A second report is ready.", path="/")
    assert OutgoingMail.objects.count() == 1
