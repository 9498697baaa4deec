"""What a report says, as values and as the words of its templates. Pure: no queries, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from diagnosis import report_fonts
from diagnosis.wording import (
    UNCERTAIN,
    UNCERTAIN_MEANING,
    check_words,
    label_phrase,
    label_words,
    percent,
    prevalence_words,
    suspicion_words,
)

HISTORY_LIMIT = 8000
"""Characters of clinical history that are printed, some three pages; the report says where it was cut."""
LETTER_LIMIT = 8000
"""Characters of a letter that are printed: the longest that can be released."""
FIELD_LIMIT = 300
"""Characters of any other field that are printed."""

FOOTER_LIMIT = 45
"""Characters of the name and of the record number that fit into the foot of each page."""
BAR_MM = 100.0
"""Length of the bar of a probability of 1."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STATUSES = {
    "preliminary": ("PRELIMINARY", "AI only, not signed by a physician"),
    "final": ("FINAL", ""),
    "superseded": ("SUPERSEDED", "A later version replaces this report. Do not use this copy."),
}


@dataclass(frozen=True, slots=True)
class ReportContext:
    """Everything a report says, as plain values.

    Attributes:
        status: ``preliminary``, ``final`` or ``superseded``.
        generated_at, study_created_at, analysed_at, signed_at: aware datetimes; printed in ``time_zone``.
        time_zone: IANA name, such as ``Europe/Warsaw``.
        frame: words such as ``frame 12 of 40``, empty for a still image.
        image_png: the image as it was analysed, PNG or JPEG.
        overlay_png: the same image with the Grad-CAM map laid over it; empty where the model draws none.
        outlined_png: the same image with the outline of the lesion and the marks; empty where there are none.
        measures: name and words of each measurement of the lesion, with its unit.
        marks: probability of each marked place, in the order of their numbers.
        no_result: why the model gave none, in sentences: then ``label`` is empty and ``confidence`` and ``suspicion``
            are ``None``.
        confidence: calibrated probability of ``label``, 0-1.
        probabilities: calibrated probability of each class.
        suspicion: 1-10.
        uncertain: the result is to be read as if there were none.
        prevalence: the site's own, that the probabilities are re-based to; ``None``: the model's.
        own_probabilities: what the model itself said, where they are re-based.
        conclusion: the radiologist's, on a final report; with ``reader_label``, a label, and ``birads`` in words.
        quality: name, value, limit in words, passed, of each check.
        model_status: ``released`` or ``research``; empty where no model was asked.
        letter: where it is given, this is the patient's copy: letter, conclusion and image, nothing that a model said.
        released_at: when the patient was given it.
    """

    report_id: str
    version: int
    status: str
    verification_code: str
    verification_url: str
    site_name: str
    generated_at: datetime
    time_zone: str
    synthetic: bool
    patient_name: str
    mrn: str
    birth_date: date | None
    sex: str
    study_id: str
    accession_number: str
    modality: str
    laterality: str
    study_created_at: datetime
    clinical_history: str
    image_id: str
    image_name: str
    image_sha256: str
    image_width: int
    image_height: int
    frame: str
    device: str
    view: str
    pixel_spacing: str
    image_png: bytes
    overlay_png: bytes
    label: str
    confidence: float | None
    probabilities: Mapping[str, float]
    suspicion: int | None
    quality: Sequence[tuple[str, float, str, bool]]
    model_name: str
    model_version: str
    model_sha256: str
    model_status: str
    analysed_at: datetime
    requested_by: str
    outlined_png: bytes = b""
    measures: Sequence[tuple[str, str]] = ()
    marks: Sequence[float] = ()
    uncertain: bool = False
    prevalence: float | None = None
    own_probabilities: Mapping[str, float] | None = None
    conclusion: str = ""
    reader_label: str = ""
    birads: str = ""
    signed_by: str = ""
    signed_at: datetime | None = None
    no_result: Sequence[str] = ()
    letter: str = ""
    released_at: datetime | None = None


