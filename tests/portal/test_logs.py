"""Patient text has no place in a log."""

from __future__ import annotations

import pytest
import structlog
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from portal.logs import described, without_query


def test_what_somebody_searched_for_is_cut_off_the_line_of_a_request():
    event = without_query(None, "info", {"event": "request_started", "request": "GET /history/?q=Kowalska"})
    assert event["request"] == "GET /history/"


def test_the_key_of_a_link_that_sets_a_password_is_cut_out_of_the_line_of_a_request():
    line = "GET /account/password/reset/key/5-d2x7-9f3a1c/"

    event = without_query(None, "info", {"event": "request_started", "request": line})

    assert event["request"] == "GET /account/password/reset/key/.../"


def test_a_link_that_sets_a_password_leaves_no_key_in_the_log(client, db, caplog):
    client.get("/account/password/reset/key/5-d2x7-9f3a1c/")

    assert "/account/password/reset/key/" in caplog.text
    assert "9f3a1c" not in caplog.text


def test_the_probes_of_monitors_are_not_logged():
    with pytest.raises(structlog.DropEvent):
        without_query(None, "info", {"event": "request_finished", "request": "GET /healthz"})


def test_other_events_pass_unchanged():
    event = {"event": "jobs.swept", "published": 2}
    assert without_query(None, "info", dict(event)) == event


def test_a_search_leaves_no_trace_in_the_log(client, db, capfd):
    client.get("/history/?q=Kowalska")
    written = capfd.readouterr()
    assert "Kowalska" not in written.out + written.err


def _raised(error: Exception) -> str:
    try:
        try:
            raise error
        except Exception as first:
            raise RuntimeError("The row could not be stored.") from first
    except RuntimeError as second:
        return described(second)


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("Key (mrn)=(KOWALSKA-7) already exists."),
        ValidationError({"family_name": ["Kowalska is not a name."]}),
        ValueError("Kowalska"),
        KeyError("Kowalska"),
        UnicodeDecodeError("utf-8", b"Kowalska\xff", 8, 9, "invalid start byte"),
    ],
)
def test_an_error_that_quotes_a_record_is_logged_without_its_words(error):
    text = _raised(error)

    assert "kowalska" not in text.lower()
    assert type(error).__name__ in text
    assert "The row could not be stored." in text
    assert "test_logs.py" in text


def test_other_errors_say_what_happened():
    assert "No space left on device" in _raised(OSError(28, "No space left on device"))
