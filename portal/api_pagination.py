"""Pages of a list: by position, so that page 1,000 costs what page 1 costs and rows that arrive shift nothing."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

BAD_CURSOR = {"cursor": ["This is not a cursor of this list. Follow the address in “next”, or start without a cursor."]}


class PositionPagination(CursorPagination):
    """``results``, ``next`` and ``previous``; ``page_size`` up to 200. A view names its order in ``ordering``."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            b64decode(request.query_params.get(self.cursor_query_param, ""), validate=True)
            cursor = super().decode_cursor(request)
        except (NotFound, ValueError) as error:
            raise ValidationError(BAD_CURSOR) from error
        if cursor is not None and cursor.position is not None and "\0" in cursor.position:
            raise ValidationError(BAD_CURSOR)
        return cursor

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (DjangoValidationError, OverflowError) as error:
            # The position of the cursor is not a value of the column.
            raise ValidationError(BAD_CURSOR) from error

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        return tuple(view.get_list_ordering() if hasattr(view, "get_list_ordering") else view.list_ordering)
