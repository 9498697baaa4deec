"""mini-MIAS in its publisher's layout.

Suckling J, Parker J, Dance DR, et al. The Mammographic Image Analysis Society digital mammogram database. Excerpta
Medica, International Congress Series 1069:375-378 (1994). ``all-mias.tar.gz`` holds ``Info.txt`` (the list that its
README explains) and 322 films ``mdb001.pgm`` of 1024 x 1024 pixels. The README says: even numbers are left and odd
ones right films, two a patient; column 5 and 6 are x and y of the centre with the **origin at the bottom left**;
column 7 is the radius; where calcifications are spread widely the place is left out. A film may have several lines.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from ml.data.collections import COLLECTIONS
from ml.data.readers.folders import find_top, not_this_layout
from ml.data.records import Abnormality, DataError, ImageRecord, assign_folds, raise_or_note, worst_label

SIDE = 1024
"""Every film is centred on a square of this side, pixels."""

_LINE = re.compile(
    r"^(?P<film>mdb(?P<number>\d{3}))\s+(?P<tissue>[FGD])\s+(?P<kind>CALC|CIRC|SPIC|MISC|ARCH|ASYM|NORM)"
    r"(?:\s+(?P<severity>[BM]))?(?:\s+(?P<x>\d+)\s+(?P<y>\d+)\s+(?P<radius>\d+))?(?P<rest>.*)$"
)
_SEVERITY = {"B": "benign", "M": "malignant"}


def locate(folder: Path) -> Path | None:
    """The folder that holds ``Info.txt`` and the films."""
    return find_top(folder, lambda each: (each / "Info.txt").is_file() and any(each.glob("mdb*.pgm")))


def read_mini_mias(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Read mini-MIAS. The two films of a patient stay together; a film's label is that of its worst finding.

    Raises:
        DataError: ``unknown_layout``, ``bad_line`` (a line about a film that cannot be understood), ``missing_file``.
    """
    top = locate(folder)
    if top is None:
        raise not_this_layout(folder, title="mini-MIAS", expected=COLLECTIONS["mini-mias"].unpacked)
    findings: dict[str, list[Abnormality]] = defaultdict(list)
    tissues: dict[str, str] = {}
    table = top / "Info.txt"
    for number, line in enumerate(table.read_text(encoding="latin-1").splitlines(), start=1):
        # Everything else in the file is prose.
        if not re.match(r"^mdb\d", line):
            continue
        match = _LINE.match(line.strip())
        path = top / f"{line.split()[0]}.pgm"
        if match is None or (match["kind"] != "NORM") != bool(match["severity"]):
            error = DataError(
                f"{line.strip()!r} is not a film's entry.",
                code="bad_line",
                path=table,
                line=number,
                remedy="Restore Info.txt from the archive.",
            )
            raise_or_note(error, faults)
        elif not path.is_file():
            error = DataError(
                f"{path} does not exist.",
                code="missing_file",
                path=table,
                line=number,
                remedy="Unpack the archive again.",
            )
            raise_or_note(error, faults)
        else:
            tissues[match["film"]] = match["tissue"]
            findings[match["film"]] += _finding(match)
    labels = {film: worst_label([each.label for each in findings[film]] or ["normal"]) for film in tissues}
    pairs: dict[str, list[str]] = defaultdict(list)
    for film, label in labels.items():
        pairs[_pair(film)].append(label)
    folds = assign_folds({pair: worst_label(each) for pair, each in pairs.items()})
    return [
        ImageRecord(
            source="mini-mias",
            path=top / f"{film}.pgm",
            label=labels[film],
            group=_pair(film),
            fold=folds[_pair(film)],
            attributes={
                "id": film,
                "patient_pair": _pair(film),
                "side": "left" if int(film[3:]) % 2 == 0 else "right",
                "tissue": tissue,
                "abnormalities": "+".join(sorted({each.kind for each in findings[film]})) or "NORM",
            },
            abnormalities=tuple(findings[film]),
            patient=_pair(film),
            laterality="L" if int(film[3:]) % 2 == 0 else "R",
            view="MLO",
        )
        for film, tissue in sorted(tissues.items())
    ]


def _pair(film: str) -> str:
    return str((int(film[3:]) + 1) // 2)


def _finding(match: re.Match[str]) -> list[Abnormality]:
    if match["kind"] == "NORM":
        return []
    label = _SEVERITY[match["severity"]]
    if match["x"] is None:
        return [Abnormality(kind=match["kind"], label=label)]
    return [
        Abnormality(
            kind=match["kind"],
            label=label,
            row=float(SIDE - 1 - int(match["y"])),
            column=float(match["x"]),
            radius=float(match["radius"]),
        )
    ]
