"""Bands of suspicion and the calibration of the risk that they rest on, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ml.figures import Judged, bands, risk_error, stated_risk


@pytest.fixture
def judged():
    malignant = np.array([0.01, 0.02, 0.96, 0.96, 0.3, 0.0])
    return Judged(
        labels=np.array([0, 1, 1, 1, 0, 2]),
        probabilities=np.stack([1 - malignant, malignant, 0 * malignant], axis=1),
        thresholds=np.full(6, 0.5),
        groups=tuple("abcdef"),
    )


def test_each_band_counts_its_images_and_its_share_of_cancers_and_benigns(judged):
    rows = {row["suspicion"]: row for row in bands(judged)}
    assert [rows[step]["n"] for step in range(1, 11)] == [2, 1, 0, 0, 1, 0, 0, 0, 0, 2]
    assert rows[1]["benign"] == rows[1]["normal"] == 1
    assert (rows[2]["malignant"], rows[2]["share_of_cancers"]) == (1, pytest.approx(1 / 3, abs=1e-4))
    assert (rows[10]["share_of_cancers"], rows[10]["share_of_benigns"]) == (pytest.approx(2 / 3, abs=1e-4), 0)
    assert (rows[5]["from"], rows[5]["to"]) == (0.2, 0.35)


def test_without_cancers_their_share_is_undefined_not_zero(judged):
    rows = bands(judged.take(judged.labels == 0))
    assert all(row["share_of_cancers"] is None for row in rows)
    assert sum(row["share_of_benigns"] for row in rows) == 1


def test_the_risk_s_calibration_error_is_that_of_malignancy_not_of_the_label(judged):
    # 15 bins: {0.01, 0.02, 0.0} hold one cancer in three, 0.3 none, {0.96, 0.96} two in two.
    expected = (3 * abs(0.01 - 1 / 3) + 0.3 + 2 * 0.04) / 6
    assert stated_risk(judged).expected_error == pytest.approx(expected)
    assert risk_error(judged, resamples=5)["value"] == pytest.approx(expected, abs=1e-4)
