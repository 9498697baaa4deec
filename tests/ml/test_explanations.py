"""Maps are shown only when they point at lesions and depend on what was learnt."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ml.data.readers import read_collections
from ml.explanations import MOST_ALIKE, explanation_entry


def ratio(value, low, high=9.9):
    return {"value": value, "low": low, "high": high, "n": 50, "groups": 40}


POINTING, ENERGY = ratio(2.0, 1.7), ratio(1.8, 1.6)


def study(*, pointing=POINTING, energy=ENERGY, passed=True):
    return {
        "sets": {"busi malignant": {"pointing_ratio": pointing, "energy_ratio": energy}},
        "weight_randomisation": {"passed": passed, "stages": {}},
        "least_ratio": 1.0,
        "goal_ratio": 1.5,
    }


def test_a_map_that_passes_everything_is_shown():
    entry = explanation_entry(study())
    assert entry["method"] == "grad-cam"
    assert entry["shown"] is True


def test_a_map_of_shuffled_weights_that_looks_the_same_hides_the_map():
    entry = explanation_entry(study(passed=False))
    assert entry["shown"] is False
    assert "shuffled weights" in entry["reason"]


@pytest.mark.parametrize("name", ["pointing", "energy"])
def test_a_map_no_better_than_the_middle_of_the_image_is_hidden_by_set_and_label(name):
    entry = explanation_entry(study(**{name: ratio(1.2, 0.95)}))
    assert entry["shown"] is False
    assert f"busi malignant ({name})" in entry["reason"]


def test_a_map_below_the_goal_is_shown_and_says_so():
    entry = explanation_entry(study(pointing=ratio(1.3, 1.1)))
    assert entry["shown"] is True
    assert "Below the goal of 1.5" in entry["reason"]
    assert "pointing 1.30" in entry["reason"]


def test_where_the_middle_never_hits_a_map_that_hits_is_better_and_one_that_does_not_is_no_better():
    never = {"value": 0.0, "low": 0.0, "high": 0.0, "n": 50, "groups": 40}
    undefined = {"value": None, "low": None, "high": None, "n": 50, "groups": 40}
    figures = {"pointing": ratio(0.4, 0.3), "centre_pointing": never, "pointing_ratio": undefined}
    hits = study()
    hits["sets"]["busi malignant"] |= figures
    assert explanation_entry(hits)["shown"] is True
    hits["sets"]["busi malignant"]["pointing"] = never
    assert explanation_entry(hits)["shown"] is False


def test_a_map_that_was_never_checked_is_hidden():
    nothing = {"sets": {}, "weight_randomisation": {}, "least_ratio": 1.0, "goal_ratio": 1.5}
    assert explanation_entry(nothing)["shown"] is False


@pytest.fixture(scope="module")
def network():
    """A small untrained network whose head is large enough for its maps to differ from flat."""
    import keras

    from ml.networks.mobilenet import build_classifier

    keras.utils.set_random_seed(3)
    return build_classifier(weights=None, side=64, alpha=0.35)


def explainer_of(network, **changes):
    from ml.explainer import explainer_from
    from ml.networks.mobilenet import explained_graph

    return explainer_from(explained_graph(network), side=64, **changes)


@pytest.mark.slow
def test_the_study_counts_every_lesion_once_and_leaves_the_weights_alone(network, collection, tmp_path):
    from ml.explanations import study_explanations

    records = read_collections([collection])
    before = [np.asarray(weight) for weight in network.full.weights]
    report = study_explanations(
        records,
        explainer_of=lambda fold: explainer_of(network),
        resamples=20,
        plots=tmp_path / "plots",
        occluded_images=5,
        shuffles=1,
    )
    for after, kept in zip(network.full.weights, before, strict=True):
        np.testing.assert_array_equal(np.asarray(after), kept)
    for label in ("benign", "malignant"):
        figures = report["sets"][f"clinic {label}"]
        assert figures["pointing"]["n"] == 10
        assert figures["checks"]["grad_cam_plus_plus"]["energy"]["n"] == 10
        assert figures["checks"]["occlusion"]["rank_correlation_with_grad_cam"]["n"] == 5
        # One look: what is drawn is the Grad-CAM of the whole look.
        assert figures["checks"]["grad_cam"]["energy"] == figures["energy"]
    assert (tmp_path / "plots" / "example-maps.png").stat().st_size > 1000
    assert set(explanation_entry(report)) == {"method", "shown", "reason"}


@pytest.mark.slow
def test_maps_that_are_the_lesion_itself_win_and_maps_beside_it_lose(network, collection):
    from ml.data.pixels import lesion_mask, read_pixels
    from ml.explanations import study_explanations

    records = read_collections([collection])

    def drawn(*, beside):
        def maps(wanted):
            for record in wanted:
                height, width = read_pixels(record.path).shape[:2]
                inside = (lesion_mask(record, height=height, width=width) > 0) != beside
                yield dict.fromkeys(("benign", "malignant", "normal"), inside.astype(np.float32))

        return maps

    def figures(beside):
        report = study_explanations(
            records,
            explainer_of=lambda fold: explainer_of(network, image_maps=drawn(beside=beside)),
            resamples=20,
            occluded_images=0,
            shuffles=1,
        )
        return report["sets"]["clinic malignant"]

    right, wrong = figures(beside=False), figures(beside=True)
    assert (right["pointing"]["value"], right["energy"]["value"]) == (1, 1)
    assert (wrong["pointing"]["value"], wrong["energy"]["value"]) == (0, 0)
    assert right["energy_ratio"]["value"] == pytest.approx(1 / right["centre_energy"]["value"], rel=1e-2)


@pytest.mark.slow
def test_the_randomisation_check_fails_a_map_that_ignores_the_weights(network, collection):
    from ml.explanations import randomisation

    records = read_collections([collection])
    honest = explainer_of(network)
    assert randomisation(honest, records[:10], shuffles=5)["passed"]

    class Deaf(type(honest)):
        """Its map is the image's brightness, whatever the network learnt."""

        def maps(self, wanted):
            return np.concatenate([self.prepare(record)[:, ::8, ::8] for record in wanted])

    values = {field.name: getattr(honest, field.name) for field in dataclasses.fields(honest)}
    checked = randomisation(Deaf(**values), records[:10], shuffles=1)
    assert not checked["passed"]
    assert all(stage["mean"] > MOST_ALIKE for stage in checked["stages"].values())


