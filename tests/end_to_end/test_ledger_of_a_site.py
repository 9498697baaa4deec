"""The ledger of a running site: commands, web and worker write one chain, and the worker anchors it."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.processes import Site, wait_until

pytestmark = pytest.mark.slow


def test_web_worker_and_commands_write_one_chain_that_the_worker_anchors(site: Site):
    accepted = site.upload_until_caught_running(3)
    site.kill(site.worker_child())
    site.wait_done(accepted)

    channels = {
        (channel, actor is not None)
        for channel, actor in site.rows("SELECT DISTINCT channel, actor_id FROM accounts_auditevent")
    }
    assert {("command", False), ("api", True), ("worker", False)} <= channels
    addresses = {address for (address,) in site.rows("SELECT address FROM accounts_auditevent WHERE channel = 'api'")}
    assert addresses == {"127.0.0.1"}

    anchors = site.data / "ledger-anchors.jsonl"
    wait_until(anchors.exists, what="the first anchor")
    first = json.loads(anchors.read_text().splitlines()[0])
    ((digest,),) = site.rows("SELECT digest FROM accounts_auditevent WHERE sequence = ?", [first["sequence"]])
    assert digest == first["digest"]
    verified = site.manage("verify_audit")
    assert verified.returncode == 0, verified.stdout
    assert "The ledger is whole" in verified.stdout
