"""Images of other kinds are made by computation: always the same, of every kind, fit to be looked at."""

from __future__ import annotations

import numpy as np
import pytest

from ml.foreign import FAMILIES, FAMILY_OF, KINDS, make_foreign


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gives_an_image_that_an_export_could_hold(kind):
    image = make_foreign(kind, seed=1)
    assert image.dtype == np.uint8
    assert image.ndim == 2 or image.shape[2] == 3
    assert all(240 <= side <= 900 for side in image.shape[:2])


@pytest.mark.parametrize("kind", ["speckle in a sector", "printed page", "portrait", "chest radiograph"])
def test_kind_and_seed_decide_the_pixels(kind):
    assert np.array_equal(make_foreign(kind, seed=3), make_foreign(kind, seed=3))
    assert not np.array_equal(make_foreign(kind, seed=3), make_foreign(kind, seed=4))


def test_every_kind_belongs_to_one_family():
    assert sum(len(kinds) for kinds in FAMILIES.values()) == len(KINDS) == len(FAMILY_OF)
    assert len(KINDS) >= 30
