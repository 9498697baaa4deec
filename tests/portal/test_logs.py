"""Patient text has no place in a log."""

from __future__ import annotations

import pytest
import structlog

from portal.logs import without_query


def test_what_somebody_searched_for_is_cut_off_the_line_of_a_request():
    event = without_query(None, "info", {"event": "request_started", "request": "GET /history/?q=Kowalska"})
    assert event["request"] == "GET /history/"


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
