"""Mail leaves through a real SMTP server, as ``EMAIL_URL`` names it, and what that answers decides what comes next."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import actions, mailing, tasks
from accounts.models import AuditEvent, OutgoingMail
from portal import jobs
from portal.job_task import work_now
from portal.jobs import State
from tests.fixture_mail import Sink, deliver

pytestmark = pytest.mark.django_db


@pytest.fixture
def sink(settings):
    """A mail server that the settings name and that is running."""
    sink = Sink()
    sink.configure(settings)
    mailing.server.note_answer()
    sink.start()
    yield sink
    sink.stop()
    mailing.server.note_answer()


@pytest.fixture
def letter(rachel) -> OutgoingMail:
    return actions.enqueue_mail(
        kind="result_ready",
        recipient=rachel.email,
        subject="Senolens: A result is ready",
        body="An analysis has finished.\n\nSign in to see it: http://localhost:8000/notifications/\n",
        user=rachel,
    )


def _said(answer) -> str:
    """A page without its tokens, which differ each time."""
    return re.sub(r"[0-9A-Za-z]{64}", "token", answer.content.decode())


def _time_passes(mail: OutgoingMail, by: timedelta) -> None:
    """Move everything that is noted of the mail into the past."""
    mail.refresh_from_db()
    for column in ("created_at", "queued_at", "publish_after", "lease_until"):
        moment = getattr(mail, column)
        setattr(mail, column, moment - by if moment else None)
    mail.save()


# What the site sends


def test_the_link_for_a_new_password_arrives(client, rachel, sink):
    client.post("/account/password/reset/", {"email": rachel.email})
    (mail,) = deliver()

    (envelope,), (message,) = sink.envelopes, sink.messages
    assert envelope.rcpt_tos == [rachel.email]
    assert message["Subject"] == "Senolens: New password"
    text = message.get_body(("plain",)).get_content()
    link = re.search(r"https?://[^/\s]+(/account/password/reset/key/\S+)", text)
    assert link is not None
    assert client.get(link[1], follow=True).status_code == 200
    assert (mail.state, mail.body) == (State.SUCCEEDED, ""), "the link is not kept once it is sent"


def test_the_page_answers_while_the_mail_server_is_down_and_nothing_is_lost(client, rachel, sink):
    sink.stop()

    answer = client.post("/account/password/reset/", {"email": rachel.email}, follow=True)
    (mail,) = deliver()

    assert answer.status_code == 200
    assert mail.state == State.QUEUED
    assert "/password/reset/key/" in mail.body


def test_a_stranger_gets_no_link_and_the_page_does_not_tell(client, rachel, sink):
    known = client.post("/account/password/reset/", {"email": rachel.email}, follow=True)
    unknown = client.post("/account/password/reset/", {"email": "nobody@test.local"}, follow=True)
    deliver()

    assert _said(known) == _said(unknown)
    links = [envelope for envelope in sink.envelopes if b"/password/reset/key/" in envelope.content]
    assert [envelope.rcpt_tos for envelope in links] == [[rachel.email]]


def test_a_mail_has_plain_text_and_the_same_as_html_with_the_name_of_the_site(letter, sink, settings):
    settings.SITE_NAME = "Clinic <North> & South"
    deliver()

    (message,) = sink.messages
    plain, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "An analysis has finished." in plain
    assert "An analysis has finished." in html
    assert "Clinic &lt;North&gt; &amp; South" in html
    assert 'href="http://localhost:8000/notifications/"' in html
    assert not re.search(r"<script|<img|\sstyle=|\son\w+=", html)
    assert message["Auto-Submitted"] == "auto-generated"


# What the server answers


def test_a_mail_is_sent_once_and_its_text_is_dropped(letter, sink):
    deliver()
    work_now(tasks.send_mail, letter.pk)

    letter.refresh_from_db()
    assert (letter.state, letter.body, letter.error_code) == (State.SUCCEEDED, "", "")
    assert letter.sent_at is not None
    assert len(sink.envelopes) == 1
    assert AuditEvent.objects.filter(action="mail.sent", object_id=str(letter.pk)).count() == 1


def test_a_server_that_is_down_postpones_and_takes_no_attempt(letter, sink):
    sink.stop()
    for _ in range(jobs.MAX_ATTEMPTS + 2):
        deliver()
        _time_passes(letter, timedelta(hours=1))

    letter.refresh_from_db()
    assert (letter.state, letter.attempts, letter.error_code) == (State.QUEUED, 0, "server_unreachable")
    assert letter.error_message == "The mail server could not be reached."
    sink.start()
    deliver()
    letter.refresh_from_db()
    assert (letter.state, letter.error_code, letter.error_message, letter.error_detail) == (State.SUCCEEDED, "", "", "")
    assert len(sink.envelopes) == 1


@pytest.mark.parametrize("where", ["answers", "recipient_answers"])
def test_a_temporary_refusal_is_tried_again(letter, sink, where):
    setattr(sink, where, ["451 4.7.1 Greylisted, come again"])

    deliver()

    letter.refresh_from_db()
    assert (letter.state, letter.attempts, letter.error_code) == (State.QUEUED, 0, "server_busy")
    assert "code 451" in letter.error_message
    assert "Greylisted" in letter.error_detail
    assert sink.envelopes == []
    _time_passes(letter, timedelta(minutes=1))
    deliver()
    letter.refresh_from_db()
    assert letter.state == State.SUCCEEDED
    assert len(sink.envelopes) == 1


@pytest.mark.parametrize("where", ["answers", "recipient_answers"])
def test_a_final_refusal_fails_with_a_sentence_and_the_servers_words(letter, sink, where, ivan):
    setattr(sink, where, ["550 5.1.1 No such mailbox here"])

    deliver()

    letter.refresh_from_db()
    assert (letter.state, letter.error_code) == (State.FAILED, "server_refused")
    assert letter.error_message == "The mail server refused the e-mail (code 550). Check the address."
    assert "No such mailbox here" in letter.error_detail
    assert AuditEvent.objects.filter(action="mail.failed", object_id=str(letter.pk)).count() == 1
    assert actions.retry_mail(acting_user=ivan, row=letter)
    deliver()
    letter.refresh_from_db()
    assert letter.state == State.SUCCEEDED


@pytest.mark.parametrize("where", ["answers", "recipient_answers"])
def test_what_staff_read_names_no_address(letter, sink, where):
    """A patient's address often is a name."""
    setattr(sink, where, ["550 5.1.1 <Rachel@Test.local>: user rachel@test.local unknown"])
    deliver()
    letter.refresh_from_db()
    assert "5.1.1 <(address)>: user (address) unknown" in letter.error_detail
    assert "rachel" not in f"{letter.error_detail} {letter.error_message} {letter.stage} {letter}".lower()


