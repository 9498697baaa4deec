"""Reading of request bodies that nobody vouches for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from portal.api_refusals import TooLarge

MAX_JSON_BYTES = 1024 * 1024
"""The longest legitimate body is a clinical history of 10,000 characters."""


class BoundedJSONParser(JSONParser):
    """JSON of at most :data:`MAX_JSON_BYTES`, of text that can be stored and sent back.

    Deep nesting and half surrogate pairs are valid to the standard library's reader and fail later, so they are refused
    here.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(MAX_JSON_BYTES + 1)
        if len(raw) > MAX_JSON_BYTES:
            raise TooLarge(f"The body is longer than {MAX_JSON_BYTES // 1024} KB. Nothing was kept.")
        try:
            data = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
            if b"\\u" in raw:
                json.dumps(data, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError) as error:
            raise ParseError from error
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object.", code="not_an_object")
        return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")
