"""Tables of comma-separated values as people really hand them over, each fault named with its file and line.

Excel writes a byte-order mark and CR LF, some regions separate by semicolons, and rows are edited by hand. What is
harmless is read; what could change a label or a fold is refused.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ml.contract import LABELS
from ml.data.records import FOLDS, DataError, raise_or_note

_ENCODING_REMEDY = "Save the table as CSV UTF-8."


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        path: the table.
        line: the line on which the row ends, the header being line 1.
        values: cell of each column, without surrounding white space; columns by their stripped names.
    """

    path: Path
    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    def get(self, column: str) -> str:
        """The cell, or an empty string where the table has no such column."""
        return self.values.get(column, "")

    def error(self, code: str, message: str, *, remedy: str) -> DataError:
        """An error that names this row's file and line."""
        return DataError(message, code=code, path=self.path, line=self.line, remedy=remedy)


def read_table(path: Path, *, required: Iterable[str], delimiters: str = ",;") -> list[Row]:
    """Read a table with a header.

    A byte-order mark, CR LF, blank lines and white space round cells are accepted.

    Args:
        path: the file, UTF-8.
        required: columns that must be there, in any order; more may be.
        delimiters: characters that may separate cells; the one that occurs most in the header counts.

    Raises:
        DataError: ``missing_file``, ``unreadable_table``, ``bad_encoding``, ``empty_table`` (no header or no row),
            ``wrong_header``, ``ragged_row`` (more or fewer cells than the header), each with the line and what to do.
    """
    if not path.is_file():
        raise DataError(
            "this table does not exist.",
            code="missing_file",
            path=path,
            remedy="Point --data at the folder that holds it, or restore it from the publisher's archive.",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"this table cannot be opened ({error.strerror}).",
            code="unreadable_table",
            path=path,
            remedy="Give this user the right to read it.",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            "this is not UTF-8 text.", code="bad_encoding", path=path, line=line, remedy=_ENCODING_REMEDY
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(
            "the text holds a zero byte.", code="bad_encoding", path=path, line=line, remedy=_ENCODING_REMEDY
        )
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(delimiters, key=header.count)
    return _rows(path, text, delimiter=delimiter, required=tuple(required))


def _rows(path: Path, text: str, *, delimiter: str, required: tuple[str, ...]) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    rows: list[Row] = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not columns:
                columns = cells
                require_header(path, columns, required, line=reader.line_num)
            elif len(cells) != len(columns):
                raise DataError(
                    f"the row has {len(cells)} cells, the header {len(columns)}.",
                    code="ragged_row",
                    path=path,
                    line=reader.line_num,
                    remedy="Complete the row, and put cells that hold a comma in double quotes.",
                )
            else:
                rows.append(Row(path=path, line=reader.line_num, values=dict(zip(columns, cells, strict=True))))
    except csv.Error as error:
        raise DataError(
            f"the row cannot be read ({error}).",
            code="ragged_row",
            path=path,
            line=reader.line_num,
            remedy="Close every double quote.",
        ) from error
    if not columns:
        raise DataError("the table is empty.", code="empty_table", path=path, remedy="Restore it from the original.")
    if not rows:
        raise DataError(
            "the table has a header but lists no images.",
            code="empty_table",
            path=path,
            remedy="Add one row per image.",
        )
    return rows


def require_header(path: Path, columns: list[str], required: tuple[str, ...], *, line: int) -> None:
    """Refuse a header that lacks a required column or names one twice.

    Raises:
        DataError: ``wrong_header``.
    """
    missing = [name for name in required if name not in columns]
    if missing:
        raise DataError(
            f"the header lacks the column {', '.join(missing)}; it has {', '.join(columns)}.",
            code="wrong_header",
            path=path,
            line=line,
            remedy=f"The first line must name {', '.join(required)}.",
        )
    repeated = sorted({name for name in columns if name and columns.count(name) > 1})
    if repeated:
        raise DataError(
            f"the header names the column {', '.join(repeated)} twice.",
            code="wrong_header",
            path=path,
            line=line,
            remedy="Keep one of the two.",
        )


def read_labels(path: Path, *, root: Path, folds: bool = False, faults: list[DataError] | None = None) -> list[Row]:
    """Read a labels table: ``image,label`` and, with ``folds``, ``fold``; others are kept.

    Args:
        path: the table.
        root: folder that the image names are relative to.
        folds: whether a fold column is required.
        faults: receives the faults of single rows, which are then left out; by default the first fault is raised.

    Returns:
        the rows in the file's order; every label is known, every image exists and occurs once.

    Raises:
        DataError: as :func:`read_table`; ``unknown_label``, ``bad_fold``, ``missing_file``, ``unsafe_path`` (outside
            the folder), ``fold_conflict`` (one image in two folds), ``label_conflict`` (one image with two labels),
            ``duplicate_row``.
    """
    kept: list[Row] = []
    seen: dict[str, Row] = {}
    for row in read_table(path, required=("image", "label", "fold") if folds else ("image", "label")):
        fault = _fault(row, seen, root=root, folds=folds)
        if fault is None:
            kept.append(row)
        else:
            raise_or_note(fault, faults)
    return kept


def _fault(row: Row, seen: dict[str, Row], *, root: Path, folds: bool) -> DataError | None:
    if row["label"] not in LABELS:
        return row.error(
            "unknown_label",
            f"label {row['label']!r} is not one of {', '.join(LABELS)}.",
            remedy="Labels are lower case; correct the cell or remove the row.",
        )
    if folds and not (row["fold"].isascii() and row["fold"].isdigit()):
        return row.error("bad_fold", f"fold {row['fold']!r} is not a number.", remedy="Write 0, 1, 2, 3 or 4.")
    if folds and int(row["fold"]) >= FOLDS:
        return row.error("bad_fold", f"fold {row['fold']} is outside 0-{FOLDS - 1}.", remedy="Correct the cell.")
    earlier = seen.setdefault(row["image"], row)
    if earlier is not row:
        return _repetition(row, earlier, folds=folds)
    image = Path(row["image"])
    if not row["image"] or image.is_absolute() or ".." in image.parts:
        return row.error(
            "unsafe_path",
            f"image {row['image']!r} is not a path inside {root}.",
            remedy="Name images relative to the folder, without '..'.",
        )
    if not (root / image).is_file():
        return row.error(
            "missing_file", f"{root / image} does not exist.", remedy="Restore the file or remove the row."
        )
    return None


def _repetition(row: Row, earlier: Row, *, folds: bool) -> DataError:
    said = f"{row['image']} was already listed in line {earlier.line}"
    if earlier["label"] != row["label"]:
        return row.error(
            "label_conflict",
            f"{said} as {earlier['label']}, here as {row['label']}.",
            remedy="Keep the row that is right, or neither.",
        )
    if folds and earlier["fold"] != row["fold"]:
        return row.error(
            "fold_conflict",
            f"{said} in fold {earlier['fold']}, here in fold {row['fold']}: results would leak.",
            remedy="Keep one of the two rows.",
        )
    return row.error("duplicate_row", f"{said}: image names may not occur twice.", remedy="Remove one of the two rows.")
