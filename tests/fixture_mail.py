"""Mail in tests: a worker's round of the waiting mails, and a real SMTP server that answers as a test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage

import dj_email_url
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from accounts import mailing, tasks
from accounts.models import OutgoingMail
from portal.job_task import work_now
from portal.jobs import State

TAKEN = "250 Message accepted for delivery"


def deliver() -> list[OutgoingMail]:
    """Do what a worker does with every mail that waits; return them as they are afterwards."""
    mailing.server.note_answer()
    waiting = list(OutgoingMail.objects.filter(state=State.QUEUED).order_by("created_at"))
    for mail in waiting:
        work_now(tasks.send_mail, mail.pk)
        mail.refresh_from_db()
    return waiting


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sink:
    """A mail server on a port of its own. ``answers`` are given to the next messages in turn, then :data:`TAKEN`."""

    def __init__(self, *, port: int | None = None) -> None:
        self.port = port or free_port()
        self.answers: list[str] = []
        self.recipient_answers: list[str] = []
        self.at_recipient: Callable[[], None] | None = None
        """Called when a message is announced, before anything of it has come in."""
        self.at_data: Callable[[], None] | None = None
        """Called when a message has been accepted or refused, before the sender hears of it."""
        self.envelopes: list[Envelope] = []
        self.tries = 0
        self._lock = threading.Lock()
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def messages(self) -> list[EmailMessage]:
        """What was accepted."""
        return [message_from_bytes(one.content, policy=policy.default) for one in self.envelopes]  # type: ignore[misc]

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802  the library's name
        if self.at_recipient is not None:
            self.at_recipient()
        if self.recipient_answers:
            self.tries += 1
            return self.recipient_answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802  the library's name
        with self._lock:
            self.tries += 1
            answer = self.answers.pop(0) if self.answers else TAKEN
            if answer == TAKEN:
                self.envelopes.append(envelope)
        if self.at_data is not None:
            self.at_data()
        return answer

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def configure(self, settings) -> None:
        """The settings that ``EMAIL_URL`` makes of this server's address."""
        for name, value in dj_email_url.parse(self.url).items():
            setattr(settings, name, value)
        settings.EMAIL_TIMEOUT = 2
