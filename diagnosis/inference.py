"""The only importer of the learning library. Loads a model in the worker child at first use, never in the web process.

The library is imported inside functions (house plan): importing this module loads neither OpenCV's nor LiteRT's code.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from diagnosis.models import Analysis, Modality, ModalitySetting, ModelVersion
from diagnosis.scanner_months import named
from ml.contract import Mark, ModelError, ModelIdentity, Outcome, OutcomeState, Prediction, Quality

if TYPE_CHECKING:
    import numpy as np
    from django.db.models.fields.files import FieldFile
    from numpy.typing import NDArray

    from diagnosis.lesion import Lesion
    from ml.runtime import AnyModel


class NoModelForModality(Exception):
    """No released model reads this modality; the message is for the person who uploaded."""


@dataclass(frozen=True, slots=True)
class Result:
    """An outcome ready to be stored.

    Attributes:
        outcome: its probabilities are re-based where the site has entered a prevalence.
        explanation: on success the map of the predicted label, a see-through PNG at the image's resolution; ``None``
            for a model that draws none.
        lesion: the outlined lesion, where one was found.
        prevalence: the site's own, that the probabilities were re-based to.
        own_probabilities: what the model said before that.
    """

    outcome: Outcome
    explanation: bytes | None = None
    lesion: Lesion | None = None
    prevalence: float | None = None
    own_probabilities: Mapping[str, float] | None = None


def installed() -> list[ModelVersion]:
    """Return an unsaved row for each artefact in the model directory. Reads manifests only.

    Raises:
        ModelError: when the directory is missing or a manifest is damaged.
    """
    from ml import registry

    return [
        ModelVersion(
            name=model.name,
            version=model.version,
            modality=model.modality,
            status=model.status,
            sha256=model.sha256,
        )
        for model in registry.installed_models(settings.MODEL_DIR)
    ]


def card_path(name: str, version: str) -> Path:
    """Return the path of a model's card (Markdown). Raises ``ModelError`` when it is not installed."""
    from ml import registry

    return registry.find_model(name, version, root=settings.MODEL_DIR).card_path


def evaluation_path(name: str, version: str) -> Path:
    """Return the path of a model's figures (JSON). Raises ``ModelError`` when it is not installed."""
    from ml import registry

    return registry.find_model(name, version, root=settings.MODEL_DIR).evaluation_path


def plots(name: str, version: str) -> dict[str, tuple[Path, str]]:
    """The pictures of an artefact that its manifest lists: file name -> path and SHA-256. ``ModelError`` as above."""
    from ml import registry

    found = registry.find_model(name, version, root=settings.MODEL_DIR)
    return {
        file: (found.folder / file, digest) for file, digest in found.manifest["files"].items() if file.endswith(".png")
    }


def altered_files(name: str, version: str, *, sha256: str) -> list[str]:
    """Compare every file of an artefact with its manifest, and the manifest with the registered digest of the model.

    Returns one sentence for each that is missing or differs.

    Raises:
        ModelError: when the artefact is not installed or its manifest is damaged.
    """
    from ml import registry

    found = registry.find_model(name, version, root=settings.MODEL_DIR)
    replaced = [] if found.sha256 == sha256 else [f"{name} {version} is not the model that was registered"]
    return [*replaced, *registry.altered_files(found)]


def _in_use(modality: str) -> ModelVersion:
    active = ModelVersion.objects.filter(modality=modality, active=True).first()
    if active is None:
        if not ModelVersion.objects.filter(active=True).exists():
            raise ModelError("model_missing", "No model is registered.", remedy="Run: python manage.py doctor")
        raise NoModelForModality(
            f"No released model reads this kind of image ({Modality(modality).label.lower()}) yet. "
            "The image is stored; read it without the computer's opinion."
        )
    return active


