"""Which characters a report can print, and the embedded TrueType faces that print them.

ReportLab embeds TrueType outlines and shapes nothing. So a character is printable when a face has its glyph *and* its
script needs no shaping; every other character becomes :data:`MARK`, which a reader sees and cannot take for a letter.

The faces come from packages below ``node_modules`` and are registered once in a process: the two Latin, Greek and
Cyrillic ones always, those of East Asia (2 to 11 MB each) with the first text that needs them.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont as FontFile
from reportlab.lib.fonts import addMapping
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from xhtml2pdf.default import DEFAULT_FONT

MARK = "\N{REPLACEMENT CHARACTER}"
"""Printed in place of a character that no face can print."""

_DROPPED = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff")
"""Characters that are invisible everywhere, so leaving them out changes nothing that a reader sees."""

_UNSHAPED_RANGES = (
    (0x0020, 0x052F),
    (0x1C80, 0x1C8F),
    (0x1D00, 0x2BFF),
    (0x2C60, 0x2E7F),
    (0xA640, 0xA7FF),
    (0xFFFD, 0xFFFD),
)
"""Blocks of Latin, Greek, Cyrillic, punctuation and symbols. Noto Sans has Devanagari too, which needs shaping."""

_EAST_ASIAN_RANGES = ((0x2E80, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x323AF))
"""Kana, Han, composed Hangul and full-width forms: one character is one glyph."""


@dataclass(frozen=True, slots=True)
class Family:
    """A font family: its name in the style sheet and its files below ``node_modules``."""

    name: str
    regular: str
    bold: str
    ranges: tuple[tuple[int, int], ...]


_PACKAGES = "@expo-google-fonts"
SANS = Family(
    "report-sans",
    f"{_PACKAGES}/noto-sans/400Regular/NotoSans_400Regular.ttf",
    f"{_PACKAGES}/noto-sans/600SemiBold/NotoSans_600SemiBold.ttf",
    _UNSHAPED_RANGES,
)
# One weight only for East Asia: a second one would cost the worker as much memory again for a few bold names.
JAPANESE = Family(
    "report-japanese",
    f"{_PACKAGES}/biz-udpgothic/400Regular/BIZUDPGothic_400Regular.ttf",
    "",
    _EAST_ASIAN_RANGES,
)
KOREAN = Family(
    "report-korean", f"{_PACKAGES}/nanum-gothic/400Regular/NanumGothic_400Regular.ttf", "", _EAST_ASIAN_RANGES
)
CHINESE = Family(
    "report-chinese", f"{_PACKAGES}/noto-sans-sc/400Regular/NotoSansSC_400Regular.ttf", "", _EAST_ASIAN_RANGES
)


class FontMissing(Exception):
    """The face that every report needs is not installed; the message says what to run."""


class Typesetter:
    """Answers, for one ``node_modules`` folder, what can be printed and with which families."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / SANS.regular).is_file() or not (folder / SANS.bold).is_file():
            raise FontMissing(f"The fonts of the report are not installed below {folder}. Run: npm ci")

    def families_for(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Return the style-sheet names of the families that print ``texts``, first choice first, and register them.

        Japanese or Chinese is chosen once for the whole report: a name with characters of two designs looks like an
        error. Characters that stay unprintable need no family; :meth:`printable` marks them.
        """
        characters = {character for text in texts for character in unicodedata.normalize("NFC", text)}
        rest = {character for character in characters if ord(character) > 0x2000} - self._coverage(SANS)
        chosen = [SANS]
        if not rest:
            self._register(SANS)
            return (SANS.name,)
        if rest & self._coverage(KOREAN):
            chosen.append(KOREAN)
            rest -= self._coverage(KOREAN)
        reachable = rest & (self._coverage(JAPANESE) | self._coverage(CHINESE))
        if reachable and reachable <= self._coverage(JAPANESE):
            chosen.append(JAPANESE)
        elif reachable:
            chosen += [CHINESE, JAPANESE]
        for family in chosen:
            self._register(family)
        return tuple(family.name for family in chosen)

    def printable(self, text: str) -> str:
        """Return ``text`` in composed form with :data:`MARK` for each character that cannot be printed.

        Line feeds are kept and tabs become spaces; invisible characters are left out.
        """
        kept = []
        for character in unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\t", " ")):
            if character == "\n" or self._covers(character):
                kept.append(character)
            elif character not in _DROPPED:
                kept.append(MARK)
        return "".join(kept)

    def _covers(self, character: str) -> bool:
        if unicodedata.category(character).startswith("C"):
            # Control, direction and private characters may have a glyph; printed, they would mislead or be empty.
            return False
        if character in self._coverage(SANS):
            return True
        if ord(character) < _EAST_ASIAN_RANGES[0][0]:
            return False
        return any(character in self._coverage(family) for family in (JAPANESE, KOREAN, CHINESE))

    def _coverage(self, family: Family) -> frozenset[str]:
        return _coverage(self._folder / family.regular, family.ranges)

    def _register(self, family: Family) -> None:
        if family.name in DEFAULT_FONT:
            return
        regular, bold = family.name, family.name
        pdfmetrics.registerFont(TTFont(regular, str(self._folder / family.regular)))
        if family.bold:
            bold = f"{family.name}-bold"
            pdfmetrics.registerFont(TTFont(bold, str(self._folder / family.bold)))
        for italic in (0, 1):
            addMapping(family.name, 0, italic, regular)
            addMapping(family.name, 1, italic, bold)
        # The renderer reads a family named here from ReportLab's registry. Declared by @font-face instead, every report
        # would read and hash the files again, and its policy would have to allow reading them.
        DEFAULT_FONT[family.name] = family.name


@functools.cache
def _coverage(file: Path, ranges: tuple[tuple[int, int], ...]) -> frozenset[str]:
    """Return the characters of ``ranges`` that the face in ``file`` draws; none where the file is not installed."""
    if not file.is_file():
        return frozenset()
    with FontFile(file, lazy=True) as face:
        return frozenset(
            chr(code) for code in face.getBestCmap() if any(first <= code <= last for first, last in ranges)
        )


@functools.cache
def typesetter(folder: Path) -> Typesetter:
    """Return the typesetter of ``folder``, made at the first call.

    Raises:
        FontMissing: when the packages of the fonts are not installed there.
    """
    return Typesetter(folder)
