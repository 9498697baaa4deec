"""A mammogram on the detector's canvas, and what its cells are taught."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from ml.data.records import Abnormality, ImageRecord
from ml.mammogram.film import CANVAS, CELL, GRID, Film, cell_share
from ml.mammogram.targets import Cell, cell_targets, most_compact, read_taught_film, targets_of
from tests.ml.drawn_mammograms import draw_mammogram


@pytest.fixture
def film() -> Film:
    prepared = Film.prepare(draw_mammogram())
    assert prepared is not None
    return prepared


def test_an_image_without_a_breast_has_no_film():
    assert Film.prepare(np.zeros((400, 300), np.uint8)) is None


def test_outside_the_breast_the_canvas_is_black_and_inside_it_is_not(film):
    assert film.canvas.shape == CANVAS
    assert film.canvas[~film.breast].max() == 0
    assert np.percentile(film.canvas[film.breast], 1) >= 8


def test_the_longer_side_of_the_image_becomes_the_height_of_the_canvas(film):
    assert film.row_scale == pytest.approx(CANVAS[0] / 512, rel=0.01)
    assert film.column_scale == pytest.approx(film.row_scale, rel=0.01)


def test_a_breast_too_wide_for_the_canvas_is_scaled_down_until_it_fits():
    film = Film.prepare(np.ascontiguousarray(draw_mammogram(height=512, width=1000)[:, :640]))
    assert film is not None
    assert film.row_scale < 0.9 * CANVAS[0] / 640
    assert film.breast.any(axis=0).sum() > 0.95 * CANVAS[1]


def test_a_point_comes_back_from_the_canvas_to_where_it_was(film):
    row, column = film.to_image(*film.to_canvas(123.5, 45.5))
    assert (row, column) == (pytest.approx(123.5), pytest.approx(45.5))


def test_a_mask_drawn_on_the_canvas_and_restored_lies_where_it_was(film):
    mask = np.zeros((512, 400), np.uint8)
    mask[200:280, 60:150] = 255
    back = film.restore((film.place(mask) > 127).astype(np.float32))
    assert back.shape == mask.shape
    overlap = ((back > 0.5) & (mask > 0)).sum() / ((back > 0.5) | (mask > 0)).sum()
    assert overlap > 0.97


def test_brightness_of_the_export_does_not_change_the_canvas():
    image = draw_mammogram()
    dim = Film.prepare((image * 0.6).astype(np.uint8))
    full = Film.prepare(image)
    assert dim is not None and full is not None
    both = dim.breast & full.breast
    assert np.abs(dim.canvas[both].astype(int) - full.canvas[both]).mean() < 4


def test_the_share_of_a_cell_is_that_of_its_pixels():
    mask = np.zeros(CANVAS, bool)
    mask[: CELL // 2, :CELL] = True
    share = cell_share(mask)
    assert share.shape == GRID
    assert share[0, 0] == 0.5
    assert share[0, 1] == 0


def test_the_most_compact_component_wins_over_a_longer_thin_arc():
    mask = np.zeros(CANVAS, bool)
    mask[100:700, 400:404] = True
    mask[300:340, 100:140] = True
    main, rest = most_compact(mask)
    assert main[320, 120] and not main[320, 402]
    assert rest[320, 402] and not rest[320, 120]


def test_between_lesion_and_tissue_nothing_is_said():
    breast = np.ones(CANVAS, bool)
    lesion = np.zeros(CANVAS, bool)
    lesion[32:67, 32:64] = True
    cells = targets_of(breast=breast, benign=np.zeros(CANVAS, bool), malignant=lesion, unclear=np.zeros(CANVAS, bool))
    assert cells[2, 2] == Cell.MALIGNANT
    assert cells[4, 2] == Cell.IGNORED
    assert cells[5, 2] == Cell.TISSUE


def _record(tmp_path, *findings: Abnormality, label: str = "malignant") -> ImageRecord:
    path = tmp_path / "mdb001.png"
    Image.fromarray(draw_mammogram(lesion=(200, 100, 30))).save(path)
    return ImageRecord(source="mini-mias", path=path, label=label, group="1", fold=0, abnormalities=findings)


def test_a_circle_of_the_table_is_taught_where_the_lesion_is_seen(tmp_path):
    taught = read_taught_film(_record(tmp_path, Abnormality("CIRC", "malignant", row=200, column=100, radius=30)))
    (lesion,) = taught.lesions
    inside = taught.film.canvas[lesion.mask].mean()
    assert inside > taught.film.canvas[taught.film.breast & ~lesion.mask].mean() + 40
    assert (cell_targets(taught) == Cell.MALIGNANT).sum() > 10


def test_a_film_whose_finding_has_no_place_teaches_nothing(tmp_path):
    taught = read_taught_film(_record(tmp_path, Abnormality("CALC", "malignant")))
    assert taught.unplaced
    assert (cell_targets(taught) == Cell.IGNORED).all()


def test_a_normal_film_is_tissue_throughout(tmp_path):
    taught = read_taught_film(_record(tmp_path, label="normal"))
    assert set(np.unique(cell_targets(taught))) == {Cell.IGNORED, Cell.TISSUE}


def test_a_tiny_circle_is_drawn_large_enough_to_fill_a_cell(tmp_path):
    taught = read_taught_film(_record(tmp_path, Abnormality("CALC", "benign", row=205, column=101, radius=1)))
    assert (cell_targets(taught) == Cell.BENIGN).any()


def test_the_muscle_is_no_tissue_when_it_is_left_out(film):
    with_muscle = dataclasses.replace(film, muscle=film.breast & (np.arange(CANVAS[1]) < CANVAS[1] // 2)[None])
    assert with_muscle.tissue(without_muscle=True).sum() < with_muscle.tissue(without_muscle=False).sum()
