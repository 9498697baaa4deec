"""``python -m ml release``: a run of the two-look model becomes an artefact that the portal may install."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml.artifact import MODEL_FILE, WEIGHTS_FILE, evaluation_head, provenance, seal, staged
from ml.card import write_card
from ml.contract import LABELS
from ml.data.records import FOLDS, ImageRecord
from ml.evaluate import Calibration, evaluate_run, judge_nested
from ml.explainer import Explainer, explainer_from, fused_maps
from ml.explanations import explanation_entry, study_explanations
from ml.export import export_graph, probability_gaps, restore_two_looks, store_half_precision
from ml.gates import fit_and_study, gather
from ml.images import Letterbox, network_input, read_image, to_grey
from ml.logits import LogitTable
from ml.looks.reading import look_twice
from ml.looks.recipe import TwoLookRecipe
from ml.looks.training import NETWORK, READINGS, keras_network
from ml.metrics import RESAMPLES
from ml.monitoring import monitoring_reference, values_of
from ml.networks.two_looks import explained_two_looks
from ml.pipeline import analyse
from ml.quality import QualityLimits
from ml.runtime import NOVELTY_FILE, SIMILAR_FILE, TWO_LOOKS, LoadedModel, load_folder
from ml.similar import fit_similar, study_similar
from ml.storage import read_arrays, read_json, write_arrays, write_json

_PARITY_IMAGES = 200
_EMBEDDED_AT_ONCE = 32
_COPIED = ("learning-curves.png", "out-of-fold.csv")


def release_two_looks(
    run: Path,
    records: Sequence[ImageRecord],
    *,
    name: str,
    version: str,
    status: str,
    folder: Path,
    foreign: Sequence[Path] = (),
    accepted: Sequence[Path] = (),
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
    arguments: Sequence[str] = (),
) -> None:
    """Write the artefact: graph, half-precision weights, manifest, evaluation, card and plots.

    Args:
        run: a finished run with ``final/network.npz``, ``out-of-fold.csv`` and ``fold-<k>/readings.npz``.
        records: the images of the run.
        name, version, status: identity for the manifest.
        folder: the artefact's folder; replaced as a whole when everything is written.
        foreign: folders of images of other kinds, to measure refusals.
        accepted: folders of further good images, to measure false refusals.
        notes: sentences about this run that a reader of the card must know.
        resamples: of every bootstrap.
        arguments: the command line, for the record.

    Raises:
        ValueError: the run is of other images, or unfinished.
    """
    described = read_json(run / "run.json")
    if described["images"] != [record.key for record in records]:
        raise ValueError(f"{run} was trained on other images. Pass the same --data in the same order.")
    readings = [f"fold-{fold}/{READINGS}" for fold in range(FOLDS)]
    for needed in (f"final/{NETWORK}", "out-of-fold.csv", *readings):
        if not (run / needed).is_file():
            raise ValueError(f"{run / needed} does not exist. Finish the training first.")
    command = shlex.join(["python", "-m", "ml", *arguments])
    with staged(folder) as written:
        writer = _Writer(run=run, records=records, described=described, folder=written, resamples=resamples)
        writer.write(
            identity={"name": name, "version": version, "status": status},
            foreign=foreign,
            accepted=accepted,
            notes=notes,
            command=command,
        )


class _Writer:
    """Writes what an artefact holds, in the order in which each part needs the ones before."""

    def __init__(
        self, *, run: Path, records: Sequence[ImageRecord], described: dict[str, Any], folder: Path, resamples: int
    ) -> None:
        self._run, self._records, self._described, self._folder = run, records, described, folder
        self._resamples = resamples
        self._recipe = TwoLookRecipe.from_mapping(described["recipe"])

    def write(
        self,
        *,
        identity: dict[str, str],
        foreign: Sequence[Path],
        accepted: Sequence[Path],
        notes: Sequence[str],
        command: str,
    ) -> None:
        folder, records = self._folder, self._records
        parts, calibration = evaluate_run(self._run, records, plots=folder, resamples=self._resamples)
        parts["explanations"] = self._explanations()
        for each in _COPIED:
            shutil.copyfile(self._run / each, folder / each)
        keras.backend.clear_session()
        final = self._run / "final" / NETWORK
        trained, twin = (restore_two_looks(final, recipe=self._recipe) for _ in range(2))
        store_half_precision(folder / WEIGHTS_FILE, twin)
        export_graph(folder / MODEL_FILE, twin)
        limits = QualityLimits()
        manifest = self._manifest(identity=identity, calibration=calibration, limits=limits, command=command)
        manifest["explanation"] = explanation_entry(parts["explanations"])
        # The graph is measured through the runtime, which needs a manifest: a first one, without the reports.
        seal(folder, manifest, files=(MODEL_FILE, WEIGHTS_FILE))
        parts["parity"] = self._parity(trained.full, twin.full, keras_network(twin))
        parts |= self._gates(manifest, limits=limits, foreign=foreign, accepted=accepted)
        # Sealed again: from here on the model has its gate.
        seal(folder, manifest, files=(MODEL_FILE, WEIGHTS_FILE, NOVELTY_FILE, SIMILAR_FILE))
        parts["monitoring"] = monitoring_of(folder, records, run=self._run)
        evaluation = {**evaluation_head(self._described, manifest, notes=notes), **parts}
        write_json(folder / "evaluation.json", evaluation)
        write_card(folder / "MODEL_CARD.md", manifest=manifest, evaluation=evaluation)
        seal(folder, manifest)

    def _gates(
        self, manifest: dict[str, Any], *, limits: QualityLimits, foreign: Sequence[Path], accepted: Sequence[Path]
    ) -> dict[str, Any]:
        """Fit and write the novelty gate and the similar cases on what the shipped graph sees; their figures."""
        model = load_folder(self._folder)
        assert isinstance(model, LoadedModel)
        records = self._records
        material = gather(records, model, limits=limits, foreign=foreign, accepted=accepted)
        reference, refusals = fit_and_study(material, resamples=self._resamples)
        write_arrays(self._folder / NOVELTY_FILE, reference.to_arrays())
        manifest["novelty"] = {"threshold": reference.threshold}
        labels, sources = [record.label for record in records], [record.source for record in records]
        index = fit_similar(
            material.good.examples.embeddings,
            keys=[record.key for record in records],
            labels=labels,
            sources=sources,
        )
        write_arrays(self._folder / SIMILAR_FILE, index.to_arrays())
        return {
            "refusals": refusals,
            "similar": study_similar(
                {fold: self._embeddings(fold) for fold in range(FOLDS)},
                labels=labels,
                sources=sources,
                groups=[record.leak_group for record in records],
                folds=[record.fold for record in records],
                resamples=self._resamples,
            ),
        }

    def _embeddings(self, fold: int) -> NDArray[np.float32]:
        """The whole look's embedding of every image by one fold's network: float32 (N, K)."""
        keras.backend.clear_session()
        network = restore_two_looks(self._run / f"fold-{fold}" / NETWORK, recipe=self._recipe)
        embed = keras.Model(
            network.base.input, keras.layers.GlobalAveragePooling2D()(network.base.output), name="embed"
        )
        found = []
        for start in range(0, len(self._records), _EMBEDDED_AT_ONCE):
            pixels = []
            for record in self._records[start : start + _EMBEDDED_AT_ONCE]:
                grey = to_grey(read_image(record.path))
                letterbox = Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=self._recipe.side)
                pixels.append(network_input(letterbox.place(grey)))
            found.append(np.asarray(embed.predict_on_batch(np.concatenate(pixels))))
        return np.concatenate(found)

    def _explanations(self) -> dict[str, Any]:
        """The maps that are drawn, of images that the fold's network never saw, fused as the other folds say."""
        _, nested = judge_nested(LogitTable.read(self._run / "out-of-fold.csv"))

        def explainer_of(fold: int) -> Explainer:
            keras.backend.clear_session()
            place = self._run / f"fold-{fold}"
            network = restore_two_looks(place / NETWORK, recipe=self._recipe)
            fusion = nested[fold].fusion
            weights = (1.0, 0.0) if fusion is None else (fusion.weights[0], fusion.weights[1])
            drawn = fused_maps(read_arrays(place / READINGS), self._records, weights=weights)
            return explainer_from(explained_two_looks(network), side=self._recipe.side, image_maps=drawn)

        return study_explanations(
            self._records, explainer_of=explainer_of, resamples=self._resamples, plots=self._folder
        )

    def _manifest(
        self, *, identity: dict[str, str], calibration: Calibration, limits: QualityLimits, command: str
    ) -> dict[str, Any]:
        side, heads = self._recipe.side, 2 * len(LABELS)
        return {
            **identity,
            "kind": TWO_LOOKS,
            "modality": "US",
            "labels": list(LABELS),
            "model_file": MODEL_FILE,
            "input": {
                "side": side,
                "dtype": "float32",
                "range": [-1, 1],
                "channels": "grey luma, three times",
                "fit": "letterbox on black, aspect ratio kept; then a square round the lesion that was found",
            },
            "outputs": {
                "logits": [1, heads],
                "activation_maps": [1, side // 32, side // 32, heads],
                "embedding": "pooled last convolution",
                "mask": [1, side // 4, side // 4, 1],
                "heads": "the first three of the six for the whole image, the others for the close look",
            },
            "calibration": calibration.as_dict(),
            "quality_limits": limits.as_dict(),
            **provenance(self._described, command=command),
            "files": {},
        }

    def _parity(self, trained: keras.Model, twin: keras.Model, network: Any) -> dict[str, Any]:
        """How far the shipped graph is from its Keras twin, and the half-precision twin from the trained network.

        The graph is compared over both looks, end to end; the rounding on the whole look's uncalibrated logits.
        """
        model = load_folder(self._folder)
        assert isinstance(model, LoadedModel)
        sample = self._records[:: max(1, len(self._records) // _PARITY_IMAGES)]
        largest, pixels = 0.0, []
        for record in sample:
            grey = to_grey(read_image(record.path))
            letterbox = Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=model.side)
            pixels.append(network_input(letterbox.place(grey)))
            probabilities = []
            for each in (model.look, network):
                reading = look_twice(grey, each, side=model.side)
                stated = model.predict(reading.whole_logits, reading.close_logits).probabilities
                probabilities.append(np.array(list(stated.values())))
            largest = max(largest, float(np.abs(probabilities[0] - probabilities[1]).max()))
        whole = [keras.Model(each.input, each.output["whole"]) for each in (trained, twin)]
        rounding = probability_gaps(whole[0], whole[1], pixels)
        return {
            "images": len(pixels),
            "graph_against_keras_twin": float(f"{largest:.3g}"),
            "half_precision_against_trained": float(f"{rounding.max():.3g}"),
            "half_precision_against_trained_median": float(f"{np.median(rounding):.3g}"),
            "meaning": "largest (or median) difference of a probability",
        }


def monitoring_of(folder: Path, records: Sequence[ImageRecord], *, run: Path) -> dict[str, Any]:
    """What later images are compared with: the checks' values, and the scores that the folds gave out of fold.

    Args:
        folder: the artefact, complete but for its reports.
        records: the images of the run.
        run: with ``out-of-fold.csv``.
    """
    model = load_folder(folder)
    table = LogitTable.read(run / "out-of-fold.csv")
    judged, _ = judge_nested(table)
    scores = dict(zip(table.keys, judged.probabilities, strict=True))
    values: dict[str, list[float]] = {}
    for record in records:
        outcome = analyse(read_image(record.path), model)
        if outcome.prediction is None:
            continue
        own = scores[record.key]
        stated = {
            **values_of(outcome),
            "probability_malignant": float(own[LABELS.index("malignant")]),
            "confidence": float(own.max()),
        }
        for name, value in stated.items():
            values.setdefault(name, []).append(value)
    return monitoring_reference(values)
