"""Text made comparable: without case, accents and stroked letters, so that "zolc" finds "Żółć".

Databases differ in this (SQLite's LIKE knows case in ASCII only), so it is done once, when a record is written.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from django.db import models

# Letters that Unicode does not decompose into a base letter and a mark.
_STROKED = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})


def fold(text: str) -> str:
    """The comparable form of ``text``."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return bare.translate(_STROKED)


class FoldedField(models.TextField):  # type: ignore[type-arg]
    """Holds the folded text of other fields of the same row; written by every ``save`` and ``bulk_create``.

    Args:
        sources: names of the fields, in the order in which their texts are joined.
    """

    def __init__(self, *, sources: tuple[str, ...] = (), **kwargs: Any) -> None:
        self.sources = tuple(sources)
        super().__init__(**{"editable": False, "blank": True, "default": "", **kwargs})

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "sources": self.sources}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        text = fold(" ".join(str(getattr(model_instance, source)) for source in self.sources))
        setattr(model_instance, self.attname, text)
        return text
