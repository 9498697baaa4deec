"""Uploads pass ClamAV where it is configured: what it finds is refused, and so is everything while it is down."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from django.urls import reverse

from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.intake import IntakeRejected
from diagnosis.models import Image
from portal import clamd, readiness
from tests.fixture_images import good_png

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The harmless file that every scanner is tested with (eicar.org)."""
DAEMON = shutil.which("clamd") or next((str(path) for path in [Path("/usr/sbin/clamd")] if path.exists()), None)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A real clamd with one signature of our own, of the EICAR file; nothing is fetched."""
    if DAEMON is None:
        pytest.skip("clamd is not installed (apt-get install clamav-daemon)")
    # The path of a socket has at most 107 characters.
    folder = Path(tmp_path_factory.mktemp("clam"))
    (folder / "db").mkdir()
    (folder / "db" / "own.ndb").write_text(f"Own.Eicar:0:*:{EICAR.hex()}\n")
    listening = f"{folder}/clamd.ctl"
    (folder / "clamd.conf").write_text(
        f"LocalSocket {listening}\nDatabaseDirectory {folder}/db\nForeground yes\nLogFile {folder}/log\n"
        "StreamMaxLength 1M\nUser root\n"
    )
    process = subprocess.Popen(
        [DAEMON, "--config-file", str(folder / "clamd.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"unix://{listening}"
    for _ in range(200):
        try:
            clamd.ping(address=address)
            break
        except clamd.ScannerUnavailable:
            if process.poll() is not None:
                pytest.fail(f"clamd ended: {(folder / 'log').read_text()}")
            time.sleep(0.1)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture
def reading(client, rachel):
    client.force_login(rachel)
    return client


def upload(client, study, content: bytes):
    return client.post(
        reverse("study-upload", args=[study.pk]),
        {"file": io.BytesIO(content)},
        headers={"accept": "application/json"},
    )


@pytest.mark.slow
def test_a_real_scanner_lets_an_image_pass_and_stops_a_harmful_file(settings, daemon, study, rachel):
    settings.CLAMD = daemon
    filed = actions.add_image(acting_user=rachel, study=study, upload=good_png(), filename="scan.png")
    assert filed.image.pk is not None

    with pytest.raises(IntakeRejected) as refusal:
        # Behind an honest beginning: what the intake would take is scanned as well.
        actions.add_image(acting_user=rachel, study=study, upload=good_png(2) + EICAR, filename="scan2.png")

    assert refusal.value.code == "infected"
    assert Image.objects.count() == 1
    assert AuditEvent.objects.get(action="image.refused").details["code"] == "infected"
    assert readiness.scanner() is None


@pytest.mark.slow
def test_a_file_that_is_larger_than_the_scanner_takes_is_not_taken(daemon):
    with pytest.raises(clamd.ScannerUnavailable):
        clamd.scan(io.BytesIO(b"\0" * 3_000_000), address=daemon)


def test_while_the_scanner_is_down_nothing_is_taken_and_the_site_says_so(settings, reading, study, tmp_path):
    settings.CLAMD = f"unix://{tmp_path}/nobody.ctl"

    answer = upload(reading, study, good_png())

    assert answer.status_code == 503
    assert answer.json()["code"] == "scanner_down"
    assert not Image.objects.exists()
    with pytest.raises(readiness.NotReady):
        readiness.scanner()


def test_without_a_scanner_uploads_are_taken(settings, reading, study):
    settings.CLAMD = ""

    assert upload(reading, study, good_png()).status_code == 201


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (b"stream: OK\0", None),
        (b"stream: Win.Test FOUND\0", clamd.Infected),
        (b"INSTREAM size limit exceeded. ERROR\0", clamd.ScannerUnavailable),
        (b"", clamd.ScannerUnavailable),
        (b"stream: OK FOUND\0", clamd.Infected),
        (b"x" * 9000, clamd.ScannerUnavailable),
    ],
)
def test_only_a_plain_ok_lets_a_file_pass(said, outcome):
    """A server of our own stands where clamd would: an odd answer must not read as a good one."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            while not connection.recv(65536).endswith(b"\0\0\0\0"):
                continue
            connection.sendall(said)

    thread = threading.Thread(target=answer)
    thread.start()
    file = io.BytesIO(b"some bytes")
    address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    try:
        if outcome is None:
            clamd.scan(file, address=address)
        else:
            with pytest.raises(outcome):
                clamd.scan(file, address=address)
    finally:
        thread.join()
        server.close()
    assert file.tell() == 0


@pytest.mark.parametrize("text", ["unix:///run/clamav/clamd.ctl", "tcp://scanner:3310"])
def test_addresses_that_are_understood(text):
    assert clamd.is_address(text)


@pytest.mark.parametrize(
    "text", ["", "localhost:3310", "tcp://scanner", "tcp://scanner:x", "http://scanner:3310", "unix://"]
)
def test_addresses_that_stop_the_start(text):
    assert not clamd.is_address(text)
