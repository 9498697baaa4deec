"""The site as in production, on PostgreSQL and Redis with two worker hosts: servers that fail lose nothing either."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from tests.end_to_end.conftest import RedisServer
from tests.end_to_end.processes import Site, wait_until

pytestmark = pytest.mark.slow

UPLOAD_SECONDS = 3.0
"""A broker that does not answer may delay the first upload by its time-out of 1 s; the rest is a busy machine."""


@pytest.fixture(scope="module")
def site(tmp_path_factory, redis: RedisServer, postgres: str) -> Iterator[Site]:
    running = Site(
        tmp_path_factory.mktemp("production"),
        DATABASE_URL=postgres,
        CELERY_BROKER_URL=redis.url,
        WORKER_CONCURRENCY="2",
    )
    running.prepare()
    try:
        running.start()
        running.start_worker()
        running.sign_in()
        wait_until(running.is_ready, what="/readyz")
        yield running
    finally:
        running.end()


def test_three_worker_children_on_two_hosts_analyse_each_image_once(site: Site):
    accepted = site.upload(8)
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)
    attempts = site.rows("SELECT DISTINCT attempts FROM diagnosis_analysis")
    assert attempts == [(1,)]


def test_a_worker_child_killed_in_the_middle_of_its_work_loses_nothing(site: Site):
    chance = random.Random(20261121)
    accepted = site.upload_until_caught_running(6)
    time.sleep(chance.uniform(0, 0.02))
    for child in site.worker_parent().children():
        site.kill(child)
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)


def test_a_queue_that_was_wiped_loses_nothing(site: Site, redis: RedisServer):
    parents = [site.worker_parent().pid, *(other.pid for other in site.others)]
    for pid in parents:
        os.kill(pid, signal.SIGSTOP)
    try:
        accepted = site.upload(4)
        assert redis.command("FLUSHALL") == "OK"
    finally:
        for pid in parents:
            os.kill(pid, signal.SIGCONT)
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)


def test_uploads_are_accepted_at_once_while_the_broker_is_down_and_done_when_it_is_back(site: Site, redis: RedisServer):
    redis.stop()
    try:
        started = time.monotonic()
        accepted = site.upload(3)
        assert time.monotonic() - started < 3 * UPLOAD_SECONDS
        assert not site.is_ready()
        assert site.get(f"analyses/{accepted[0]}/").json()["state"] == "queued"
    finally:
        redis.start()
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)


def test_a_broker_that_hangs_delays_a_batch_of_uploads_once(site: Site, redis: RedisServer):
    assert redis.process is not None
    redis.process.send_signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        accepted = site.upload(4)
        assert time.monotonic() - started < 4 * UPLOAD_SECONDS / 2
    finally:
        redis.process.send_signal(signal.SIGCONT)
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)


def test_after_all_this_every_file_on_record_is_there_and_unaltered(site: Site):
    site.assert_files_sound()
