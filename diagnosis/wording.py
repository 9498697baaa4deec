"""What a result is called on screens: words for labels, suspicion, quality checks and probabilities."""

from __future__ import annotations

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
    "novelty": "Likeness to the images the model knows",
}


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


def percent(probability: float) -> str:
    """A probability as whole percent; never 0 % or 100 %, which no model may claim."""
    if probability < 0.01:
        return "under 1\N{NO-BREAK SPACE}%"
    if probability > 0.99:
        return "over 99\N{NO-BREAK SPACE}%"
    return f"{probability:.0%}".replace("%", "\N{NO-BREAK SPACE}%")
