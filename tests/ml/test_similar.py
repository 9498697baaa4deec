"""Similar cases: the nearest known images, never the image itself, never a withheld collection."""

from __future__ import annotations

import numpy as np
import pytest

from ml.contract import LABELS, SimilarCase
from ml.similar import COUNT, SimilarIndex, fit_similar, study_similar
from ml.storage import read_arrays, write_arrays

WIDTH = 128


def collection(*, n: int = 90, seed: int = 0, spread: float = 0.4):
    """Embeddings in three clusters, one for each label; two images of each group."""
    random = np.random.default_rng(seed)
    middles = random.normal(size=(3, WIDTH))
    labels = [LABELS[number // 2 % 3] for number in range(n)]
    embeddings = middles[[LABELS.index(label) for label in labels]] + spread * random.normal(size=(n, WIDTH))
    sources = ["alpha" if number % 4 < 2 else "beta" for number in range(n)]
    keys = [f"{source}/{number:04d}" for number, source in enumerate(sources)]
    return embeddings.astype(np.float32), keys, labels, sources


@pytest.fixture(scope="module")
def index() -> SimilarIndex:
    embeddings, keys, labels, sources = collection()
    return fit_similar(embeddings, keys=keys, labels=labels, sources=sources)


def test_the_nearest_case_to_a_known_image_is_that_image(index):
    embeddings, keys, labels, sources = collection()
    first, *others = index.nearest(embeddings[7])
    assert first == SimilarCase(keys[7], sources[7], labels[7], first.similarity)
    assert first.similarity > 0.99
    assert len(others) == COUNT - 1
    assert [first.similarity, *(case.similarity for case in others)] == sorted(
        [case.similarity for case in (first, *others)], reverse=True
    )


def test_excluded_cases_are_not_named_and_do_not_shorten_the_list(index):
    embeddings, keys, *_ = collection()
    found = index.nearest(embeddings[7], exclude={keys[7], keys[6]})
    assert len(found) == COUNT
    assert {keys[6], keys[7]} & {case.case for case in found} == set()


def test_neighbours_share_the_label_where_labels_cluster(index):
    fresh, _, labels, _ = collection(seed=0)
    noisy = fresh + 0.1 * np.random.default_rng(5).normal(size=fresh.shape).astype(np.float32)
    same = [case.label == label for row, label in zip(noisy, labels, strict=True) for case in index.nearest(row)]
    assert np.mean(same) > 0.95


def test_the_order_does_not_depend_on_the_length_of_the_embedding_about_the_mean(index):
    embeddings, *_ = collection()
    direction = embeddings[3] - index.mean
    assert [case.case for case in index.nearest(index.mean + direction)] == [
        case.case for case in index.nearest(index.mean + 3 * direction)
    ]


def test_an_embedding_that_is_not_a_number_has_no_similar_cases(index):
    assert index.nearest(np.full(WIDTH, np.nan, np.float32)) == ()


def test_the_stored_index_answers_alike_and_holds_no_pickles(index, tmp_path):
    write_arrays(tmp_path / "similar.npz", index.to_arrays())
    again = SimilarIndex.from_arrays(read_arrays(tmp_path / "similar.npz"))
    embeddings, *_ = collection()
    assert again.nearest(embeddings[11]) == index.nearest(embeddings[11])


def test_two_thousand_images_of_the_network_s_width_take_less_than_a_megabyte(tmp_path):
    random = np.random.default_rng(1)
    n = 2108
    wide = fit_similar(
        random.normal(size=(n, 1280)).astype(np.float32),
        keys=[f"busbra/bus_{number:04d}-l" for number in range(n)],
        labels=["benign"] * n,
        sources=["busbra"] * n,
    )
    write_arrays(tmp_path / "similar.npz", wide.to_arrays())
    assert (tmp_path / "similar.npz").stat().st_size < 1_000_000


def test_a_withheld_collection_is_never_named():
    embeddings, keys, labels, _ = collection()
    sources = ["mini-mias" if number % 2 else "busi" for number in range(len(keys))]
    kept = fit_similar(embeddings, keys=keys, labels=labels, sources=sources)
    assert len(kept) == sources.count("busi")
    assert {case.source for row in embeddings for case in kept.nearest(row)} == {"busi"}
    with pytest.raises(ValueError, match="licence"):
        fit_similar(embeddings, keys=keys, labels=labels, sources=["mini-mias"] * len(keys))


@pytest.mark.parametrize("spoil", ["missing", "shape", "nan", "label"])
def test_a_damaged_index_is_refused(index, spoil):
    arrays = dict(index.to_arrays())
    if spoil == "missing":
        del arrays["keys"]
    elif spoil == "shape":
        arrays["places"] = arrays["places"][:-1]
    elif spoil == "nan":
        arrays["mean"] = arrays["mean"] * np.nan
    else:
        arrays["labels"] = arrays["labels"] + 7
    with pytest.raises(ValueError, match="similar case"):
        SimilarIndex.from_arrays(arrays)


def study(embeddings, labels, sources, **options):
    groups = [f"group {number // 2}" for number in range(len(labels))]
    folds = [number // 2 % 5 for number in range(len(labels))]
    return study_similar(
        embeddings, labels=labels, sources=sources, groups=groups, folds=folds, resamples=50, **options
    )


def test_precision_is_far_above_chance_where_labels_cluster_and_at_chance_where_they_do_not():
    embeddings, _, labels, sources = collection()
    clustered = study(embeddings, labels, sources)["sets"]["all"]
    assert clustered["precision"]["value"] > 0.9
    assert clustered["chance"]["value"] == pytest.approx(1 / 3, abs=0.03)
    assert clustered["gain"]["low"] > 0.4
    shapeless = np.random.default_rng(2).normal(size=embeddings.shape).astype(np.float32)
    gain = study(shapeless, labels, sources)["sets"]["all"]["gain"]
    assert gain["low"] < 0 < gain["high"] or abs(gain["value"]) < 0.1


def test_a_neighbour_of_the_same_group_does_not_count():
    random = np.random.default_rng(3)
    pairs = np.repeat(random.normal(size=(45, WIDTH)), 2, axis=0).astype(np.float32)
    labels = [LABELS[number // 2 % 3] for number in range(90)]
    # Twins are identical: were they counted, one in five neighbours would always agree.
    found = study(pairs, labels, ["alpha"] * 90)["sets"]["all"]
    assert found["precision"]["value"] < 0.45


def test_embeddings_by_fold_are_searched_among_other_folds_only():
    embeddings, _, labels, sources = collection()
    by_fold = dict.fromkeys(range(5), embeddings)
    figures = study(by_fold, labels, sources)
    assert figures["network_saw_queries"] is False
    assert figures["sets"]["all"]["precision"]["value"] > 0.9
    assert set(figures["sets"]) == {"alpha", "beta", "all"}
    assert figures["sets"]["alpha"]["precision"]["n"] + figures["sets"]["beta"]["precision"]["n"] == 90
