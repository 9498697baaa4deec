"""The letter that tells a patient the result in plain words; a radiologist reads and edits it before release.

Written for a reader of about twelve years. It says what was done, what was seen, what happens next and whom to call. It
never gives a probability, and nothing that a model said: it follows from the radiologist's own BI-RADS category.
"""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone
from django.utils.dateformat import format as date_words

from diagnosis.models import BiRads, Laterality, Modality, Report

_EXAMINATIONS = {
    Modality.ULTRASOUND: "an ultrasound",
    Modality.MAMMOGRAM: "a mammogram (an X-ray picture)",
    Modality.CONTRAST_MAMMOGRAM: "a mammogram with contrast dye (an X-ray picture)",
}
_SIDES = {
    Laterality.LEFT: "your left breast",
    Laterality.RIGHT: "your right breast",
    Laterality.BOTH: "both your breasts",
    Laterality.UNKNOWN: "your breast",
}

_REGULAR = "You do not need any other test because of this result. Please keep coming to your regular check-ups."
_NOTHING_FINDS_ALL = "No test finds everything. If you feel a new lump or see a change, show it to a doctor soon."
_SAMPLE = (
    "The next step is to take a small sample of tissue with a thin needle. This is called a biopsy. The skin is made "
    "numb first. The sample is looked at under a microscope. Then we will know what it is."
)
_WE_CALL = "We will call you within two working days to plan it with you. You do not have to wait: you may call us now."
_NOT_ALONE = "We know that this is hard to read. You may bring someone you trust when you come."

_RESULTS: dict[str, tuple[str, str]] = {
    BiRads.INCOMPLETE: (
        "The pictures do not give a clear answer yet. This happens often. It does not mean that something is wrong.",
        "We need to take more pictures. We will call you to find a day. If you do not hear from us within one week, "
        "please call us.",
    ),
    BiRads.NEGATIVE: (
        "The result is good. We saw nothing unusual.",
        f"{_REGULAR}\n\n{_NOTHING_FINDS_ALL}",
    ),
    BiRads.BENIGN: (
        "The result is good. We saw a change that is harmless. Many people have one. It is not a sign of cancer, and "
        "it does not need treatment.",
        f"{_REGULAR}\n\n{_NOTHING_FINDS_ALL}",
    ),
    BiRads.PROBABLY_BENIGN: (
        "We saw a small change. We think that it is harmless. To be sure, we want to see that it stays the same.",
        "Please come back for new pictures in about six months. We will write to you with a day. If you feel or see "
        "a change before then, call us. Do not wait for that day.",
    ),
    BiRads.LOW_SUSPICION: (
        "We saw a change, and the pictures alone cannot tell what it is. Most changes like this turn out to be "
        "harmless. Some are cancer. So we want to know for sure.",
        f"{_SAMPLE}\n\n{_WE_CALL}",
    ),
    BiRads.MODERATE_SUSPICION: (
        "We saw a change, and the pictures alone cannot tell what it is. It can be harmless. It can also be cancer. "
        "So we want to know for sure.",
        f"{_SAMPLE}\n\n{_WE_CALL}\n\n{_NOT_ALONE}",
    ),
    BiRads.HIGH_SUSPICION: (
        "We saw a change that may be cancer. The pictures alone cannot tell, so we want to know for sure, and soon.",
        f"{_SAMPLE}\n\n{_WE_CALL}\n\n{_NOT_ALONE}",
    ),
    BiRads.HIGHLY_SUGGESTIVE: (
        "We saw a change that looks like cancer. Only a test of the tissue can make it certain. There are good ways "
        "to treat breast cancer, and we will go through the next steps with you.",
        f"{_SAMPLE}\n\n{_WE_CALL}\n\n{_NOT_ALONE}",
    ),
    BiRads.PROVEN: (
        "The pictures show the cancer that you and your doctors already know about.",
        "Your doctors use these pictures to plan your treatment. They will talk with you about what they show at "
        "your next visit.",
    ),
}
"""BI-RADS category (ACR BI-RADS Atlas, 5th edition, 2013) -> what was seen, and what happens next, as the Atlas's
management recommendations have it."""


def draft(report: Report) -> str:
    """Return the letter that the release form begins with; paragraphs are parted by an empty line.

    Raises:
        ValueError: when no radiologist has given a conclusion yet: without one there is nothing to tell.
    """
    if report.assessment is None:
        raise ValueError("A letter needs a radiologist's conclusion.")
    seen, next_steps = _RESULTS[report.assessment.birads]
    image = report.analysis.image
    study = image.study
    examined_on = date_words(timezone.localtime(image.acquired_at or study.created_at), "j F Y")
    side = _SIDES[Laterality(image.laterality or study.laterality)]
    return "\n\n".join(
        (
            f"On {examined_on} you had {_EXAMINATIONS[Modality(study.modality)]} of {side}. A doctor has looked at the "
            "pictures. This letter tells you the result in plain words.",
            seen,
            next_steps,
            f"Do you have questions? {whom_to_call()}",
        )
    )


def whom_to_call() -> str:
    """The sentence that every page for patients ends with."""
    if settings.SITE_PHONE:
        unbroken = settings.SITE_PHONE.replace(" ", "\N{NO-BREAK SPACE}")
        return f"Call {settings.SITE_CONTACT}: {unbroken}."
    return f"Please ask {settings.SITE_CONTACT}."
