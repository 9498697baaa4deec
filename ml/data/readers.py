"""Readers of breast-ultrasound collections, one per layout.

BUSI: Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 28:104863 (2020).
BUS-BRA: Gomez-Flores et al., "BUS-BRA: A breast ultrasound dataset for assessing computer-aided diagnosis systems",
Medical Physics 51(4):3110 (2024).
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ml.contract import LABELS
from ml.data.records import DataError, ImageRecord, assign_folds, require_leak_safe
from ml.images import Letterbox, read_image, to_grey

LAYOUTS = ("shared", "published")

_BUSI_IMAGE = re.compile(r"^(benign|malignant|normal) \((\d+)\)\.png$")


def read_collections(folders: Iterable[Path], *, layout: str = "shared") -> list[ImageRecord]:
    """Read several collections and refuse a set that would leak.

    Args:
        folders: one folder per collection.
        layout: ``shared`` (``labels.csv`` with a fold column) or ``published`` (as the publisher distributes it).

    Raises:
        DataError: see :func:`read_shared`, :func:`read_published` and :func:`ml.data.records.require_leak_safe`.
    """
    reader: Callable[[Path], list[ImageRecord]]
    if layout == "shared":
        reader = read_shared
    elif layout == "published":
        reader = read_published
    else:
        raise DataError(f"Unknown layout {layout!r}. Use one of: {', '.join(LAYOUTS)}.")
    records = [record for folder in folders for record in reader(Path(folder))]
    require_leak_safe(records)
    return records


def read_shared(folder: Path) -> list[ImageRecord]:
    """Read ``labels.csv`` (columns image, label, fold and optionally mask, leak_group or patient, others).

    Returns:
        records in the file's order; the source is the folder's name. An image without a group is its own group.

    Raises:
        DataError: the file, a column, a label, a fold or an image is missing or wrong.
    """
    table = folder / "labels.csv"
    if not table.is_file():
        raise DataError(f"{table} does not exist. Point --data at a folder that holds labels.csv.")
    records = []
    with table.open(newline="", encoding="utf-8") as handle:
        rows = csv.DictReader(handle)
        missing = {"image", "label", "fold"} - set(rows.fieldnames or ())
        if missing:
            raise DataError(f"{table} lacks the column {', '.join(sorted(missing))}.")
        for number, row in enumerate(rows, start=2):
            if row["label"] not in LABELS:
                raise DataError(f"{table}, line {number}: label {row['label']!r} is not one of {', '.join(LABELS)}.")
            if not row["fold"].isdigit():
                raise DataError(f"{table}, line {number}: fold {row['fold']!r} is not a number.")
            path = folder / row["image"]
            if not path.is_file():
                raise DataError(f"{table}, line {number}: {path} does not exist.")
            mask = folder / row["mask"] if row.get("mask") else None
            known = {"image", "mask", "label", "fold", "leak_group", "patient"}
            records.append(
                ImageRecord(
                    source=folder.name,
                    path=path,
                    label=row["label"],
                    group=row.get("leak_group") or row.get("patient") or path.stem,
                    fold=int(row["fold"]),
                    mask=mask if mask is not None and mask.is_file() else None,
                    attributes={name: value for name, value in row.items() if name not in known and value},
                )
            )
    return records


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
