"""The card of a whole-image model: texts by modality, every number from ``evaluation.json`` and the manifest.

Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.card_sections import NAMES, calibration_section, explanations_section, uncertain_section
from ml.contract import LABELS
from ml.data.records import DataError
from ml.markdown import figure_text, markdown_table
from ml.storage import write_text


@dataclass(frozen=True, slots=True)
class CardTexts:
    """What a card says that no measurement can.

    Attributes:
        subject: what the model looks at.
        use, not_for, input: sentences of the section on use.
        data: source, licence and citation by collection.
        limits: one sentence each.
    """

    subject: str
    use: str
    not_for: str
    input: str
    data: Mapping[str, str]
    limits: tuple[str, ...]


TEXTS = {
    "CESM": CardTexts(
        subject="contrast-enhanced mammography (subtracted images)",
        use=(
            "radiologists who read contrast-enhanced mammography, as a second opinion beside their own reading of the "
            "low-energy and the subtracted images"
        ),
        not_for=(
            "screening, triage or ruling out cancer; low-energy or ordinary mammograms, tomosynthesis, ultrasound; "
            "implants, men, breasts after surgery; patients reading their own images"
        ),
        input=(
            "one subtracted (recombined) image of one view of one breast, grey, enhancement bright, background black. "
            "The low-energy image is not looked at"
        ),
        data={
            "cdd-cesm": (
                "Khaled et al., *Categorized contrast enhanced mammography dataset for diagnostic and artificial "
                "intelligence research*, Scientific Data 9:122 (2022); CC BY 4.0. National Cancer Institute, Cairo."
            )
        },
        limits=(
            "One hospital, one kind of device, selected patients: nothing is known about images from elsewhere.",
            "The collection used is stretched to squares of 512 px. Training varied width against height so that "
            "images of their own shape should do as well; that was not measured, because none were at hand.",
            "Benign and normal were read by radiologists, with biopsy for suspicious findings only: a label may be "
            "wrong where nothing was biopsied.",
            "Background enhancement, movement, rims and clips enhance too and can raise the suspicion.",
            "One view is judged at a time; the history, earlier images and the low-energy image are not.",
            "A figure on subtracted images says nothing about ordinary mammograms.",
            "Images of another kind that are grey, sharp and well exposed may pass the quality checks and then get a "
            "score that means nothing.",
        ),
    )
}


_MASKS = """

The findings are the masks of the low-energy films of the same views, carried over; thin arcs along the skin are left
out. Only malignant films have masks."""


def write_card(path: Path, *, manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> None:
    """Write the card as Markdown.

    Args:
        path: the file to replace.
        manifest: of the artefact.
        evaluation: the content of ``evaluation.json``.

    Raises:
        DataError: there is no card text for the modality.
    """
    texts = TEXTS.get(manifest["modality"])
    if texts is None:
        raise DataError(f"There is no card text for {manifest['modality']}. Known: {', '.join(TEXTS)}.")
    sections = (
        _head(manifest, texts),
        _use(manifest, texts),
        _data(evaluation, texts),
        _performance(evaluation),
        calibration_section(evaluation),
        uncertain_section(evaluation),
        _subgroups(evaluation),
        explanations_section(evaluation, entry=manifest["explanation"]) + _MASKS,
        _refusals(evaluation),
        "## Limitations\n\n" + "\n".join(f"- {sentence}" for sentence in texts.limits),
        _files(manifest, evaluation),
    )
    write_text(path, "\n\n".join(section.strip() for section in sections) + "\n")


def _head(manifest: Mapping[str, Any], texts: CardTexts) -> str:
    meaning = (
        "A *research* model is run on purpose only, is labelled as such on every screen and report, and never orders "
        "the worklist."
        if manifest["status"] == "research"
        else "*Released* means that the lower bound of its cross-validated AUC is at least 0.70 and that its training "
        "images may be used commercially; it is no seal of quality."
    )
    return f"""# {manifest["name"]} {manifest["version"]}

Decision support for {texts.subject}: probabilities of *benign*, *malignant* and *normal*, a suspicion of 1-10 and a
Grad-CAM map of each label. Status: **{manifest["status"]}**. Date: {manifest["released"]}. {meaning} It is no medical
device, has no regulatory clearance and was never tested prospectively.

Written by `{manifest["release_command"]}`; every number below is read from `evaluation.json` beside this file. Figures
in brackets are 95 % intervals."""


def _use(manifest: Mapping[str, Any], texts: CardTexts) -> str:
    recipe, limits = manifest["recipe"], manifest["quality_limits"]
    side, training, augmentation = manifest["input"]["side"], recipe["training"], recipe["augmentation"]
    changes = ", ".join(f"{name} {value:g}" for name, value in augmentation.items() if value and name != "views")
    rates = ", ".join(f"{name} x {factor:g}" for name, factor in recipe["rates"].items()) or "one rate"
    checks = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in limits.items())
    return f"""## Use

**For** {texts.use}.

**Not for** {texts.not_for}.

**Input**: {texts.input}. It is fitted into {side} x {side} pixels by letterbox, aspect ratio kept. No score is given
outside these limits: {checks}.

