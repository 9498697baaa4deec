"""A worker whose pool hands over no work notices it; one that is merely busy, or quick, is left alone."""

from __future__ import annotations

from portal.sweeper import STUCK_ROUNDS, PoolWatch


def _rounds(watch: PoolWatch, *, received: list[list[str]], working: int = 0, children: int = 1) -> list[bool]:
    return [watch.is_stuck(received=ids, working=working, children=children) for ids in received]


def test_a_message_that_waits_beside_an_idle_child_means_that_the_pool_is_dead():
    said = _rounds(PoolWatch(), received=[["a"]] * STUCK_ROUNDS)

    assert said == [False] * (STUCK_ROUNDS - 1) + [True]


def test_waiting_for_a_busy_child_is_no_fault():
    assert not any(_rounds(PoolWatch(), received=[["a"]] * 20, working=1))


def test_other_messages_each_round_are_no_fault():
    assert not any(_rounds(PoolWatch(), received=[[str(number)] for number in range(20)]))


def test_the_count_begins_anew_when_the_child_was_busy_in_between():
    watch = PoolWatch()
    _rounds(watch, received=[["a"]] * (STUCK_ROUNDS - 1))
    _rounds(watch, received=[["a"]], working=1)

    assert not watch.is_stuck(received=["a"], working=0, children=1)


def test_one_of_several_children_idle_is_enough_to_tell():
    assert _rounds(PoolWatch(), received=[["a"]] * STUCK_ROUNDS, working=1, children=2)[-1]
