"""The layout of this project's own copies: ``labels.csv`` with a fold column beside the images.

``labels.csv`` names image, label, fold and optionally mask, a column of the group that must not be split (one of
:data:`GROUP_COLUMNS`), and attributes. A ``abnormalities.csv`` beside it (mini-MIAS) locates findings by circles.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from ml.data.records import Abnormality, DataError, ImageRecord, raise_or_note
from ml.data.tables import Row, read_labels, read_table

GROUP_COLUMNS = ("leak_group", "patient", "patient_pair")
"""Columns that may hold the leak group, the first that has a value counts."""

ABSENT = ("", "_", "nan")
"""How the published tables write that a cell is not known."""

_OWN_COLUMNS = {"image", "mask", "label", "fold", "leak_group"}

_SAME_PATIENTS = {"cdd-cesm-low-energy": "cdd-cesm"}
"""Collections made from the patients of another one."""

_VIEW_OF_SET = {"mini-mias": "MLO"}
"""Every film of MIAS is a medio-lateral oblique view (Suckling et al. 1994)."""


def read_shared(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Read one folder.

    Args:
        folder: holds ``labels.csv``.
        faults: receives the faults of single rows, which are then left out; by default the first fault is raised.

    Returns:
        records in the file's order; the source is the folder's name. An image without a group is its own group.

    Raises:
        DataError: the file, a column, a label, a fold, an image or a mask is missing or wrong; see
            :func:`ml.data.tables.read_labels`.
    """
    folder = Path(folder)
    source = Path(os.path.abspath(folder)).name
    findings = _abnormalities(folder / "abnormalities.csv")
    return [
        ImageRecord(
            source=source,
            path=folder / row["image"],
            label=row["label"],
            group=next((row.get(name) for name in GROUP_COLUMNS if row.get(name)), Path(row["image"]).stem),
            fold=int(row["fold"]),
            mask=_mask(row, folder, faults),
            attributes={
                name: value for name, value in row.values.items() if name not in _OWN_COLUMNS and value not in ABSENT
            },
            abnormalities=findings.get(row.get("id") or Path(row["image"]).stem, ()),
            patient=row.get("patient") or row.get("patient_pair"),
            laterality=laterality(row.get("side")),
            view=row.get("view").upper() or _VIEW_OF_SET.get(source, ""),
            cohort=_SAME_PATIENTS.get(source, ""),
        )
        for row in read_labels(folder / "labels.csv", root=folder, folds=True, faults=faults)
    ]


def laterality(text: str) -> str:
    """``L`` or ``R`` from however a table writes the side; empty where it does not say."""
    first = text.strip()[:1].upper()
    return first if first in ("L", "R") else ""


def _mask(row: Row, folder: Path, faults: list[DataError] | None) -> Path | None:
    if not row.get("mask"):
        return None
    mask = folder / row["mask"]
    if mask.is_file():
        return mask
    error = row.error("missing_mask", f"{mask} does not exist.", remedy="Restore the file or empty the cell.")
    raise_or_note(error, faults)
    return None


def _abnormalities(table: Path) -> Mapping[str, tuple[Abnormality, ...]]:
    """Findings by image id; an image named as normal has none."""
    found: dict[str, list[Abnormality]] = defaultdict(list)
    if table.is_file():
        for row in read_table(table, required=("id", "abnormality", "severity", "x", "y_from_top", "radius")):
            if row["severity"] not in ("benign", "malignant"):
                continue
            located = all(row[name] for name in ("x", "y_from_top", "radius"))
            found[row["id"]].append(
                Abnormality(
                    kind=row["abnormality"],
                    label=row["severity"],
                    row=number(row, "y_from_top") if located else None,
                    column=number(row, "x") if located else None,
                    radius=number(row, "radius") if located else None,
                )
            )
    return {name: tuple(each) for name, each in found.items()}


def number(row: Row, column: str) -> float:
    """The cell as a number.

    Raises:
        DataError: ``bad_number``.
    """
    try:
        return float(row[column])
    except ValueError as error:
        raise row.error(
            "bad_number", f"{column} {row[column]!r} is not a number.", remedy="Correct the cell."
        ) from error
