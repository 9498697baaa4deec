"""Readers of the publishers' layouts."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path

import numpy as np

from ml.contract import LABELS
from ml.data.records import DataError, ImageRecord, assign_folds
from ml.images import Letterbox, read_image, to_grey

_BUSI_IMAGE = re.compile(r"^(benign|malignant|normal) \((\d+)\)\.png$")

def read_published(folder: Path) -> list[ImageRecord]:
    """Read BUSI (folders benign, malignant, normal) or BUS-BRA (``bus_data.csv``) as their publishers lay them out.

    Raises:
        DataError: the folder is neither.
    """
    if (folder / "bus_data.csv").is_file():
        return read_busbra_published(folder)
    if all((folder / label).is_dir() for label in LABELS):
        return read_busi_published(folder)
    raise DataError(
        f"{folder} is neither BUSI (folders benign, malignant, normal) nor BUS-BRA (bus_data.csv). "
        "Unpack the publisher's archive and point --data at its top folder."
    )


def read_busi_published(folder: Path) -> list[ImageRecord]:
    """Read BUSI: ``<label>/<label> (n).png`` with ``<label> (n)_mask.png``.

    BUSI repeats frames and names no patients, so near-identical frames are grouped by a 64-bit average hash
    (Hamming distance at most 4); groups with conflicting labels are left out. Folds are dealt to groups.
    """
    found: list[tuple[Path, str, int]] = []
    for label in LABELS:
        for path in sorted((folder / label).glob("*.png")):
            if _BUSI_IMAGE.match(path.name):
                found.append((path, label, _average_hash(path)))
    group_of = _near_duplicates([fingerprint for _, _, fingerprint in found])
    labels_of: dict[int, set[str]] = {}
    for (_, label, _), group in zip(found, group_of, strict=True):
        labels_of.setdefault(group, set()).add(label)
    clean = {str(group): next(iter(labels)) for group, labels in labels_of.items() if len(labels) == 1}
    folds = assign_folds(clean)
    records = []
    for (path, label, _), group in zip(found, group_of, strict=True):
        if str(group) in clean:
            mask = path.with_name(f"{path.stem}_mask.png")
            records.append(
                ImageRecord(
                    source="busi",
                    path=path,
                    label=label,
                    group=str(group),
                    fold=folds[str(group)],
                    mask=mask if mask.is_file() else None,
                )
            )
    return records


def read_busbra_published(folder: Path) -> list[ImageRecord]:
    """Read BUS-BRA: ``bus_data.csv`` (ID, Case, Pathology, BIRADS, Device), ``Images/``, ``Masks/mask_*.png``.

    Images of one case (patient) stay together.
    """
    table = folder / "bus_data.csv"
    with table.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    needed = {"ID", "Case", "Pathology"}
    if not rows or needed - set(rows[0]):
        raise DataError(f"{table} lacks the columns {', '.join(sorted(needed))}.")
    label_of: dict[str, str] = {}
    for row in rows:
        label = row["Pathology"].strip().lower()
        if label not in LABELS:
            raise DataError(f"{table}: pathology {row['Pathology']!r} of {row['ID']} is none of {', '.join(LABELS)}.")
        # A patient with one malignant lesion counts as malignant when patients are dealt to folds.
        label_of[row["Case"]] = "malignant" if "malignant" in (label, label_of.get(row["Case"])) else label
    folds = assign_folds(label_of)
    records = []
    for row in rows:
        path = folder / "Images" / f"{row['ID']}.png"
        if not path.is_file():
            raise DataError(f"{path} is named in {table.name} but does not exist.")
        mask = folder / "Masks" / f"mask_{row['ID'].removeprefix('bus_')}.png"
        records.append(
            ImageRecord(
                source="busbra",
                path=path,
                label=row["Pathology"].strip().lower(),
                group=row["Case"],
                fold=folds[row["Case"]],
                mask=mask if mask.is_file() else None,
                attributes={
                    name: row[column]
                    for name, column in (("birads", "BIRADS"), ("device", "Device"), ("histology", "Histology"))
                    if row.get(column)
                },
            )
        )
    return records


def _average_hash(path: Path) -> int:
    grey = to_grey(read_image(path))
    small = Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=8).place(grey).ravel()
    bits = np.packbits(small > np.median(small)).tobytes()
    return int.from_bytes(bits, "big")


def _near_duplicates(fingerprints: list[int], *, distance: int = 4) -> list[int]:
    """Group number of each fingerprint; single linkage over pairs within ``distance`` differing bits."""
    parent = list(range(len(fingerprints)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for first in range(len(fingerprints)):
        for second in range(first):
            if (fingerprints[first] ^ fingerprints[second]).bit_count() <= distance:
                parent[root(first)] = root(second)
    return [root(item) for item in range(len(fingerprints))]


def file_digest(path: Path) -> str:
    """SHA-256 of a file, lower-case hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
