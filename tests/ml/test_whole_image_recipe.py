"""The recipe language: read strictly, and every shipped recipe is valid. No framework is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.data.augment import add_shadow, plain_view, shear_matrix
from ml.networks.catalogue import ARCHITECTURES
from ml.whole_image.augmentation import augmented_view
from ml.whole_image.recipe import Augmentation, RecipeError, WholeImageRecipe

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "ml" / "recipes").glob("*.yaml"))


def own_recipes():
    return [path for path in RECIPES if "network:" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", own_recipes(), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(path):
    recipe = WholeImageRecipe.from_yaml(path)
    assert WholeImageRecipe.from_mapping(recipe.as_dict()) == recipe


def test_every_network_of_the_zoo_has_a_recipe():
    assert {WholeImageRecipe.from_yaml(path).network for path in own_recipes()} == set(ARCHITECTURES)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("network: vgg19", r"network must be one of mobilenetv2, vgg16, .*not 'vgg19'"),
        ("side: 64", "entry network is missing"),
        ("network: vgg16\nepoch: 3", r"Unknown entry epoch\. Allowed: augmentation, batch_norm"),
        ("network: vgg16\ntraining: {epoch: 3}", r"Unknown entry training\.epoch\. Allowed: batch, class_weights"),
        ("network: vgg16\ntraining: {epochs: 2.5}", r"training\.epochs must be a whole number"),
        ("network: vgg16\ntraining: {epochs: 0}", r"training\.epochs must lie between 1"),
        ("network: vgg16\ntraining: {learning_rate: fast}", r"training\.learning_rate must be a number"),
        ("network: vgg16\ntraining: {learning_rate: .nan}", r"training\.learning_rate must be a number"),
        ("network: vgg16\ntraining: {patience: 2, validation: 0}", r"patience needs training\.validation"),
        ("network: vgg16\ntraining: {least_fall: 0.1}", "least_fall and training.restarts belong together"),
        ("network: vgg16\naugmentation: 3", "augmentation must be a mapping"),
        ("network: vgg16\naugmentation: {flip: 2}", r"augmentation\.flip must lie between 0 and 1"),
        ("network: vgg16\nfreeze: block_5_add", r"freeze must be one of none, all, block1_pool"),
        ("network: vgg16\nwidth: 0.5", "width must be 1 for vgg16"),
        ("network: mobilenetv2\nside: 50", "multiple of 32"),
        ("network: inceptionv3\nside: 64", "side must lie between 75"),
        ("network: plain-cnn\nweights: imagenet", "no ImageNet weights of plain-cnn"),
        ("network: vgg16\nrates: {block5: -1}", r"rates\.block5 must lie"),
        ("network: vgg16\nhead: {pooling: sum}", r"head\.pooling must be one of average, max"),
        ("network: vgg16\ntask: birads", "task must be one of labels, abnormal"),
        ("- 1", "mapping"),
        ("network: [", "not YAML"),
    ],
)
def test_a_faulty_recipe_names_the_entry_and_what_is_allowed(tmp_path, content, words):
    path = tmp_path / "faulty.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=words) as caught:
        WholeImageRecipe.from_yaml(path)
    assert "faulty.yaml" in str(caught.value)


def test_reading_a_recipe_loads_no_framework():
    code = (
        "import sys; from pathlib import Path; from ml.whole_image.recipe import WholeImageRecipe; "
        f"WholeImageRecipe.from_yaml(Path({str(own_recipes()[0])!r})); "
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def centre_of(view):
    rows, columns = np.nonzero(view > 100)
    return np.array([rows.mean(), columns.mean()])


def test_a_view_with_everything_off_is_the_image_itself():
    still = Augmentation(zoom=0, flip=0, rotation=0, shift=0, gain=0)
    image = np.zeros((120, 200), np.uint8)
    image[20:50, 120:180] = 200
    view = augmented_view(image, side=96, augmentation=still, random=np.random.default_rng(0))
    plain = plain_view(image, side=96)
    np.testing.assert_allclose(centre_of(view), centre_of(plain), atol=0.3)
    # Two resamplings instead of one soften the edges alone.
    assert (np.abs(view.astype(int) - plain) > 40).mean() < 0.02


def test_a_flip_moves_the_left_to_the_right():
    image = np.zeros((96, 96), np.uint8)
    image[40:56, 10:26] = 200
    still = {"zoom": 0.0, "flip": 0.0, "rotation": 0.0, "shift": 0.0, "gain": 0.0}
    flipped = augmented_view(
        image, side=96, augmentation=Augmentation(**{**still, "flip": 1.0}), random=np.random.default_rng(0)
    )
    np.testing.assert_allclose(centre_of(flipped), [47.5, 77.5], atol=0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"zoom": 0.5},
        {"stretch": 0.5},
        {"flip": 1.0},
        {"shear": 20.0},
        {"rotation": 30.0},
        {"shift": 0.2},
        {"gain": 0.5},
        {"speckle": 0.3},
        {"shadow": 1.0},
        {"jpeg": 1.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_change_changes_the_view_and_depends_on_the_seed_alone(ultrasound, change):
    off = {"zoom": 0.0, "flip": 0.0, "rotation": 0.0, "shift": 0.0, "gain": 0.0}
    still, changed = Augmentation(**off), Augmentation(**{**off, **change})
    views = [
        augmented_view(ultrasound, side=96, augmentation=each, random=np.random.default_rng(3))
        for each in (still, changed, changed)
    ]
    assert (views[0] != views[1]).mean() > 0.02
    np.testing.assert_array_equal(views[1], views[2])
    assert views[1].shape == (96, 96)
    assert views[1].dtype == np.uint8


def test_a_shadow_only_darkens_and_lies_below_its_top():
    bright = np.ones((80, 100), np.float32)
    shaded = add_shadow(bright, np.random.default_rng(1))
    assert shaded.max() <= 1
    assert 0.2 < shaded.min() < 0.9
    assert (shaded[:8] == 1).all()
    darkest = (shaded < 0.95).mean(axis=1)
    assert 0 < darkest.max() < 0.4, "a band, not the whole image"


def test_a_shear_keeps_rows_and_area():
    matrix = shear_matrix(45.0)
    np.testing.assert_allclose(matrix @ [0.0, 1.0], [1.0, 1.0])
    assert np.linalg.det(matrix) == pytest.approx(1)
