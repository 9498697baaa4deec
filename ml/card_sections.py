"""The measured sections of a model card and of ``docs/models.md``: every number is read from ``evaluation.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.calibrate import suspicion
from ml.contract import LABELS
from ml.goals import COMPARISON_HEADER, SETS, comparison_rows
from ml.markdown import figure_text, markdown_table, share_text

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
    "ece_malignant": "expected calibration error of the probability of malignancy",
    "ece_before_calibration": "expected calibration error, before",
}

_OUTLINES = {
    "dice_mean": "Dice, mean",
    "dice_median": "Dice, median",
    "iou_mean": "IoU, mean",
    "iou_median": "IoU, median",
    "dice_mean_benign": "Dice, mean, benign",
    "dice_mean_malignant": "Dice, mean, malignant",
    "missed_lesions": "lesions missed",
    "false_lesions": "normal images with an outline",
}

_PARTS = ("dice_mean", "missed_lesions")
"""What is said of the outlines on each part of a collection."""

_ZONE = {
    "rate": "images in the zone",
    "rate_malignant": "malignant images in the zone",
    "rate_others": "other images in the zone",
    "accuracy_inside": "accuracy of the label inside",
    "accuracy_outside": "accuracy of the label outside",
    "auc_inside": "AUC inside",
    "auc_outside": "AUC outside",
    "clearly_missed": "malignant images below the zone",
    "clearly_false": "other images above the zone",
}


def set_name(source: str) -> str:
    """A collection's name for people."""
    return SETS.get(source, source)


