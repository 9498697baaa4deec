"""The model card: every number in it is read from ``evaluation.json`` and the manifest.

Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml.calibrate import suspicion
from ml.contract import LABELS
from ml.storage import write_text

SETS = {"busi": "BUSI", "busbra": "BUS-BRA"}

REFERENCES = {
    # (collection, figure): (goal, plain recipe). The plain recipe: MobileNetV2, blocks 6-16 fine-tuned for 12 epochs,
    # flips and zoom, no calibration, measured on a part of each set that is held back from this project.
    ("busi", "accuracy"): (0.90, 0.817),
    ("busi", "auc_malignant"): (0.97, 0.942),
    ("busi", "sensitivity_by_label"): (None, 0.829),
    ("busi", "sensitivity_on_roc"): (0.95, None),
    ("busbra", "auc_malignant"): (0.94, 0.918),
    ("busbra", "sensitivity_by_label"): (None, 0.752),
    ("busbra", "sensitivity_on_roc"): (0.90, None),
    ("unseen", "auc_malignant"): (0.90, 0.797),
}

NAMES = {
    "accuracy": "accuracy, three labels",
    "auc_malignant": "AUC, malignant against the rest",
    "sensitivity": "sensitivity at the threshold",
    "specificity": "specificity at the threshold",
    "sensitivity_by_label": "recall malignant, by label",
    "specificity_by_label": "specificity, by label",
    "macro_precision": "precision, macro",
    "macro_recall": "recall, macro",
    "macro_f1": "F1, macro",
    "brier": "Brier score (0 best, 2 worst)",
    "ece": "expected calibration error, calibrated",
    "ece_before_calibration": "expected calibration error, before",
}

LICENCES = {
    "busi": (
        "Al-Dhabyani et al., *Dataset of breast ultrasound images*, Data in Brief 28:104863 (2020); article CC BY 4.0. "
        "Baheya Hospital, Cairo."
    ),
    "busbra": (
        "Gómez-Flores et al., *BUS-BRA: A breast ultrasound dataset for assessing computer-aided diagnosis systems*, "
        "Medical Physics 51(4):3110 (2024). Its licence permits use, change and distribution without restriction to "
        "research, provided that its notice is kept with copies of the data and the article is cited. Four scanners, "
        "every lesion proven by biopsy."
    ),
}


def write_card(path: Path, *, manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> None:
    """Write the card as Markdown.

    Args:
        path: the file to replace.
        manifest: of the artefact, with the digests of its files.
        evaluation: the content of ``evaluation.json``.
    """
    sections = (
        _head(manifest),
        _use(manifest),
        _data(evaluation),
        _performance(evaluation),
        _against_goals(evaluation),
        _calibration(evaluation),
        _cross_set(evaluation),
        _subgroups(evaluation),
        _explanations(evaluation),
        _refusals(evaluation),
        _limits(),
        _files(manifest, evaluation),
    )
    write_text(path, "\n\n".join(section.strip() for section in sections if section.strip()) + "\n")


def figure_text(figure: Mapping[str, Any] | None) -> str:
    """``0.912 (0.889-0.934)``; a dash where the figure is undefined."""
    if not figure or figure.get("value") is None:
        return "-"
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _head(manifest: Mapping[str, Any]) -> str:
    return f"""# {manifest["name"]} {manifest["version"]}

Decision support for breast ultrasound (B-mode): probabilities of *benign*, *malignant* and *normal*, a suspicion of
1-10 and a Grad-CAM map of each label. Status: **{manifest["status"]}**. Date: {manifest["released"]}. It is no medical
device, has no regulatory clearance and was never tested prospectively. A model is *released* here when the lower bound
of its cross-validated AUC is at least 0.70 in every set and no training set is for research only. That is no seal of
quality: goals below are missed, and on the images of a hospital it never saw it may do far worse.

Written by `{manifest["release_command"]}`; every number below is read from `evaluation.json` beside this file. Figures
in brackets are 95 % intervals."""


def _use(manifest: Mapping[str, Any]) -> str:
    side = manifest["input"]["side"]
    limits = manifest["quality_limits"]
    recipe = manifest["recipe"]
    return f"""## Use

**For** radiologists who read breast ultrasound, as a second opinion beside their own reading of the study.

**Not for** screening or triage without a reader, ruling out cancer, patients reading their own images, men, children,
implants, Doppler, elastography, 3-D or contrast ultrasound, images of the armpit, other organs or other modalities.

**Input**: one grey B-mode frame. It is fitted into {side} x {side} pixels by letterbox, aspect ratio kept. No score is
given when the shorter side is below {limits["shortest_side"]} px, the sides are more unequal than
{limits["longest_aspect"]:g}:1, or the image is coloured, blank, too dark, overexposed, blurred or noise. Images of
another kind that are grey, sharp and well exposed (mammograms, other organs) are **not** recognised as foreign.

