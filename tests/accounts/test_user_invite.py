"""Inviting a user by e-mail: one link, that sets the password once."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from accounts import tasks
from accounts.actions import create_team, invite_again, invite_user, retry_mail, revoke_invitation, update_user
from accounts.actions.mail import TextExpired
from accounts.models import AuditEvent, OutgoingMail, User
from portal.job_task import work_now
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
OWN_PASSWORD = "a quiet river in november"
LENA = {"given_name": "Lena", "family_name": "Locum", "email": "Lena@Test.local", "role": "radiologist"}


@pytest.fixture
def sign_in(client):
    def signed_in(user):
        client.force_login(user)
        confirm(client)

    return signed_in


@pytest.fixture
def lena(adam):
    return invite_user(acting_user=adam, **LENA)


def sent() -> str:
    """Send the newest e-mail; the path of the link in it."""
    work_now(tasks.send_mail, OutgoingMail.objects.order_by("-created_at").first().pk)
    link = re.search(r"http://localhost:\d+(/account/password/reset/key/\S+)", mail.outbox[-1].body)
    assert link is not None
    return link[1]


def choose(client, path: str, password: str = OWN_PASSWORD):
    """Follow the link and choose a password."""
    client.logout()
    form = client.get(path, follow=True)
    if "token_fail" in form.context and form.context["token_fail"]:
        return form
    return client.post(form.redirect_chain[-1][0], {"password1": password, "password2": password}, follow=True)


def opens(client, user, password: str = OWN_PASSWORD) -> bool:
    client.logout()
    client.post("/account/login/", {"login": user.email, "password": password})
    return client.session.get("_auth_user_id") == str(user.pk)


def test_the_link_in_the_e_mail_sets_the_password_and_the_person_signs_in(client, sign_in, adam):
    create_team(acting_user=adam, name="Breast clinic")
    sign_in(adam)

    answer = client.post("/users/new/", {**LENA, "way_in": "invite", "teams": [1]}, follow=True)

    lena = User.objects.get(email="lena@test.local")
    assert "a link is on its way to lena@test.local" in answer.content.decode()
    assert lena.is_invited
    assert [team.name for team in lena.teams.all()] == ["Breast clinic"]
    path = sent()
    (message,) = mail.outbox
    assert message.to == ["lena@test.local"]
    assert "Adam Administrator has made a log-in for you" in message.body
    choose(client, path)
    assert opens(client, lena)
    assert not User.objects.get(pk=lena.pk).is_invited


def test_nothing_but_the_link_opens_the_log_in(client, lena):
    assert not opens(client, lena, "")
    assert not opens(client, lena, lena.password)


def test_the_text_with_the_link_is_kept_nowhere_once_it_was_sent(lena):
    sent()

    assert OutgoingMail.objects.get().body == ""
    assert "/reset/key/" not in str(list(AuditEvent.objects.values()))


def test_the_link_works_once(client, lena):
    path = sent()
    choose(client, path)

    assert choose(client, path, "another quiet river here").context["token_fail"]
    assert opens(client, lena)


def test_it_expires(client, lena, settings):
    path = sent()
    settings.PASSWORD_RESET_TIMEOUT = -1

    assert choose(client, path).context["token_fail"]


def test_inviting_again_makes_the_former_link_worthless(client, sign_in, adam, lena):
    former = sent()
    sign_in(adam)
    client.post(f"/users/{lena.pk}/invite/")
    newest = sent()

    assert choose(client, former).context["token_fail"]
    choose(client, newest)
    assert opens(client, lena)
    assert AuditEvent.objects.filter(action="user.invited").count() == 2


def test_an_e_mail_that_waits_is_dropped_when_its_link_dies(adam, lena):
    waiting = OutgoingMail.objects.get()
    invite_again(acting_user=adam, user=lena)

    waiting.refresh_from_db()
    assert (waiting.state, waiting.body) == ("cancelled", "")
    with pytest.raises(TextExpired):
        retry_mail(acting_user=adam, row=waiting)


def test_revoking_makes_the_link_worthless_and_switches_the_log_in_off(client, sign_in, adam, lena):
    path = sent()
    sign_in(adam)

    page = client.post(f"/users/{lena.pk}/revoke/", follow=True).content.decode()

    lena.refresh_from_db()
    assert "The invitation of Lena Locum is revoked" in page
    assert (lena.is_active, lena.is_invited) == (False, False)
    assert choose(client, path).context["token_fail"]
    assert AuditEvent.objects.filter(action="user.invitation_revoked", actor=adam).exists()


def test_a_revoked_invitation_can_be_sent_again(client, adam, lena):
    revoke_invitation(acting_user=adam, user=lena)

    invite_again(acting_user=adam, user=lena)

    choose(client, sent())
    assert opens(client, User.objects.get(pk=lena.pk))


def test_switching_off_makes_the_link_worthless(client, adam, lena):
    path = sent()
    update_user(acting_user=adam, user=lena, is_active=False)

    assert choose(client, path).context["token_fail"]


def test_a_person_with_a_password_is_not_invited_again(client, adam, lena):
    choose(client, sent())

    with pytest.raises(ValidationError, match="has chosen a password already"):
        invite_again(acting_user=adam, user=lena)
    assert opens(client, lena)


def test_a_link_of_one_person_sets_no_password_of_another(client, adam, lena):
    ours = sent()
    other = invite_user(acting_user=adam, email="other@test.local", role="administrator")
    theirs = sent()
    uid, _, key = ours.rpartition("/key/")[2].partition("-")
    forged = theirs.rpartition("/key/")[0] + f"/key/{theirs.rpartition('/key/')[2].partition('-')[0]}-{key}"

    assert choose(client, forged).context["token_fail"]
    assert uid
    assert not opens(client, other)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80"])
def test_the_link_leads_to_this_site_whatever_the_host_header_says(client, sign_in, adam, host, settings):
    settings.ALLOWED_HOSTS = ["*"]
    sign_in(adam)

    client.post("/users/new/", {**LENA, "way_in": "invite"}, headers={"Host": host})

    assert "evil" not in OutgoingMail.objects.get().body


def test_it_staff_invite_their_own_kind_alone(ivan):
    assert invite_user(acting_user=ivan, email="it@test.local", role="it_staff").is_invited
    with pytest.raises(PermissionDenied):
        invite_user(acting_user=ivan, **LENA)


def test_nobody_without_the_permission_invites(rachel, lena):
    for act in (invite_again, revoke_invitation):
        with pytest.raises(PermissionDenied):
            act(acting_user=rachel, user=lena)


def test_a_site_that_sends_no_e_mail_offers_the_password_first(client, sign_in, adam, settings):
    sign_in(adam)
    assert client.get("/users/new/").context["form"].initial["way_in"] == "invite"

    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"

    page = client.get("/users/new/")
    assert page.context["form"].initial["way_in"] == "password"
    assert "This site sends no e-mail" in page.content.decode()


def test_the_page_offers_to_send_it_again_until_there_is_a_password(client, adam, lena):
    path = sent()
    client.force_login(adam)
    assert "Send the link again" in client.get(f"/users/{lena.pk}/").content.decode()

    choose(client, path)

    client.force_login(adam)
    assert "Send the link again" not in client.get(f"/users/{lena.pk}/").content.decode()


def test_killed_before_the_e_mail_left_the_invitation_still_goes_out(lena):
    """The e-mail is a row of the same transaction: whoever works next sends it."""
    OutgoingMail.objects.update(queued_at=timezone.now() - timedelta(hours=5))

    assert sent()
