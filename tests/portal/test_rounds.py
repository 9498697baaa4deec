"""What a worker does now and then beside its jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal import rounds
from portal.channel import channel, through


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    class Clock:
        seconds = 100.0

        def monotonic(self):
            return self.seconds

    ours = Clock()
    monkeypatch.setattr(rounds, "time", ours)
    monkeypatch.setattr(rounds, "_rounds", {})
    return ours


def test_a_round_runs_at_once_and_then_every_so_often(clock):
    done = []
    rounds.register("one", lambda: done.append(clock.seconds), every=timedelta(seconds=60))
    for _ in range(4):
        rounds.run_due()
        clock.seconds += 30
    assert done == [100.0, 160.0]


def test_one_that_fails_is_tried_again_and_stops_no_other(clock, caplog):
    tried, done = [], []

    def fails():
        tried.append(1)
        raise OSError("The disk is full.")

    rounds.register("fails", fails, every=timedelta(seconds=60))
    rounds.register("works", lambda: done.append(1), every=timedelta(seconds=60))
    rounds.run_due()
    clock.seconds += 61
    rounds.run_due()
    assert (tried, done) == ([1, 1], [1, 1])
    assert "round.failed" in caplog.text


def test_the_door_is_closed_again_behind_what_came_through():
    with pytest.raises(ZeroDivisionError), through("worker"):
        assert channel.get() == "worker"
        raise ZeroDivisionError
    assert channel.get() == "command"
