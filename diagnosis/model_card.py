"""A model card as a page: Markdown to HTML, with nothing in it that a card may not hold.

HTML inside a card is shown as text, addresses that could run something are dropped by the library, and pictures are
those of the artefact alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

DEEPEST = 6
OUTSIDE = ("https://", "http://")
"""A card's links to files beside it lead nowhere on the site; those to the world open outside it."""


def rendered(card: str, *, pictures: Mapping[str, str]) -> SafeString:
    """Return a card as HTML.

    Args:
        card: Markdown (CommonMark with tables).
        pictures: file name in the artefact -> address on this site.

    Returns:
        headings begin at ``h3`` and the first, the model's name, is left out: the page has it. Tables stand in boxes
        that scroll by themselves and can be reached by keyboard.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("table_open", _table_open)
    markdown.add_render_rule("table_close", _table_close)
    tokens = _page_headings(markdown.parse(card))
    for token in tokens:
        token.children = _own(token.children, pictures) if token.children else token.children
    # Made of escaped text by the library with HTML off; what is added here is escaped here.
    return mark_safe(markdown.renderer.render(tokens, markdown.options, {}))  # nosec B308, B703


def _page_headings(tokens: Sequence[Token]) -> list[Token]:
    kept: list[Token] = []
    skipping = False
    titled = False
    for token in tokens:
        if token.type == "heading_open" and token.tag == "h1" and not titled:
            skipping = titled = True
        if not skipping:
            if token.type in ("heading_open", "heading_close"):
                token.tag = f"h{min(int(token.tag[1:]) + 1, DEEPEST)}"
            kept.append(token)
        if token.type == "heading_close":
            skipping = False
    return kept


def _own(children: Sequence[Token], pictures: Mapping[str, str]) -> list[Token]:
    kept = []
    links: list[bool] = []
    for token in children:
        if token.type == "image":
            address = pictures.get(str(token.attrGet("src") or ""))
            if address is None:
                token = Token("text", "", 0, content=token.content)
            else:
                token.attrs = {"src": address, "alt": "", "class": "card-plot", "loading": "lazy"}
        elif token.type == "link_open":
            links.append(str(token.attrGet("href") or "").startswith(OUTSIDE))
            if not links[-1]:
                continue
            token.attrSet("rel", "noopener noreferrer")
        elif token.type == "link_close" and not links.pop():
            continue
        kept.append(token)
    return kept


def _table_open(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    # What a table is about stands in its headings; a reader that jumps into it hears them.
    cells = []
    for token in tokens[index:]:
        if token.type == "thead_close":
            break
        if token.type == "inline" and token.content.strip():
            cells.append(token.content)
    name = escape(f"Table: {', '.join(cells)}" if cells else "Table")
    return f'<div class="card-table" tabindex="0" role="region" aria-label="{name}"><table>\n'


def _table_close(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return "</table></div>\n"
