"""BUSI in its publisher's layout.

Al-Dhabyani W, Gomaa M, Khaled H, Fahmy A. Dataset of breast ultrasound images. Data in Brief 28:104863 (2020).
``Dataset_BUSI.zip`` unpacks to ``Dataset_BUSI_with_GT/`` with one folder for each label, ``<label> (n).png`` beside
``<label> (n)_mask.png``; images with more lesions have ``_mask_1.png`` and so on (table 2 of the article; the archive).
"""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from ml.contract import LABELS
from ml.data.collections import COLLECTIONS
from ml.data.duplicates import ULTRASOUND, find_pairs, fingerprints, regrouped
from ml.data.readers.folders import find_top, not_this_layout
from ml.data.records import DataError, ImageRecord, raise_or_note

_IMAGE = re.compile(r"^(benign|malignant|normal) \((\d+)\)\.png$")


def locate(folder: Path) -> Path | None:
    """The folder that holds benign, malignant and normal."""
    return find_top(folder, lambda each: all((each / label).is_dir() for label in LABELS))


def read_busi(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Read BUSI.

    BUSI repeats frames and names no patients, so copies (see :mod:`ml.data.duplicates`) are grouped; a group with
    conflicting labels is left out, since nobody knows which is right. Folds are dealt to the groups that remain.

    Args:
        folder: the unpacked archive.
        faults: receives unreadable images and, with the code ``left_out``, what was left out; by default an
            unreadable image is raised and conflicts are left out silently.

    Raises:
        DataError: ``unknown_layout``, ``unreadable_image``.
    """
    top = locate(folder)
    if top is None:
        raise not_this_layout(folder, title="BUSI", expected=COLLECTIONS["busi"].unpacked)
    records = [
        ImageRecord(
            source="busi",
            path=path,
            label=label,
            group=path.stem,
            fold=0,
            mask=_mask(path),
            more_masks=_more_masks(path),
        )
        for label in LABELS
        for path in sorted((top / label).glob("*.png"))
        if _IMAGE.match(path.name)
    ]
    prints, unreadable = fingerprints([record.path for record in records])
    for sentence in unreadable:
        raise_or_note(DataError(sentence, code="unreadable_image", remedy="Unpack the archive again."), faults)
    readable = [record for record, each in zip(records, prints, strict=True) if each is not None]
    pairs = find_pairs([each for each in prints if each is not None], near=ULTRASOUND)
    labels: dict[str, set[str]] = defaultdict(set)
    tied = regrouped(readable, pairs)
    for record in tied:
        labels[record.group].add(record.label)
    clean = [record for record in tied if len(labels[record.group]) == 1]
    if faults is not None:
        faults += [
            DataError(
                f"{record.path}: {record.label}, but a copy of the same frame has another label.",
                code="left_out",
                remedy="The image is not used.",
            )
            for record in tied
            if len(labels[record.group]) > 1
        ]
    # Folds are dealt again, so that what was left out leaves no hole.
    return [replace(record, cohort="") for record in regrouped(clean, ())]


def _mask(path: Path) -> Path | None:
    mask = path.with_name(f"{path.stem}_mask.png")
    return mask if mask.is_file() else None


def _more_masks(path: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent.glob(f"{glob.escape(path.stem)}_mask_*.png")))
