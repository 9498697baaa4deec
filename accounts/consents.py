"""What patients are asked to agree to, in which words, and whether an agreement stands."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import Consent, Patient

Purpose = Consent.Purpose


@dataclass(frozen=True, slots=True)
class Terms:
    """One thing that a patient may agree to.

    Attributes:
        title: what it is about.
        wording: the sentence that is agreed to; it is kept with each answer, so changing it here changes no old answer.
        without: what is so as long as nobody agreed, or after the agreement was taken back.
    """

    title: str
    wording: str
    without: str


TERMS: dict[str, Terms] = {
    Purpose.PORTAL: Terms(
        "See my reports on this website",
        "I want to see my released reports, my pictures and my messages on this website.",
        "Without it, this website shows you nothing of your record. Your care at the clinic does not change; you can "
        "ask for your reports on paper.",
    ),
    Purpose.EMAIL: Terms(
        "Be told by e-mail",
        "I want to be told by e-mail when something new is here for me: a report, a message or an appointment. The "
        "e-mail says only that, and nothing about my health.",
        "Without it, we send you no such e-mail. You find what is new when you sign in.",
    ),
    Purpose.RESEARCH: Terms(
        "Let my pictures help others, without my name",
        "My pictures and results may be used to check and improve the quality of breast imaging, and for research, "
        "after my name, date of birth and numbers were taken out.",
        "Without it, your pictures are used for your own care only. Taking it back stops new use. What was handed "
        "on before carries no name, so it cannot be called back.",
    ),
}
"""Purpose -> its terms, in the order of the page."""


def has_consent(patient: Patient, purpose: str) -> bool:
    """Whether the patient agreed to this and has not taken it back."""
    return Consent.objects.filter(patient=patient, purpose=purpose, withdrawn_at=None).exists()
