"""Does a file show the patient whose record it is uploaded to?

A wrong patient is the worst mistake of an upload, and most differences in spelling are none: DICOM writes SILVA^ANA,
the record Ana da Silva; one system writes Müller, another MUELLER. Forms of one name agree, different names do not.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import date

from diagnosis.received import Difference, Received

# Letters that Unicode does not take apart into a letter and an accent.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ß": "ss"})
# The spelling for typewriters and old DICOM character sets; Müller is MULLER on one scanner and MUELLER on another.
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae"})
# Particles and titles that one system keeps in the family name and another drops.
_PARTICLES = frozenset(
    ["da", "das", "de", "del", "der", "di", "do", "dos", "e", "la", "le", "van", "von", "y", "dr", "mrs", "ms"]
)

_MODALITY_OF_FILE = {"US": "US", "MG": "MG", "CESM": "MG"}  # contrast-enhanced mammograms are stored as MG
_SIDES = {"L": "left", "R": "right"}
_SEXES = {"M": "male", "F": "female", "O": "other"}


def compare_identity(
    received: Received,
    *,
    mrn: str,
    given_name: str,
    family_name: str,
    birth_date: date | str | None,
    sex: str,
    modality: str,
    laterality: str,
) -> tuple[Difference, ...]:
    """What the file says against what the record says. Only what both state is compared; a PNG states nothing.

    `sex` may be a DICOM code or a word; `modality` 'US', 'MG' or 'CESM'; `laterality` 'L', 'R', a word, or anything
    else for both breasts, which agrees with either.
    """
    differences: list[Difference] = []

    def compare(field: str, what: str, in_file: str, on_record: str, same: Callable[[str, str], bool]) -> None:
        if in_file and on_record and not same(in_file, on_record):
            sentence = f"The file says the {what} is “{in_file}”; the record says “{on_record}”."
            differences.append(Difference(field=field, in_file=in_file, on_record=on_record, sentence=sentence))

    identity = received.identity
    if identity is not None:
        compare("mrn", "patient number", identity.patient_id, mrn, _same_number)
        whole_in_file = f"{identity.given_name} {identity.family_name}".strip()
        whole_on_record = f"{given_name} {family_name}".strip()
        if not _same_person(whole_in_file, whole_on_record):
            if identity.given_name:
                compare("family_name", "family name", identity.family_name, family_name, _same_name)
                compare("given_name", "given name", identity.given_name, given_name, _same_given_name)
            else:
                # Without a ^ the file holds the whole name in one component.
                compare("family_name", "name", identity.family_name, whole_on_record, _same_person)
        born = identity.birth_date.isoformat() if identity.birth_date else ""
        compare("birth_date", "date of birth", born, _iso(birth_date), str.__eq__)
        compare("sex", "sex", _SEXES.get(identity.sex, ""), _SEXES.get(sex.strip().upper()[:1], ""), str.__eq__)
    recorded_modality = modality.strip().upper()
    compare("modality", "modality", received.modality, recorded_modality, lambda a, b: a == _MODALITY_OF_FILE.get(b, b))
    side = _SIDES.get(laterality.strip().upper()[:1], "")
    compare("laterality", "breast", _SIDES.get(received.laterality, ""), side, str.__eq__)
    return tuple(differences)


def _iso(day: date | str | None) -> str:
    return "" if day is None else day.isoformat() if isinstance(day, date) else day.strip()


def _same_number(one: str, other: str) -> bool:
    """Patient numbers agree without regard to case, spaces and punctuation; leading zeros count."""
    return re.sub(r"[\W_]", "", one).casefold() == re.sub(r"[\W_]", "", other).casefold()


def _same_person(one: str, other: str) -> bool:
    """The same names in whatever order."""
    return any(sorted(a) == sorted(b) for a in _spellings(one) for b in _spellings(other))


def _same_name(one: str, other: str) -> bool:
    return any("".join(a) == "".join(b) for a in _spellings(one) for b in _spellings(other))


def _same_given_name(one: str, other: str) -> bool:
    """Equal, or one of them leaves out or abbreviates what follows the first name: Ana Maria, Ana M., Ana."""
    return _same_name(one, other) or any(
        bool(a and b) and a[0] == b[0] and all(_abbreviates(x, y) for x, y in zip(a, b, strict=False))
        for a in _spellings(one)
        for b in _spellings(other)
    )


def _abbreviates(one: str, other: str) -> bool:
    return one == other or (one[0] == other[0] and 1 in (len(one), len(other)))


def _spellings(name: str) -> list[list[str]]:
    """The name's words in lower case without accents: with umlauts dropped, and with umlauts spelt out."""
    lower = unicodedata.normalize("NFC", name.replace("^", " ").replace("'", "").replace("’", "")).lower()
    spellings = []
    for table in ({}, _SPELT_OUT):
        plain = unicodedata.normalize("NFKD", lower.translate(table).translate(_PLAIN))
        words = re.findall(r"\w+", "".join(c for c in plain if not unicodedata.combining(c)))
        spellings.append([word for word in words if word not in _PARTICLES] or words)
    return spellings
