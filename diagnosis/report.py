"""The report of one analysis: plain values in, PDF bytes out. No queries, no models, no files but the fonts.

``render`` fills ``templates/reports/analysis_report.html`` and lets xhtml2pdf set it. What came from a person or a
device is text: it is escaped, characters that cannot be printed are marked, and the renderer may read nothing, neither
from the network nor from the disk. Images travel inside the document.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

from django.conf import settings
from django.template.loader import render_to_string
from pypdf import PdfReader
from reportlab import rl_config
from reportlab.platypus.tables import CellStyle
from xhtml2pdf.config.resources import ResourceAccessPolicy
from xhtml2pdf.document import pisaDocument

from diagnosis import report_fonts, report_images
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

# The same context gives the same bytes, so a report can be made again and compared by its digest.
rl_config.invariant = 1
# Binary streams: encoding images as text in Python took longer than setting the whole page.
rl_config.useA85 = 0
# Each page and each empty cell of a table names a base font. Helvetica is never embedded, ours is.
rl_config.canvas_basefontname = report_fonts.SANS.name
CellStyle.fontname = report_fonts.SANS.name

TEMPLATE = "reports/analysis_report.html"
POLICY = ResourceAccessPolicy.server(
    None, allow_remote=False, max_resources=0, max_image_pixels=4_000_000, max_render_seconds=30
)
"""Nothing remote and no local file at all; images are ``data:`` URIs, fonts are registered beforehand."""

SILENCED = ("xhtml2pdf", "reportlab", "svglib", "html5lib", "pypdf", "PIL", "fontTools")
"""Libraries that log the text they set; none of it may reach a log."""

USUAL_PAGES = 2
"""The number of pages is guessed and, if wrong, set again: the renderer's own count lays every report out twice."""
HISTORY_LIMIT = 8000
"""Characters of clinical history that are printed, some three pages; the report says where it was cut."""
FIELD_LIMIT = 300
"""Characters of any other field that are printed."""

FOOTER_LIMIT = 45
"""Characters of the name and of the record number that fit into the foot of each page."""
BAR_MM = 100.0
"""Length of the bar of a probability of 1."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PLACEHOLDER_DATE = b"D:20000101000000+00'00'"
_STATUSES = {
    "preliminary": ("PRELIMINARY", "AI only, not signed by a physician"),
    "final": ("FINAL", ""),
    "superseded": ("SUPERSEDED", "A later version replaces this report. Do not use this copy."),
}


class ReportError(Exception):
    """The report could not be made. The message is for the user and holds nothing of the patient."""


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
        confidence: calibrated probability of ``label``, 0-1.
        probabilities: calibrated probability of each class.
        suspicion: 1-10.
        uncertain: the result is to be read as if there were none.
        prevalence: the site's own, that the probabilities are re-based to; ``None``: the model's.
        own_probabilities: what the model itself said, where they are re-based.
        conclusion: the radiologist's, on a final report; with ``reader_label``, a label, and ``birads`` in words.
        quality: name, value, limit in words, passed, of each check.
        model_status: ``released`` or ``research``.
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
    confidence: float
    probabilities: Mapping[str, float]
    suspicion: int
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


@dataclass(frozen=True, slots=True)
class RenderedReport:
    """A finished report: the PDF, its SHA-256 in hexadecimal, and how many pages it has."""

    pdf: bytes
    sha256: str
    pages: int


def render(context: ReportContext) -> RenderedReport:
    """Return the report of ``context`` as a PDF.

    Raises:
        ReportError: when the report cannot be made. The message says what to do and holds no patient text; the error
            that caused it is not chained, because the renderer's errors quote the text they failed on; a note on it
            tells staff the kind and the line.
    """
    _silence()
    try:
        setter = report_fonts.typesetter(settings.NODE_MODULES)
    except report_fonts.FontMissing as missing:
        raise ReportError(str(missing)) from missing
    place = ""
    try:
        shown = _pictures(context)
        page = _Words(context, setter).page() | {"pictures": shown}
        sources = {
            **{name: picture.source for name, picture in shown},
            "qr": report_images.qr_code(context.verification_url),
            "dark": report_images.DARK,
            "mid": report_images.MID,
        }
        pdf, pages = b"", USUAL_PAGES
        # Ends: the count stands in the foot of the page, whose height is fixed, so it cannot change the count.
        while not pdf or pages != page["page_count"]:
            page["page_count"] = pages
            pdf, pages = _set(render_to_string(TEMPLATE, page), sources=sources, drawn_at=context.generated_at)
    except Exception as error:  # noqa: BLE001  only its kind and its line may leave this function, see Raises
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} in {last.name}, {last.filename}:{last.lineno}"
    if place:
        refusal = ReportError(
            "The report could not be set. The result is stored; ask for the report again. If it fails again, tell IT."
        )
        refusal.add_note(place)
        raise refusal
    return RenderedReport(pdf=pdf, sha256=hashlib.sha256(pdf).hexdigest(), pages=pages)


def _pictures(context: ReportContext) -> list[tuple[str, report_images.Printed]]:
    """The image, and beside it what the model drew, by the names that the template knows them by."""
    given = [("original", context.image_png), ("overlay", context.overlay_png), ("outlined", context.outlined_png)]
    there = [(name, content) for name, content in given if content]
    box = report_images.THIRD_BOX_MM if len(there) == len(given) else report_images.IMAGE_BOX_MM
    return [(name, report_images.printed(content, box_mm=box)) for name, content in there]


def _silence() -> None:
    """Disable every logger of the libraries that set the report, also those made since the last report."""
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in SILENCED:
            logger.disabled = True


def _set(html: str, *, sources: Mapping[str, str], drawn_at: datetime) -> tuple[bytes, int]:
    """Return the PDF of ``html`` and its number of pages; ``sources`` are the images it may name."""

    def source(name: str, _base: str | None) -> str:
        # The only way to a resource. Not in the markup itself, where the parser would read every byte of them twice.
        return sources[name]

    output = BytesIO()
    document = pisaDocument(html, output, default_css="", link_callback=source, resource_policy=POLICY)
    if document.err:
        raise ReportError("The renderer reported an error.")
    pdf = output.getvalue()
    stamp = drawn_at.astimezone(UTC).strftime("D:%Y%m%d%H%M%S+00'00'").encode("ascii")
    # Same length, so the offsets of the cross-reference table stay true.
    pdf = pdf.replace(_PLACEHOLDER_DATE, stamp)
    return pdf, len(PdfReader(BytesIO(pdf)).pages)


class _Words:
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
            "label": label_words(context.label),
            "phrase": label_phrase(context.label),
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
            "research": context.model_status != "released",
            "generated": self.moment(context.generated_at),
            "verification_code": self._text(context.verification_code),
            "verification_url": self._text(context.verification_url),
        }
        values["families"] = ", ".join(self._setter.families_for(self._texts))
        values["marked"] = report_fonts.MARK if self._marked else ""
        return values

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
            ("Analysed", self.moment(context.analysed_at)),
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
            ("Model", f"{context.model_name}, version {context.model_version} ({context.model_status})"),
            ("Model SHA-256", context.model_sha256),
        )

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