def test_a_server_that_says_nothing_is_left_alone_for_a_while(letter, rachel, sink, settings):
    settings.EMAIL_TIMEOUT = 0.3
    second = actions.enqueue_mail(kind="result_ready", recipient=rachel.email, subject="Second", body="Text.")
    sink.at_data = lambda: time.sleep(0.6)

    work_now(tasks.send_mail, letter.pk)
    work_now(tasks.send_mail, second.pk)

    letter.refresh_from_db()
    second.refresh_from_db()
    assert (letter.state, letter.error_code) == (State.QUEUED, "server_silent")
    assert (second.state, second.attempts, second.error_code) == (State.QUEUED, 0, "server_unreachable")
    assert sink.tries == 1, "the second mail did not wait for a silent server too"


def test_every_try_of_one_mail_has_the_same_message_id_and_another_mail_another(letter, rachel, sink):
    claim = jobs.claim(OutgoingMail, letter.pk)
    mailing.hand_over(OutgoingMail.objects.get(pk=letter.pk))  # and the worker is killed before it notes this
    OutgoingMail.objects.filter(pk=letter.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    actions.enqueue_mail(kind="result_ready", recipient=rachel.email, subject="Another", body="Text.")
    jobs.sweep()
    deliver()

    first, again, other = sorted(sink.messages, key=lambda one: one["Subject"], reverse=True)
    assert claim.attempt == 1
    assert first["Message-ID"] == again["Message-ID"] == f"<{letter.pk}@localhost>"
    assert other["Message-ID"] != first["Message-ID"]


# What is written stays what is written


def test_commands_and_headers_in_the_text_stay_text(rachel, sink):
    body = (
        "Bcc: everybody@test.local\r\n.\r\nRSET\r\nMAIL FROM:<evil@test.local>\n.\nŻółć żółć, " + "long " * 500 + "\n"
    )
    actions.enqueue_mail(kind="result_ready", recipient=rachel.email, subject="Zażółć: ready", body=body, user=rachel)
    deliver()

    (envelope,), (message,) = sink.envelopes, sink.messages
    assert envelope.rcpt_tos == [rachel.email]
    assert (message["Subject"], message["Bcc"]) == ("Zażółć: ready", None)
    plain = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert plain == body.replace("\r\n", "\n")


def test_an_address_of_a_domain_with_accents_arrives(sink):
    actions.enqueue_mail(kind="result_ready", recipient="anna@żółć.test", subject="Ready", body="Text.")
    deliver()
    (envelope,) = sink.envelopes
    assert envelope.rcpt_tos == ["anna@xn--kda4b0koi.test"]
