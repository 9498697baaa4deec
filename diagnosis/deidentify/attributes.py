"""DICOM attributes of an image without anything that names a person.

PS3.15 annex E, Basic Application Level Confidentiality Profile, with the options Clean Pixel Data and Retain
Longitudinal Temporal Information with Modified Dates. The actions of table E.1-1 (edition 2026c) come as data from the
library ``dicom-anonymizer``. Its engine is not used: it does not descend into sequences that are kept, and its UIDs are
random for each process. What the table does not name is kept only where it cannot hold text (:data:`KEPT_VRS`).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from diagnosis.deidentify.pseudonyms import Pseudonyms

REMOVE, EMPTY, DUMMY, UID, CLEAN = "X", "Z", "D", "U", "C"

# Where the table leaves a choice by the type of the attribute, the stricter one that keeps a valid object is taken.
_GROUPS = {
    "X_TAGS": REMOVE,
    "Z_TAGS": EMPTY,
    "X_Z_TAGS": EMPTY,
    "D_TAGS": DUMMY,
    "Z_D_TAGS": DUMMY,
    "X_D_TAGS": DUMMY,
    "X_Z_D_TAGS": DUMMY,
    "U_TAGS": UID,
    "X_Z_U_STAR_TAGS": CLEAN,
}
ACTIONS: dict[tuple[int, int], str] = {
    tag: action for name, action in _GROUPS.items() for tag in getattr(table, name) if len(tag) == 2
}
"""(group, element) -> what becomes of the attribute."""
RANGES = [tag for name in _GROUPS for tag in getattr(table, name) if len(tag) == 4]
"""(group, element, mask of the group, mask of the element) of repeating groups; all of them are removed."""

SHIFTED = frozenset({"StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"})
"""Days that are moved by the patient's offset; every other date and every time of day goes."""
KEPT_VRS = frozenset({"CS", "DS", "IS", "FD", "FL", "US", "SS", "UL", "SL", "UV", "SV", "AT"})
"""Numbers and code words: kept where table E.1-1 does not name the attribute."""
KEPT_TEXT = frozenset({"Manufacturer", "ManufacturerModelName", "CodeValue", "CodingSchemeDesignator"})
"""Texts that are kept: the make of the scanner, and codes of public coding schemes."""
PUBLIC_SCHEMES = frozenset({"SCT", "SRT", "SNM3", "DCM", "UCUM"})
FORMS = {
    "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
    "DS": re.compile(r"[0-9+\-Ee. ]{0,40}"),
    "IS": re.compile(r"[0-9+\-. ]{0,20}"),
}
"""PS3.5 6.2."""
WHOLE_GROUPS = frozenset({0x5000, 0x6000})
"""Curves and overlays: table E.1-1 removes their data, and the rest would describe what is not there."""
STANDARD_UIDS = "1.2.840.10008."
"""PS3.6 annex A: UIDs below this are names of the standard, not of a person's data."""
PIXEL_ATTRIBUTES = frozenset(
    {"PixelData", "NumberOfFrames", "FrameIncrementPointer", "SmallestImagePixelValue", "LargestImagePixelValue"}
)
METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113101", "Clean Pixel Data Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
"""PS3.16 CID 7050."""


def action_for(tag: BaseTag) -> str | None:
    """What table E.1-1 says, or ``None`` where it does not name the attribute."""
    if tag.is_private or tag.group & 0xFF00 in WHOLE_GROUPS:
        return REMOVE
    if any(
        tag.group & group_mask == group and tag.element & mask == element for group, element, group_mask, mask in RANGES
    ):
        return REMOVE
    return ACTIONS.get((tag.group, tag.element))


def clean(dataset: Dataset, *, pseudonyms: Pseudonyms, patient: Any) -> Dataset:
    """A copy of the attributes without what names somebody; pixels are not copied.

    Args:
        patient: key of the patient, for the offset of the dates.
    """
    cleaned = Dataset()
    for tag in list(dataset.keys()):
        kept = _kept(dataset, tag, pseudonyms=pseudonyms, patient=patient)
        if kept is not None:
            cleaned.add(kept)
    _drop_private_codes(cleaned)
    return cleaned


def _kept(dataset: Dataset, tag: BaseTag, *, pseudonyms: Pseudonyms, patient: Any) -> DataElement | None:
    action = action_for(tag)
    if action == REMOVE:
        return None
    try:
        element = dataset[tag]
    except Exception:  # noqa: BLE001  what the library cannot even read is not handed on
        return None
    vr = element.VR
    if element.keyword in PIXEL_ATTRIBUTES or tag.group == 2 or not _is_as_registered(tag, vr):
        return None
    if vr == "SQ":
        if action in (EMPTY, DUMMY):
            return None
        items = [clean(item, pseudonyms=pseudonyms, patient=patient) for item in element.value]
        return DataElement(tag, "SQ", Sequence([item for item in items if len(item)]))
    if vr == "UI":
        return _with_uids(element, pseudonyms)
    if element.keyword in SHIFTED:
        return DataElement(tag, vr, _shifted(element.value, pseudonyms=pseudonyms, patient=patient))
    if vr in ("DA", "TM", "DT"):
        return DataElement(tag, vr, "") if action == EMPTY else None
    if action == EMPTY:
        return DataElement(tag, vr, None)
    if action in (DUMMY, UID, CLEAN):
        return None
    if element.keyword in KEPT_TEXT or (vr in KEPT_VRS and _has_the_form(element)):
        return element
    return None


def _is_as_registered(tag: BaseTag, vr: str) -> bool:
    """Whether PS3.6 knows the attribute, and as one of this representation: text may come under any other."""
    try:
        return vr in dictionary_VR(tag).split(" or ")
    except KeyError:
        return False


def _has_the_form(element: DataElement) -> bool:
    """Whether code words and numbers written as text are what they say; damaged files hold anything there."""
    form = FORMS.get(element.VR)
    if form is None or element.value is None:
        return True
    values = element.value if element.VM > 1 else [element.value]
    return all(form.fullmatch(str(value).strip()) for value in values)


def _with_uids(element: DataElement, pseudonyms: Pseudonyms) -> DataElement:
    values = element.value if element.VM > 1 else [element.value]
    changed = [
        str(value) if str(value).startswith(STANDARD_UIDS) else pseudonyms.uid(str(value)) for value in values if value
    ]
    return DataElement(element.tag, "UI", changed if len(changed) > 1 else "".join(changed))


def _shifted(value: Any, *, pseudonyms: Pseudonyms, patient: Any) -> str:
    text = str(value or "").replace(".", "")
    try:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:8]))
        return pseudonyms.shifted(day, patient=patient).strftime("%Y%m%d")
    except (ValueError, OverflowError):
        return ""


def _drop_private_codes(dataset: Dataset) -> None:
    """A code of the hospital's own scheme says where it comes from."""
    if "CodingSchemeDesignator" in dataset and dataset.CodingSchemeDesignator not in PUBLIC_SCHEMES:
        for keyword in ("CodeValue", "CodingSchemeDesignator"):
            if keyword in dataset:
                del dataset[keyword]


def method_codes() -> Sequence:
    """De-identification Method Code Sequence (0012,0064)."""
    items = []
    for value, meaning in METHODS:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
        items.append(item)
    return Sequence(items)
