"""Completes the OpenAPI description: which refusals any operation may give, and what each looks like."""

from __future__ import annotations

from typing import Any

REFUSAL = {
    "type": "object",
    "description": "Why a request was refused. `detail` is a sentence for a person, `fields` holds one for each field.",
    "required": ["code", "detail", "fields"],
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "fields": {"type": "object", "additionalProperties": True},
    },
    "additionalProperties": True,
}
ALWAYS = {
    "400": "The request could not be understood, or a value is not allowed. Nothing was changed.",
    "401": "No token, or one that is unknown or has expired.",
    "403": "Your role does not allow this.",
    "404": "There is no such record, or you may not see it.",
    "429": "Too many requests; `Retry-After` says for how long.",
    "503": "The server cannot store or read anything at the moment.",
}
WITH_A_BODY = {
    "413": "The request is too large. Nothing was kept.",
    "415": "The body is not in a format that is taken.",
}


def document_refusals(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add the refusals that every operation shares (``POSTPROCESSING_HOOKS`` of drf-spectacular).

    A response that a view describes itself keeps its own words; one without a body is given the common one.
    """
    result.setdefault("components", {}).setdefault("schemas", {})["Refusal"] = REFUSAL
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            responses = operation["responses"]
            shared = ALWAYS | (WITH_A_BODY if "requestBody" in operation else {})
            for status, description in shared.items():
                responses.setdefault(status, {"description": description})
            for status, response in responses.items():
                if status >= "400":
                    response.setdefault("content", content)
            operation["responses"] = dict(sorted(responses.items()))
    return result
