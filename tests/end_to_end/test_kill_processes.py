"""Kill every process of a running site, at moments that a seed chooses: what was accepted is done, and done once."""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time

import psutil
import pytest
import requests

from portal import jobs
from tests.end_to_end.processes import Site, wait_until

pytestmark = pytest.mark.slow

LEASE_SECONDS = jobs.LEASE.total_seconds()
COMPUTING = ("running", "analysing the image")
"""Between this stage and the end a job writes nothing but heartbeats."""


def test_the_site_becomes_ready(site: Site):
    wait_until(site.is_ready, what="/readyz")


def test_a_worker_child_killed_in_the_middle_of_its_work_loses_nothing(site: Site):
    chance = random.Random(20261121)
    accepted: list[str] = []
    for _ in range(2):
        accepted += site.upload_until_caught_running(6)
        time.sleep(chance.uniform(0, 0.02))
        site.kill(site.worker_child())
        site.wait_done(accepted)
    site.assert_each_done_once(accepted)


def test_an_idle_worker_child_that_is_killed_does_not_stop_the_work(site: Site):
    site.wait_done(site.upload(1))
    # Idle for a moment: a child that waits holds the lock of the pipe that all children share.
    time.sleep(1)
    site.kill(site.worker_child())

    accepted = site.upload(2)

    site.wait_done(accepted)
    site.assert_each_done_once(accepted)


def test_the_worker_itself_killed_in_the_middle_of_its_work_loses_nothing(site: Site):
    accepted = site.upload_until_caught_running(6)
    child = site.worker_child()
    site.kill(site.worker_parent())
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="the end of its child")
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)


def test_the_web_server_killed_during_uploads_keeps_what_it_accepted(site: Site):
    chance = random.Random(7)
    accepted: list[str] = []
    over = threading.Event()

    def keep_uploading() -> None:
        while not over.is_set():
            try:
                accepted.extend(site.upload())
            except (requests.RequestException, AssertionError):
                # A person would press upload again.
                time.sleep(0.1)

    uploader = threading.Thread(target=keep_uploading)
    uploader.start()
    try:
        for victim in (site.web_child, site.web_parent):
            before = len(accepted)
            wait_until(lambda before=before: len(accepted) > before, what="an accepted upload")
            time.sleep(chance.uniform(0, 0.3))
            site.kill(victim())
        before = len(accepted)
        wait_until(lambda: len(accepted) > before, what="an upload after the restart")
    finally:
        over.set()
        uploader.join()
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)
    # What was stored, but not acknowledged before the kill, is done all the same.
    states = site.rows("SELECT DISTINCT state FROM diagnosis_analysis")
    assert states == [("succeeded",)]


def test_the_queue_directory_deleted_with_work_in_it_loses_nothing(site: Site):
    queue = site.data / "queue"
    parent = site.worker_parent()
    parent.suspend()
    try:
        accepted = site.upload(4)
        assert len(list(queue.glob("*.msg"))) >= 2
        shutil.rmtree(queue)
    finally:
        parent.resume()
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)
    assert site.worker_parent().pid == parent.pid, "the worker survives it"


def test_a_worker_frozen_beyond_its_lease_writes_nothing_more(site: Site):
    analysis = _freeze_in_the_middle_of_its_work(site)
    try:
        wait_until(lambda: site.state(analysis) == "queued", what="the lease to run out", seconds=5 * LEASE_SECONDS)
    finally:
        site.worker_child().resume()
    site.wait_done([analysis])
    site.assert_each_done_once([analysis])
    assert site.rows("SELECT attempts FROM diagnosis_analysis WHERE id = ?", [site.key(analysis)]) == [(2,)]


def _freeze_in_the_middle_of_its_work(site: Site) -> str:
    """Stop the worker's child while it computes; return the analysis it holds."""
    child = site.worker_child()
    for _ in range(20):
        analysis = site.upload(1)[0]
        wait_until(
            lambda analysis=analysis: site.progress(analysis) == COMPUTING or site.state(analysis) == "succeeded",
            what="an analysis in the middle of its work",
            every=0.001,
        )
        child.suspend()
        # A process frozen in the middle of a write would keep everybody else from writing, on SQLite.
        if site.progress(analysis) == COMPUTING and site.can_write():
            return analysis
        child.resume()
        site.wait_done([analysis])
    raise AssertionError("Twenty analyses were over before the worker could be stopped.")


def test_the_supervisor_killed_leaves_no_process_and_loses_nothing(site: Site):
    accepted = site.upload(3)
    assert site.supervisor is not None
    site.kill(psutil.Process(site.supervisor.pid))
    site.supervisor.wait()
    wait_until(lambda: not site.processes(), what="the end of every process", seconds=10)
    site.start()
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_site_with_status_0_and_leaves_no_process(site: Site, number: signal.Signals):
    accepted = site.upload(1)
    assert site.stop(number) == 0
    assert site.processes() == []
    assert "Traceback" not in site.log.read_text(encoding="utf-8").rpartition("serve.stopping")[2]
    site.start()
    site.wait_done(accepted)
    site.assert_each_done_once(accepted)


def test_after_all_this_every_file_on_record_is_there_and_unaltered(site: Site):
    site.assert_files_sound()


def test_serve_refuses_a_port_that_is_taken(site: Site):
    refused = site.manage("serve", "--port", str(site.port))
    assert refused.returncode == 1
    assert "choose another port" in refused.stderr


def test_serve_refuses_a_database_that_waits_for_migrations(tmp_path):
    fresh = Site(tmp_path)
    refused = fresh.manage("serve", "--port", str(fresh.port))
    assert refused.returncode == 1
    assert "python manage.py migrate" in refused.stderr