def performance_section(evaluation: Mapping[str, Any]) -> str:
    """Every figure of the protocol, each collection in a column, and the confusion matrices."""
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
    header = ["figure", *(f"{set_name(name)}, n = {each['accuracy']['n']}" for name, each in sets.items())]
    matrices = "\n\n".join(
        f"{set_name(source)}, truth by row:\n\n"
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


def goals_section(evaluation: Mapping[str, Any]) -> str:
    """Reached and missed, beside the plain recipe."""
    rows = comparison_rows(evaluation)
    if not rows:
        return ""
    return f"""## Against the goals

The plain recipe was measured on other images (held back from this project) than this model (cross-validation), so the
two columns are close relatives, not a paired comparison. A sensitivity read off the ROC curve is slightly optimistic.
*Reached* is said of the figure itself; where the interval reaches beyond the goal, other images may read otherwise.

{markdown_table(COMPARISON_HEADER, rows)}"""


def bands_text(evaluation: Mapping[str, Any]) -> str:
    """The published cut points: share of cancers and of benigns on each step of suspicion, for each collection."""
    calibration = evaluation["calibration"]
    by_set = calibration.get("suspicion_by_set")
    if not by_set:
        return markdown_table(
            ["suspicion", "images", "malignant among them"],
            [[row["suspicion"], row["n"], row["malignant"]] for row in calibration["suspicion"]],
        )
    rows = []
    for index, first in enumerate(next(iter(by_set.values()))):
        row = [first["suspicion"], f"{first['from']:g}-{first['to']:g}"]
        for steps in by_set.values():
            step = steps[index]
            row += [step["n"], share_text(step["share_of_cancers"]), share_text(step["share_of_benigns"])]
        rows.append(row)
    header = ["suspicion", "probability of malignancy"]
    for source in by_set:
        header += [f"{set_name(source)}, images", "of all cancers", "of all benigns"]
    return markdown_table(header, rows)


def calibration_section(evaluation: Mapping[str, Any]) -> str:
    """How logits become probabilities, threshold and suspicion."""
    calibration = evaluation["calibration"]
    shipped = calibration.get("shipped", {})
    fusion, prevalence = shipped.get("fusion"), shipped.get("prevalence")
    if fusion:
        weights = " and ".join(f"{weight:.3f}" for weight in fusion["weights"])
        biases = ", ".join(f"{label} {bias:+.3f}" for label, bias in zip(LABELS, fusion["bias"], strict=True))
        how = f"Both looks are fused with the weights {weights} and a bias for each label ({biases})"
    else:
        how = f"Temperature {calibration['shipped_temperature']:.3f}"
    cuts = ", ".join(f"{cut:g}" for cut in calibration["suspicion_cuts"])
    shares = ""
    if prevalence:
        stated = ", ".join(f"{label} {share_text(share)}" for label, share in prevalence.items())
        shares = (
            f" Shares in these sets, each set weighing the same: {stated}. A site may state its own share of malignant "
            "images; the probabilities are then re-based (Saerens et al. 2002), which holds only if images of one "
            "label look alike at both places. Threshold and uncertain zone stay on the model's own scale."
        )
    return f"""## Calibration, threshold and suspicion

{how}, threshold {calibration["shipped_threshold"]:.3f} on the calibrated probability of malignancy; rule:
{calibration["threshold_rule"]}. All are fitted on all out-of-fold predictions for the shipped model; for each figure
above they were fitted on the other four folds. Each set weighs the same. The label is the most probable one and does
not use the threshold; the threshold lies within suspicion {suspicion(calibration["shipped_threshold"])}.

Suspicion is 1 plus the number of these cuts that the probability of malignancy reaches: {cuts}. 2, 10, 50 and 95 % are
the bounds of BI-RADS 3, 4A, 4B and 4C; the suspicion is a display of the probability, not a BI-RADS assessment. The
probabilities hold for the share of malignant images in these sets, which is far above that of a screening
clinic.{shares}

{bands_text(evaluation)}

![Reliability](reliability.png)"""


def uncertain_section(evaluation: Mapping[str, Any]) -> str:
    """The zone, its rule, its rate, and what it buys."""
    zone = evaluation.get("uncertain")
    if not zone:
        return ""
    rows = [
        [title, *(f"{figure_text(figures[name])}, n = {figures[name]['n']}" for figures in zone["sets"].values())]
        for name, title in _ZONE.items()
    ]
    header = ["figure", *(set_name(source) for source in zone["sets"])]
    return f"""## Uncertain zone

A calibrated probability of malignancy from {zone["low"]:.3f} to {zone["high"]:.3f} is shown as *uncertain*. Rule:
{zone["rule"]}. The figures are cross-fitted. The coverage is promised for images drawn like those of these sets, and
several images of one patient make it a little less certain than the theory says.

{markdown_table(header, rows)}"""


def looks_section(evaluation: Mapping[str, Any]) -> str:
    """What each look says by itself."""
    looks = evaluation.get("looks")
    if not looks:
        return ""
    names = ("accuracy", "auc_malignant", "sensitivity_by_label", "sensitivity_on_roc", "ece")
    rows = []
    for source, each in looks.items():
        both = evaluation["cross_validation"][source]
        for look, figures in (*each.items(), ("both, fused", both)):
            rows.append([set_name(source), look, *(figure_text(figures.get(name)) for name in names)])
    header = ["set", "look", *(NAMES.get(name, "sensitivity on the ROC curve") for name in names)]
    return f"""## What the second look brings

Each look with a temperature of its own, cross-fitted, beside the fusion of both.

{markdown_table(header, rows)}"""


def segmentation_section(evaluation: Mapping[str, Any]) -> str:
    """Agreement of the outlines with those drawn by hand."""
    found = evaluation.get("segmentation")
    if not found:
        return ""
    sets, before = found["sets"], found["before_classification"]

    def cell(figures: Mapping[str, Any], name: str) -> str:
        return f"{figure_text(figures[name])}, n = {figures[name]['n']}" if name in figures else "-"

    rows = [
        [title, *(cell(figures, name) for figures in sets.values())]
        for name, title in _OUTLINES.items()
        if any(name in figures for figures in sets.values())
    ]
    rows += [
        [f"{_OUTLINES[name]}, before the label has its say", *(cell(before[source], name) for source in sets)]
        for name in ("dice_mean", "missed_lesions", "false_lesions")
        if any(name in figures for figures in before.values())
    ]
    rows.append(["Dice, mean, of the first look alone", *(cell(found["first_look_alone"], source) for source in sets)])
    header = ["figure", *(set_name(source) for source in sets)]
    return f"""## Outline

{found["rule"].capitalize()}. Out of fold, against the masks of the sets at the image's own resolution.

{markdown_table(header, rows)}{_outline_parts(found)}"""


def _outline_parts(found: Mapping[str, Any]) -> str:
    """Mean Dice and missed lesions by scanner, lesion size, BI-RADS category and site, where they were measured."""
    rows = [
        [set_name(source), name, figures["dice_mean"]["n"], *(figure_text(figures[key]) for key in _PARTS)]
        for source, parts in found.get("subgroups", {}).items()
        for name, figures in parts.items()
    ]
    table = markdown_table(["set", "subgroup", "n", *(_OUTLINES[key] for key in _PARTS)], rows)
    return f"\n\n{table}" if rows else ""


def cross_set_section(evaluation: Mapping[str, Any]) -> str:
    """Trained on one collection, measured on another."""
    found = evaluation.get("cross_set")
    if not found:
        return ""
    names = ("accuracy", "auc_malignant", "sensitivity_by_label", "specificity_by_label", "brier", "ece")
    header = ["figure"]
    for model, figures in found.items():
        trained, measured = model.removeprefix("train-"), figures["measured_on"]
        count = figures["accuracy"]["n"]
        header.append(f"trained on {set_name(trained)}, measured on {set_name(measured)}, n = {count}")
    titles = {**NAMES, "ece": "expected calibration error"}
    rows = [[titles[name], *(figure_text(figures[name]) for figures in found.values())] for name in names]
    return f"""## Unseen hospital

The same recipe trained on one set alone and measured on the other, not calibrated. This is the nearest estimate of what
to expect at a hospital whose images the model never saw.

{markdown_table(header, rows)}"""


def subgroups_section(evaluation: Mapping[str, Any]) -> str:
    """Discrimination by scanner, lesion size, BI-RADS category and site."""
    rows = []
    for source, groups in evaluation["subgroups"].items():
        for name, figures in groups.items():
            shown = [figure_text(figures[key]) for key in ("auc_malignant", "sensitivity", "specificity")]
            rows.append([set_name(source), name, figures["n"], figures["malignant"], *shown])
    header = ["set", "subgroup", "n", "malignant", "AUC", "sensitivity", "specificity"]
    return f"""## Subgroups

At the nested threshold. Lesion area is the share of the image that the lesion mask covers. Age, breast density and
ethnicity are not recorded in the sets.

{markdown_table(header, rows)}"""


def explanations_section(evaluation: Mapping[str, Any], *, entry: Mapping[str, Any] | None = None) -> str:
    """Pointing game, energy, their ratio to the centre prior, the checks by other methods, weight randomisation.

    Args:
        evaluation: content of ``evaluation.json``.
        entry: the manifest's ``explanation``, where it has one.
    """
    study = evaluation.get("explanations")
    if not study:
        return ""
    rows, checks = [], []
    for name, figures in study["sets"].items():
        shown = ("pointing", "centre_pointing", "pointing_ratio", "energy", "centre_energy", "energy_ratio")
        rows.append([name, figures["pointing"]["n"], *(figure_text(figures.get(key)) for key in shown)])
        for method, other in figures.get("checks", {}).items():
            if other:
                wanted = ("pointing_ratio", "energy_ratio", "rank_correlation_with_grad_cam")
                counted = other["pointing"]["n"]
                title = method.replace("_", " ")
                checks.append([name, f"{title}, whole look", counted, *(figure_text(other.get(key)) for key in wanted)])
    header = ["images", "n", "peak in lesion", "centre prior", "ratio", "energy in lesion", "centre prior", "ratio"]
    other_header = ["images", "method", "n", "peak, ratio", "energy, ratio", "rank correlation with Grad-CAM"]
    others = f"\n\nThe same images by other methods:\n\n{markdown_table(other_header, checks)}" if checks else ""
    verdict = f" Shown to readers: **{'yes' if entry['shown'] else 'no'}**. {entry['reason']}" if entry else ""
    return f"""## Explanations

{study["map"]}. Centre prior: {study["centre_prior"]}. A map of 7 x 7 cells cannot outline a lesion; it says where
evidence was found, not why.{verdict}

{markdown_table(header, rows)}{others}

{_randomisation_text(study["weight_randomisation"])}"""


def _randomisation_text(randomised: Mapping[str, Any]) -> str:
    if "stages" not in randomised:
        text = ", ".join(f"{name} {value:.3f}" for name, value in randomised.items() if name != "n")
        return (
            f"Weight randomisation (Adebayo et al. 2018), mean rank correlation with the trained network's map: {text}."
        )
    rows = [
        [name, f"{figure['mean']:.3f}", f"{figure['lowest']:.3f} to {figure['highest']:.3f}"]
        for name, figure in randomised["stages"].items()
    ]
    header = ["shuffled", "mean rank correlation with the trained map", "over the shuffles"]
    verdict = "passed" if randomised["passed"] else "failed"
    return f"""Weight randomisation (Adebayo et al. 2018) on {randomised["n"]} images, {randomised["shuffles"]} shuffles
of each stage; **{verdict}**. Rule: {randomised["rule"]}. Near 0 means that the map
depends on what was learnt.

{markdown_table(header, rows)}"""
