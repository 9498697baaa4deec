"""The detector's model card: every number in it is read from ``evaluation.json`` and the manifest.

Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.contract import LABELS
from ml.mammogram.reading import FILM_SET
from ml.markdown import figure_text, markdown_table
from ml.storage import write_text

SETS = {"mini-mias": "mini-MIAS", "cdd-cesm-low-energy": "CDD-CESM, low energy"}

LICENCES = {
    "mini-mias": (
        "**Research only.** Suckling et al., *The Mammographic Image Analysis Society digital mammogram database*, "
        "Excerpta Medica International Congress Series 1069:375 (1994). Film, digitised, United Kingdom; 1024 x 1024 "
        "pixels of 0.2 mm; every view mediolateral oblique."
    ),
    "cdd-cesm-low-energy": (
        "CC BY 4.0. Khaled et al., *Categorized contrast enhanced mammography dataset for diagnostic and artificial "
        "intelligence research*, Scientific Data 9:122 (2022). Digital, Cairo; the low-energy images, 512 x 512, all "
        "malignant, with hand-drawn masks."
    ),
}

FILM_FIGURES = {
    "auc_malignant": "AUC, malignant against the rest",
    "auc_abnormal": "AUC, abnormal against normal",
    "auc_malignant_among_abnormal": "AUC, malignant against benign, abnormal films alone",
    "sensitivity": "sensitivity for malignancy at the threshold",
    "specificity": "specificity at the threshold",
    "accuracy": "accuracy, three labels",
    "macro_precision": "precision, macro",
    "macro_recall": "recall, macro",
    "macro_f1": "F1, macro",
    "brier": "Brier score (0 best, 2 worst)",
    "ece": "expected calibration error, 15 bins",
}


def write_detector_card(path: Path, *, manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> None:
    """Write the card as Markdown.

    Args:
        path: the file to replace.
        manifest: of the artefact, with the digests of its files.
        evaluation: the content of ``evaluation.json``.
    """
    sections = (
        _head(manifest, evaluation),
        _use(manifest, evaluation),
        _architecture(manifest),
        _data(evaluation),
        _marks(evaluation),
        _films(manifest, evaluation),
        _patches(evaluation),
        _explanations(evaluation),
        _subgroups(evaluation),
        _refusals(manifest, evaluation),
        _limits(evaluation),
        _files(manifest, evaluation),
    )
    write_text(path, "\n\n".join(section.strip() for section in sections) + "\n")


def _head(manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    figure = evaluation["films"][FILM_SET]["auc_malignant"]
    bound = "below" if figure["low"] < 0.70 else "not below"
    return f"""# {manifest["name"]} {manifest["version"]}

A detector that slides over a mammogram: marks, a heat map and probabilities of *benign*, *malignant* and *normal*.
Status: **{manifest["status"]}**, for two reasons. mini-MIAS, one of its two training sets, may be used **for research
alone**. And the lower bound of its AUC on whole films, {figure["low"]:.2f}, is {bound} 0.70. It can be run on purpose,
is labelled as research wherever it speaks, and never drives a worklist. It is no medical device, has no regulatory
clearance and was never tested prospectively. Date: {manifest["released"]}.

Written by `{manifest["release_command"]}`; every number below is read from `evaluation.json` beside this file. Figures
in brackets are 95 % intervals."""


def _use(manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    counts = evaluation["films"][FILM_SET]["counts"]
    abnormal = 1 - counts["normal"] / sum(counts.values())
    least = manifest["calibration"]["least_mark"]
    rate = manifest["calibration"]["false_marks_a_film"]
    return f"""## Use

**For** research on computer-aided detection, by people who read mammograms.

**Not for** patient care of any kind: not screening, not triage, not ruling out cancer, not choosing a biopsy. Not for
tomosynthesis, contrast-enhanced (subtracted) images, magnification or spot views, implants, men, specimens.

**Input**: one view of one breast, upright, grey, with its dark background. **Output**: marks (place, radius,
probability that a lesion lies there; shown from {least:.3f}, about {rate:g} false mark a film), heat maps of benign
and of malignant lesions (each divided by its own maximum: a map always has a peak, so read the marks' probabilities
beside it), and probabilities of the three labels from the strongest mark. They are calibrated to mini-MIAS, where
{abnormal:.0%} of the films are abnormal; in screening about 1 % are, so they are far too high there."""


def _architecture(manifest: Mapping[str, Any]) -> str:
    rows, columns = manifest["input"]["canvas"]
    return f"""## How it works

The breast is segmented, what lies outside is blackened, and the grey levels are stretched between the 1st and the
99.5th percentile of the breast's own. The longer side of the image becomes {rows} pixels ({rows} x {columns} canvas,
0.27 mm a pixel on mini-MIAS). MobileNetV2 runs over the whole canvas once. A linear head on each cell of its last
convolution, which is what a patch classifier with global average pooling computes when it is slid over, and a second
one on the last features of stride 16 (FCN-16s, Long et al. 2015) yield two logits for each cell of 16 pixels: is a
lesion here, and is it malignant if so. Each is averaged over 3 x 3 cells; the strongest places at least 4 cells apart
are the spots. Platt scalings turn the strongest spot's logits into the film's probabilities and each spot's into its
mark's. The pectoral muscle is {manifest["pectoral_muscle"]} where it is found.