**Architecture**: MobileNetV2 (Sandler et al. 2018), width {recipe["alpha"]:g}, ImageNet weights; blocks 6-16 and the
last convolution fine-tuned, global average pooling, one linear layer. {recipe["epochs"]} epochs fixed in advance,
AdamW, peak rate {recipe["learning_rate"]:g} with warm-up and cosine, batch {recipe["batch"]}, label smoothing
{recipe["label_smoothing"]:g}, mixup {recipe["mixup"]:g} on the frozen features, {recipe["views"]} augmented views of
each image (flip, zoom, shift, rotation, margins cut, depth gain, gain, gamma, speckle, blur, JPEG), images weighted by
(images of their set and label) to the power of -{recipe["balance"]:g}, moving average of the weights. Weights are
stored in half precision, arithmetic is single precision."""


def _data(evaluation: Mapping[str, Any]) -> str:
    rows = [
        [SETS.get(source, source), *(counts[label] for label in LABELS), counts["groups"], LICENCES.get(source, "")]
        for source, counts in evaluation["data"].items()
    ]
    return f"""## Training data

{markdown_table(["set", *LABELS, "patients or leak groups", "source and licence"], rows)}

A part of both sets is held back from this project and is in none of these counts. BUSI names no patients: images of
one lesion were grouped by likeness, so a patient with two lesions may lie in two folds. The shipped network is trained
on all images above; the figures below are those of five networks by the same recipe, each measured on the fold it
never saw. The shipped network itself has no unseen image here and therefore no figure of its own."""


def _performance(evaluation: Mapping[str, Any]) -> str:
    sets = evaluation["cross_validation"]
    rows = [
        [NAMES[name], *(figure_text(figures.get(name)) for figures in sets.values())]
        for name in NAMES
        if any(name in figures for figures in sets.values())
    ]
    for label in LABELS:
        for name in ("precision", "recall", "f1"):
            key = f"{name}_{label}"
            rows.append([f"{name} {label}", *(figure_text(figures.get(key)) for figures in sets.values())])
    header = ["figure", *(f"{SETS.get(name, name)}, n = {each['accuracy']['n']}" for name, each in sets.items())]
    matrices = "\n\n".join(
        f"{SETS.get(source, source)}, truth by row:\n\n"
        + markdown_table(
            ["", *LABELS],
            [[label, *row] for label, row in zip(LABELS, figures["confusion_matrix"]["counts"], strict=True)],
        )
        for source, figures in sets.items()
    )
    return f"""## Performance

Protocol: {evaluation["protocol"]}.

{markdown_table(header, rows)}

BUS-BRA has no normal images; a *normal* answer there counts as wrong. "By label" means that the most probable label is
malignant.

{matrices}

![ROC curves](roc.png) ![Learning curves](learning-curves.png)

{" ".join(evaluation["notes"])}"""


def comparison_rows(evaluation: Mapping[str, Any]) -> list[list[str]]:
    """Rows of set, figure, this model, goal, plain recipe: for the card and for ``docs/models.md``."""
    rows = []
    for (source, name), (goal, plain) in REFERENCES.items():
        if source == "unseen":
            for model, figures in evaluation.get("cross_set", {}).items():
                trained, measured = model.removeprefix("train-"), figures["measured_on"]
                what = f"AUC, trained on {SETS.get(trained, trained)} alone"
                figure = figures[name]
                place = f"{SETS.get(measured, measured)}, unseen"
                rows.append([place, what, str(figure["n"]), figure_text(figure), _number(goal), _number(plain)])
            continue
        figures = evaluation["cross_validation"].get(source, {})
        found = figures.get(name)
        if found is None:
            continue
        what = NAMES.get(name, "")
        if name == "sensitivity_on_roc":
            what = f"sensitivity at specificity {found['at_specificity']:.2f}, read off the ROC curve"
        rows.append([SETS[source], what, str(found["n"]), figure_text(found), _number(goal), _number(plain)])
    return rows


def _against_goals(evaluation: Mapping[str, Any]) -> str:
    return f"""## Against the goals

The plain recipe was measured on other images (held back from this project) than this model (cross-validation), so the
two columns are close relatives, not a paired comparison. A sensitivity read off the ROC curve is slightly optimistic.

{markdown_table(["set", "figure", "n", "this model", "goal", "plain recipe"], comparison_rows(evaluation))}"""


def _calibration(evaluation: Mapping[str, Any]) -> str:
    calibration = evaluation["calibration"]
    steps = markdown_table(
        ["suspicion", "images", "malignant among them"],
        [[row["suspicion"], row["n"], row["malignant"]] for row in calibration["suspicion"]],
    )
    cuts = ", ".join(f"{cut:g}" for cut in calibration["suspicion_cuts"])
    return f"""## Calibration, threshold and suspicion

Temperature {calibration["shipped_temperature"]:.3f}, threshold {calibration["shipped_threshold"]:.3f} on the calibrated
probability of malignancy; rule: {calibration["threshold_rule"]}. Both are fitted on all out-of-fold predictions for the
shipped model; for each figure above they were fitted on the other four folds. Each set weighs the same in the
temperature. The label is the most probable one and does not use the threshold; the threshold lies within suspicion
{suspicion(calibration["shipped_threshold"])}.

