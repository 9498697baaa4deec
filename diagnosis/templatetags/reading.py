"""Words and figures of the reading screens."""

from __future__ import annotations

from datetime import timedelta

from django import template

from diagnosis import wording
from diagnosis.models import Modality

register = template.Library()

register.filter("label_words", wording.label_words)
register.filter("label_phrase", wording.label_phrase)
register.filter("label_short", wording.label_short)
register.filter("suspicion_words", wording.suspicion_words)
register.filter("check_words", wording.check_words)
register.filter("check_remedy", wording.check_remedy)
register.filter("percent", wording.percent)
register.filter("quantity_words", wording.quantity_words)
register.filter("drift_words", wording.drift_words)
register.filter("drift_meaning", wording.drift_meaning)
register.filter("source_words", wording.source_words)
register.filter("area_words", wording.area_words)
register.filter("diameter_words", wording.diameter_words)
register.filter("prevalence_words", wording.prevalence_words)

SUSPICION_STEPS = range(1, 11)


@register.filter
def modality_words(code: str) -> str:
    """``US`` as ultrasound; a code that this portal does not know stays as it is."""
    return str(dict(Modality.choices).get(code, code))


@register.filter
def hundredths(share: float) -> str:
    """0-1 as a length of 0-100, for the width of a bar."""
    return f"{max(0.0, min(float(share), 1.0)) * 100:.1f}"


@register.filter
def as_percent(share: float) -> str:
    """0.08 as ``8``, for a field in percent."""
    return f"{100 * share:.4g}"


@register.filter
def duration(span: timedelta | None) -> str:
    """``0.8 s``, ``41 s``, ``3 min 5 s``, ``9 h 2 min``, ``4 days``; nothing for ``None``."""
    if span is None:
        return ""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    if minutes >= 48 * 60:
        return f"{minutes // (24 * 60)} days"
    return f"{minutes // 60} h {minutes % 60} min"


@register.filter
def limit_words(limit: str) -> str:
    """``>= 96 px`` as ``at least 96 px``."""
    return limit.replace(">= ", "at least ").replace("<= ", "at most ")


@register.filter
def milliseconds(value: float) -> str:
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"


@register.filter
def megabytes(size: int) -> str:
    return f"{size / 1024**2:.0f} MB"


@register.filter
def short_digest(digest: str) -> str:
    """The first twelve digits of a SHA-256, enough to compare by eye."""
    return digest[:12]


@register.inclusion_tag("diagnosis/partials/suspicion_scale.html")
def suspicion_scale(suspicion: int) -> dict[str, object]:
    """The ten steps with the one that applies."""
    return {"suspicion": suspicion, "steps": [(step, (step - 1) * 10) for step in SUSPICION_STEPS]}