**Architecture**: MobileNetV2 (Sandler et al. 2018), width {recipe["width"]:g}, from ImageNet weights; frozen up to
`{recipe["freeze"]}`, the rest fine-tuned with discriminative rates ({rates}), normalisation frozen; global average
pooling, dropout {recipe["head"]["dropout"]:g}, one linear layer. Adam, peak rate {training["learning_rate"]:g},
{training["schedule"]} schedule, {training["epochs"]} epochs fixed in advance, batch {training["batch"]}, label
smoothing {training["label_smoothing"]:g}, class weights {training["class_weights"]}, {augmentation["views"]} augmented
views of each image ({changes}). Weights in half precision, arithmetic in single precision."""


def _data(evaluation: Mapping[str, Any], texts: CardTexts) -> str:
    rows = [
        [source, *(counts[label] for label in LABELS), counts["groups"], texts.data.get(source, "")]
        for source, counts in evaluation["data"].items()
    ]
    return f"""## Training data

{markdown_table(["set", *LABELS, "patients", "source and licence"], rows)}

A part of the set is held back from this project and is in none of these counts. The shipped network is trained on all
images above; the figures below are those of five networks by the same recipe, each measured on the patients that it
never saw. The shipped network itself has no unseen image here and therefore no figure of its own."""


def _performance(evaluation: Mapping[str, Any]) -> str:
    sets = evaluation["cross_validation"]
    rows = [
        [title, *(figure_text(figures.get(name)) for figures in sets.values())]
        for name, title in NAMES.items()
        if any(name in figures for figures in sets.values())
    ]
    for label in LABELS:
        for name in ("precision", "recall", "f1"):
            key = f"{name}_{label}"
            rows.append([f"{name} {label}", *(figure_text(figures.get(key)) for figures in sets.values())])
    points = sorted({point for found in evaluation["sensitivity_on_roc"].values() for point in found})
    for point in points:
        found = [figure_text(evaluation["sensitivity_on_roc"][source].get(point)) for source in sets]
        rows.append([f"sensitivity at specificity {point}, read off the ROC curve (slightly optimistic)", *found])
    header = ["figure", *(f"{name}, n = {each['accuracy']['n']}" for name, each in sets.items())]
    matrices = "\n\n".join(
        f"{source}, truth by row:\n\n"
        + markdown_table(
            ["", *LABELS],
            [[label, *row] for label, row in zip(LABELS, figures["confusion_matrix"]["counts"], strict=True)],
        )
        for source, figures in sets.items()
    )
    breasts = evaluation["breasts"]
    return f"""## Performance

Protocol: {evaluation["protocol"]}.

{markdown_table(header, rows)}

By breast, the mean over its views ({breasts["n"]} breasts, {breasts["malignant"]} malignant): AUC
{figure_text(breasts["auc_malignant"])}, sensitivity {figure_text(breasts["sensitivity"])} and specificity
{figure_text(breasts["specificity"])} at the threshold.

{matrices}

![ROC curves](roc.png) ![Learning curves](learning-curves.png)

{" ".join(evaluation["notes"])}"""


def _subgroups(evaluation: Mapping[str, Any]) -> str:
    rows = []
    for source, groups in evaluation["subgroups"].items():
        for name, figures in groups.items():
            shown = [figure_text(figures[key]) for key in ("auc_malignant", "sensitivity", "specificity")]
            rows.append([source, name, figures["n"], figures["malignant"], *shown])
    header = ["set", "subgroup", "n", "malignant", "AUC", "sensitivity", "specificity"]
    return f"## Subgroups\n\nAt the nested threshold.\n\n{markdown_table(header, rows)}"


def _refusals(evaluation: Mapping[str, Any]) -> str:
    refusals = evaluation["refusals"]
    rows = []
    kinds = {
        "false_refusals": "good, out of fold",
        "spoilt_images": "good, spoilt",
        "other_images": "other kind, real",
        "untaught_images": "other kind, real, the gate fitted without it",
        "made_families": "other kind, computed, family left out",
    }
    for key, title in kinds.items():
        rows += [[title, name, rate["n"], figure_text(rate)] for name, rate in refusals.get(key, {}).items()]
    return f"""## Refusals

By the quality checks and the novelty gate together. The quality limits were set on the good images below, so their
rate is not an estimate for other devices. *Left out*: the gate was fitted without that family of images.
{_taught(refusals)}

{markdown_table(["images", "which", "n", "share refused"], rows)}"""


def _taught(refusals: Mapping[str, Any]) -> str:
    names = sorted(refusals.get("untaught_images", {}))
    if not names:
        return ""
    return (
        f"The gate learnt from {', '.join(names)}: the images of each half of the patients are judged by a fit that "
        "saw those of the other half."
    )


def _files(manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    parity = evaluation["parity"]
    rows = [[f"`{name}`", f"`{digest}`"] for name, digest in sorted(manifest["files"].items())]
    libraries = ", ".join(f"{name} {version}" for name, version in manifest["libraries"].items())
    return f"""## Files and reproduction

{markdown_table(["file", "SHA-256"], rows)}

`manifest.json` lists the digests of this card, `evaluation.json` and the plots too. Trained with
`{manifest["training_command"]}`, seed {manifest["seed"]}, from weights with SHA-256
`{manifest["initial_weights_sha256"]}`. Libraries: {libraries}.

Largest difference of a probability on {parity["images"]} images: graph against its Keras twin
{parity["graph_against_keras_twin"]:.1e}, half precision against the trained network
{parity["half_precision_against_trained"]:.1e} (median {parity["half_precision_against_trained_median"]:.1e})."""
