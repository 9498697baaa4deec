"""Mail leaves through a real SMTP server, as ``EMAIL_URL`` names it."""

from __future__ import annotations

import re
import socket
from email import message_from_bytes, policy

import dj_email_url
import pytest
from aiosmtpd.controller import Controller

pytestmark = pytest.mark.django_db


class Sink:
    """Keeps every message that the server accepted."""

    def __init__(self) -> None:
        self.envelopes: list = []

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802  the library's name
        self.envelopes.append(envelope)
        return "250 Message accepted for delivery"


@pytest.fixture
def sink():
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=_free_port())
    controller.start()
    sink.url = f"smtp://127.0.0.1:{controller.port}"
    yield sink
    controller.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def by_smtp(settings, sink):
    """The settings that ``EMAIL_URL`` makes of the sink's address."""
    for name, value in dj_email_url.parse(sink.url).items():
        setattr(settings, name, value)
    return sink


def _said(answer) -> str:
    """A page without its tokens, which differ each time."""
    return re.sub(r"[0-9A-Za-z]{64}", "token", answer.content.decode())


def test_the_link_for_a_new_password_arrives(client, rachel, by_smtp):
    client.post("/account/password/reset/", {"email": rachel.email})

    (envelope,) = by_smtp.envelopes
    assert envelope.rcpt_tos == [rachel.email]
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert message["Subject"] == "Senolens: New password"
    link = re.search(r"https?://[^/\s]+(/account/password/reset/key/\S+)", message.get_content())
    assert link is not None
    assert client.get(link[1], follow=True).status_code == 200


def test_a_stranger_gets_no_link_and_the_page_does_not_tell(client, rachel, by_smtp):
    known = client.post("/account/password/reset/", {"email": rachel.email}, follow=True)
    unknown = client.post("/account/password/reset/", {"email": "nobody@test.local"}, follow=True)

    assert _said(known) == _said(unknown)
    links = [envelope for envelope in by_smtp.envelopes if b"/password/reset/key/" in envelope.content]
    assert [envelope.rcpt_tos for envelope in links] == [[rachel.email]]
