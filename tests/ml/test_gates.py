"""The gates of a model are fitted and measured in one walk, each figure on images that took no part in its fit."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from ml.__main__ import main
from ml.bench import synthetic_image
from ml.data.readers import read_collections
from ml.elsewhere import as_exported_elsewhere
from ml.foreign import FAMILIES, KINDS, make_foreign
from ml.gates import Onlooker, fit_and_study, gather
from ml.monitoring import STABLE, drift_report
from ml.novelty import NoveltyReference
from ml.quality import QualityLimits
from ml.refusals import SPOILERS, images_in, is_refused, wilson_rate
from ml.storage import read_arrays
from tests.ml.conftest import make_collection

SURELY_REFUSED = set(SPOILERS) - {
    "blur, sigma 2 px",
    "noise of 80 grey levels",
    "text over the frame",
    "black and white exchanged",
    "turned by 90 degrees",
}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("clinic") / "clinic", patients=10, size=200)


@pytest.fixture(scope="module")
def material(clinic, loaded, tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    for name in ("pages", "frames"):
        (root / name).mkdir()
    for seed in range(4):
        Image.fromarray(make_foreign("printed page", seed=100 + seed)).save(root / "pages" / f"{seed}.png")
        Image.fromarray(synthetic_image(seed=900 + seed)).save(root / "frames" / f"{seed}.png")
    return gather(
        read_collections([clinic]),
        loaded,
        limits=QualityLimits(),
        foreign=[root / "pages"],
        accepted=[root / "frames"],
        made_each=1,
        spoilt=4,
    )


@pytest.fixture(scope="module")
def studied(material):
    return fit_and_study(material, resamples=20)


def test_every_figure_has_its_n_and_an_interval_around_it(studied):
    _, figures = studied
    for section in ("false_refusals", "accepted_elsewhere", "spoilt_images", "made_images", "other_images"):
        assert figures[section]
        for rate in figures[section].values():
            assert rate["n"] > 0
            assert 0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1
    assert set(figures["made_images"]) == set(KINDS)
    assert set(figures["made_families"]) == set(FAMILIES)
    assert set(figures["spoilt_images"]) == set(SPOILERS)
    json.dumps(figures, allow_nan=False)


def test_pages_are_refused_and_frames_of_other_origin_are_not(studied):
    _, figures = studied
    assert figures["other_images"]["pages"]["value"] == 1
    assert figures["accepted_elsewhere"]["frames"]["value"] == 0
    assert figures["false_refusals"]["clinic"]["value"] <= 0.1


def test_the_inputs_reference_for_monitoring_finds_the_good_images_unmoved(material, studied):
    reference = studied[1]["monitoring"]
    assert {"blur", "contrast", "novelty"} <= set(reference)
    recent = {"blur": [row["blur"] for row in material.good.values] * 5}
    assert {each.name: each.state for each in drift_report(reference, recent).quantities}["blur"] == STABLE


def test_one_collection_alone_has_no_figure_across_collections(studied):
    assert studied[1]["across_sets"] == {}


def test_the_threshold_of_the_figures_is_that_of_the_reference(studied):
    reference, figures = studied
    assert figures["novelty"]["threshold"] == reference.threshold


def test_the_network_does_not_run_on_images_that_a_check_refuses(loaded):
    seen = Onlooker(loaded, limits=QualityLimits()).see([("a", np.zeros((300, 300), np.uint8))])
    assert seen.failed == (("blank",),)
    assert not seen.examples.embeddings.any()


def test_a_taught_collection_is_learnt_from_and_measured_by_halves_of_its_patients(material, studied, loaded):
    """Frames pass an untaught gate; one that was taught the other half's frames refuses them, and pages as before."""
    frames = Onlooker(loaded, limits=QualityLimits()).see(
        ((f"patient {seed // 2}", synthetic_image(seed=500 + seed) // 2 + 100) for seed in range(24)), always=True
    )
    before = studied[1]
    reference, figures = fit_and_study(dataclasses.replace(material, taught={"strangers": frames}), resamples=20)
    by_halves, untaught = figures["other_images"]["strangers"], figures["untaught_images"]["strangers"]
    assert by_halves["n"] == untaught["n"] == 24
    assert by_halves["groups"] == 12
    assert by_halves["value"] >= untaught["value"]
    assert set(figures["made_images"]) >= set(before["made_images"])
    assert set(figures["made_families"]) == set(before["made_families"])
    assert figures["all_made_images"]["n"] == before["all_made_images"]["n"]
    assert figures["novelty"]["made_of_each_kind"] == before["novelty"]["made_of_each_kind"]
    taught = frames.refused(reference.scores(frames.examples), reference.threshold).mean()
    assert taught >= by_halves["value"] - 0.25


def test_without_a_taught_collection_nothing_is_said_of_one(studied):
    assert studied[1]["untaught_images"] == {}


def test_an_empty_folder_is_an_error(clinic, loaded, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        gather(read_collections([clinic])[:2], loaded, foreign=[tmp_path / "empty"], made_each=1, spoilt=1)


def test_what_is_taught_cannot_be_measured_as_unseen_too(clinic, loaded):
    records = read_collections([clinic])[:2]
    with pytest.raises(ValueError, match="clinic is taught"):
        gather(records, loaded, foreign=[clinic], taught=records, made_each=1, spoilt=1)


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_figures_and_reference(clinic, shipped, tmp_path, capsys):
    out, stored = tmp_path / "gates.json", tmp_path / "novelty.npz"
    options = ["--made", "1", "--spoilt", "2", "--resamples", "20", "--default-limits"]
    written = ["--out", str(out), "--reference", str(stored)]
    named = ["--model", shipped.name, "--version", shipped.version]
    assert main(["gates", *named, "--data", str(clinic), *options, *written]) == 0
    assert "| good, out of fold | clinic | 20 |" in capsys.readouterr().out
    figures = json.loads(out.read_text())
    assert figures["model"]["version"] == shipped.version
    assert NoveltyReference.from_arrays(read_arrays(stored)).threshold == figures["novelty"]["threshold"]


def test_the_command_says_which_data_are_missing(tmp_path, capsys):
    assert main(["gates", "--data", str(tmp_path)]) == 1
    assert "labels.csv" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(SPOILERS))
def test_a_spoilt_frame_is_an_image_and_the_bad_ones_are_refused_by_the_checks(name):
    frame = synthetic_image(seed=3)
    spoilt = SPOILERS[name](frame, np.random.default_rng(0))
    assert spoilt.dtype == np.uint8
    assert not np.array_equal(spoilt, frame)
    if name in SURELY_REFUSED:
        assert is_refused(spoilt, limits=QualityLimits())


def test_a_frame_exported_elsewhere_stays_good_and_changes():
    random = np.random.default_rng(1)
    frames = [as_exported_elsewhere(synthetic_image(seed=seed), random) for seed in range(20)]
    assert np.mean([is_refused(frame, limits=QualityLimits()) for frame in frames]) <= 0.15
    assert len({frame.shape for frame in frames}) > 5


@pytest.mark.parametrize(("hits", "n"), [(0, 30), (3, 40), (40, 40), (199, 200)])
def test_the_interval_of_a_rate_is_wilson_s(hits, n):
    refused = np.arange(n) < hits
    interval = stats.binomtest(hits, n).proportion_ci(method="wilson")
    rate = wilson_rate(refused)
    assert (rate["low"], rate["high"]) == pytest.approx((interval.low, interval.high), abs=1e-4)


def test_masks_are_no_images_of_a_folder_and_a_choice_is_spread_over_it(clinic):
    every = images_in(clinic, most=1000)
    assert len(every) == 20
    assert all(path.parent.name == "images" for path in every)
    few = images_in(clinic, most=5)
    assert len(few) == 5
    assert few[0] == every[0]
    assert few[-1] in every[-5:]
