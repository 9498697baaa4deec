"""Mail by a real worker process and a real SMTP server: down, busy, refusing; and the worker killed while it sends."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

import psutil
import pytest

from tests.end_to_end.processes import Site, wait_until
from tests.fixture_mail import Sink

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def post() -> Iterator[Sink]:
    """The mail server that the site's ``EMAIL_URL`` names; a test starts it when it wants it to answer."""
    sink = Sink()
    yield sink
    sink.stop()


@pytest.fixture(scope="module")
def clinic(tmp_path_factory, post) -> Iterator[Site]:
    """A site of which only a worker runs."""
    running = Site(tmp_path_factory.mktemp("clinic"), EMAIL_URL=post.url)
    running.prepare()
    try:
        running.start_worker()
        yield running
    finally:
        running.end()


@pytest.fixture(autouse=True)
def _fresh_server(post):
    post.stop()
    post.envelopes.clear()
    post.tries = 0
    yield
    post.at_recipient = post.at_data = None
    post.answers.clear()


def queue(site: Site, *subjects: str) -> None:
    """Have mails queued, as a web process does it."""
    made = site.manage(
        "shell",
        "--no-imports",
        "--command",
        "from accounts import actions\n"
        f"for subject in {subjects!r}:\n"
        "    actions.enqueue_mail(\n"
        "        kind='result_ready', recipient='rachel@test.local', subject=subject, body='Sign in.')",
    )
    assert made.returncode == 0, made.stderr


def mail(site: Site, subject: str) -> tuple[str, int, str, str]:
    """State, attempts, code and sentence."""
    (row,) = site.rows(
        "SELECT state, attempts, error_code, error_message FROM accounts_outgoingmail WHERE subject = ?", [subject]
    )
    return row


def wait_for(site: Site, subject: str, state: str) -> None:
    wait_until(lambda: mail(site, subject)[0] == state, what=f"{subject!r} to be {state}")


def received(post: Sink, subject: str) -> list[str]:
    """The Message-ID of every copy that the server accepted."""
    return [str(message["Message-ID"]) for message in post.messages if message["Subject"] == subject]


def ledger(site: Site, subject: str, action: str) -> int:
    (key,) = site.rows("SELECT id FROM accounts_outgoingmail WHERE subject = ?", [subject])[0]
    events = site.rows("SELECT object_id FROM accounts_auditevent WHERE action = ?", [action])
    return [str(identifier).replace("-", "") for (identifier,) in events].count(key)


def workers_children(site: Site) -> list[psutil.Process]:
    parents = [psutil.Process(other.pid) for other in site.others if other.poll() is None]
    return [child for parent in parents for child in parent.children()]


def kill_the_sender(site: Site) -> None:
    """``kill -9`` of whatever is sending, once."""
    for child in workers_children(site):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def test_what_waits_for_a_server_that_is_down_arrives_once_when_it_is_up(clinic, post):
    queue(clinic, "Down", "Down too")
    for subject in ("Down", "Down too"):
        wait_until(lambda subject=subject: mail(clinic, subject)[2], what="a first try")
        assert mail(clinic, subject)[:3] == ("queued", 0, "server_unreachable")

    post.start()

    for subject in ("Down", "Down too"):
        wait_for(clinic, subject, "succeeded")
        assert len(received(post, subject)) == 1
        assert ledger(clinic, subject, "mail.sent") == 1


def test_a_busy_server_is_asked_again_and_a_refusal_is_final(clinic, post):
    post.answers = ["451 4.3.0 Come again"]
    post.start()
    queue(clinic, "Busy")
    wait_until(lambda: mail(clinic, "Busy")[2] == "server_busy", what="the first answer")
    wait_for(clinic, "Busy", "succeeded")
    assert len(received(post, "Busy")) == 1
    assert post.tries == 2

    post.answers = ["554 5.7.1 Not wanted"]
    queue(clinic, "Refused")
    wait_for(clinic, "Refused", "failed")
    assert mail(clinic, "Refused")[2:] == (
        "server_refused",
        "The mail server refused the e-mail (code 554). Check the address.",
    )
    assert received(post, "Refused") == []
    assert ledger(clinic, "Refused", "mail.failed") == 1


def test_a_worker_killed_before_the_server_has_the_mail_costs_nothing(clinic, post):
    killed: list[int] = []

    def kill_once() -> None:
        if not killed:
            killed.append(1)
            kill_the_sender(clinic)

    post.at_recipient = kill_once
    post.start()
    queue(clinic, "Killed before")

    wait_for(clinic, "Killed before", "succeeded")
    assert killed
    assert len(received(post, "Killed before")) == 1
    assert ledger(clinic, "Killed before", "mail.sent") == 1


def test_a_worker_killed_between_the_servers_yes_and_its_own_note_sends_a_copy_that_is_known_as_one(clinic, post):
    killed: list[int] = []

    def kill_once() -> None:
        if not killed:
            killed.append(1)
            kill_the_sender(clinic)

    post.at_data = kill_once
    post.start()
    queue(clinic, "Killed after")

    wait_for(clinic, "Killed after", "succeeded")
    copies = received(post, "Killed after")
    assert killed
    assert len(copies) == 2
    assert len(set(copies)) == 1, "one Message-ID: the recipient's mail program shows one"
    assert ledger(clinic, "Killed after", "mail.sent") == 1


def test_a_queue_that_was_deleted_while_no_worker_ran_loses_no_mail(clinic, post):
    post.start()
    for worker in clinic.others:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [*psutil.Process(worker.pid).children(), psutil.Process(worker.pid)]:
                process.kill()
        worker.wait()
    queue(clinic, "Queue gone")
    assert mail(clinic, "Queue gone")[0] == "queued"
    shutil.rmtree(clinic.data / "queue")

    clinic.start_worker()

    wait_for(clinic, "Queue gone", "succeeded")
    assert len(received(post, "Queue gone")) == 1
