"""In which format an address answers."""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation


class OneFormat(BaseContentNegotiation):
    """An address that names the format answers in it, whatever ``Accept`` says; refusals stay JSON."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type
