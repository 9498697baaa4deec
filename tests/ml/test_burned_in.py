"""How much of a text that was drawn over real ultrasound images is still there after cleaning (docs/privacy.md)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ml import burned_in
from ml.images import read_image, to_grey

IMAGES = Path(__file__).resolve().parents[3] / "shared" / "data" / "busi" / "images"
EVERY = 25
SIZES = (0.4, 0.6, 0.9)
WORDS = "KOWALSKA ANNA 1970"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scans() -> list[np.ndarray]:
    if not IMAGES.is_dir():
        pytest.skip("the BUSI images are not here (shared/data)")
    return [to_grey(read_image(path)) for path in sorted(IMAGES.glob("*.png"))[::EVERY]]


def _written(grey: np.ndarray, *, level: int, size: float, place: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The image with words somewhere over it, and where their pixels are."""
    size *= max(1.0, max(grey.shape) / 600)
    row = int(place.integers(int(40 * size), grey.shape[0] - 10))
    column = int(place.integers(0, max(1, grey.shape[1] - int(330 * size))))
    letters = np.zeros_like(grey)
    thickness = max(1, round(size * 1.3))
    cv2.putText(letters, WORDS, (column, row), cv2.FONT_HERSHEY_SIMPLEX, size, 255, thickness, cv2.LINE_AA)
    return np.where(letters > 128, np.uint8(level), grey), letters > 128


def _left(scans: list[np.ndarray], *, level: int) -> tuple[np.ndarray, int]:
    """Share of the letters' pixels that is left, for each image that is not left out; and how many are."""
    place, shares, out = np.random.default_rng(7), [], 0
    for size in SIZES:
        for grey in scans:
            written, letters = _written(grey, level=level, size=size, place=place)
            try:
                kept = burned_in.tissue(written, modality="US")
            except burned_in.NotCleanable:
                out += 1
                continue
            shares.append(float((kept & letters).sum() / letters.sum()))
    return np.array(shares), out


def test_white_letters_are_gone(scans):
    white, out = _left(scans, level=255)
    grey, grey_out = _left(scans, level=200)

    print(
        f"\n{len(scans)} images, {len(SIZES)} sizes. White text: {out} left out, share of its pixels left: median "
        f"{np.median(white):.3f}, 95th percentile {np.percentile(white, 95):.3f}, most {white.max():.3f}. "
        f"Grey text (200): {grey_out} left out, more than a fifth left in {(grey > 0.2).sum()} of {len(grey)}."
    )
    assert np.median(white) == 0
    assert (white > 0.2).mean() < 0.05


def test_images_as_published_are_not_left_out(scans):
    kept = [burned_in.tissue(grey, modality="US").mean() for grey in scans]

    print(f"\n{len(scans)} images: share kept: least {min(kept):.2f}, median {np.median(kept):.2f}")
    assert np.median(kept) > 0.9
