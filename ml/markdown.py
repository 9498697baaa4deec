"""Figures and tables as Markdown, the same in every card and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def figure_text(figure: Mapping[str, Any] | None) -> str:
    """``0.912 (0.889-0.934)``; a dash where the figure is undefined."""
    if not figure or figure.get("value") is None:
        return "-"
    if figure.get("low") is None or figure.get("high") is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


def number_text(value: float | None) -> str:
    """Three decimals; a dash for ``None``."""
    return "-" if value is None else f"{value:.3f}"


def share_text(value: float | None) -> str:
    """Per cent with one decimal; a dash for ``None``."""
    return "-" if value is None else f"{100 * value:.1f} %"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; a bar within a cell is escaped."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
