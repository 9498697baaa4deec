"""Images of another kind are recognised, whatever the network would say of them."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from ml.foreign import KINDS, make_foreign
from ml.images import Letterbox, to_grey
from ml.novelty import CHECK, MESSAGES, Examples, NoveltyReference, appearance, fit_expansion, fit_novelty
from ml.storage import read_arrays, write_arrays
from tests.ml.drawn_ultrasound import drawn_ultrasound

EMBEDDED = 12


def inner_of(image: np.ndarray) -> np.ndarray:
    box = Letterbox.fit(height=image.shape[0], width=image.shape[1], side=224)
    return np.ascontiguousarray(box.crop(box.place(to_grey(image))))


def examples_of(images: list[np.ndarray], *, kind: float, seed: int) -> Examples:
    """With embeddings that tell kinds apart only roughly, as a network's do."""
    random = np.random.default_rng(seed)
    embeddings = np.abs(random.normal(1, 0.5, (len(images), EMBEDDED))).astype(np.float32)
    embeddings[:, 0] += np.float32(kind)
    return Examples(embeddings, np.stack([appearance(inner_of(image)) for image in images]))


@pytest.fixture(scope="module")
def good() -> Examples:
    images = [drawn_ultrasound(seed=seed, height=300 + seed % 5 * 40) for seed in range(60)]
    return examples_of(images, kind=2.0, seed=1)


@pytest.fixture(scope="module")
def foreign() -> Examples:
    return examples_of([make_foreign(kind, seed=seed) for kind in KINDS for seed in range(3)], kind=0.0, seed=2)


@pytest.fixture(scope="module")
def fitted(good, foreign):
    sources = ["one", "two"] * (len(good) // 2)
    folds = np.arange(len(good)) // 2 % 5
    kinds = np.repeat(list(KINDS), 3).tolist()
    return fit_novelty(good, foreign, sources=sources, folds=folds, kinds=kinds, false_refusals=0.02)


def test_good_images_pass_out_of_fold(fitted):
    held_out = fitted.held_out
    assert (held_out < fitted.reference.threshold).mean() <= 0.05
    assert np.median(held_out) > 0.5


def test_further_images_of_the_kind_pass(fitted):
    more = examples_of([drawn_ultrasound(seed=seed) for seed in range(100, 120)], kind=2.0, seed=3)
    assert (fitted.reference.scores(more) >= fitted.reference.threshold).mean() >= 0.9


def test_kinds_that_were_fitted_on_are_refused_with_other_pixels(fitted):
    others = examples_of([make_foreign(kind, seed=50) for kind in KINDS], kind=0.0, seed=4)
    assert (fitted.reference.scores(others) < fitted.reference.threshold).mean() >= 0.97


@pytest.mark.parametrize("left_out", ["chest radiograph", "printed page", "white noise", "portrait", "mammogram"])
def test_a_kind_that_nobody_thought_of_is_refused(good, foreign, fitted, left_out):
    names = np.repeat(list(KINDS), 3)
    reference = fit_expansion(good, foreign.take(names != left_out))
    assert (reference.scores(foreign.take(names == left_out)) < fitted.reference.threshold).all()


def test_what_is_far_from_everything_scores_minus_one(fitted):
    reference = fitted.reference
    remote = Examples(np.full((1, EMBEDDED), -50, np.float32), np.full((1, len(reference.middle)), 1e6, np.float32))
    assert reference.scores(remote)[0] == pytest.approx(-1, abs=0.3)


def test_the_check_says_what_is_wrong_and_what_to_do(fitted):
    reference = fitted.reference
    page = inner_of(make_foreign("printed page", seed=9))
    check = reference.check(np.ones(EMBEDDED, np.float32), page)
    assert (check.name, check.passed) == (CHECK, False)
    assert check.message == MESSAGES["US"]
    assert check.limit.startswith(">= ")
    frame = drawn_ultrasound(seed=7)
    passed = reference.check(np.array([3.0, *([1.0] * (EMBEDDED - 1))], np.float32), inner_of(frame))
    assert passed.passed
    assert passed.message == ""
    assert passed.value > check.value


def test_an_embedding_that_is_not_a_number_is_refused(fitted):
    broken = np.full(EMBEDDED, np.nan, np.float32)
    assert not fitted.reference.check(broken, inner_of(drawn_ultrasound(seed=7))).passed


def test_the_stored_reference_gives_the_same_scores(fitted, good, tmp_path):
    reference = fitted.reference
    write_arrays(tmp_path / "novelty.npz", reference.to_arrays())
    again = NoveltyReference.from_arrays(read_arrays(tmp_path / "novelty.npz"))
    assert np.array_equal(again.scores(good), reference.scores(good))
    assert again.threshold == reference.threshold
    assert (tmp_path / "novelty.npz").stat().st_size < 1_000_000
    assert NoveltyReference.from_arrays(reference.to_arrays(), threshold=0.9).threshold == 0.9


@pytest.mark.parametrize("spoil", ["missing", "shape", "nan"])
def test_a_damaged_reference_is_refused(fitted, spoil):
    arrays = dict(fitted.reference.to_arrays())
    if spoil == "missing":
        del arrays["weights"]
    elif spoil == "shape":
        arrays["centers"] = arrays["centers"][:, :-1]
    else:
        arrays["scale"] = arrays["scale"] * np.nan
    with pytest.raises(ValueError, match="novelty reference"):
        NoveltyReference.from_arrays(arrays)


def test_fitting_twice_gives_the_same_bits(good, foreign):
    first, second = (fit_expansion(good, foreign, seed=5) for _ in range(2))
    for name, values in first.to_arrays().items():
        assert np.array_equal(values, second.to_arrays()[name]), name


def test_without_an_embedding_the_appearance_alone_decides(good, foreign):
    bare = [dataclasses.replace(each, embeddings=each.embeddings[:, :0]) for each in (good, foreign)]
    reference = fit_expansion(*bare)
    assert reference.scores(bare[0]).mean() > 0.5 > -0.5 > reference.scores(bare[1]).mean()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((224, 150), np.uint8),
        np.full((1, 224), 200, np.uint8),
        np.tile(np.array([0, 255], np.uint8), (224, 112)),
        cv2.resize(np.arange(256, dtype=np.uint8)[None], (224, 224)),
    ],
    ids=["black", "one row", "stripes", "ramp"],
)
def test_the_appearance_of_any_image_is_finite(image):
    described = appearance(image)
    assert described.dtype == np.float32
    assert np.isfinite(described).all()
    assert described.shape == appearance(np.zeros((224, 224), np.uint8)).shape
