"""Augmented views: plausible, random, repeatable."""

from __future__ import annotations

import numpy as np

from ml.data.augment import plain_view, random_view
from ml.images import Letterbox


def views(image, *, seed, count=12, side=96):
    return [random_view(image, side=side, random=np.random.default_rng([seed, number])) for number in range(count)]


def test_a_seed_gives_the_same_views_and_another_seed_others(ultrasound):
    first, again, other = views(ultrasound, seed=1), views(ultrasound, seed=1), views(ultrasound, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_views_differ_from_each_other_yet_keep_the_image(ultrasound):
    shown = views(ultrasound, seed=3)
    assert len({view.tobytes() for view in shown}) == len(shown)
    for view in shown:
        assert view.shape == (96, 96)
        assert view.dtype == np.uint8
        assert view.std() > 10


def test_the_plain_view_is_what_inference_sees(ultrasound):
    expected = Letterbox.fit(height=ultrasound.shape[0], width=ultrasound.shape[1], side=96).place(ultrasound)
    assert np.array_equal(plain_view(ultrasound, side=96), expected)


def test_about_half_of_the_views_are_mirrored():
    image = np.full((200, 200), 40, np.uint8)
    image[:, :100] = 200
    mirrored = [view[:, :48].mean() < view[:, 48:].mean() for view in views(image, seed=4, count=60)]
    assert 15 <= sum(mirrored) <= 45


def test_the_original_is_not_written_to(ultrasound):
    before = ultrasound.copy()
    views(ultrasound, seed=5)
    assert np.array_equal(ultrasound, before)
