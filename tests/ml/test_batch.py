"""Many files: in order, past every bad one, the same whatever the number of workers."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from PIL import Image

from ml import batch
from ml.batch import AHEAD, analyse_files, default_workers, load_workers
from ml.bench import synthetic_image
from ml.contract import ModelError
from ml.images import read_image
from ml.pipeline import analyse

SIZES = ((200, 300), (240, 330), (200, 360), (260, 200), (220, 301), (333, 222))


@pytest.fixture
def folder(tmp_path):
    """Six files of different sizes; the fourth is no image."""
    for number in range(6):
        pixels = synthetic_image(height=SIZES[number][0], width=SIZES[number][1], seed=number)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    return tmp_path


def everything(_path, _pixels, outcome):
    """All of an outcome that can differ, bit for bit."""
    maps = {label: plane.tobytes() for label, plane in (outcome.class_maps or {}).items()}
    mask = outcome.segmentation.mask.tobytes() if outcome.segmentation else b""
    return outcome.state, outcome.prediction, outcome.quality, maps, mask, outcome.similar


@pytest.mark.parametrize(("workers", "threads"), [(2, 1), (3, 1), (1, 2)])
def test_the_results_are_the_same_to_the_last_bit_for_any_number_of_workers_and_threads(
    folder, shipped, workers, threads
):
    paths = sorted(folder.iterdir())
    one = list(analyse_files(paths, load_workers(shipped, workers=1), finish=everything))
    many = list(analyse_files(paths, load_workers(shipped, workers=workers, threads=threads), finish=everything))
    assert many == one


def test_the_order_is_that_of_the_files_and_a_bad_one_stops_nothing(folder, shipped, loaded):
    paths = sorted(folder.iterdir())
    found = list(analyse_files(paths, load_workers(shipped, workers=3), finish=everything))
    assert [each.path for each in found] == paths
    assert [each.path.name for each in found if each.problem] == ["3.png"]
    assert "3.png is damaged" in found[3].problem
    assert found[3].kept is None
    assert found[4].kept == everything(paths[4], None, analyse(read_image(paths[4]), loaded))


def test_files_are_taken_only_as_fast_as_results_are_wanted(folder, shipped):
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield folder / "0.png"

    results = analyse_files(endless(), load_workers(shipped, workers=2), finish=lambda *_: None)
    for _ in range(5):
        next(results)
    assert len(taken) <= 5 + AHEAD * 2
    results.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("analyse")]


def test_a_file_that_does_not_fit_the_memory_is_named_and_the_rest_goes_on(folder, shipped, monkeypatch):
    def analyse_or_run_out(pixels, model):
        if pixels.shape == SIZES[1]:
            raise MemoryError
        return analyse(pixels, model)

    monkeypatch.setattr(batch, "analyse", analyse_or_run_out)
    paths = [folder / f"{number}.png" for number in (0, 1, 2)]
    found = list(analyse_files(paths, load_workers(shipped, workers=2), finish=everything))
    assert [bool(each.problem) for each in found] == [False, True, False]
    assert "1.png needs more memory" in found[1].problem


def test_a_model_that_returns_no_number_stops_the_batch(folder, shipped, monkeypatch):
    def broken(_pixels, _model):
        raise ModelError("model_invalid", "it returned a value that is not a number", remedy="Restore it.")

    monkeypatch.setattr(batch, "analyse", broken)
    with pytest.raises(ModelError, match="not a number"):
        list(analyse_files([folder / "0.png"] * 20, load_workers(shipped, workers=2), finish=everything))


@pytest.mark.parametrize(("workers", "threads"), [(0, 1), (1, 0), (-1, 1)])
def test_there_is_at_least_one_worker_and_one_thread(shipped, workers, threads):
    with pytest.raises(ValueError, match="at least one"):
        load_workers(shipped, workers=workers, threads=threads)


def test_by_default_every_core_works():
    assert default_workers() >= 1


def test_no_files_give_no_results(shipped):
    assert list(analyse_files([], load_workers(shipped, workers=2), finish=everything)) == []


def test_colour_and_grey_files_may_follow_each_other(folder, shipped, loaded):
    grey = read_image(folder / "0.png")
    Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2)).save(folder / "colour.png")
    paths = [folder / "0.png", folder / "colour.png"]
    first, second = (each.kept[1] for each in analyse_files(paths, load_workers(shipped, workers=2), finish=everything))
    assert first == second == analyse(grey, loaded).prediction
