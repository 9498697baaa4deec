"""Django's admin site, as far as it concerns people, mail and the ledger."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry

from accounts.actions import create_team, enqueue_mail, notify
from accounts.admin_rows import TableAdmin, masked_text
from accounts.models import AuditEvent, Notification, OutgoingMail, Patient, Team, User
from accounts.notifications import KINDS
from portal import jobs
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
SHOWN = {
    "accounts.User",
    "accounts.Team",
    "accounts.OutgoingMail",
    "accounts.Notification",
    "accounts.AuditEvent",
    "diagnosis.Analysis",
    "diagnosis.Report",
    "diagnosis.ShadowReading",
    "diagnosis.DeidentifiedExport",
    "diagnosis.ModelVersion",
}
"""All that the admin site has. What is not named here, clinical rows above all, is not registered."""


def content(answer) -> str:
    """The page without the bar of the site."""
    return answer.content.decode().partition("</header>")[2]


@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 200), ("rachel", 302), ("petra", 302)])
def test_who_may_open_it(client, request, who, status):
    client.force_login(request.getfixturevalue(who))

    assert client.get("/admin/").status_code == status


def test_others_who_are_signed_in_are_refused_there(client, rachel):
    client.force_login(rachel)

    assert client.get("/admin/", follow=True).status_code == 403


def test_it_has_no_sign_in_page_of_its_own(client):
    answer = client.get("/admin/login/?next=/admin/")

    assert answer["Location"].startswith("/account/login/")


def test_it_has_no_password_page_of_its_own(client, adam):
    client.force_login(adam)

    assert client.get("/admin/password_change/")["Location"] == "/account/password/change/"


# What is there


def test_only_what_is_named_here_is_registered_and_each_class_asks_the_table():
    registered = {model._meta.label: row for model, row in admin.site._registry.items()}

    assert set(registered) == SHOWN
    assert all(isinstance(row, TableAdmin) for row in registered.values())


def test_what_a_library_registers_for_itself_is_left_out(client, adam):
    admin.site.register(Patient)
    admin.site.register(Patient, admin.ModelAdmin)

    assert not admin.site.is_registered(Patient)
    client.force_login(adam)
    assert client.get("/admin/accounts/patient/").status_code == 404


def test_nothing_is_deleted_there_one_by_one_or_many(client, adam, ivan):
    assert "delete_selected" not in dict(admin.site.actions)
    for row in admin.site._registry.values():
        for person in (adam, ivan):
            client.force_login(person)
            address = f"/admin/{row.opts.app_label}/{row.opts.model_name}/"
            answer = client.get(address)
            assert answer.status_code == 200, address
            assert "delete_selected" not in answer.content.decode()
            refused = client.post(address, {"action": "delete_selected", "_selected_action": ["1"], "post": "yes"})
            assert refused.status_code in (200, 302)
        assert not row.has_delete_permission(answer.wsgi_request)


def test_patients_are_not_there(client, adam, ivan, anna):
    for user in (adam, ivan):
        client.force_login(user)
        words = content(client.get("/admin/"))
        assert "/admin/accounts/patient" not in words
        assert "Żółć" not in words
        assert client.get("/admin/accounts/patient/").status_code == 404


def test_every_list_costs_few_queries(client, adam, django_assert_max_num_queries):
    client.force_login(adam)
    for row in admin.site._registry.values():
        with django_assert_max_num_queries(20):
            client.get(f"/admin/{row.opts.app_label}/{row.opts.model_name}/")


# Users


def change(client, user, **typed):
    """Save the form of a user, who was signed in a moment ago."""
    confirm(client)
    known = {"email": user.email, "given_name": user.given_name, "family_name": user.family_name, "role": user.role}
    active = {"is_active": "on"} if user.is_active else {}
    typed = {**known, **active, **typed}
    return client.post(
        f"/admin/accounts/user/{user.pk}/change/",
        {name: value for name, value in typed.items() if value is not None},
        follow=True,
    )


def test_a_change_goes_the_way_of_every_change(client, adam, rachel):
    client.force_login(adam)

    change(client, rachel, given_name="Rahel", is_active=None)

    rachel.refresh_from_db()
    assert (rachel.given_name, rachel.is_active) == ("Rahel", False)
    event = AuditEvent.objects.get(action="user.changed")
    assert set(event.details["fields"]) == {"given_name", "is_active"}
    assert event.channel == "admin"


def test_the_admin_sites_own_history_stays_empty(client, adam, rachel):
    client.force_login(adam)

    change(client, rachel, given_name="Rahel")

    assert not LogEntry.objects.exists()
    assert client.get(f"/admin/accounts/user/{rachel.pk}/history/").status_code == 404


def test_nobody_changes_their_own_access(client, adam):
    client.force_login(adam)

    change(client, adam, given_name="Addo", role="radiologist", is_active=None)

    adam.refresh_from_db()
    assert (adam.given_name, adam.role, adam.is_active) == ("Addo", "administrator", True)


def test_the_last_administrator_stays_and_the_page_says_why(client, ivan, adam):
    client.force_login(ivan)

    answer = change(client, adam, is_active=None)

    adam.refresh_from_db()
    assert adam.is_active
    assert "This is the only active administrator." in content(answer)


def test_it_staff_make_nobody_an_administrator(client, ivan, rachel):
    other = User.objects.create(email="i2@test.local", role="it_staff")
    client.force_login(ivan)

    for user in (rachel, other):
        change(client, user, role="administrator")
        user.refresh_from_db()
        assert user.role != "administrator"


@pytest.mark.parametrize(
    "forged",
    [
        {"is_staff": "on", "is_superuser": "on"},
        {"password": "x"},
        {"last_login_0": "2026-01-01", "last_login_1": "00:00", "date_joined_0": "2026-01-01"},
        {"sign_in_epoch": "7", "id": "1"},
        {"teams": "1", "groups": "1", "user_permissions": "1"},
    ],
)
def test_fields_that_the_form_does_not_have_change_nothing(client, adam, rachel, forged):
    create_team(acting_user=adam, name="Breast clinic")
    client.force_login(adam)
    before = User.objects.filter(pk=rachel.pk).values().get()

    change(client, rachel, **forged)

    assert User.objects.filter(pk=rachel.pk).values().get() == before
    assert not rachel.teams.exists()


def test_users_are_neither_added_nor_deleted_there(client, adam, rachel):
    client.force_login(adam)

    assert client.get("/admin/accounts/user/add/").status_code == 403
    assert client.post(f"/admin/accounts/user/{rachel.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=rachel.pk).exists()


def test_it_staff_do_not_see_patients_log_ins(client, ivan, petra, rachel):
    client.force_login(ivan)

    page = client.get("/admin/accounts/user/").content.decode()

    assert "rachel@test.local" in page
    assert "petra@test.local" not in page
    change(client, petra, is_active=None)
    petra.refresh_from_db()
    assert petra.is_active


@pytest.mark.parametrize("query", ["password__startswith=md5", "sign_in_epoch__gt=0", "api_tokens__digest__gt=a"])
def test_a_filter_does_not_tell_what_a_password_begins_with(client, ivan, query):
    client.force_login(ivan)

    assert client.get(f"/admin/accounts/user/?{query}").status_code in (302, 400)


def test_an_old_sign_in_is_asked_who_it_is_first(client, adam, rachel):
    client.force_login(adam)

    answer = client.post(f"/admin/accounts/user/{rachel.pk}/change/", {"email": rachel.email, "role": "it_staff"})

    assert "/account/reauthenticate/" in answer["Location"]
    assert User.objects.get(pk=rachel.pk).role == "radiologist"


# Teams


def test_administrators_make_and_name_teams_by_the_same_verbs(client, adam):
    client.force_login(adam)
    confirm(client)

    client.post("/admin/accounts/team/add/", {"name": "Breast clinic"})
    team = Team.objects.get()
    client.post(f"/admin/accounts/team/{team.pk}/change/", {"name": "Screening", "is_active": "on"})

    team.refresh_from_db()
    assert team.name == "Screening"
    actions_kept = AuditEvent.objects.filter(object_type="team").order_by("pk").values_list("action", flat=True)
    assert [one for one in actions_kept if one in ("team.created", "team.changed")] == ["team.created", "team.changed"]
    taken = client.post("/admin/accounts/team/add/", {"name": "SCREENING"}, follow=True)
    assert "There is already a team with this name." in content(taken)
    assert Team.objects.count() == 1


def test_it_staff_see_teams_and_change_none(client, adam, ivan):
    team = create_team(acting_user=adam, name="Breast clinic")
    client.force_login(ivan)
    confirm(client)

    assert "Breast clinic" in content(client.get("/admin/accounts/team/"))
    assert client.post("/admin/accounts/team/add/", {"name": "Mine"}).status_code == 403
    answer = client.post(f"/admin/accounts/team/{team.pk}/change/", {"name": "Mine"}, follow=True)
    assert answer.status_code in (200, 403)
    team.refresh_from_db()
    assert team.name == "Breast clinic"


# E-mail


def mails(petra, rachel) -> tuple[OutgoingMail, OutgoingMail]:
    """One to a patient, one to a radiologist, both failed."""
    made = tuple(
        enqueue_mail(kind="account", recipient=user.email, subject="Secret subject", body="Secret text", user=user)
        for user in (petra, rachel)
    )
    for mail in made:
        claim = jobs.claim(OutgoingMail, mail.pk)
        claim.finish(state=jobs.State.FAILED, error_code="refused", error_detail=f"550 {mail.recipient} is not here")
    return made


def test_it_sees_no_patients_address_and_nobody_sees_what_an_e_mail_says(client, ivan, adam, petra, rachel):
    to_petra, to_rachel = mails(petra, rachel)
    for person, sees_petra in ((ivan, False), (adam, True)):
        client.force_login(person)
        pages = [
            content(client.get(address))
            for address in (
                "/admin/accounts/outgoingmail/",
                f"/admin/accounts/outgoingmail/{to_petra.pk}/change/",
                f"/admin/accounts/outgoingmail/{to_rachel.pk}/change/",
            )
        ]
        assert "rachel@test.local" in pages[0]
        assert "550" in pages[1]
        assert ("petra@test.local" in pages[0] + pages[1]) == sees_petra
        assert ("p…@test.local" in pages[0]) != sees_petra
        assert "Secret" not in "".join(pages)


def test_a_failed_e_mail_is_sent_again_by_the_verb(client, ivan, petra, rachel):
    mail = mails(petra, rachel)[0]
    client.force_login(ivan)

    page = content(
        client.post(
            "/admin/accounts/outgoingmail/", {"action": "retry", "_selected_action": [str(mail.pk)]}, follow=True
        )
    )

    mail.refresh_from_db()
    assert "1 row is in the queue again." in page
    assert (mail.state, mail.recipient, mail.body) == ("queued", "petra@test.local", "Secret text")
    assert AuditEvent.objects.get(action="mail.retried").actor == ivan


def test_a_mail_is_neither_written_nor_changed_there(client, adam, petra, rachel):
    mail = mails(petra, rachel)[0]
    client.force_login(adam)
    confirm(client)
    before = OutgoingMail.objects.filter(pk=mail.pk).values().get()

    client.post(
        f"/admin/accounts/outgoingmail/{mail.pk}/change/",
        {"recipient": "eve@x.example", "state": "queued", "body": "x", "kind": "x"},
    )

    assert OutgoingMail.objects.filter(pk=mail.pk).values().get() == before
    assert client.get("/admin/accounts/outgoingmail/add/").status_code == 403


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("550 <petra@test.local>: no", "550 <p…@test.local>: no"),
        ("{'petra@test.local': (550, b'x')}", "{'p…@test.local': (550, b'x')}"),
        ("no address in it", "no address in it"),
    ],
)
def test_addresses_within_a_servers_answer_are_masked(text, hidden):
    assert masked_text(text) == hidden


# Notifications and ledger: that there are, not what they say


def test_notifications_are_counted_and_not_read(client, ivan, rachel):
    notify("account_event", users=[rachel], text="Words for Rachel alone")
    client.force_login(ivan)

    page = content(client.get("/admin/accounts/notification/"))

    assert "account_event" not in page.replace("kind=account_event", "")
    assert KINDS["account_event"].label in page
    assert "Radiologist" in page
    for hidden in ("Words for Rachel", "rachel@test.local", "Rachel Radiologist"):
        assert hidden not in page
    assert client.get(f"/admin/accounts/notification/{Notification.objects.get().pk}/change/").status_code == 200


def test_the_ledger_shows_metadata_alone(client, ivan, adam, anna, rachel):
    event = AuditEvent.objects.get(action="patient.created")
    client.force_login(ivan)

    page = content(client.get("/admin/accounts/auditevent/?q="))

    assert "Created the record" in page
    for hidden in (str(anna.pk), "MRN-001", "Żółć", "rachel@test.local", "Open the ledger"):
        assert hidden not in page
    assert client.get(f"/admin/accounts/auditevent/{event.pk}/change/").status_code == 403
    client.force_login(adam)
    assert "Open the ledger" in content(client.get("/admin/accounts/auditevent/"))


@pytest.mark.parametrize("query", ["patient__mrn=MRN-001", "details__icontains=x", "actor__email__startswith=r"])
def test_columns_that_are_not_shown_cannot_be_asked_for_by_a_filter(client, ivan, anna, query):
    """Else whether a list is empty would tell what is in the column."""
    client.force_login(ivan)

    answer = client.get(f"/admin/accounts/auditevent/?{query}")

    assert answer.status_code in (302, 400)


# Settings


def test_settings_are_shown_without_secrets(client, ivan, settings):
    settings.DATABASES["default"]["PASSWORD"] = "db-secret"
    settings.CELERY_BROKER_URL = "redis://worker:queue-secret@queue.example:6379/0"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_HOST_PASSWORD = "mail.example", "mail-secret"
    client.force_login(ivan)

    page = content(client.get("/admin/settings/"))

    for shown in ("redis://queue.example:6379/0", "mail.example", "TIME_ZONE", "READING_MODE"):
        assert shown in page
    for secret in ("db-secret", "queue-secret", "mail-secret", settings.SECRET_KEY, *settings.FIELD_KEYS):
        assert secret not in page


@pytest.mark.parametrize("who", ["rachel", "petra"])
def test_settings_are_for_it_and_administrators(client, request, who):
    client.force_login(request.getfixturevalue(who))

    assert client.get("/admin/settings/").status_code in (302, 403)


def test_the_home_board_of_it_leads_there(client, ivan):
    client.force_login(ivan)

    assert 'href="/admin/"' in client.get("/").content.decode().partition("<main")[2]


def test_no_model_with_a_patient_in_it_is_registered():
    """Registered models that refer to patients show named columns only (``columns``), and no relation among them."""
    for label in SHOWN:
        model = apps.get_model(label)
        row = admin.site._registry[model]
        shown = set(getattr(row, "columns", ())) | set(row.list_display)
        assert not shown & {
            "patient",
            "patient_name",
            "label",
            "confidence",
            "suspicion",
            "analysis",
            "image",
            "letter",
        }


# In words


def test_codes_are_words_in_lists_and_filters(client, ivan, rachel):
    mail = enqueue_mail(kind="result_ready", recipient="rachel@test.local", subject="s", body="b", user=rachel)
    claim = jobs.claim(OutgoingMail, mail.pk)
    claim.finish(state=jobs.State.FAILED, error_code="server_unreachable", error_detail="No route.")
    client.force_login(ivan)

    page = content(client.get("/admin/accounts/outgoingmail/"))

    assert ">Server unreachable<" in page
    assert f">{KINDS['result_ready'].label}<" in page
    for code in ("server_unreachable", "result_ready"):
        assert code not in page.replace(f"error_code={code}", "").replace(f"kind={code}", "")
    counted = content(client.get("/admin/accounts/outgoingmail/?_facets=True&error_code=server_unreachable"))
    assert "Server unreachable (1)" in counted
    assert str(mail.pk)[:8] in counted


def test_a_list_knows_its_headings_on_a_narrow_screen(client, ivan):
    client.force_login(ivan)

    assert "js/admin-list.js" in client.get("/admin/accounts/outgoingmail/").content.decode()
