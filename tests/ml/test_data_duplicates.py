"""Copies are found however they were made, and every copy of a picture ends up in one group and one fold."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ml.data.duplicates import (
    MAMMOGRAM,
    ULTRASOUND,
    find_pairs,
    fingerprint,
    fingerprints,
    joined,
    nearness,
    regrouped,
    same_value_ties,
)
from ml.data.readers import file_digest
from ml.data.records import ImageRecord, leaking_groups
from tests.ml.test_data_published import varied


def written(folder, name, pixels, **options):
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return path


def pairs_of(paths, near=ULTRASOUND):
    prints, unreadable = fingerprints(paths)
    assert unreadable == []
    return [(pair.first, pair.second, pair.how) for pair in find_pairs(prints, near=near)]


@pytest.fixture
def frame():
    return varied(1, height=300, width=360)


def calipers(frame):
    marked = frame.copy()
    for row, column in ((100, 80), (100, 200), (60, 140), (150, 140)):
        marked[row - 4 : row + 5, column] = marked[row, column - 4 : column + 5] = 255
    return marked


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda frame: frame, "exact"),
        (calipers, "whole"),
        (lambda frame: np.clip(frame.astype(int) + 20, 0, 255).astype(np.uint8), "whole"),
        (lambda frame: np.asarray(Image.fromarray(frame).resize((180, 150))), "whole"),
        (lambda frame: np.dstack([frame] * 3), "whole"),
        (lambda frame: frame[:, ::-1], "mirrored"),
        (lambda frame: frame[:270, 36:], "cropped"),
        (lambda frame: frame[45:255], "cropped"),
    ],
    ids=[
        "same bytes",
        "calipers",
        "brighter",
        "half the size",
        "as colour",
        "mirrored",
        "without its left and bottom",
        "its middle",
    ],
)
def test_a_copy_is_found(tmp_path, frame, change, how):
    paths = [
        written(tmp_path, "a.png", frame),
        written(tmp_path, "other.png", varied(2, height=300, width=360)),
        written(tmp_path, "b.png", np.ascontiguousarray(change(frame))),
    ]
    assert pairs_of(paths) == [(0, 2, how)]
    if how in ("exact", "mirrored"):
        assert pairs_of(paths, near=MAMMOGRAM) == [(0, 2, how)]


def test_a_strong_jpeg_is_still_the_same_picture(tmp_path, frame):
    paths = [written(tmp_path, "a.png", frame), written(tmp_path, "a.jpg", frame, quality=20)]
    assert pairs_of(paths) == [(0, 1, "whole")]


def test_forty_different_frames_have_no_copies(tmp_path):
    assert pairs_of([written(tmp_path, f"{seed}.png", varied(seed)) for seed in range(40)]) == []


def test_an_unreadable_file_is_named_and_pairs_nothing(tmp_path, frame):
    paths = [written(tmp_path, "a.png", frame), tmp_path / "broken.png", written(tmp_path, "b.png", frame)]
    paths[1].write_bytes(b"no image")
    seen = []
    prints, unreadable = fingerprints(paths, advance=lambda: seen.append(1))
    assert prints[1] is None
    assert len(seen) == 3
    assert [sentence.split(":")[0] for sentence in unreadable] == [str(paths[1])]
    assert [(pair.first, pair.second) for pair in find_pairs(prints, near=ULTRASOUND)] == [(0, 2)]
    assert find_pairs([None, prints[0]], near=ULTRASOUND) == []


def test_three_same_files_are_one_group(tmp_path, frame):
    prints, _ = fingerprints([written(tmp_path, f"{name}.png", frame) for name in "abc"])
    pairs = find_pairs(prints, near=ULTRASOUND)
    assert joined(3, [(pair.first, pair.second) for pair in pairs]) == [0, 0, 0]
    assert all(pair.exact and pair.bits == 0 for pair in pairs)


def test_the_digest_is_that_of_the_file(tmp_path, frame):
    path = written(tmp_path, "a.png", frame)
    assert fingerprint(path).digest == file_digest(path)


def test_ties_join_whatever_hangs_together():
    assert joined(6, [(4, 5), (1, 4), (2, 3)]) == [0, 1, 2, 2, 1, 1]
    assert joined(3, []) == [0, 1, 2]
    assert same_value_ties(["p1", "", "p2", "p1", "", "p1"]) == [(0, 3), (0, 5)]


def test_mammograms_are_held_to_a_stricter_limit_and_so_is_what_nobody_knows():
    assert nearness("US") == ULTRASOUND
    assert nearness("MG") == nearness("CESM") == nearness("") == MAMMOGRAM
    assert MAMMOGRAM.whole < ULTRASOUND.whole


def test_groups_join_over_copies_patients_and_collections(tmp_path, frame):
    def record(source, name, pixels, *, patient="", label="benign", fold=0):
        path = written(tmp_path, f"{source}-{name}.png", pixels)
        return ImageRecord(source=source, path=path, label=label, group=name, fold=fold, patient=patient)

    records = [
        record("one", "a", frame),
        record("two", "b", calipers(frame), patient="p1", label="malignant", fold=3),
        record("two", "c", varied(5), patient="p1", fold=1),
        record("two", "d", varied(6), patient="p2", fold=2),
    ]
    prints, _ = fingerprints([each.path for each in records])
    tied = regrouped(records, find_pairs(prints, near=ULTRASOUND))
    assert len({each.leak_group for each in tied[:3]}) == 1
    assert tied[3].leak_group != tied[0].leak_group
    assert len({each.fold for each in tied[:3]}) == 1
    assert leaking_groups(tied) == []