def analyse(
    file: FieldFile,
    *,
    modality: str,
    row_spacing_mm: float | None = None,
    column_spacing_mm: float | None = None,
    version: ModelVersion | None = None,
) -> Result:
    """Judge one stored image with the active model of its modality.

    Args:
        file: the stored PNG, 8-bit, grey or RGB.
        modality: ``Study.modality``.
        row_spacing_mm: distance of two rows, where the file told it.
        column_spacing_mm: distance of two columns, likewise.
        version: judge with this one instead (a candidate, in the shadow), by the same steps.

    Raises:
        NoModelForModality: other modalities have a model, this one has none.
        ModelError: the model is missing, altered or broken; no score was made.
        ImageError: the stored file cannot be read.
    """
    from diagnosis import lesion, overlay
    from ml.images import read_image
    from ml.pipeline import analyse as analyse_pixels

    judging = version or _in_use(modality)
    model = _loaded(judging.name, judging.version, sha256=judging.sha256)
    outcome = analyse_pixels(read_image(Path(file.path)), model)
    own = outcome.prediction
    if own is None:
        return Result(outcome=outcome)
    prediction, prevalence = _rebased(own, model=judging)
    maps, found = outcome.class_maps, outcome.segmentation
    return Result(
        outcome=dataclasses.replace(outcome, prediction=prediction),
        prevalence=prevalence,
        own_probabilities=None if prevalence is None else own.probabilities,
        explanation=None if maps is None else overlay.layer_png(maps[prediction.label]),
        lesion=None
        if found is None
        else lesion.kept(found, row_spacing_mm=row_spacing_mm, column_spacing_mm=column_spacing_mm),
    )


@dataclass(frozen=True, slots=True)
class Exam:
    """What the views of one mammography exam add up to; finding <= view <= breast <= exam by construction.

    Attributes:
        score: 0-1, of the worse breast.
        breasts: side (``L``, ``R``) -> 0-1.
        views: how many images were joined.
        left_out: how many results were not, because the image does not say its side.
        model: name and version of the model that spoke.
        research: whether it is a research model.
    """

    score: float
    breasts: Mapping[str, float]
    views: int
    left_out: int
    model: str
    research: bool


def exam(analyses: Iterable[Analysis]) -> Exam | None:
    """Join the results of the mammograms of one study.

    Returns:
        ``None`` for fewer than two joined views, and where several models spoke: their scores are not on one scale.
    """
    from ml.mammogram.exam import LATERALITIES, fuse_outcomes

    scored = [one for one in analyses if one.modality == Modality.MAMMOGRAM and one.probabilities is not None]
    if len({(one.model_name, one.model_version, one.prevalence) for one in scored}) != 1:
        return None
    sided = [one for one in scored if one.image.laterality in LATERALITIES]
    fused = fuse_outcomes((one.image.laterality, one.image.view, _outcome_of(one)) for one in sided)
    if fused is None or len(sided) < 2:
        return None
    return Exam(
        score=fused.exam,
        breasts=fused.breasts,
        views=len(sided),
        left_out=len(scored) - len(sided),
        model=f"{scored[0].model_name} {scored[0].model_version}",
        research=scored[0].is_research,
    )


def _outcome_of(analysis: Analysis) -> Outcome:
    """A stored result as the pipeline gave it, without its pictures."""
    return Outcome(
        state=OutcomeState.SUCCEEDED,
        model=ModelIdentity(
            name=analysis.model_name,
            version=analysis.model_version,
            sha256=analysis.model_sha256,
            modality=analysis.modality,
            status=analysis.model_status,
        ),
        quality=Quality(),
        prediction=Prediction(
            label=analysis.label,
            confidence=analysis.confidence or 0.0,
            probabilities=analysis.probabilities or {},
            suspicion=analysis.suspicion or 1,
            uncertain=analysis.uncertain,
        ),
        marks=tuple(Mark(**mark) for mark in analysis.marks),
    )


class NotCleanable(Exception):
    """An image cannot be freed of burned-in text with confidence; the message names nobody."""


def tissue(
    pixels: NDArray[np.uint8], *, modality: str, regions: Iterable[tuple[int, int, int, int]] = ()
) -> NDArray[np.bool_]:
    """The pixels of an image that may leave the house: no surround, no text, no calipers.

    Args:
        pixels: uint8 (H, W) or (H, W, 3), as they are shown.
        modality: ``Study.modality``.
        regions: (top, left, bottom, right) of each region that the file calls ultrasound.

    Returns:
        bool (H, W).

    Raises:
        NotCleanable: not with confidence.
    """
    from ml import burned_in
    from ml.preprocess.sector import Box

    boxes = [Box(top=top, left=left, bottom=bottom, right=right) for top, left, bottom, right in regions]
    try:
        return burned_in.tissue(pixels, modality=modality, regions=boxes)
    except burned_in.NotCleanable as refusal:
        raise NotCleanable(str(refusal)) from refusal


RECENT_IMAGES = 500
"""How many of a model's latest images are compared with those it was measured on: a few weeks of a busy clinic."""


RECENT_OF_ALL_SCANNERS = 3_000
"""How far back images of each scanner are looked for: one that sends few has few of these."""


