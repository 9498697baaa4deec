"""One sheet of an Excel workbook (.xlsx) as a table: BrEaST and CDD-CESM publish their tables so.

A workbook is a ZIP archive of XML parts (ECMA-376, part 1, chapter 18). Only cell values are read; formulas, styles
and macros are never looked at. Binary workbooks (.xls) are not read.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from ml.data.records import DataError
from ml.data.tables import Row, require_header

MAX_PART_BYTES = 64_000_000
"""Largest part of a workbook that is unpacked: ten times the largest table we know of, harmless to memory."""

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CELL = re.compile(r"^([A-Z]{1,3})\d+$")
_REMEDY = "Fetch the workbook again, or save its sheet as CSV UTF-8 beside it."


def read_sheet(path: Path, *, required: tuple[str, ...], sheet: str = "") -> list[Row]:
    """Read one sheet whose first row is the header.

    Args:
        path: the workbook.
        required: columns that must be there.
        sheet: the sheet's name, upper and lower case alike; the first one where it is empty or absent.

    Returns:
        rows as :func:`ml.data.tables.read_table` gives them; numbers are text without a trailing ``.0``. Rows
        without any value are left out, missing cells are empty.

    Raises:
        DataError: ``missing_file``, ``bad_workbook``, ``empty_table``, ``wrong_header``.
    """
    if not path.is_file():
        raise DataError("this workbook does not exist.", code="missing_file", path=path, remedy="Restore it.")
    try:
        with zipfile.ZipFile(path) as archive:
            lines = _lines(archive, sheet)
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, IndexError, OSError) as error:
        raise DataError("the workbook cannot be read.", code="bad_workbook", path=path, remedy=_REMEDY) from error
    if len(lines) < 2:
        raise DataError("the sheet is empty.", code="empty_table", path=path, remedy=_REMEDY)
    (header_line, header), *rest = lines
    width = max(header) + 1
    columns = [header.get(position, "") for position in range(width)]
    require_header(path, columns, required, line=header_line)
    return [
        Row(path=path, line=line, values={name: cells.get(position, "") for position, name in enumerate(columns)})
        for line, cells in rest
    ]


def _lines(archive: zipfile.ZipFile, sheet: str) -> list[tuple[int, dict[int, str]]]:
    """Row number and cells by column position, of every row that holds a value."""
    shared = []
    if "xl/sharedStrings.xml" in archive.namelist():
        shared = [_text(each) for each in _part(archive, "xl/sharedStrings.xml").iter(f"{_MAIN}si")]
    lines = []
    for number, row in enumerate(_part(archive, _sheet_part(archive, sheet)).iter(f"{_MAIN}row"), start=1):
        cells = {}
        for position, cell in enumerate(row.iter(f"{_MAIN}c")):
            value = _value(cell, shared).strip()
            if value:
                cells[_column(cell.get("r", ""), position)] = value
        if cells:
            lines.append((int(row.get("r", number)), cells))
    return lines


def _sheet_part(archive: zipfile.ZipFile, sheet: str) -> str:
    links = {each.get("Id"): each.get("Target", "") for each in _part(archive, "xl/_rels/workbook.xml.rels")}
    sheets = list(_part(archive, "xl/workbook.xml").iter(f"{_MAIN}sheet"))
    named = [each for each in sheets if each.get("name", "").strip().lower() == sheet.lower()]
    target = links[(named or sheets)[0].get(_LINK)]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _part(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if archive.getinfo(name).file_size > MAX_PART_BYTES:
        raise ValueError(f"{name} is too large")
    content = archive.read(name)
    # A workbook has no document type. Entities, which could expand without end, are declared in one.
    if b"<!DOCTYPE" in content:
        raise ValueError(f"{name} declares a document type")
    return ElementTree.fromstring(content)  # nosec B314: see above


def _value(cell: ElementTree.Element, shared: list[str]) -> str:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return _text(cell)
    stored = cell.find(f"{_MAIN}v")
    if stored is None or stored.text is None:
        return ""
    if kind == "s":
        return shared[int(stored.text)]
    if kind == "n":
        return stored.text.removesuffix(".0")
    return stored.text


def _text(element: ElementTree.Element) -> str:
    return "".join(each.text or "" for each in element.iter(f"{_MAIN}t"))


def _column(reference: str, position: int) -> int:
    """Position of a cell from its reference (``C7`` is 2), or its order where the file gives none."""
    match = _CELL.match(reference)
    if match is None:
        return position
    number = 0
    for letter in match.group(1):
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