{_training(manifest["recipe"])}"""


def _training(recipe: Mapping[str, Any]) -> str:
    probe = f"""The heads are fitted on cells drawn from every film and one augmented view of it (flips, rotation, zoom,
shift, gamma, contrast, CLAHE, noise, blur) by regularised discriminant analysis (Friedman 1989; shrinkage
{recipe["shrinkage"]:g}, for malignancy {recipe["malignancy_shrinkage"]:g}). Every lesion counts alike, and **within
each collection** lesions weigh what tissue weighs, so that telling the collections apart earns nothing. Malignancy is
taught on mini-MIAS alone, for the other set has no benign lesion."""
    if not recipe["epochs"]:
        return f"""Training: the ImageNet weights of MobileNetV2 are kept as they are. {probe}"""
    return f"""Training: {probe} From there blocks 6-16 and the last convolution are fine-tuned on windows of
{recipe["window"]} x {recipe["window"]} cells from {recipe["views"]} augmented views of each film: in each batch
{recipe["lesion_windows"]} windows on lesions and {recipe["tissue_windows"]} on tissue from each collection, weighted as
above. Hard tissue is mined by the focal loss (exponent {recipe["focus"]:g}, Lin et al. 2017) over every cell in place
of separate rounds. {recipe["epochs"]} epochs of {recipe["steps"]} batches fixed in advance, AdamW, peak rate
{recipe["learning_rate"]:g} with warm-up and cosine, moving average of the weights.

![Learning curves](learning-curves.png)"""


def _data(evaluation: Mapping[str, Any]) -> str:
    rows = [
        [SETS.get(source, source), *(counts[label] for label in LABELS), counts["groups"], LICENCES.get(source, "")]
        for source, counts in evaluation["data"].items()
    ]
    return f"""## Training data

{markdown_table(["set", *LABELS, "pairs or patients", "source and licence"], rows)}

A part of both sets is held back from this project and is in none of these counts. Protocol: {evaluation["protocol"]}.
Accuracy and AUC of films are stated for mini-MIAS alone: CDD-CESM has no benign and no normal low-energy film here, and
a mix of both would measure how well film is told from detector. The shipped network is trained on all films; the
figures are those of five networks by the same recipe, each on the fold it never saw."""


def _marks(evaluation: Mapping[str, Any]) -> str:
    sets = evaluation["free_response"]
    header = ["false marks a film", *(f"{SETS.get(name, name)}" for name in sets)]
    rates = list(next(iter(sets.values()))["sensitivity_at_false_marks_a_film"])
    rows = [
        [rate, *(figure_text(each["sensitivity_at_false_marks_a_film"][rate]) for each in sets.values())]
        for rate in rates
    ]
    counts = "; ".join(
        f"{SETS.get(name, name)}: {each['lesions']} lesions on {each['films']} films" for name, each in sets.items()
    )
    muscle = evaluation["pectoral_muscle"]
    other = next(name for name in muscle if name != "shipped")
    variants = [[SETS.get(name, name), *(figure_text(muscle[other][name][rate]) for rate in rates)] for name in sets]
    return f"""## Marks

Share of lesions marked. {counts}. A mark hits when its centre lies inside the circle (mini-MIAS) or the mask (CDD-CESM:
the most compact component; marks on other components count neither way), or within 24 canvas pixels (6.4 mm on
mini-MIAS) of the lesion's centre. Films whose finding has no place in the published table are left out. False marks are
counted over all films of the set, for CDD-CESM therefore on films with cancer alone.

{markdown_table(header, rows)}

![Free-response curves](froc.png)

The same with the pectoral muscle {other} (on mini-MIAS AUC malignant {figure_text(muscle[other]["auc_malignant"])}, AUC
abnormal {figure_text(muscle[other]["auc_abnormal"])}):

{markdown_table(["set", *(f"at {rate}" for rate in rates)], variants)}"""


def _films(manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    figures = evaluation["films"][FILM_SET]
    rows = [[name, figure_text(figures[key])] for key, name in FILM_FIGURES.items()]
    for label in LABELS:
        rows += [[f"{name} {label}", figure_text(figures[f"{name}_{label}"])] for name in ("precision", "recall", "f1")]
    matrix = [[label, *row] for label, row in zip(LABELS, figures["confusion_matrix"]["counts"], strict=True)]
    counts = ", ".join(f"{count} {label}" for label, count in figures["counts"].items())
    exams = evaluation["exams"][FILM_SET]
    return f"""## Whole films and exams, mini-MIAS alone

n = {sum(figures["counts"].values())} ({counts}) in {figures["auc_malignant"]["groups"]} pairs. The threshold on the
probability of malignancy, {manifest["calibration"]["threshold"]:g} in the shipped model, is the highest that reaches a
sensitivity of {figures["sensitivity_aim"]:.0%} on the films it was fitted on.