def drift(model: ModelVersion, reference: Mapping[str, Any]) -> dict[str, Any]:
    """Compare what a model met and said here of late with the images it was measured on.

    Args:
        model: whose analyses are looked at; what it said before any re-basing to the site's prevalence.
        reference: ``monitoring`` of the model's ``evaluation.json``.

    Returns:
        ``state`` (``too few images``, ``stable``, ``watch``, ``shifted``) and ``quantities``, a list of dicts with
        ``name``, ``state``, ``n``, ``median``, ``reference_median``, ``stability_index``, ``gap`` and others.

    Raises:
        ModelError: ``model_invalid`` when the reference is not what the library writes.
    """
    analyses = Analysis.objects.filter(model_name=model.name, model_version=model.version).order_by("-queued_at")
    return _compared(analyses.values_list(*_WATCHED)[:RECENT_IMAGES], model=model, reference=reference)


def drift_by_scanner(model: ModelVersion, reference: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The same for each scanner among the latest images, by its name, those with the most images first.

    Raises:
        ModelError: as :func:`drift`.
    """
    analyses = Analysis.objects.filter(model_name=model.name, model_version=model.version).order_by("-queued_at")
    of_scanner: dict[str, list[Any]] = {}
    for device, *row in analyses.values_list("image__device", *_WATCHED)[:RECENT_OF_ALL_SCANNERS]:
        rows = of_scanner.setdefault(named(device), [])
        if len(rows) < RECENT_IMAGES:
            rows.append(row)
    by_size = sorted(of_scanner, key=lambda name: (-len(of_scanner[name]), name))
    return {name: _compared(of_scanner[name], model=model, reference=reference) for name in by_size}


_WATCHED = ("quality", "own_probabilities", "probability_malignant", "confidence")


def _compared(rows: Iterable[Any], *, model: ModelVersion, reference: Mapping[str, Any]) -> dict[str, Any]:
    from ml.monitoring import drift_report

    recent: dict[str, list[float]] = {}
    for checks, own, malignant, confidence in rows:
        for check in checks:
            recent.setdefault(check["name"], []).append(check["value"])
        if malignant is not None:
            recent.setdefault("probability_malignant", []).append(own["malignant"] if own else malignant)
            recent.setdefault("confidence", []).append(max(own.values()) if own else confidence)
    try:
        return drift_report(reference, recent).as_dict()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            "model_invalid",
            f"The reference for monitoring of {model} cannot be read ({error}).",
            remedy="Restore the folder from the release.",
        ) from error


def training_shares(name: str, version: str) -> Mapping[str, float] | None:
    """Share of each label where a model was calibrated; ``None`` for one that states none and cannot be re-based.

    Raises:
        ModelError: the artefact is not installed or its manifest is damaged.
    """
    from ml import registry

    calibration = registry.find_model(name, version, root=settings.MODEL_DIR).manifest.get("calibration")
    return calibration.get("prevalence") if isinstance(calibration, Mapping) else None


def _rebased(own: Prediction, *, model: ModelVersion) -> tuple[Prediction, float | None]:
    """Re-base a prediction to the site's prevalence, where it has entered one and the model can be re-based."""
    from ml import registry
    from ml.prevalence import rebase_prediction

    decided = ModalitySetting.objects.filter(modality=model.modality).first()
    shares = training_shares(model.name, model.version)
    if decided is None or decided.prevalence is None or shares is None:
        return own, None
    manifest = registry.find_model(model.name, model.version, root=settings.MODEL_DIR).manifest
    try:
        based = rebase_prediction(
            own, training=shares, malignant=decided.prevalence, cuts=manifest["calibration"]["suspicion_cuts"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            "model_invalid",
            f"{model} cannot be re-based to the site's prevalence: {error}.",
            remedy="Remove the prevalence on the page of models, or install a model that can be re-based.",
        ) from error
    return based, decided.prevalence


def _loaded(name: str, version: str, *, sha256: str) -> AnyModel:
    """Return the model, loaded and checked against its manifest; again whenever a file of it was touched."""
    from ml import registry

    found = registry.find_model(name, version, root=settings.MODEL_DIR)
    if found.sha256 != sha256:
        raise ModelError(
            "model_altered",
            f"{name} {version} is not the file that was registered.",
            remedy="Restore the folder from the release.",
        )
    files = sorted(path for path in found.folder.iterdir() if path.is_file())
    return _load_once(name, version, tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files))


@functools.lru_cache(maxsize=4)
def _load_once(name: str, version: str, signature: tuple[tuple[str, int, int], ...]) -> AnyModel:
    from ml import runtime

    return runtime.load(name, version, root=settings.MODEL_DIR, threads=settings.MODEL_THREADS)
