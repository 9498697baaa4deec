"""BUS-BRA in its publisher's layout.

Gómez-Flores W, Gregorio-Calas MJ, Pereira WCA. BUS-BRA: A breast ultrasound dataset for assessing computer-aided
diagnosis systems. Medical Physics 51(4):3110-3123 (2024). ``BUSBRA.zip`` (Zenodo 8231412) holds ``bus_data.csv`` (ID,
Case, Histology, Pathology, BIRADS, Device and more), ``Images/bus_0001-l.png`` and ``Masks/mask_0001-l.png``.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from ml.data.collections import COLLECTIONS
from ml.data.readers.folders import find_top, not_this_layout
from ml.data.readers.shared import laterality
from ml.data.records import DataError, ImageRecord, assign_folds, raise_or_note, worst_label
from ml.data.tables import Row, read_table

_TABLE = "bus_data.csv"
_SAME_PATIENT = {"65": "44", "91": "56", "356": "341"}
"""Cases that are listed twice: the same frames with and without calipers. Found by ``python -m ml data check`` among
1,500 of the images and seen to be so; run it on the whole collection to see whether there are more."""

_ATTRIBUTES = {
    "birads": "BIRADS",
    "device": "Device",
    "histology": "Histology",
    "side": "Side",
    "width": "Width",
    "height": "Height",
}


def locate(folder: Path) -> Path | None:
    """The folder that holds ``bus_data.csv``."""
    return find_top(folder, lambda each: (each / _TABLE).is_file())


def read_busbra(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Read BUS-BRA. Images of one case (patient) stay together.

    Raises:
        DataError: ``unknown_layout``; a fault of the table; ``unknown_label``, ``missing_file`` (unless ``faults``
            receives them).
    """
    top = locate(folder)
    if top is None:
        raise not_this_layout(folder, title="BUS-BRA", expected=COLLECTIONS["busbra"].unpacked)
    kept: list[tuple[Row, Path, str]] = []
    labels: dict[str, list[str]] = defaultdict(list)
    for row in read_table(top / _TABLE, required=("ID", "Case", "Pathology")):
        label = row["Pathology"].lower()
        path = top / "Images" / f"{row['ID']}.png"
        if label not in ("benign", "malignant"):
            error = row.error(
                "unknown_label",
                f"pathology {row['Pathology']!r} of {row['ID']} is neither benign nor malignant.",
                remedy="Restore the table from the archive.",
            )
            raise_or_note(error, faults)
        elif not path.is_file():
            error = row.error("missing_file", f"{path} does not exist.", remedy="Unpack the archive again.")
            raise_or_note(error, faults)
        else:
            kept.append((row, path, label))
            labels[_patient(row)].append(label)
    # A patient with one malignant lesion counts as malignant when patients are dealt to folds.
    folds = assign_folds({case: worst_label(each) for case, each in labels.items()})
    return [
        ImageRecord(
            source="busbra",
            path=path,
            label=label,
            group=_patient(row),
            fold=folds[_patient(row)],
            mask=_mask(top, row["ID"]),
            attributes={name: row.get(column) for name, column in _ATTRIBUTES.items() if row.get(column)},
            patient=_patient(row),
            laterality=laterality(row.get("Side")),
        )
        for row, path, label in kept
    ]


def _patient(row: Row) -> str:
    return _SAME_PATIENT.get(row["Case"], row["Case"])


def _mask(top: Path, identity: str) -> Path | None:
    mask = top / "Masks" / f"mask_{identity.removeprefix('bus_')}.png"
    return mask if mask.is_file() else None