{markdown_table(["figure", "value"], rows)}

Truth by row:

{markdown_table(["", *LABELS], matrix)}

Both breasts of a pair joined to one exam ({exams["exams"]} exams, {exams["malignant"]} with cancer; the exam scores its
worse breast): AUC malignant {figure_text(exams["auc_malignant"])}, AUC abnormal {figure_text(exams["auc_abnormal"])}.

![ROC curves](roc.png) ![Reliability](reliability.png)

{" ".join(evaluation["notes"])}"""


def _patches(evaluation: Mapping[str, Any]) -> str:
    rows = [
        [SETS.get(name, name), each["lesion_patches"], each["tissue_patches"], figure_text(each["auc_lesion"])]
        for name, each in evaluation["patches"].items()
    ]
    return f"""## Patches

The score at the lesions' centres against the score at random tissue of the same set's films, 20 places a film.

{markdown_table(["set", "lesions", "tissue patches", "AUC, lesion against tissue"], rows)}"""


def _explanations(evaluation: Mapping[str, Any]) -> str:
    names = {
        "peak_on_lesion": "map's peak on a lesion",
        "centre_on_lesion": "breast's centre on a lesion (a guesser)",
        "energy_on_lesion": "share of the map on lesions",
        "area_of_lesion": "share of the tissue that is lesion",
    }
    sets = evaluation["explanations"]
    rows = [[title, *(figure_text(each[key]) for each in sets.values())] for key, title in names.items()]
    header = ["figure", *(f"{SETS.get(name, name)}, n = {each['peak_on_lesion']['n']}" for name, each in sets.items())]
    return f"""## The heat map

Films with a placed lesion. The map is what the score is made of, not an explanation computed afterwards.

{markdown_table(header, rows)}"""


def _subgroups(evaluation: Mapping[str, Any]) -> str:
    blocks = []
    for name, traits in evaluation["subgroups"].items():
        rows = [
            [trait, value, figure["n"], figure_text(figure)]
            for trait, values in traits.items()
            for value, figure in values.items()
        ]
        blocks.append(
            f"{SETS.get(name, name)}:\n\n" + markdown_table(["trait", "value", "lesions", "share marked"], rows)
        )
    return (
        "## Subgroups\n\nShare of lesions marked at one false mark a film of the whole set. Sizes are diameters in "
        "canvas pixels. Most groups are too small for a conclusion.\n\n" + "\n\n".join(blocks)
    )


def _refusals(manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    study = evaluation["refusals"]
    titles = {
        "false_refusals": "good film",
        "spoilt_films": "spoilt film",
        "made_images": "computed image",
        "other_images": "real image of another kind",
    }
    rows = [
        [titles[part], SETS.get(name, name), figure["n"], figure_text(figure)]
        for part in titles
        for name, figure in study[part].items()
    ]
    limits = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in manifest["quality_limits"].items())
    return f"""## Refusals

No score is given when a check fails: size, colour, blank, breast found, dark background, breast taller than wide,
straight chest wall, exposure, blur, noise. Limits: {limits}. They were fitted by hand on the very films of the first
rows, so those rates are optimistic. **Subtracted contrast images look like mammograms and are not recognised.**

{markdown_table(["what", "which", "n", "share refused"], rows)}"""


def _limits(evaluation: Mapping[str, Any]) -> str:
    counts = evaluation["films"][FILM_SET]["counts"]
    grave = figure_text(evaluation["films"][FILM_SET]["auc_malignant_among_abnormal"])
    return f"""## Limits and known shortcuts

- Few films: {counts["malignant"]} malignant and {counts["benign"]} benign ones in mini-MIAS. Every interval is wide; a
  published 96 % on this task rests on augmented copies on both sides of the split.
- One view of one breast at a time; no prior exam, no comparison of sides, no age.
- Canvas pixels of 0.27 mm and larger lose most calcifications: see *CALC* among the subgroups.
- Malignant against benign rests on the lesions of one small film collection: AUC {grave}.
- CDD-CESM masks mark what enhances with contrast and are larger than what a plain mammogram shows.
- The scale of an image file is not known: the longer side stands for the detector's height. A cropped or magnified view
  is misjudged.
- The two collections differ in everything (film and detector, country, decade). Balanced weights keep that from being
  rewarded in training, yet a score is comparable within one kind of image only.
- The pectoral muscle is sought on every view, for a file does not say which view it is; a lesion that it covers by
  mistake is not marked.
- Age, ethnicity and breast size of the women are unknown: no statement on fairness can be made."""


def _files(manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    parity = evaluation["parity"]
    listed = [[f"`{name}`", f"`{digest}`"] for name, digest in sorted(manifest["files"].items())]
    return f"""## Files

Trained by `{manifest["training_command"]}`, seed {manifest["seed"]}. The shipped graph differs from its Keras twin by
at most {parity["graph_against_keras_twin"]:.2g} in any probability that it states, and half precision from the trained
network by at most {parity["half_precision_against_trained"]:.2g} ({parity["films"]} films).

{markdown_table(["file", "SHA-256"], listed)}"""
