"""The table of out-of-fold logits, with one look or several."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from ml.logits import LogitTable, require_same_folds

COLUMNS = (
    "key",
    "source",
    "label",
    "group",
    "fold",
    "model",
    "look",
    "logit_benign",
    "logit_malignant",
    "logit_normal",
)


def write(path, rows, columns=COLUMNS):
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def rows_of(key, *looks, label="benign", fold=0):
    return [[key, "busi", label, f"busi:{key}", fold, f"fold-{fold}", look, 1, 2, 3 + len(look)] for look in looks]


def test_an_image_has_a_row_for_each_look(tmp_path):
    path = write(tmp_path / "t.csv", [*rows_of("a", "whole", "close"), *rows_of("b", "close", "whole", fold=1)])
    table = LogitTable.read(path)
    assert table.keys == ("a", "b")
    assert table.looks == ("whole", "close")
    assert table.logits.shape == (2, 2, 3)
    np.testing.assert_array_equal(table.logits[0], table.logits[1])
    np.testing.assert_array_equal(table.folds, [0, 1])


def test_a_table_without_looks_has_one(tmp_path):
    rows = [row[:6] + row[7:] for row in rows_of("a", "whole")]
    table = LogitTable.read(write(tmp_path / "t.csv", rows, COLUMNS[:6] + COLUMNS[7:]))
    assert (table.looks, table.logits.shape) == (("whole",), (1, 1, 3))


def test_a_missing_close_look_is_no_number_and_counts_out_of_the_average(tmp_path):
    table = LogitTable.read(write(tmp_path / "t.csv", [*rows_of("a", "whole", "close"), *rows_of("b", "whole")]))
    assert np.isnan(table.logits[1, 1]).all()
    np.testing.assert_array_equal(table.plain[1], table.logits[1, 0])
    assert table.only("close").keys == ("a",)
    assert table.only("whole").keys == ("a", "b")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (rows_of("a", "whole", "whole"), "repeat"),
        ([*rows_of("a", "whole"), *rows_of("a", "close", label="normal")], "contradict"),
        ([*rows_of("a", "whole", "close"), *rows_of("b", "close")], "no number for each logit of the look 'whole'"),
        ([], "no rows"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused_by_name(tmp_path, rows, words):
    with pytest.raises(ValueError, match=words) as caught:
        LogitTable.read(write(tmp_path / "broken.csv", rows))
    assert "broken.csv" in str(caught.value)


def test_a_table_without_a_column_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no column fold"):
        LogitTable.read(write(tmp_path / "t.csv", rows_of("a", "whole"), [c if c != "fold" else "f" for c in COLUMNS]))


def test_a_table_on_other_folds_than_the_collection_is_noticed(tmp_path):
    from ml.data.readers import read_collections
    from tests.ml.conftest import make_collection

    records = read_collections([make_collection(tmp_path / "clinic", patients=5)])
    rows = [[each.key, each.source, each.label, each.leak_group, each.fold, "m", "whole", 0, 0, 0] for each in records]
    require_same_folds(LogitTable.read(write(tmp_path / "same.csv", rows)), records)
    rows[3][4] = (rows[3][4] + 1) % 5
    with pytest.raises(ValueError, match=rows[3][0]):
        require_same_folds(LogitTable.read(write(tmp_path / "other.csv", rows)), records)


def test_rows_follow_the_images_that_are_asked_for(tmp_path):
    rows = [*rows_of("a", "whole"), *rows_of("b", "whole", label="malignant", fold=3)]
    table = LogitTable.read(write(tmp_path / "t.csv", rows))
    turned = table.ordered(["b", "a"])
    assert turned.keys == ("b", "a")
    np.testing.assert_array_equal(turned.folds, [3, 0])
    np.testing.assert_array_equal(turned.labels, table.labels[::-1])
    with pytest.raises(ValueError, match="no row for c"):
        table.ordered(["a", "c"])
    with pytest.raises(ValueError, match="named twice"):
        table.ordered(["a", "a"])