@pytest.mark.slow
def test_the_maps_drawn_from_stored_readings_are_those_of_the_portal(collection):
    from ml.data.pixels import read_pixels
    from ml.explainer import fused_maps
    from ml.images import to_grey
    from ml.looks.reading import LookForward, look_twice

    records = read_collections([collection])[:4]
    random = np.random.default_rng(0)

    def network(pixels):
        return LookForward(
            logits=random.normal(size=6).astype(np.float32),
            maps=random.normal(size=(2, 2, 6)).astype(np.float32),
            embedding=random.normal(size=8).astype(np.float32),
            mask=random.normal(size=(16, 16)).astype(np.float32),
        )

    readings = [look_twice(to_grey(read_pixels(record.path)), network, side=64) for record in records]
    squares = [(each.first.square.top, each.first.square.left, each.first.square.size) for each in readings]
    stored = {
        "index": np.array([3, 2, 1, 0]),
        "whole_maps": np.stack([each.first.forward.maps[..., :3] for each in reversed(readings)]),
        "close_maps": np.stack([each.second.maps[..., 3:] for each in reversed(readings)]),
        "square": np.array(squares[::-1], np.float32),
    }
    weights = (0.7, 0.4)
    drawn = list(fused_maps(stored, records, weights=weights)(records))
    for reading, found in zip(readings, drawn, strict=True):
        for label, expected in reading.class_maps(weights=weights).items():
            np.testing.assert_allclose(found[label], expected, atol=1e-6)