class ReportWords:
    """Turns a context into what the template prints: words, marked text and images."""

    def __init__(self, context: ReportContext, setter: report_fonts.Typesetter) -> None:
        self._context = context
        self._zone = ZoneInfo(context.time_zone)
        self._setter = setter
        self._texts: list[str] = []
        self._marked = False

    def page(self) -> dict[str, object]:
        """Return the template's variables."""
        context = self._context
        status, status_note = _STATUSES[context.status]
        if context.status == "final":
            status_note = f"Signed by {self._text(context.signed_by)}, {self.moment(context.signed_at)}"
        values: dict[str, object] = {
            "report_id": self._text(context.report_id),
            "version": context.version,
            "status": status,
            "status_key": context.status,
            "status_note": status_note,
            "final": context.status == "final",
            "site_name": self._text(context.site_name),
            "synthetic": context.synthetic,
            "title": f"Breast {self._text(context.modality).lower()}",
            "footer_name": self._text(context.patient_name, limit=FOOTER_LIMIT) or "Name not given",
            "footer_mrn": self._text(context.mrn, limit=FOOTER_LIMIT) or "not given",
            "people": list(zip(self._patient(), self._study(), strict=True)),
            "history": self._history(),
            "conclusion": self._text(context.conclusion, limit=HISTORY_LIMIT),
            "reader_phrase": label_phrase(context.reader_label) if context.reader_label else "",
            "birads": self._text(context.birads),
            **self._result(),
            "measures": [(self._text(name), self._text(words)) for name, words in context.measures],
            "marks": [(number, percent(score)) for number, score in enumerate(context.marks, start=1)],
            "quality_passed": all(passed for *_, passed in context.quality),
            "quality": [
                (
                    self._text(check_words(name)),
                    f"{value:.4g}",
                    self._text(limit).replace(">=", "at least").replace("<=", "at most"),
                    passed,
                )
                for name, value, limit, passed in context.quality
            ],
            "provenance": self._provenance(),
            "model": self._text(f"{context.model_name} {context.model_version}"),
            "research": context.confidence is not None and context.model_status != "released",
            "letter": self._text(context.letter, limit=LETTER_LIMIT),
            "released": self.day(context.released_at.astimezone(self._zone)) if context.released_at else "",
            "generated": self.moment(context.generated_at),
            "verification_code": self._text(context.verification_code),
            "verification_url": self._text(context.verification_url),
        }
        values["families"] = ", ".join(self._setter.families_for(self._texts))
        values["marked"] = report_fonts.MARK if self._marked else ""
        return values

    def _result(self) -> dict[str, object]:
        """What the model said, or why it said nothing. Never both, and never a verdict that it did not give."""
        context = self._context
        if context.no_result or context.confidence is None or context.suspicion is None:
            return {"no_result": [self._text(sentence, limit=HISTORY_LIMIT) for sentence in context.no_result]}
        return {
            "has_result": True,
            "label": label_words(context.label),
            "phrase": label_phrase(context.label),
            "differs": bool(context.reader_label) and context.reader_label != context.label,
            "confidence": percent(context.confidence),
            "suspicion": context.suspicion,
            "suspicion_words": suspicion_words(context.suspicion),
            "suspicion_steps": range(1, 11),
            "probabilities": [
                (label_words(label), percent(value), f"{value:.2f}", f"{max(value * BAR_MM, 0.3):.1f}")
                for label, value in sorted(context.probabilities.items(), key=lambda item: -item[1])
            ],
            "uncertain": UNCERTAIN if context.uncertain else "",
            "uncertain_meaning": UNCERTAIN_MEANING,
            "prevalence": "" if context.prevalence is None else prevalence_words(context.prevalence),
            "own_probabilities": ", ".join(
                f"{label_words(label).lower()} {percent(value)}"
                for label, value in sorted((context.own_probabilities or {}).items(), key=lambda item: -item[1])
            ),
        }

    def moment(self, when: datetime | None) -> str:
        """Return ``21 Nov 2026, 14:03 UTC+01:00 (Europe/Warsaw)``; empty for ``None``."""
        if when is None:
            return ""
        local = when.astimezone(self._zone)
        offset = local.strftime("%z")
        return f"{self.day(local)}, {local:%H:%M} UTC{offset[:3]}:{offset[3:]} ({self._zone.key})"

    def day(self, when: date | None) -> str:
        """Return ``21 Nov 2026``; empty for ``None``."""
        return f"{when.day} {_MONTHS[when.month - 1]} {when.year}" if when else ""

    def _patient(self) -> list[tuple[str, str]]:
        context = self._context
        return self._pairs(
            ("Patient", context.patient_name),
            ("MRN", context.mrn),
            ("Born", self.day(context.birth_date)),
            ("Sex", context.sex),
            ("Requested by", context.requested_by),
        )

    def _study(self) -> list[tuple[str, str]]:
        context = self._context
        return self._pairs(
            ("Examination", ", ".join(filter(None, (context.modality, context.laterality, context.view)))),
            ("Study", context.study_id),
            ("Accession no.", context.accession_number),
            ("Received", self.moment(context.study_created_at)),
            ("Analysed", self.moment(context.analysed_at))
            if context.confidence is not None
            else ("Concluded", self.moment(context.signed_at)),
        )

    def _provenance(self) -> list[tuple[str, str]]:
        context = self._context
        return self._pairs(
            ("Image file", context.image_name),
            ("Size", f"{context.image_width} \N{MULTIPLICATION SIGN} {context.image_height} pixels"),
            ("Frame", context.frame or "still image"),
            ("Pixel spacing", context.pixel_spacing),
            ("Device", context.device),
            ("Image id", context.image_id),
            ("Image SHA-256", context.image_sha256),
            *self._model(),
        )

    def _model(self) -> list[tuple[str, str]]:
        context = self._context
        if not context.model_name:
            return [("Model", "none looked at this image")]
        return [
            ("Model", f"{context.model_name}, version {context.model_version} ({context.model_status})"),
            ("Model SHA-256", context.model_sha256),
        ]

    def _pairs(self, *pairs: tuple[str, str]) -> list[tuple[str, str]]:
        return [(name, self._text(value) or "not given") for name, value in pairs]

    def _text(self, text: str, *, limit: int = FIELD_LIMIT) -> str:
        if len(text) > limit:
            text = f"{text[:limit].rstrip()} [...]"
        printed = self._setter.printable(text.strip())
        self._texts.append(printed)
        self._marked = self._marked or report_fonts.MARK in printed
        return printed

    def _history(self) -> str:
        history = self._text(self._context.clinical_history, limit=HISTORY_LIMIT)
        if len(self._context.clinical_history) > HISTORY_LIMIT:
            history += "\nCut here: the record in the portal has the rest."
        return history
