"""The broker that needs no server, where kombu's own fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection, Exchange, Producer, Queue

from portal import spool

QUEUE = Queue("celery", Exchange("celery"), routing_key="celery")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "queue"


@pytest.fixture
def channel(folder) -> Iterator[spool.Channel]:
    spool.register()
    with Connection("filesystem://localhost", transport_options={"folder": str(folder)}) as connection:
        opened = connection.channel()
        QUEUE(opened).declare()
        yield opened


def _publish(channel: spool.Channel, body: str) -> None:
    Producer(channel).publish(body, exchange="celery", routing_key="celery", declare=[QUEUE])


def _get(channel: spool.Channel) -> str | None:
    message = QUEUE(channel).get(no_ack=True)
    return None if message is None else message.decode()


def test_messages_come_out_in_the_order_they_went_in_and_once(channel, folder):
    for body in ("first", "second", "third"):
        _publish(channel, body)
    assert [_get(channel) for _ in range(4)] == ["first", "second", "third", None]
    assert list(folder.iterdir()) == []


def test_a_message_that_is_not_whole_yet_is_not_seen(channel, folder):
    _publish(channel, "whole")
    (folder / ".00000000000000000000_abc.celery.msg").write_bytes(b'{"body": "ha')
    assert [_get(channel), _get(channel)] == ["whole", None]


def test_a_message_that_a_power_cut_emptied_is_passed_over(channel, folder):
    folder.mkdir(exist_ok=True)
    (folder / "00000000000000000000_abc.celery.msg").write_bytes(b"")
    _publish(channel, "whole")
    assert [_get(channel), _get(channel)] == ["whole", None]


def test_a_deleted_directory_is_made_again(channel, folder):
    _publish(channel, "lost")
    shutil.rmtree(folder)
    assert _get(channel) is None
    _publish(channel, "kept")
    assert _get(channel) == "kept"


def test_a_message_that_another_worker_took_is_passed_over(channel, folder):
    for body in ("one", "two", "three"):
        _publish(channel, body)
    assert _get(channel) == "one"
    sorted(folder.iterdir())[0].unlink()
    assert [_get(channel), _get(channel)] == ["three", None]


def test_a_directory_that_cannot_be_made_is_an_error_of_the_broker(channel, folder):
    shutil.rmtree(folder)
    folder.write_text("A file where the directory should be.", encoding="utf-8")
    with pytest.raises(Connection("filesystem://localhost").channel_errors):
        _publish(channel, "nowhere")


def test_the_queue_tells_its_length_and_can_be_emptied(channel):
    for body in ("one", "two"):
        _publish(channel, body)
    assert channel._size("celery") == 2
    assert channel._purge("celery") == 2
    with pytest.raises(Empty):
        channel._get("celery")
