"""Hands one e-mail to the mail server, and sorts what the server answers: sent, later, or never."""

from __future__ import annotations

import re
import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parseaddr
from time import monotonic
from typing import NoReturn

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from accounts.models import OutgoingMail

FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(hours=2)
"""RFC 5321 4.5.4.1: after the first hour every two or three hours."""
GIVE_UP_AFTER = timedelta(days=3)
"""RFC 5321 4.5.4.1 says four to five days between servers; the links of an account are dead after three
(``settings.PASSWORD_RESET_TIMEOUT``)."""
SHORTEST_PAUSE_SECONDS = 2.0
PAUSE_FACTOR = 3.0
"""After the server was out of reach this process tries no mail for three times as long as it waited in vain: a hundred
mails to a silent server, ten seconds each, take at most a quarter of the time that analyses need."""


class TryLater(Exception):
    """The mail server did not take it now, and may take it later. The message is for people, ``detail`` for staff."""

    def __init__(self, message: str, *, code: str, detail: str) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


class Refused(TryLater):
    """The mail server will never take it."""


@dataclass(slots=True)
class _Server:
    """Remembers that the mail server was out of reach a moment ago."""

    silent_until: float = 0.0
    reason: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_silence(self, reason: str, *, waited: float) -> None:
        with self.lock:
            self.silent_until = monotonic() + max(SHORTEST_PAUSE_SECONDS, PAUSE_FACTOR * waited)
            self.reason = reason

    def note_answer(self) -> None:
        with self.lock:
            self.silent_until = 0.0


server = _Server()
_ADDRESS = re.compile(r"""[^\s<>()'"{}:,;]+@[^\s<>()'"{}:,;]+""")


def next_try(*, queued_at: datetime, now: datetime) -> datetime:
    """When to try again: wait as long as it has waited already, so that the delay doubles from try to try."""
    return now + max(FIRST_DELAY, min(now - queued_at, LONGEST_DELAY))


def message_id(mail: OutgoingMail) -> str:
    """The same for every try of one mail: a second copy, sent because a worker was killed between the server's "yes"
    and our note of it, is recognised as the same message (RFC 5322 3.6.4)."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{mail.pk}@{domain}>"


def compose(mail: OutgoingMail) -> EmailMultiAlternatives:
    """The message as it leaves: plain text, and the same as simple HTML."""
    message = EmailMultiAlternatives(
        subject=mail.subject,
        body=mail.body,
        to=[mail.recipient],
        headers={
            "Message-ID": message_id(mail),
            # RFC 3834: nobody's "I am on holiday" shall answer.
            "Auto-Submitted": "auto-generated",
        },
    )
    html = render_to_string(
        "emails/message.html", {"subject": mail.subject, "body": mail.body, "site_name": settings.SITE_NAME}
    )
    message.attach_alternative(html, "text/html")
    return message


def hand_over(mail: OutgoingMail) -> None:
    """Send it.

    Raises:
        TryLater: 4xx, no connection, no answer in time, or a sign-in of this site that the server does not accept.
        Refused: 5xx about this mail.
    """
    if monotonic() < server.silent_until:
        raise TryLater(
            "The mail server could not be reached a moment ago.", code="server_unreachable", detail=server.reason
        )
    message = compose(mail)
    with _sorted_answers(since=monotonic()):
        message.send()
    server.note_answer()


@contextmanager
def _sorted_answers(*, since: float) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        # The server's answer is 5xx, but it is the site's sign-in that it refuses, not this mail.
        _unreachable(
            "The mail server does not accept this site's sign-in. Check EMAIL_URL.", "server_sign_in", error, since
        )
    except smtplib.SMTPRecipientsRefused as error:
        answers = list(error.recipients.values())
        _answered(answers[0][0] if answers else 550, _words(error), error)
    except smtplib.SMTPConnectError as error:
        _unreachable("The mail server is not ready.", "server_unreachable", error, since)
    except smtplib.SMTPResponseException as error:
        _answered(error.smtp_code, _words(error), error)
    except smtplib.SMTPNotSupportedError as error:
        raise Refused(
            "The mail server cannot do what this e-mail or EMAIL_URL asks for.",
            code="server_cannot",
            detail=_words(error),
        ) from error
    except (SoftTimeLimitExceeded, TimeoutError) as error:
        _unreachable("The mail server did not answer in time.", "server_silent", error, since)
    except (smtplib.SMTPServerDisconnected, OSError) as error:
        if isinstance(error.__context__, TimeoutError):  # smtplib tells a silence in a dialogue as a lost connection
            _unreachable("The mail server did not answer in time.", "server_silent", error, since)
        _unreachable("The mail server could not be reached.", "server_unreachable", error, since)


def _answered(code: int, words: str, error: Exception) -> NoReturn:
    if 400 <= code < 500:
        raise TryLater(
            f"The mail server did not take the e-mail now (code {code}).", code="server_busy", detail=words
        ) from error
    raise Refused(
        f"The mail server refused the e-mail (code {code}). Check the address.", code="server_refused", detail=words
    ) from error


def _unreachable(message: str, code: str, error: BaseException, since: float) -> NoReturn:
    server.note_silence(_words(error), waited=monotonic() - since)
    raise TryLater(message, code=code, detail=_words(error)) from error


def _words(error: BaseException) -> str:
    """What the server said, without any address: IT staff read it, and a patient's address often is a name."""
    return _ADDRESS.sub("(address)", f"{type(error).__name__}: {error}")[:2_000]
