"""`python -m ml bench`: the table has what it must, and the image it uses is one the model judges."""

from __future__ import annotations

import pytest

from ml.bench import Timing, bench, synthetic_image, time_runs
from ml.contract import OutcomeState
from ml.pipeline import analyse


@pytest.mark.parametrize("seed", range(3))
def test_the_made_image_is_judged_not_refused(seed, loaded):
    assert analyse(synthetic_image(seed=seed), loaded).state is OutcomeState.SUCCEEDED


def test_only_warm_runs_are_timed():
    calls = []
    assert len(time_runs(lambda: calls.append(1), runs=5, warm_up=3)) == 5
    assert len(calls) == 8


def test_median_and_tail_are_of_the_runs():
    timing = Timing("x", tuple(float(value) for value in range(1, 102)))
    assert (timing.median, timing.p95) == (51, 96)


@pytest.mark.slow
def test_the_table_holds_the_pipeline_and_its_alternatives(shipped):
    table = bench(shipped, runs=5, threads=1)
    for name in ("bare LiteRT forward", "full analysis with three maps", "eager Grad-CAM", "tf.function Grad-CAM"):
        assert f"{name}" in table
    assert "Resident memory" in table
