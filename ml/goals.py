"""What a model was asked to reach, and whether its evaluation says that it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.markdown import figure_text, number_text

SETS = {
    "busi": "BUSI",
    "busbra": "BUS-BRA",
    "mini-mias": "mini-MIAS",
    "cdd-cesm": "CDD-CESM",
    "cdd-cesm-low-energy": "CDD-CESM low energy",
}


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure to reach.

    Attributes:
        place: set, or set and label, in words.
        title: the figure in words.
        path: where it lies in ``evaluation.json``.
        bound: what to reach; ``None`` where only the plain recipe's figure is known.
        at_least: whether more is better.
        plain: the figure of the plain recipe (MobileNetV2, blocks 6-16 fine-tuned for 12 epochs, flips and zoom, no
            calibration), measured on a part of each set that is held back from this project.
        modality: of the models that the goal is for; empty for all.
    """

    place: str
    title: str
    path: tuple[str, ...]
    bound: float | None
    at_least: bool = True
    plain: float | None = None
    modality: str = ""

    def reached(self, value: float) -> str:
        """``reached``, ``missed``, or a dash without a bound. The value counts, not its interval."""
        if self.bound is None:
            return "-"
        return "reached" if (value >= self.bound if self.at_least else value <= self.bound) else "missed"


def _measured(source: str, name: str) -> tuple[str, ...]:
    return ("cross_validation", source, name)


_ROC = "sensitivity at specificity {}, read off the ROC curve"
_AUC = "AUC, malignant against the rest"
_RECALL = "recall malignant, by label"
_ECE = "expected calibration error, calibrated"

GOALS: tuple[Goal, ...] = (
    Goal("BUSI", "accuracy, three labels", _measured("busi", "accuracy"), 0.90, plain=0.817),
    Goal("BUSI", _AUC, _measured("busi", "auc_malignant"), 0.97, plain=0.942),
    Goal("BUSI", _ROC.format("0.85"), _measured("busi", "sensitivity_on_roc"), 0.95),
    Goal("BUSI", _RECALL, _measured("busi", "sensitivity_by_label"), None, plain=0.829),
    Goal("BUS-BRA", _AUC, _measured("busbra", "auc_malignant"), 0.94, plain=0.918),
    Goal("BUS-BRA", _ROC.format("0.80"), _measured("busbra", "sensitivity_on_roc"), 0.90),
    Goal("BUS-BRA", _RECALL, _measured("busbra", "sensitivity_by_label"), None, plain=0.752),
    Goal(
        "BUSI, unseen",
        "AUC, trained on BUS-BRA alone",
        ("cross_set", "train-busbra", "auc_malignant"),
        0.90,
        plain=0.797,
    ),
    Goal(
        "BUS-BRA, unseen",
        "AUC, trained on BUSI alone",
        ("cross_set", "train-busi", "auc_malignant"),
        0.90,
        plain=0.797,
    ),
    Goal("BUSI", _ECE, _measured("busi", "ece"), 0.05, at_least=False),
    Goal("BUS-BRA", _ECE, _measured("busbra", "ece"), 0.05, at_least=False),
    Goal("BUSI", "mean Dice on lesions", ("segmentation", "sets", "busi", "dice_mean"), 0.80),
    Goal("BUS-BRA", "mean Dice on lesions", ("segmentation", "sets", "busbra", "dice_mean"), 0.85),
    *(
        Goal(f"{SETS[source]} {label}", f"{title} over the centre prior's", ("explanations", "sets", key, ratio), 1.5)
        for source in ("busi", "busbra")
        for label in ("benign", "malignant")
        for key in (f"{source} {label}",)
        for title, ratio in (
            ("map's peak in the lesion", "pointing_ratio"),
            ("map's energy in the lesion", "energy_ratio"),
        )
    ),
    Goal("BUSI", "good images refused", ("refusals", "false_refusals", "busi"), 0.02, at_least=False),
    Goal("BUS-BRA", "good images refused", ("refusals", "false_refusals", "busbra"), 0.02, at_least=False),
    *(
        Goal(SETS[source], title, ("refusals", "other_images", source), 0.99, modality=modality)
        for modality, title in (
            ("US", "mammograms refused as ultrasound"),
            ("CESM", "ordinary mammograms refused as contrast-enhanced"),
        )
        for source in ("mini-mias", "cdd-cesm-low-energy")
    ),
    Goal(
        "computed images",
        "photographs, documents, noise, other anatomy refused",
        ("refusals", "all_made_images"),
        0.99,
    ),
)


def found_at(evaluation: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any] | None:
    """The figure at a path of ``evaluation.json``; ``None`` where it was not measured."""
    place: Any = evaluation
    for name in path:
        if not isinstance(place, Mapping) or name not in place:
            return None
        place = place[name]
    return place if isinstance(place, Mapping) and place.get("value") is not None else None


def comparison_rows(evaluation: Mapping[str, Any], *, modality: str = "US") -> list[list[str]]:
    """Rows under :data:`COMPARISON_HEADER`, for the card and ``docs/models.md``.

    Args:
        evaluation: content of ``evaluation.json``.
        modality: of the model.
    """
    rows = []
    for goal in GOALS:
        figure = found_at(evaluation, goal.path)
        if figure is not None and goal.modality in ("", modality):
            bound = number_text(goal.bound)
            rows.append(
                [
                    goal.place,
                    goal.title,
                    str(figure["n"]),
                    figure_text(figure),
                    bound if goal.bound is None else f"{'>=' if goal.at_least else '<='} {bound}",
                    goal.reached(float(figure["value"])),
                    number_text(goal.plain),
                ]
            )
    return rows


COMPARISON_HEADER = ("set", "figure", "n", "this model", "goal", "", "plain recipe")
