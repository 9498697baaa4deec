"""What lists of people have in common: pages of the same length, and what was asked for.

Words that are searched for are names of patients. An address is written down in many places (the browser's history, the
logs of proxies, what a person pastes into a ticket), so it carries them sealed: ``?find=`` holds the words encrypted
under ``settings.FIELD_KEYS``. The address can be kept and passed on all the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, QueryDict

from accounts.encryption import seal, unseal
from accounts.permissions import may

PER_PAGE = 25
LONGEST_SEARCH = 200
LONGEST_SEALED = 2_000
"""Characters of the longest search, sealed: four bytes a character, and a third more as text."""
WORDS, SEALED = "q", "find"
NOT_A_FILTER = "csrfmiddlewaretoken"
SEE_OTHER = 303

View = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list.

    Attributes:
        page: the rows; a page number that does not exist shows the nearest one that does.
        pages: page numbers to offer, with gaps.
    """

    page: Page[Any]
    pages: list[Any]


def _plain(words: str) -> str:
    """The words without characters that no name has."""
    return words.replace("\0", "")[:LONGEST_SEARCH].strip()


def searched_for(request: HttpRequest) -> str:
    """The words that ``?find=`` stands for; none where it is not an address that this site made."""
    sealed = request.GET.get(SEALED, "")
    return _plain(unseal(sealed) or "") if len(sealed) <= LONGEST_SEALED else ""


def sealed_query(asked: QueryDict) -> QueryDict:
    """The parameters of a list's address for what was asked: the words sealed, what is empty left out."""
    query = QueryDict(mutable=True)
    for name, values in asked.lists():
        kept = [value for value in values if value]
        if kept and name not in (WORDS, SEALED, NOT_A_FILTER):
            query.setlist(name, kept)
    words = _plain(asked.get(WORDS, ""))
    if words:
        query[SEALED] = seal(words)
    return query


def words_out_of_address(view: View) -> View:
    """Put it outermost on a list that is searched. The search comes by POST, which no address shows (or in an address
    that somebody wrote, as ``?q=``), and is answered by the way to the list with the words sealed.
    """
    permission = view.required_permission  # type: ignore[attr-defined]

    @functools.wraps(view)
    def searched(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST" and WORDS not in request.GET:
            return view(request, *args, **kwargs)
        if not may(request.user, *permission):
            raise PermissionDenied("Your role does not open this page.")
        query = sealed_query(request.POST if request.method == "POST" else request.GET)
        address = f"{request.path}?{query.urlencode()}" if query else request.path
        return HttpResponseRedirect(address, status=SEE_OTHER)

    return searched


def paged(rows: QuerySet[Any], request: HttpRequest) -> Listing:
    paginator = Paginator(rows, PER_PAGE)
    page = paginator.get_page(request.GET.get("page"))
    return Listing(page=page, pages=list(paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)))
