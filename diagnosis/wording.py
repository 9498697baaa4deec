"""What a result is called on screens and in reports: labels, suspicion, doubt, measurements, checks, probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LABEL_WORDS = {"malignant": "Malignant", "benign": "Benign", "normal": "Normal"}
LABEL_PHRASES = {
    "malignant": "Suspicious of malignancy",
    "benign": "Appears benign",
    "normal": "Appears normal",
}
"""What the model says, as an appearance: a network does not diagnose."""

LABEL_SHORT = {"malignant": "suspicious", "benign": "appears benign", "normal": "appears normal"}
"""The same where there is little room, after the step of suspicion."""

SUSPICION_WORDS = (
    (2, "very low"),
    (4, "low"),
    (6, "intermediate"),
    (8, "high"),
    (10, "very high"),
)
"""Highest step of each band, and its word."""

CHECK_WORDS = {
    "size": "Size of the image",
    "aspect": "Shape of the image",
    "colour": "Share of coloured pixels",
    "blank": "Contrast",
    "exposure": "Exposure",
    "blur": "Sharpness",
    "noise": "Noise",
    "contrast": "Range of greys",
    "crop": "Whole frame, not a cut-out",
    "text": "Writing and drawing on the image",
    "doppler": "Colour flow (Doppler)",
    "novelty": "Likeness to the images the model knows",
    "mammogram": "Shows a mammogram",
    "breast": "Share of the image that is breast",
    "background": "Dark background",
    "shape": "Shape of the breast",
    "chest_wall": "Straight chest wall",
}

NO_MODEL = "no_model"
"""Code of a refusal because no model in use reads the modality."""
NO_MODEL_WORDS = "No model in use for this kind of image"

_FOREIGN = (
    "If the file holds another examination, add it to a study of that kind. If it is the right image, read it without "
    "the computer's opinion: this model was not made for images like it."
)
CHECK_REMEDIES = {
    "novelty": _FOREIGN,
    "mammogram": _FOREIGN,
    "breast": _FOREIGN,
    "background": _FOREIGN,
    "shape": _FOREIGN,
    "chest_wall": _FOREIGN,
    "crop": "If only the cut-out exists, read it without the computer's opinion: enlarging it does not help.",
    "text": "If the writing cannot be removed, add another frame of the same lesion, or read this one without the "
    "computer's opinion.",
}
"""What a person can do here about a failed check, beyond what the check's own sentence asks for."""

UNCERTAIN = "Uncertain: read as if there were no AI."
UNCERTAIN_MEANING = (
    "The probability of malignancy lies where this model could not tell malignant from other images well enough in its "
    "tests. The label and the step below lean to one side and are not to be relied on. The model card gives the rule "
    "and how often it happens."
)
RESEARCH = "Research model: not for clinical decisions; never orders the worklist."

SOURCE_WORDS = {
    "busi": "BUSI",
    "busbra": "BUS-BRA",
    "breast": "BrEaST",
    "mini-mias": "mini-MIAS",
    "cdd-cesm": "CDD-CESM",
    "cdd-cesm-low-energy": "CDD-CESM, low energy",
    "cdd-cesm-subtracted": "CDD-CESM, subtracted",
}


QUANTITY_WORDS = {"probability_malignant": "Probability of malignancy", "confidence": "Confidence"}
DRIFT_WORDS = {
    "too few images": "not enough images yet",
    "stable": "as when it was measured",
    "watch": "moving a little",
    "shifted": "has moved",
}
DRIFT_MEANING = {
    "too few images": "Not enough images have been analysed here to compare them with those the model was measured on. "
    "Fifty are needed.",
    "stable": "The images and scores here are like those the model was measured on. That is no proof that its results "
    "are right.",
    "watch": "Something differs a little from the images the model was measured on. Look again when more images are "
    "there.",
    "shifted": "The images or scores here differ from those the model was measured on, so its figures may not hold. "
    "Compare recent results with the final diagnoses, and ask whether a scanner, a preset or the patients changed.",
}
"""What the comparison of late images with the model's own found, by its state; in a word, and with what to do."""


def drift_words(state: str) -> str:
    return DRIFT_WORDS.get(state, state)


def drift_meaning(state: str) -> str:
    return DRIFT_MEANING.get(state, "")


def quantity_words(name: str) -> str:
    """A quantity that is watched: a score, or one of the checks."""
    return QUANTITY_WORDS.get(name) or check_words(name)


def label_words(label: str) -> str:
    return LABEL_WORDS.get(label, label)


def label_phrase(label: str) -> str:
    return LABEL_PHRASES.get(label, label)


def label_short(label: str) -> str:
    return LABEL_SHORT.get(label, label)


def suspicion_words(suspicion: int) -> str:
    """The band of a step from 1 to 10."""
    return next((words for top, words in SUSPICION_WORDS if suspicion <= top), SUSPICION_WORDS[-1][1])


def check_words(name: str) -> str:
    return CHECK_WORDS.get(name, name.replace("_", " ").capitalize())


def check_remedy(name: str) -> str:
    """What to do here about a failed check; empty where its own sentence says all."""
    return CHECK_REMEDIES.get(name, "")


def source_words(source: str) -> str:
    """The name of a collection as it is published."""
    return SOURCE_WORDS.get(source, source)


def area_words(lesion: Mapping[str, Any]) -> str:
    """``142.6 mm² (8.1 % of the image)``, or the share alone where the pixel size is not known."""
    share = f"{100 * lesion['area_share']:.1f}\N{NO-BREAK SPACE}% of the image"
    if lesion["area_mm2"] is None:
        return share
    return f"{lesion['area_mm2']:.1f}\N{NO-BREAK SPACE}mm\N{SUPERSCRIPT TWO} ({share})"


def diameter_words(lesion: Mapping[str, Any]) -> str:
    """``16.3 mm``, or the pixels where their size is not known."""
    if lesion["longest_diameter_mm"] is None:
        return (
            f"{lesion['longest_diameter_px']:.0f}\N{NO-BREAK SPACE}pixels (the file does not say how large a pixel is)"
        )
    return f"{lesion['longest_diameter_mm']:.1f}\N{NO-BREAK SPACE}mm"


def prevalence_words(prevalence: float) -> str:
    """``8 %``, ``0.5 %``."""
    return f"{100 * prevalence:.2g}\N{NO-BREAK SPACE}%"


def percent(probability: float) -> str:
    """A probability as whole percent; never 0 % or 100 %, which no model may claim."""
    if probability < 0.01:
        return "under 1\N{NO-BREAK SPACE}%"
    if probability > 0.99:
        return "over 99\N{NO-BREAK SPACE}%"
    return f"{probability:.0%}".replace("%", "\N{NO-BREAK SPACE}%")
