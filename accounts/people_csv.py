"""Reads a list of people from a CSV file. Pure: no query, nothing written."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from accounts.spreadsheets import FORMULA

COLUMNS = ("email", "given_name", "family_name", "role", "teams")
REQUIRED = ("email", "role")
MOST_BYTES = 1024 * 1024
MOST_PEOPLE = 200
"""One list is imported in one transaction, while its sender waits; on SQLite nobody else writes meanwhile."""
LONGEST_CELL = 1_000
EXAMPLE = (
    "email,given_name,family_name,role,teams\r\n"
    "lena.locum@hospital.example,Lena,Locum,radiologist,Breast clinic; Screening\r\n"
    "tom.technician@hospital.example,Tom,Technician,it_staff,\r\n"
)
"""The file that the page offers for a start."""


class Unreadable(Exception):
    """The file as a whole cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The cells of a file.

    Attributes:
        rows: one dict a person: ``line`` (in the file, from 1) and the cells by column; a missing column is not there.
        encoding: how the bytes were read: ``UTF-8`` or ``Windows-1252``.
    """

    rows: list[dict[str, str]]
    encoding: str


def read(content: bytes) -> Sheet:
    """Read the file.

    Raises:
        Unreadable: for a file that is no such list.
    """
    if len(content) > MOST_BYTES:
        raise Unreadable("The file is larger than 1 MB. A list of people is small; check that it is the right file.")
    text, encoding = _decoded(content)
    lines = _cells(text)
    if not lines:
        raise Unreadable("The file is empty.")
    heading, people = lines[0], lines[1:]
    columns = _columns(heading[1])
    if not people:
        raise Unreadable("The file has a heading and nobody below it.")
    if len(people) > MOST_PEOPLE:
        raise Unreadable(
            f"The file has {len(people):,} rows; {MOST_PEOPLE} people can be imported at a time. "
            "Split it and import the parts one after the other."
        )
    return Sheet(rows=[_row(line, cells, columns) for line, cells in people], encoding=encoding)


def _decoded(content: bytes) -> tuple[str, str]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("The file is in UTF-16. Save it again as “CSV UTF-8”.")
    if b"\0" in content:
        raise Unreadable("This is no CSV file: it holds null bytes. In a spreadsheet choose “Save as”, “CSV UTF-8”.")
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        pass  # what spreadsheets on Windows wrote before they learnt UTF-8
    try:
        return content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError as error:
        raise Unreadable(
            "The letters of the file cannot be read: it is neither UTF-8 nor Windows-1252. Save it as “CSV UTF-8”."
        ) from error


def _cells(text: str) -> list[tuple[int, list[str]]]:
    """Line number in the file and cells of each row that is not empty."""
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found = []
    before = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((before + 1, cells))
            before = reader.line_num
    except csv.Error as error:
        raise Unreadable(
            f"Line {reader.line_num} cannot be read ({error}). A quotation mark that is opened must be closed."
        ) from error
    return found


def _columns(heading: list[str]) -> list[str]:
    names = [_column(cell) for cell in heading]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise Unreadable(
            f"The first line must name the columns ({', '.join(COLUMNS)}); {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing."
        )
    twice = sorted({name for name in names if name in COLUMNS and names.count(name) > 1})
    if twice:
        raise Unreadable(f"The column {twice[0]} is there twice.")
    return names


def _column(cell: str) -> str:
    name = cell.strip().lower().replace(" ", "_").replace("-", "_")
    return "email" if name in ("e_mail", "email_address", "e_mail_address") else name


def _row(line: int, cells: list[str], columns: list[str]) -> dict[str, str]:
    row = {"line": str(line)}
    for place, name in enumerate(columns):
        if name in COLUMNS:
            row[name] = (cells[place] if place < len(cells) else "")[: LONGEST_CELL + 1].strip(" ")
    if any(cell.strip() for cell in cells[len(columns) :]):
        row["surplus"] = "yes"
    return row


def wrong_cells(row: dict[str, str]) -> list[str]:
    """What is wrong with the cells as text, in sentences."""
    found = []
    if row.get("surplus"):
        found.append("There are more cells than columns. A comma within a name needs quotation marks around the name.")
    for name in COLUMNS:
        cell = row.get(name, "")
        if cell.startswith(FORMULA):
            found.append(f"{name} begins like a formula ({cell[0]!r}).")
        if len(cell) > LONGEST_CELL:
            found.append(f"{name} is longer than {LONGEST_CELL:,} characters.")
    return found
