"""Grad-CAM++ and occlusion: the checks on Grad-CAM are themselves held to their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from ml.attribution import occlusion_map, plus_plus_maps, rank_correlation

WHOLE = (slice(None), slice(None))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_closed_form_is_grad_cam_plus_plus_by_nested_gradient_tapes(seed):
    import tensorflow as tf

    from ml.gradcam import plus_plus_by_definition

    random = np.random.default_rng(seed)
    activation = np.maximum(random.normal(size=(3, 2, 4)), 0).astype(np.float32)
    kernel, bias = random.normal(size=(4, 3)).astype(np.float32), random.normal(size=3)
    closed = plus_plus_maps(activation[None], kernel)[0]
    for label in range(3):

        def score(values, label=label):
            return tf.reduce_sum(tf.reduce_mean(values, axis=(0, 1)) * kernel[:, label]) + bias[label]

        expected = plus_plus_by_definition(activation, score)
        assert expected.max() > 0, "a flat map would prove nothing"
        # The definition carries the factor Y = exp(S), the same for every cell.
        np.testing.assert_allclose(
            closed[:, :, label] / closed[:, :, label].max(), expected / expected.max(), atol=1e-5
        )


def test_grad_cam_plus_plus_ignores_what_speaks_against_the_label():
    activations = np.zeros((1, 2, 2, 2), np.float32)
    activations[0, 0, 0, 0] = 1
    activations[0, 1, 1, 1] = 1
    maps = plus_plus_maps(activations, np.array([[2.0], [-2.0]], np.float32))
    assert maps[0, 0, 0, 0] > 0
    assert maps[0, 1, 1, 0] == 0


def test_occlusion_finds_the_part_that_the_score_rests_on():
    pixels = np.zeros((1, 56, 56, 3), np.float32)
    pixels[0, 8:16, 40:48] = 1.0

    def logits(batch):
        speaks = batch[:, 8:16, 40:48].mean(axis=(1, 2, 3))
        return np.stack([-speaks, speaks, 0 * speaks], axis=1)

    found = occlusion_map(pixels, logits, cells=7, inside=WHOLE)
    assert found.shape == (7, 7, 3)
    assert np.unravel_index(found[:, :, 1].argmax(), (7, 7)) == (1, 5)
    assert found[:, :, 1].max() > 0.9
    assert found[:, :, 0].min() < -0.9, "what speaks against a label is negative"
    assert not found[:, :, 2].any()
    assert not found[4:, :3].any(), "far from the spot nothing changes"


def test_occlusion_leaves_the_image_itself_as_it_was():
    pixels = np.random.default_rng(0).random((1, 28, 28, 3)).astype(np.float32)
    before = pixels.copy()
    occlusion_map(pixels, lambda batch: batch.mean(axis=(1, 2)), cells=7, inside=WHOLE)
    np.testing.assert_array_equal(pixels, before)


def test_rank_correlation_sees_order_only():
    values = np.random.default_rng(1).normal(size=(7, 7)).astype(np.float32)
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1)
    assert rank_correlation(values, -values) == pytest.approx(-1)
    assert rank_correlation(values, np.zeros((7, 7), np.float32)) == 0
