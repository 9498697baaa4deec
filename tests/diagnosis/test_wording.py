"""The words of a result: calm, complete, and never surer than a model may be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from diagnosis import wording
from diagnosis.templatetags import reading
from ml.contract import LABELS


@pytest.mark.parametrize("label", LABELS)
def test_every_label_has_words(label):
    for words in (wording.label_words(label), wording.label_phrase(label), wording.label_short(label)):
        assert words
        assert words != label


@pytest.mark.parametrize(
    ("suspicion", "words"),
    [(1, "very low"), (2, "very low"), (3, "low"), (5, "intermediate"), (7, "high"), (10, "very high")],
)
def test_every_step_of_suspicion_has_a_band(suspicion, words):
    assert wording.suspicion_words(suspicion) == words


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.0, "under 1 %"),
        (0.004, "under 1 %"),
        (0.01, "1 %"),
        (0.81, "81 %"),
        (0.99, "99 %"),
        (0.9999, "over 99 %"),
        (1.0, "over 99 %"),
    ],
)
def test_no_probability_reads_as_certain(probability, words):
    assert wording.percent(probability).replace("\N{NO-BREAK SPACE}", " ") == words


def test_a_check_without_words_of_its_own_is_still_readable():
    assert wording.check_words("signal_to_noise") == "Signal to noise"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.84, "0.8 s"), (41.2, "41 s"), (185, "3 min 5 s"), (3720, "1 h 2 min"), (-1, "0.0 s")]
)
def test_durations(seconds, words):
    assert reading.duration(timedelta(seconds=seconds)) == words


def test_a_duration_that_is_not_known_is_left_out():
    assert reading.duration(None) == ""


@pytest.mark.parametrize(("share", "length"), [(0.0, "0.0"), (0.813, "81.3"), (1.2, "100.0"), (-0.1, "0.0")])
def test_a_bar_never_leaves_its_frame(share, length):
    assert reading.hundredths(share) == length


def test_a_limit_is_said_in_words():
    assert reading.limit_words("highlight >= 50, black <= 85%") == "highlight at least 50, black at most 85%"
