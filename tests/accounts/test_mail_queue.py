"""What may be queued as mail, how long it is tried, and who may have it tried again."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from django.core import mail as post
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts import actions, mailing
from accounts.actions import notifications
from accounts.models import AuditEvent, OutgoingMail
from portal import jobs
from portal.jobs import State
from tests.fixture_mail import deliver

pytestmark = pytest.mark.django_db


def queued(user, **changes) -> OutgoingMail:
    words = {"kind": "result_ready", "recipient": user.email, "subject": "A result is ready", "body": "Sign in.\n"}
    return actions.enqueue_mail(user=user, **words | changes)


def postponed(mail: OutgoingMail) -> OutgoingMail:
    """The same after a try that the server put off."""
    claim = jobs.claim(OutgoingMail, mail.pk)
    assert claim is not None
    assert actions.postpone_mail(claim=claim, code="server_busy", message="Not now.", detail="451 Not now")
    mail.refresh_from_db()
    return mail


@pytest.fixture
def letter(rachel) -> OutgoingMail:
    return queued(rachel)


@pytest.fixture
def queue(settings):
    """The directory of the real broker, empty."""
    shutil.rmtree(settings.QUEUE_DIR, ignore_errors=True)
    settings.QUEUE_DIR.mkdir()
    jobs._broker.down_until = 0.0
    yield settings.QUEUE_DIR
    if settings.QUEUE_DIR.is_file():
        settings.QUEUE_DIR.unlink()
    jobs._broker.down_until = 0.0


# What is taken


@pytest.mark.parametrize("smuggled", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028", "\u2029", "\0"])
@pytest.mark.parametrize("field", ["subject", "recipient"])
def test_no_header_is_smuggled_in(rachel, field, smuggled):
    words = {"subject": "Hello", "recipient": rachel.email}
    words[field] += f"{smuggled}Bcc: everybody@test.local"

    with pytest.raises(actions.UnusableMail, match="more than one line"):
        queued(rachel, **words)

    assert not OutgoingMail.objects.exists()


@pytest.mark.parametrize(
    "recipient", ["", "rachel", "a@test.local, b@test.local", "a@test.local b@test.local", "Rachel <a@test.local>"]
)
def test_the_recipient_is_one_address(rachel, recipient):
    with pytest.raises(actions.UnusableMail):
        queued(rachel, recipient=recipient)
    assert not OutgoingMail.objects.exists()


def test_headers_in_the_text_stay_text(rachel):
    queued(rachel, body="Bcc: everybody@test.local\nSubject: Other\n\n<script>alert(1)</script>\n.\nQUIT\n")
    deliver()

    (message,) = post.outbox
    assert message.recipients() == [rachel.email]
    assert message.subject == "A result is ready"
    assert "&lt;script&gt;" in message.alternatives[0].content
    assert "<script>" not in message.alternatives[0].content


def test_an_address_that_cannot_be_used_does_not_undo_what_it_is_about(rachel):
    type(rachel).objects.filter(pk=rachel.pk).update(email="no address")
    rachel.refresh_from_db()

    told = actions.notify("suspicious_result", users=[rachel], text="A result needs a look soon.", path="/")

    assert told == 1
    assert rachel.notifications.count() == 1
    assert not OutgoingMail.objects.exists()


# How long it is tried


def test_the_delay_doubles_up_to_some_hours():
    begin = timezone.now()
    now, delays = begin, []
    while now - begin < timedelta(days=1):
        until = mailing.next_try(queued_at=begin, now=now)
        delays.append(until - now)
        now = until

    assert delays[:5] == [timedelta(seconds=number) for number in (5, 5, 10, 20, 40)]
    assert max(delays) == mailing.LONGEST_DELAY
    assert len(delays) < 30


def test_a_postponed_mail_is_taken_by_nobody_before_its_time_and_by_somebody_after(letter, queue):
    postponed(letter)

    assert (letter.state, letter.attempts, letter.postponed_until) == (State.QUEUED, 0, letter.publish_after)
    assert jobs.claim(OutgoingMail, letter.pk) is None, "a message that comes late or twice changes nothing"
    assert jobs.sweep() == jobs.Swept()
    OutgoingMail.objects.filter(pk=letter.pk).update(
        lease_until=timezone.now() - timedelta(seconds=1), publish_after=timezone.now() - timedelta(seconds=1)
    )
    assert jobs.sweep() == jobs.Swept(published=1)
    assert jobs.claim(OutgoingMail, letter.pk) is not None


def test_a_worker_that_lost_its_lease_postpones_nothing(letter):
    lost = jobs.claim(OutgoingMail, letter.pk)
    OutgoingMail.objects.filter(pk=letter.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    kept = jobs.claim(OutgoingMail, letter.pk)

    assert not actions.postpone_mail(claim=lost, code="late", message="Too late.", detail="")
    assert kept.extend()


def test_a_lost_worker_still_costs_an_attempt_between_postponements(letter):
    for _ in range(jobs.MAX_ATTEMPTS):
        postponed(letter)
        OutgoingMail.objects.filter(pk=letter.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        assert jobs.claim(OutgoingMail, letter.pk) is not None
        OutgoingMail.objects.filter(pk=letter.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        jobs.sweep()
    letter.refresh_from_db()
    assert (letter.state, letter.error_code) == (State.FAILED, "worker_lost")


def test_after_three_days_it_is_given_up_and_its_text_is_gone(letter, ivan):
    OutgoingMail.objects.filter(pk=letter.pk).update(created_at=timezone.now() - mailing.GIVE_UP_AFTER)

    postponed_for_the_last_time = jobs.claim(OutgoingMail, letter.pk)
    actions.postpone_mail(claim=postponed_for_the_last_time, code="server_busy", message="Not now.", detail="451")

    letter.refresh_from_db()
    assert (letter.state, letter.error_code, letter.body) == (State.FAILED, "expired", "")
    assert "given up" in letter.error_message
    with pytest.raises(actions.TextExpired, match="start again"):
        actions.retry_mail(acting_user=ivan, row=letter)


def test_what_is_too_old_is_not_sent_late(letter):
    """No worker ran for days: a dead link would only puzzle."""
    OutgoingMail.objects.filter(pk=letter.pk).update(created_at=timezone.now() - mailing.GIVE_UP_AFTER)
    deliver()
    letter.refresh_from_db()
    assert (letter.state, letter.error_code, letter.body) == (State.FAILED, "expired", "")
    assert post.outbox == []


def test_a_broker_that_is_down_loses_no_mail(rachel, queue, settings, django_capture_on_commit_callbacks):
    queue.rmdir()
    queue.write_text("not a directory")
    with django_capture_on_commit_callbacks(execute=True):
        letter = queued(rachel)

    assert OutgoingMail.objects.get(pk=letter.pk).state == State.QUEUED
    queue.unlink()
    queue.mkdir()
    assert jobs.sweep() == jobs.Swept(published=1)
    deliver()
    assert len(post.outbox) == 1


# Who may have it tried again


def test_it_staff_have_a_postponed_mail_tried_at_once(letter, ivan):
    postponed(letter)

    assert actions.retry_mail(acting_user=ivan, row=letter)

    assert [mail.state for mail in deliver()] == [State.SUCCEEDED]
    assert AuditEvent.objects.get(action="mail.retried").actor == ivan


@pytest.mark.parametrize("who", ["rachel", "petra"])
def test_others_have_nothing_tried_again(letter, request, who):
    with pytest.raises(PermissionDenied):
        actions.retry_mail(acting_user=request.getfixturevalue(who), row=letter)


def test_what_was_sent_is_not_sent_again(letter, ivan):
    deliver()
    with pytest.raises(actions.TextExpired):
        actions.retry_mail(acting_user=ivan, row=letter)
    assert len(post.outbox) == 1


# What is kept


def test_old_mails_and_texts_are_forgotten_and_young_ones_kept(rachel):
    now = timezone.now()
    sent, old, failed, fresh = (queued(rachel) for _ in range(4))
    ended = OutgoingMail.objects.filter
    ended(pk=sent.pk).update(state=State.SUCCEEDED, finished_at=now - timedelta(days=29), body="")
    ended(pk=old.pk).update(state=State.SUCCEEDED, finished_at=now - timedelta(days=31), body="")
    ended(pk=failed.pk).update(
        state=State.FAILED, finished_at=now, created_at=now - mailing.GIVE_UP_AFTER - timedelta(seconds=1)
    )

    notifications.forget_old_notices()

    assert set(OutgoingMail.objects.values_list("pk", flat=True)) == {sent.pk, failed.pk, fresh.pk}
    assert OutgoingMail.objects.get(pk=failed.pk).body == ""
    assert OutgoingMail.objects.get(pk=fresh.pk).body != ""


def test_read_notifications_are_forgotten_after_ninety_days_and_unread_ones_never(rachel):
    for text in ("read long ago", "read lately", "not read"):
        actions.notify("result_ready", users=[rachel], text=text)
    own = rachel.notifications
    long_ago = timezone.now() - timedelta(days=91)
    own.update(created_at=long_ago)
    own.filter(text="read long ago").update(read_at=long_ago)
    own.filter(text="read lately").update(read_at=timezone.now())

    notifications.forget_old_notices()

    assert set(own.values_list("text", flat=True)) == {"read lately", "not read"}
