"""E-mail addresses: one form to compare them by, and which of them a person would take for each other."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

# Letters of other scripts that are drawn like a Latin one (from Unicode's UTS 39 list: Cyrillic, Greek, Armenian).
_DRAWN_ALIKE = str.maketrans(
    {
        **dict(zip("авеёкмнорстухѕіїјһԁԛԝӏүзґ", "abeekmhopctyxsiijhdqwlv3r", strict=True)),
        **dict(zip("αβεηικνορτυχωγ", "abenikvoptuxwy", strict=True)),
        **dict(zip("օոսցհզ", "onughq", strict=True)),
        **dict(zip("ıłøđħƅɑɡɩʟ", "ilodhbagil", strict=True)),
    }
)


def canonical(address: str) -> str:
    """The form in which addresses are kept and compared: compatibility characters made plain (NFKC), case folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address.strip()).casefold())


def drawn(address: str) -> str:
    """What an address looks like: letters without their marks, look-alikes of other scripts as the Latin letter."""
    plain = unicodedata.normalize("NFKD", canonical(address).translate(_DRAWN_ALIKE))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).translate(_DRAWN_ALIKE)


def look_alike(address: str, among: Iterable[str]) -> str | None:
    """The first of ``among`` that a person would take for ``address`` though it is another, else None."""
    own, looks = canonical(address), drawn(address)
    return next((other for other in among if canonical(other) != own and drawn(other) == looks), None)
