"""`python -m ml bench`: the table has what it must, and the images it uses are ones the model judges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml import bench_suite
from ml.__main__ import main
from ml.bench import Figure, as_markdown, ratio, synthetic_image, time_in_turns, time_runs
from ml.bench_graphs import litert_forward, openvino_forward, openvino_version
from ml.contract import OutcomeState
from ml.images import Letterbox, network_input
from ml.pipeline import analyse

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("seed", range(3))
def test_the_made_image_is_judged_not_refused(seed, loaded):
    assert analyse(synthetic_image(seed=seed), loaded).state is OutcomeState.SUCCEEDED


def test_only_warm_runs_are_timed():
    calls = []
    assert len(time_runs(lambda: calls.append(1), runs=5, warm_up=3)) == 5
    assert len(calls) == 8


def test_calls_are_timed_in_turns_by_both_clocks():
    order = []
    timed = time_in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, runs=3)
    assert order[-6:] == ["a", "b"] * 3
    for name in "ab":
        assert len(timed[name].wall.values) == len(timed[name].processor.values) == 3


def test_waiting_costs_wall_clock_and_no_processor_time():
    import time

    timed = time_in_turns({"sleep": lambda: time.sleep(0.01)}, runs=3)["sleep"]
    assert timed.wall.median >= 10
    assert timed.processor.median < 5


def test_median_and_spread_are_of_the_runs():
    figure = Figure("x", tuple(float(value) for value in range(1, 102)))
    assert figure.median == 51
    assert figure.spread == (6, 96)


def test_a_ratio_is_taken_run_by_run():
    found = ratio("x", Figure("a", (2.0, 30.0, 4.0)), Figure("b", (1.0, 10.0, 4.0)), at_most=2.0)
    assert found.values == (2.0, 3.0, 1.0)
    assert (found.median, found.met, found.goal) == (2.0, True, "<= 2")


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("x", (3.0,), at_most=2.0), False),
        (Figure("x", (3.0,), at_least=2.0), True),
        (Figure("x", (3.0,)), None),
        (Figure("x", at_most=2.0, note="not installed"), None),
    ],
)
def test_a_goal_is_met_missed_or_not_judged(figure, met):
    assert figure.met is met


def test_the_table_says_what_is_missing_instead_of_leaving_it_out():
    table = as_markdown([Figure("OpenVINO", note="not installed"), Figure("load", (12.3456,), at_most=300)])
    assert "| OpenVINO | 0 | not installed | - | ms | - | - |" in table
    assert "| load | 1 | 12.35 | 12.35-12.35 | ms | <= 300 | yes |" in table


def test_the_bare_forward_is_the_shipped_graph(shipped, loaded):
    canvas = Letterbox.fit(height=460, width=620, side=loaded.side).place(synthetic_image())
    pixels = network_input(canvas)
    outputs = litert_forward(shipped.model_path, pixels, threads=1)()
    embedding = next(array for array in outputs if array.shape == (1, 1280))
    run = loaded.look if loaded.passes > 1 else loaded.forward
    assert np.array_equal(embedding[0], run(pixels).embedding)


@pytest.mark.skipif(openvino_version() is None, reason="OpenVINO is not installed (requirements-bench.txt)")
def test_the_outside_reference_computes_the_same(shipped, loaded):
    canvas = Letterbox.fit(height=460, width=620, side=loaded.side).place(synthetic_image())
    pixels = network_input(canvas)
    pairs = zip(
        litert_forward(shipped.model_path, pixels, threads=1)(),
        openvino_forward(shipped.model_path, pixels, threads=1)(),
        strict=True,
    )
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, atol=1e-2, rtol=1e-2)


def test_a_process_that_analyses_loads_no_training_framework_and_stays_small(shipped, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(synthetic_image()).save(path)
    finished = subprocess.run(
        [sys.executable, "-m", "ml.bench_worker", str(shipped.folder), "1", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    found = json.loads(finished.stdout.splitlines()[-1])
    assert found["frameworks"] == []
    assert found["load_ms"] > 0
    if found["resident_mb"]:
        assert found["resident_mb"] < 250


@pytest.mark.slow
def test_without_openvino_its_row_says_so_and_the_rest_is_measured(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench_suite, "openvino_version", lambda: None)
    monkeypatch.setattr(bench_suite, "BATCH", 4)
    out = tmp_path / "bench.md"
    assert main(["bench", "--runs", "3", "--no-keras", "--workers", "2", "--out", str(out)]) == 0
    table = capsys.readouterr().out
    written = out.read_text(encoding="utf-8")
    assert table in written
    assert "`python -m ml bench --runs 3 --no-keras --workers 2 --out" in written
    assert "not installed (requirements-bench.txt)" in table
    for words in (
        "bare LiteRT forward, one pass",
        "decode to Outcome, 620 x 460 PNG file",
        "that it needs",
        "batch of 4 files from disk (4 judged), 2 worker(s)",
        "model load, first in a fresh process",
        "resident memory",
        "1 thread(s)",
        "| goal | met |",
    ):
        assert words in table


def test_an_image_that_the_model_refuses_is_not_timed(tmp_path, capsys):
    Image.fromarray(np.zeros((300, 300), np.uint8)).save(tmp_path / "blank.png")
    assert main(["bench", "--runs", "1", "--no-keras", "--images", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "blank.png is refused" in said
    assert "--images" in said


def test_a_folder_without_images_is_said_so(tmp_path, capsys):
    assert main(["bench", "--images", str(tmp_path)]) == 1
    assert "holds no images" in capsys.readouterr().err


@pytest.mark.slow
def test_the_json_holds_keras_and_the_training_epoch_too(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-m", "ml", "bench", "--runs", "5", "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
    )
    found = json.loads(finished.stdout)
    rows = {row["what"]: row for row in found["rows"]}
    # How large they are is for the bench to say: another load on this machine must not fail a test.
    for name in (
        "Keras predict and eager Grad-CAM of one class / decode to Outcome",
        "training epoch, recomputed / cached",
    ):
        assert rows[name]["n"] > 0 and rows[name]["median"] > 0
    assert rows["training epoch, recomputed / cached"]["met"] in (True, False)
    assert all(row["n"] > 0 or row["note"] for row in rows.values())
    assert found["machine"]["cores"] >= 1
