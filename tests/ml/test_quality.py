"""Images that are not fit to be judged are refused with a sentence, before any score is made."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ml.contract import OutcomeState
from ml.data.readers import read_collections
from ml.images import Letterbox, read_image, to_grey
from ml.pipeline import analyse
from ml.quality import QualityLimits, run_checks
from ml.refusals import is_refused


def quality_of(image: NDArray[np.uint8]):
    box = Letterbox.fit(height=image.shape[0], width=image.shape[1], side=224)
    return run_checks(image, box.crop(box.place(to_grey(image))), limits=QualityLimits())


def failed(image: NDArray[np.uint8]) -> set[str]:
    return {check.name for check in quality_of(image).checks if not check.passed}


def noise(height: int, width: int, *, channels: int | None = None) -> NDArray[np.uint8]:
    shape = (height, width) if channels is None else (height, width, channels)
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def test_an_ordinary_image_passes_every_check(ultrasound):
    assert failed(ultrasound) == set()
    assert failed(np.repeat(ultrasound[:, :, None], 3, axis=2)) == set()


@pytest.mark.parametrize("level", [0, 90, 255])
def test_one_grey_level_is_blank(level):
    assert "blank" in failed(np.full((300, 400), level, np.uint8))


@pytest.mark.parametrize("size", [(300, 400), (128, 128), (96, 150), (900, 1200)])
def test_noise_is_noise_at_any_size(size):
    assert "noise" in failed(noise(*size))


def test_a_tiny_image_is_too_small(ultrasound):
    assert "size" in failed(np.ascontiguousarray(ultrasound[:60, :90]))


def test_a_strip_is_no_frame(ultrasound):
    assert "aspect" in failed(np.ascontiguousarray(ultrasound[:100, :600]))


def test_heavy_blur_is_refused(ultrasound):
    assert failed(cv2.GaussianBlur(ultrasound, (0, 0), 8)) == {"blur"}


def test_a_dark_image_is_refused_as_too_dark(ultrasound):
    checks = {check.name: check for check in quality_of(ultrasound // 5).checks}
    assert not checks["exposure"].passed
    assert "too dark" in checks["exposure"].message


def test_an_overexposed_image_is_refused_as_such(ultrasound):
    bright = np.clip(ultrasound.astype(int) * 3 + 60, 0, 255).astype(np.uint8)
    checks = {check.name: check for check in quality_of(bright).checks}
    assert not checks["exposure"].passed
    assert "overexposed" in checks["exposure"].message


def test_a_colour_image_is_refused(ultrasound):
    flow = np.repeat(ultrasound[:, :, None], 3, axis=2)
    flow[100:300, 100:400] = (200, 30, 30)
    assert "colour" in failed(flow)


def test_a_little_colour_such_as_a_marker_is_accepted(ultrasound):
    marked = np.repeat(ultrasound[:, :, None], 3, axis=2)
    marked[10:40, 10:60] = (255, 200, 0)
    assert failed(marked) == set()


@pytest.mark.parametrize(
    "image",
    [np.zeros((300, 400), np.uint8), np.full((300, 400), 255, np.uint8), noise(300, 400), noise(20, 20)],
    ids=["black", "white", "noise", "tiny"],
)
def test_a_refused_image_gets_reasons_and_no_score(image, loaded):
    outcome = analyse(image, loaded)
    assert outcome.state is OutcomeState.REJECTED
    assert outcome.prediction is None
    assert outcome.class_maps is None
    assert outcome.reasons
    # Each reason says what is wrong and, in a second sentence, what to do.
    assert all(reason.count(".") >= 2 or ":" in reason for reason in outcome.reasons)
    assert outcome.model == loaded.identity


def test_every_failed_check_and_only_those_have_a_message(ultrasound):
    for image in (ultrasound, ultrasound // 5, noise(50, 50)):
        for check in quality_of(image).checks:
            assert bool(check.message) is not check.passed


def test_limits_must_be_complete_and_numbers():
    stated = QualityLimits().as_dict()
    assert QualityLimits.from_mapping(stated) == QualityLimits()
    with pytest.raises(ValueError, match="exactly"):
        QualityLimits.from_mapping({name: value for name, value in stated.items() if name != "least_detail"})
    with pytest.raises(ValueError, match="must be a number"):
        QualityLimits.from_mapping({**stated, "least_detail": "0.1"})


def test_at_most_one_in_a_hundred_real_images_is_refused(shared):
    records = read_collections([shared / "busi", shared / "busbra"])
    refused = [record.key for record in records if is_refused(read_image(record.path), limits=QualityLimits())]
    assert len(refused) <= 0.01 * len(records), refused
