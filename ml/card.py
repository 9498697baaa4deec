"""The model card: every number in it is read from ``evaluation.json`` and the manifest.

Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.card_sections import (
    NAMES,
    calibration_section,
    cross_set_section,
    explanations_section,
    goals_section,
    looks_section,
    performance_section,
    segmentation_section,
    set_name,
    subgroups_section,
    uncertain_section,
)
from ml.contract import LABELS
from ml.goals import comparison_rows
from ml.markdown import figure_text, markdown_table
from ml.storage import write_text

__all__ = ["NAMES", "comparison_rows", "figure_text", "markdown_table", "write_card"]

TWO_LOOKS = "two_looks"

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
        _architecture(manifest),
        _data(evaluation),
        performance_section(evaluation),
        goals_section(evaluation),
        looks_section(evaluation),
        calibration_section(evaluation),
        uncertain_section(evaluation),
        segmentation_section(evaluation),
        cross_set_section(evaluation),
        subgroups_section(evaluation),
        explanations_section(evaluation, entry=manifest.get("explanation")),
        _examples(path.parent),
        _refusals(evaluation),
        _similar(evaluation),
        _limits(manifest),
        _files(manifest, evaluation),
    )
    write_text(path, "\n\n".join(section.strip() for section in sections if section.strip()) + "\n")


def _examples(folder: Path) -> str:
    """The plot of the best and worst maps, where the release drew one."""
    if not (folder / "example-maps.png").is_file():
        return ""
    return (
        "The four best and the four worst maps, each with the lesion's outline and without the research image under "
        "it; *lift* is the share of the map's energy inside the lesion over the lesion's share of the image.\n\n"
        "![Best and worst maps](example-maps.png)"
    )


def _head(manifest: Mapping[str, Any]) -> str:
    outline = ", an outline of the lesion" if manifest.get("kind") == TWO_LOOKS else ""
    return f"""# {manifest["name"]} {manifest["version"]}

Decision support for breast ultrasound (B-mode): probabilities of *benign*, *malignant* and *normal*, a suspicion of
1-10{outline} and a Grad-CAM map of each label. Status: **{manifest["status"]}**. Date: {manifest["released"]}. It is no
medical device, has no regulatory clearance and was never tested prospectively. A model is *released* here when the
lower bound of its cross-validated AUC is at least 0.70 in every set and no training set is for research only. That is
no seal of quality: on the images of a hospital it never saw it may do far worse; what it was asked to reach and missed
is under *Against the goals*.

Written by `{manifest["release_command"]}`; every number below is read from `evaluation.json` beside this file. Figures
in brackets are 95 % intervals."""


def _use(manifest: Mapping[str, Any]) -> str:
    side = manifest["input"]["side"]
    limits = manifest["quality_limits"]
    foreign = (
        "Images of another kind are refused by their distance from the training images (*Refusals* says how well)."
        if "novelty" in manifest
        else "Images of another kind that are grey, sharp and well exposed (mammograms, other organs) are **not** "
        "recognised as foreign."
    )
    return f"""## Use

**For** radiologists who read breast ultrasound, as a second opinion beside their own reading of the study.

**Not for** screening or triage without a reader, ruling out cancer, patients reading their own images, men, children,
implants, Doppler, elastography, 3-D or contrast ultrasound, images of the armpit, other organs or other modalities.

**Input**: one grey B-mode frame. It is fitted into {side} x {side} pixels by letterbox, aspect ratio kept. No score is
given when the shorter side is below {limits["shortest_side"]} px, the sides are more unequal than
{limits["longest_aspect"]:g}:1, or the image is coloured, blank, too dark, overexposed, blurred or noise. {foreign}"""


def _architecture(manifest: Mapping[str, Any]) -> str:
    recipe = manifest["recipe"]
    common = f"""{recipe["epochs"]} epochs fixed in advance, AdamW, peak rate {recipe["learning_rate"]:g} with warm-up
and cosine, batch {recipe["batch"]}, label smoothing {recipe["label_smoothing"]:g}, mixup {recipe["mixup"]:g} on the
frozen features, {recipe["views"]} augmented views of each image (flip, zoom, shift, rotation, margins cut, depth gain,
gain, gamma, speckle, blur, JPEG), images weighted by (images of their set and label) to the power of
-{recipe["balance"]:g}, moving average of the weights. Weights are stored in half precision, arithmetic is single
precision."""
    encoder = (
        f"MobileNetV2 (Sandler et al. 2018), width {recipe['alpha']:g}, ImageNet weights; blocks 6-16 and the last"
    )
    if manifest.get("kind") != TWO_LOOKS:
        return f"""## Architecture

{encoder}
convolution fine-tuned, global average pooling, one linear layer. {common}"""
    return f"""## Architecture

One network looks twice. The whole image gives logits, class maps and a lesion mask; a square round the strongest
region of that mask is cut out, enlarged and seen again by the same network with a head of its own. The logits of both
looks are fused and calibrated; the map that is drawn is the Grad-CAM of the fused score; the outline joins the masks of
both looks and is withheld from an image that is judged normal. Inference costs two forward passes.