Suspicion is 1 plus the number of these cuts that the probability of malignancy reaches: {cuts}. 2, 10, 50 and 95 % are
the bounds of BI-RADS 3, 4A, 4B and 4C; the suspicion is a display of the probability, not a BI-RADS assessment. The
probabilities hold for the share of malignant images in these sets, which is far above that of a screening clinic.

{steps}

![Reliability](reliability.png)"""


def _cross_set(evaluation: Mapping[str, Any]) -> str:
    found = evaluation.get("cross_set")
    if not found:
        return ""
    names = ("accuracy", "auc_malignant", "sensitivity_by_label", "specificity_by_label", "brier", "ece")
    header = ["figure"]
    for model, figures in found.items():
        trained, measured = model.removeprefix("train-"), figures["measured_on"]
        count = figures["accuracy"]["n"]
        places = f"trained on {SETS.get(trained, trained)}, measured on {SETS.get(measured, measured)}"
        header.append(f"{places}, n = {count}")
    titles = {**NAMES, "ece": "expected calibration error"}
    rows = [[titles[name], *(figure_text(figures[name]) for figures in found.values())] for name in names]
    return f"""## Unseen hospital

The same recipe trained on one set alone and measured on the other, not calibrated. This is the nearest estimate of what
to expect at a hospital whose images the model never saw.

{markdown_table(header, rows)}"""


def _subgroups(evaluation: Mapping[str, Any]) -> str:
    rows = []
    for source, groups in evaluation["subgroups"].items():
        for name, figures in groups.items():
            shown = [figure_text(figures[key]) for key in ("auc_malignant", "sensitivity", "specificity")]
            rows.append([SETS.get(source, source), name, figures["n"], figures["malignant"], *shown])
    header = ["set", "subgroup", "n", "malignant", "AUC", "sensitivity", "specificity"]
    return f"""## Subgroups

At the nested threshold. Lesion area is the share of the image that the lesion mask covers. Age, breast density and
ethnicity are not recorded in the sets.

{markdown_table(header, rows)}"""


def _explanations(evaluation: Mapping[str, Any]) -> str:
    study = evaluation["explanations"]
    rows = [
        [
            name,
            figures["pointing"]["n"],
            *(figure_text(figures[key]) for key in ("pointing", "centre_pointing", "energy", "centre_energy")),
        ]
        for name, figures in study["sets"].items()
    ]
    randomised = study["weight_randomisation"]
    text = ", ".join(f"{name} {value:.3f}" for name, value in randomised.items() if name != "n")
    header = ["images", "n", "peak in lesion", "centre prior", "energy in lesion", "centre prior"]
    return f"""## Explanations

{study["map"]}. Centre prior: {study["centre_prior"]}. A map of 7 x 7 cells cannot outline a lesion; it says where
evidence was found, not why.

{markdown_table(header, rows)}

Weight randomisation (Adebayo et al. 2018), mean rank correlation with the trained network's map after shuffling, on
{randomised.get("n", 0):.0f} images: {text}. Near 0 means that the map depends on what was learnt."""


def _refusals(evaluation: Mapping[str, Any]) -> str:
    refusals = evaluation["refusals"]
    rows = []
    for title, key in (("good", "false_refusals"), ("spoilt", "spoilt_images"), ("other kind", "other_images")):
        rows += [[title, SETS.get(name, name), rate["n"], figure_text(rate)] for name, rate in refusals[key].items()]
    return f"""## Refusals

The limits were set on the good images below, so their rate is not an estimate for other scanners.

{markdown_table(["images", "which", "n", "share refused"], rows)}"""


def _limits() -> str:
    return """## Limitations and known shortcuts

- Two sets, two countries, five scanners at least; retrospective, selected images. No prospective or reader study.
- One frame is judged, never the study, the history or earlier images.
- The two sets differ in scanner, crop and labels (only BUSI has normal images), so the network can tell the hospital;
  how far it does was not measured for this version. Margins are cut at random in training against burned-in text and
  crop size; performance with text and calipers masked was not measured either.
- Images of other kinds that pass the quality checks get a score that means nothing.
- Segmentation is not part of this version: no lesion outline, no measurement.
- Do not change the threshold without measuring its sensitivity on local images first."""


def _files(manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    parity = evaluation["parity"]
    rows = [[f"`{name}`", f"`{digest}`"] for name, digest in sorted(manifest["files"].items())]
    libraries = ", ".join(f"{name} {version}" for name, version in manifest["libraries"].items())
    return f"""## Files and reproduction

{markdown_table(["file", "SHA-256"], rows)}

`manifest.json` lists the digests of this card, `evaluation.json` and the plots too. Trained with
`{manifest["training_command"]}`, seed {manifest["seed"]}, from ImageNet weights with SHA-256
`{manifest["initial_weights_sha256"]}`. Libraries: {libraries}.

Largest difference of a probability on {parity["images"]} images: graph against its Keras twin
{parity["graph_against_keras_twin"]:.1e}, half precision against the trained network
{parity["half_precision_against_trained"]:.1e} (median {parity["half_precision_against_trained_median"]:.1e}): the
figures above are those of the networks before that rounding."""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
