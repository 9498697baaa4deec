"""The synthetic ultrasound is nobody's, repeatable, and shows what its kind says."""

import numpy as np
import pytest

from diagnosis.phantom import KINDS, generate

LESIONS = [kind for kind in KINDS if kind != "normal"]
SEEDS = (1, 2, 3)


def behind_and_beside(phantom):
    """Mean brightness of the strip just below the lesion, and of the strips at the same depth beside it."""
    rows, columns = np.nonzero(phantom.mask)
    depth = slice(rows.max() + 12, rows.max() + 62)
    left, right = columns.min(), columns.max()
    quarter = (right - left) // 4
    strip = phantom.pixels[depth]
    beside = np.concatenate([strip[:, left - 80 : left - 25], strip[:, right + 25 : right + 80]], axis=1)
    return strip[:, left + quarter : right - quarter].mean(), beside.mean()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_image(kind):
    assert np.array_equal(generate(kind, seed=7).pixels, generate(kind, seed=7).pixels)
    assert not np.array_equal(generate(kind, seed=7).pixels, generate(kind, seed=8).pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_the_image_has_the_wanted_size_and_uses_the_grey_scale(kind):
    phantom = generate(kind, seed=1, width=500, height=420)
    assert phantom.pixels.shape == phantom.mask.shape == (420, 500)
    assert phantom.pixels.dtype == phantom.mask.dtype == np.uint8
    assert np.percentile(phantom.pixels, 1) < 50
    assert np.percentile(phantom.pixels, 99) > 150


def test_normal_tissue_has_no_lesion():
    assert not generate("normal", seed=1).mask.any()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LESIONS)
def test_the_mask_is_a_darker_region_inside_the_image(kind, seed):
    phantom = generate(kind, seed=seed)
    assert set(np.unique(phantom.mask)) == {0, 255}
    assert 0.01 < (phantom.mask > 0).mean() < 0.2
    rows, columns = np.nonzero(phantom.mask)
    around = phantom.pixels[rows.min() : rows.max(), columns.min() - 60 : columns.max() + 60]
    outside = phantom.mask[rows.min() : rows.max(), columns.min() - 60 : columns.max() + 60] == 0
    assert phantom.pixels[phantom.mask > 0].mean() < around[outside].mean() - 15


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cyst_is_empty_and_bright_behind(seed):
    phantom = generate("cyst", seed=seed)
    assert phantom.pixels[phantom.mask > 0].mean() < 35
    behind, beside = behind_and_beside(phantom)
    assert behind > beside + 8


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mass_throws_a_shadow(seed):
    behind, beside = behind_and_beside(generate("mass", seed=seed))
    assert behind < beside - 20


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fibroadenoma_lies_parallel_to_the_skin_and_is_not_empty(seed):
    phantom = generate("fibroadenoma", seed=seed)
    rows, columns = np.nonzero(phantom.mask)
    assert np.ptp(columns) > 1.2 * np.ptp(rows)
    assert 45 < phantom.pixels[phantom.mask > 0].mean() < 130


def test_a_mass_has_a_rougher_border_than_a_cyst():
    def roughness(kind, seed):
        inside = generate(kind, seed=seed).mask > 0
        border = np.count_nonzero(inside[1:] != inside[:-1]) + np.count_nonzero(inside[:, 1:] != inside[:, :-1])
        return border / np.sqrt(inside.sum())

    assert min(roughness("mass", seed) for seed in SEEDS) > max(roughness("cyst", seed) for seed in SEEDS)


def test_the_corner_says_that_it_is_synthetic():
    corner = generate("normal", seed=5).pixels[-18:, -80:]
    assert np.count_nonzero(corner > 90) > 60


def test_unknown_kinds_and_tiny_sizes_are_refused():
    with pytest.raises(ValueError, match="fibroadenoma"):
        generate("lipoma", seed=1)
    with pytest.raises(ValueError, match="128"):
        generate("cyst", seed=1, width=64)
