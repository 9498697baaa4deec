"""What a training batch of the mammogram detector holds, and what it must never hold."""

from __future__ import annotations

import numpy as np
import pytest

from ml.data.records import DataError
from ml.mammogram.film import GRID
from ml.mammogram.recipe import DetectorRecipe
from ml.mammogram.targets import Cell
from ml.mammogram.views import FilmViews
from ml.mammogram.windows import Windows, cell_weights

RECIPE = DetectorRecipe(views=1, window=12, lesion_windows=4, tissue_windows=4)
SOURCES = ["mini-mias"] * 4 + ["cdd"] * 4


def made_views() -> FilmViews:
    """Eight films whose features hold their own number; the first set has both kinds, the second malignant alone."""
    targets = np.full((8, 2, *GRID), Cell.TISSUE, np.uint8)
    for film, kind in enumerate([Cell.BENIGN, Cell.MALIGNANT, Cell.TISSUE, Cell.TISSUE] + [Cell.MALIGNANT] * 4):
        targets[film, :, 20:24, 10:14] = kind
    features = np.broadcast_to(np.arange(8, dtype=np.float16)[:, None, None, None, None], (8, 2, 96, 64, 3))
    return FilmViews(features=features, targets=targets)


def test_a_network_never_sees_a_film_that_is_held_out():
    windows = Windows(made_views(), sources=SOURCES, films=np.array([0, 1, 2, 4, 5]), recipe=RECIPE)
    seen = set()
    for features, _ in windows.batches(20, np.random.default_rng(0)):
        seen |= set(np.unique(features).astype(int))
    assert seen == {0, 1, 2, 4, 5}


def test_in_every_batch_lesion_and_tissue_weigh_the_same_in_each_collection():
    windows = Windows(made_views(), sources=SOURCES, films=np.arange(8), recipe=RECIPE)
    for features, targets in windows.batches(5, np.random.default_rng(1)):
        film = features[:, 0, 0, 0]
        for own in (film < 4, film >= 4):
            lesion = targets[own, ..., 0] == 1
            weight = targets[own, ..., 1]
            assert weight[lesion].sum() == pytest.approx(weight[~lesion].sum(), rel=1e-5)
        assert targets[..., 1].sum() == pytest.approx(len(features), rel=1e-5)


def test_malignancy_is_taught_only_where_a_collection_shows_both_kinds():
    windows = Windows(made_views(), sources=SOURCES, films=np.arange(8), recipe=RECIPE)
    for features, targets in windows.batches(5, np.random.default_rng(2)):
        film = features[:, 0, 0, 0]
        assert targets[film >= 4, ..., 3].sum() == 0
        assert targets[film < 4, ..., 3].sum() > 0


def test_features_and_targets_of_a_window_are_cut_from_the_same_place():
    views = made_views()
    features = np.zeros((8, 2, 96, 64, 1), np.float16)
    features[..., 0] = np.kron(views.targets, np.ones((1, 1, 2, 2), np.uint8))
    windows = Windows(FilmViews(features, views.targets), sources=SOURCES, films=np.arange(8), recipe=RECIPE)
    for pieces, targets in windows.batches(5, np.random.default_rng(3)):
        taught = targets[..., 1] > 0
        lesion = pieces[:, ::2, ::2, 0] >= Cell.BENIGN
        assert np.array_equal(lesion[taught], targets[..., 0][taught] == 1)


def test_a_small_lesion_weighs_as_much_as_a_large_one():
    cells = np.full((2, 8, 8), Cell.TISSUE, np.uint8)
    cells[0, 0, 0] = Cell.MALIGNANT
    cells[1, :4, :4] = Cell.MALIGNANT
    weight = cell_weights(cells, ["a", "a"])[..., 1]
    assert weight[0, 0, 0] == pytest.approx(weight[1, :4, :4].sum())


def test_cells_without_a_statement_weigh_nothing():
    cells = np.full((1, 6, 6), Cell.IGNORED, np.uint8)
    cells[0, 2, 2] = Cell.MALIGNANT
    taught = cell_weights(cells, ["a"])
    assert (taught[..., 1] > 0).sum() == 1


def test_films_without_any_lesion_cannot_be_trained_on():
    views = made_views()
    with pytest.raises(DataError, match="lesion"):
        Windows(views, sources=SOURCES, films=np.array([2, 3]), recipe=RECIPE)


@pytest.mark.parametrize(
    "values", [{"window": 7}, {"epochs": -1}, {"dropout": 1.0}, {"unknown": 1}, {"steps": 1.5}, {"views": True}]
)
def test_a_recipe_that_makes_no_sense_is_refused(values):
    with pytest.raises(ValueError):
        DetectorRecipe.from_mapping(values)
