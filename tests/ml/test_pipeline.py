"""From pixels to an outcome."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ml.bench import synthetic_image
from ml.contract import LABELS, ImageError, OutcomeState
from ml.pipeline import analyse
from ml.registry import ARTIFACTS
from ml.runtime import load


def test_an_ordinary_image_gets_a_prediction_and_three_maps_of_its_size(ultrasound, loaded):
    outcome = analyse(ultrasound, loaded)
    assert outcome.state is OutcomeState.SUCCEEDED
    assert outcome.reasons == ()
    assert outcome.prediction.label in LABELS
    assert 1 <= outcome.prediction.suspicion <= 10
    assert set(outcome.class_maps) == set(LABELS)
    assert {each.shape for each in outcome.class_maps.values()} == {ultrasound.shape}


@pytest.mark.parametrize(("height", "width"), [(460, 621), (333, 500), (500, 333), (149, 150), (1001, 777)])
def test_maps_fit_odd_sizes_too(height, width, loaded):
    outcome = analyse(synthetic_image(height=height, width=width), loaded)
    assert {each.shape for each in outcome.class_maps.values()} == {(height, width)}


def test_the_same_pixels_give_the_same_outcome_to_the_last_bit(ultrasound, loaded):
    first = analyse(ultrasound, loaded)
    # A fresh copy of the model, other threads and other work in between must not matter.
    fresh = load("us-mobilenetv2", root=ARTIFACTS, threads=1)
    analyse(synthetic_image(seed=5), fresh)
    for again in (analyse(ultrasound, loaded), analyse(ultrasound.copy(), fresh)):
        assert again.prediction == first.prediction
        for label in LABELS:
            assert np.array_equal(again.class_maps[label], first.class_maps[label])


def test_threads_that_share_a_model_do_not_mix_their_images(loaded):
    images = [synthetic_image(seed=seed) for seed in range(4)]
    alone = [analyse(image, loaded).prediction for image in images]
    assert len({prediction.confidence for prediction in alone}) == 4
    with ThreadPoolExecutor(max_workers=4) as pool:
        together = list(pool.map(lambda image: analyse(image, loaded).prediction, images * 5))
    assert together == alone * 5


def test_the_image_is_left_as_it_was(ultrasound, loaded):
    before = ultrasound.copy()
    analyse(ultrasound, loaded)
    assert np.array_equal(ultrasound, before)


def test_grey_and_three_equal_channels_are_the_same_image(ultrasound, loaded):
    colour = np.repeat(ultrasound[:, :, None], 3, axis=2)
    assert analyse(colour, loaded).prediction == analyse(ultrasound, loaded).prediction


def test_an_image_that_is_not_contiguous_is_read_right(ultrasound, loaded):
    turned = ultrasound[::-1, ::-1]
    assert analyse(turned, loaded).prediction == analyse(np.ascontiguousarray(turned), loaded).prediction


@pytest.mark.parametrize("image", [np.zeros((300, 300), np.uint16), np.full((300, 300), np.nan), np.zeros((9, 9, 4))])
def test_what_is_no_8_bit_image_is_an_error_not_a_score(image, loaded):
    with pytest.raises(ImageError):
        analyse(image, loaded)


def test_every_stage_is_timed(ultrasound, loaded):
    timings = analyse(ultrasound, loaded).timings_ms
    assert set(timings) == {"quality", "preprocess", "forward", "maps", "outline", "total"}
    stages = sum(value for name, value in timings.items() if name != "total")
    assert 0 < stages <= timings["total"] + 1e-6


def run_python(code: str) -> str:
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return finished.stdout.strip()


def test_the_pipeline_loads_and_runs_without_tensorflow_keras_or_matplotlib():
    loaded = run_python(
        "import sys\n"
        "from ml.bench import synthetic_image\n"
        "from ml.pipeline import analyse\n"
        "from ml.runtime import load\n"
        "assert analyse(synthetic_image(), load('us-mobilenetv2')).prediction\n"
        "print(sorted({'tensorflow', 'keras', 'matplotlib', 'sklearn', 'django'} & set(sys.modules)))"
    )
    assert loaded == "[]"


def test_the_registry_loads_no_framework_at_all():
    loaded = run_python(
        "import sys\n"
        "from ml.registry import active_model\n"
        "active_model('US')\n"
        "print(sorted({'tensorflow', 'keras', 'cv2', 'ai_edge_litert', 'PIL', 'django'} & set(sys.modules)))"
    )
    assert loaded == "[]"


def test_a_process_with_the_model_loaded_stays_below_250_megabytes():
    resident = run_python(
        "from ml.bench import resident_megabytes, synthetic_image\n"
        "from ml.pipeline import analyse\n"
        "from ml.runtime import load\n"
        "model = load('us-mobilenetv2')\n"
        "for seed in range(3): analyse(synthetic_image(seed=seed), model)\n"
        "print(resident_megabytes())"
    )
    if float(resident) == 0:
        pytest.skip("this system has no /proc to read the memory from")
    assert float(resident) < 250
