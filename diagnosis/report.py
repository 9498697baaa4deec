"""The report of one analysis: plain values in, PDF bytes out. No queries, no models, no files but the fonts.

``render`` fills ``templates/reports/analysis_report.html`` and lets xhtml2pdf set it. What came from a person or a
device is text: it is escaped, characters that cannot be printed are marked, and the renderer may read nothing, neither
from the network nor from the disk. Images travel inside the document.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO

from django.conf import settings
from django.template.loader import render_to_string
from pypdf import PdfReader
from reportlab import rl_config
from reportlab.platypus.tables import CellStyle
from xhtml2pdf.config.resources import ResourceAccessPolicy
from xhtml2pdf.document import pisaDocument

from diagnosis import report_fonts, report_images
from diagnosis.report_words import ReportContext, ReportWords

# The same context gives the same bytes, so a report can be made again and compared by its digest.
rl_config.invariant = 1
# Binary streams: encoding images as text in Python took longer than setting the whole page.
rl_config.useA85 = 0
# Each page and each empty cell of a table names a base font. Helvetica is never embedded, ours is.
rl_config.canvas_basefontname = report_fonts.SANS.name
CellStyle.fontname = report_fonts.SANS.name

TEMPLATE = "reports/analysis_report.html"
PATIENT_TEMPLATE = "reports/patient_copy.html"
POLICY = ResourceAccessPolicy.server(
    None, allow_remote=False, max_resources=0, max_image_pixels=4_000_000, max_render_seconds=30
)
"""Nothing remote and no local file at all; images are ``data:`` URIs, fonts are registered beforehand."""

SILENCED = ("xhtml2pdf", "reportlab", "svglib", "html5lib", "pypdf", "PIL", "fontTools")
"""Libraries that log the text they set; none of it may reach a log."""

USUAL_PAGES = 2
"""The number of pages is guessed and, if wrong, set again: the renderer's own count lays every report out twice."""
_PLACEHOLDER_DATE = b"D:20000101000000+00'00'"


class ReportError(Exception):
    """The report could not be made. The message is for the user and holds nothing of the patient."""


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
    template = PATIENT_TEMPLATE if context.letter else TEMPLATE
    try:
        shown = _pictures(context)
        page = ReportWords(context, setter).page() | {"pictures": shown}
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
            pdf, pages = _set(render_to_string(template, page), sources=sources, drawn_at=context.generated_at)
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
