"""What lists of people have in common: pages of the same length, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

PER_PAGE = 25
LONGEST_SEARCH = 200


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list.

    Attributes:
        page: the rows; a page number that does not exist shows the nearest one that does.
        pages: page numbers to offer, with gaps.
    """

    page: Page[Any]
    pages: list[Any]


def searched_for(request: HttpRequest) -> str:
    """The words of ``?q=``, without characters that no name has."""
    return request.GET.get("q", "").replace("\0", "")[:LONGEST_SEARCH].strip()


def paged(rows: QuerySet[Any], request: HttpRequest) -> Listing:
    paginator = Paginator(rows, PER_PAGE)
    page = paginator.get_page(request.GET.get("page"))
    return Listing(page=page, pages=list(paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)))