Encoder: {encoder}
convolution fine-tuned, global average pooling, one linear layer for each look. Decoder: UNet 3+ (Huang et al. 2020)
with full-scale skip connections over four scales, {recipe["width"]} channels to a branch, deep supervision (weight
{recipe["deep_supervision"]:g} for each coarser mask, {recipe["mask_weight"]:g} for the finest). In training the close
views are cut round the true lesion with a random error. {common}{_descent(manifest)}"""


def _descent(manifest: Mapping[str, Any]) -> str:
    """Where the network learnt from more than its images' labels; a paragraph of its own, or nothing."""
    recipe, told = manifest["recipe"], []
    if start := manifest.get("start"):
        told.append(f"Each network began as the one of the run {start['run']} that was trained on the same images.")
    if teachers := manifest.get("teachers"):
        names = " and ".join(each["run"] for each in teachers)
        told.append(
            f"To a share of {recipe['teaching']:g} its targets are what the networks of {names} (again of the same"
            " images, so none had seen what was held out) say of the very view (distillation, Hinton et al. 2015)."
        )
    if recipe.get("clear"):
        told.append(
            f"In {recipe['clear_share'] * 100:g} % of the views a square of the image that is free of lesion was shown"
            " as normal tissue instead, where the image has room for one."
        )
    return "\n\n" + textwrap.fill(" ".join(told), 120) if told else ""


def _data(evaluation: Mapping[str, Any]) -> str:
    rows = [
        [set_name(source), *(counts[label] for label in LABELS), counts["groups"], LICENCES.get(source, "")]
        for source, counts in evaluation["data"].items()
    ]
    return f"""## Training data

{markdown_table(["set", *LABELS, "patients or leak groups", "source and licence"], rows)}

A part of both sets is held back from this project and is in none of these counts. BUSI names no patients: images of
one lesion were grouped by likeness, so a patient with two lesions may lie in two folds. The shipped network is trained
on all images above; the figures below are those of five networks by the same recipe, each measured on the fold it
never saw. The shipped network itself has no unseen image here and therefore no figure of its own."""


def _refusals(evaluation: Mapping[str, Any]) -> str:
    refusals = evaluation["refusals"]
    kinds = {
        "good": "false_refusals",
        "good, gate fitted without the set": "across_sets",
        "good, of another source": "accepted_elsewhere",
        "spoilt": "spoilt_images",
        "computed, kind unknown to the gate": "made_images",
        "computed, family unknown to the gate": "made_families",
        "other kind": "other_images",
    }
    rows = []
    for title, key in kinds.items():
        for name, rate in refusals.get(key, {}).items():
            rows.append([title, set_name(name), rate["n"], figure_text(rate)])
    if "all_made_images" in refusals:
        rate = refusals["all_made_images"]
        rows.append(["computed", "all kinds", rate["n"], figure_text(rate)])
    how = (
        "Good images are judged by a novelty gate that was fitted without their fold, computed ones by a gate that was "
        "fitted without their kind; the quality limits were set on the good images."
        if "novelty" in refusals
        else "The limits were set on the good images below, so their rate is not an estimate for other scanners."
    )
    return f"""## Refusals

{how}

{markdown_table(["images", "which", "n", "share refused"], rows)}"""


def _similar(evaluation: Mapping[str, Any]) -> str:
    found = evaluation.get("similar")
    if not found:
        return ""
    names = ("precision", "chance", "gain")
    rows = [
        [set_name(source), *(figure_text(figures[name]) for name in names)] for source, figures in found["sets"].items()
    ]
    return f"""## Similar cases

Share of the nearest training cases, by cosine similarity of the embedding, whose known label is the image's own. They
are shown for reference, by number; they are no second opinion.

{markdown_table(["set", "neighbours of the same label", "by chance", "gain"], rows)}"""


def _limits(manifest: Mapping[str, Any]) -> str:
    outline = (
        "- The outline is the network's; a diameter or area taken from it is not a measurement by calipers."
        if manifest.get("kind") == TWO_LOOKS
        else "- Segmentation is not part of this version: no lesion outline, no measurement."
    )
    foreign = (
        "- The distance by which foreign images are refused was set on the sets named under *Refusals*; other kinds "
        "may pass."
        if "novelty" in manifest
        else "- Images of other kinds that pass the quality checks get a score that means nothing."
    )
    return f"""## Limitations and known shortcuts

- Two sets, two countries, five scanners at least; retrospective, selected images. No prospective or reader study.
- One frame is judged, never the study, the history or earlier images.
- The two sets differ in scanner, crop and labels (only BUSI has normal images), so the network can tell the hospital.
  Margins are cut at random in training against burned-in text and crop size. What was measured of this (text and
  calipers masked, hospital guessed from the embedding) is in `docs/models.md` of the project.
{foreign}
{outline}
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
