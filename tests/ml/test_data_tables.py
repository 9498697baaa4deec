"""Labels tables as people hand them over: what is harmless is read, every fault has a name, a place and a remedy."""

from __future__ import annotations

import csv
import zipfile
from xml.sax.saxutils import escape

import pytest

from ml.data.readers import read_shared
from ml.data.records import DataError
from ml.data.sheets import read_sheet
from ml.data.tables import read_labels, read_table


def rewrite_rows(folder, change):
    """Change the rows of ``labels.csv`` in place."""
    path = folder / "labels.csv"
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    change(rows)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def collection(tmp_path):
    """The tables of the ``clinic`` of conftest, with empty files for images: nothing here decodes one."""
    folder = tmp_path / "clinic"
    rows = []
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for patient in range(10):
        for side in "lr":
            row = {name[:-1]: f"{name}/p{patient:02d}{side}.png" for name in ("images", "masks")}
            for path in row.values():
                (folder / path).touch()
            label = ("benign", "malignant")[patient % 2]
            rows.append(row | {"label": label, "patient": str(patient), "fold": str(patient // 2)})
    with (folder / "labels.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.mark.parametrize(
    ("change", "code", "line", "words"),
    [
        (lambda rows: rows[3].update(label="cyst"), "unknown_label", 5, "'cyst' is not one of benign"),
        (lambda rows: rows[3].update(label="Benign"), "unknown_label", 5, "Labels are lower case"),
        (lambda rows: rows[3].update(fold="x"), "bad_fold", 5, "fold 'x' is not a number"),
        (lambda rows: rows[3].update(fold="²"), "bad_fold", 5, "is not a number"),
        (lambda rows: rows[3].update(fold="5"), "bad_fold", 5, "fold 5 is outside 0-4"),
        (lambda rows: rows[3].update(image="images/none.png"), "missing_file", 5, "Restore the file or remove the row"),
        (lambda rows: rows[3].update(image="../secret.png"), "unsafe_path", 5, "without '..'"),
        (lambda rows: rows[3].update(mask="masks/none.png"), "missing_mask", 5, "empty the cell"),
        (lambda rows: rows.append(dict(rows[0])), "duplicate_row", 22, "already listed in line 2"),
        (lambda rows: rows.append(rows[0] | {"fold": "3"}), "fold_conflict", 22, "in fold 0, here in fold 3"),
        (lambda rows: rows.append(rows[0] | {"label": "normal"}), "label_conflict", 22, "as benign, here as normal"),
        (lambda rows: [row.pop("fold") for row in rows], "wrong_header", 1, "lacks the column fold"),
    ],
)
def test_a_faulty_row_is_named_with_its_file_its_line_and_the_remedy(collection, change, code, line, words):
    rewrite_rows(collection, change)
    with pytest.raises(DataError) as caught:
        read_shared(collection)
    error = caught.value
    assert (error.code, error.path, error.line) == (code, collection / "labels.csv", line)
    assert words in str(error)
    assert f"labels.csv, line {line}:" in str(error)
    assert error.remedy
    assert str(error).endswith(error.remedy)


def test_all_faults_are_collected_and_the_sound_rows_are_kept(collection):
    def spoil(rows):
        rows[0].update(label="cyst")
        rows[5].update(image="images/none.png")
        rows[7].update(mask="masks/none.png")

    rewrite_rows(collection, spoil)
    faults: list[DataError] = []
    records = read_shared(collection, faults=faults)
    assert [(fault.code, fault.line) for fault in faults] == [
        ("unknown_label", 2),
        ("missing_file", 7),
        ("missing_mask", 9),
    ]
    assert len(records) == 18


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfimage,label,fold\nimages/p00l.png,benign,0\n",
        b"image,label,fold\r\nimages/p00l.png,benign,0\r\n",
        b"\xef\xbb\xbfimage;label;fold\r\n\r\nimages/p00l.png;benign;0",
        b" image , label,fold\n\n  images/p00l.png ,benign , 0\n,,\n",
        b'"image","label","fold"\n"images/p00l.png","benign","0"\n',
        b"image,label,fold\rimages/p00l.png,benign,0\r",
    ],
    ids=["byte order mark", "CR LF", "semicolons", "white space and blank lines", "quotes", "CR"],
)
def test_what_spreadsheets_add_changes_nothing(collection, content):
    (collection / "labels.csv").write_bytes(content)
    (record,) = read_shared(collection)
    assert (record.key, record.label, record.fold) == ("clinic/p00l", "benign", 0)


@pytest.mark.parametrize(
    ("content", "code", "line", "words"),
    [
        (b"", "empty_table", None, "the table is empty"),
        (b"\xef\xbb\xbf\r\n \r\n", "empty_table", None, "the table is empty"),
        (b"image,label,fold\n", "empty_table", None, "lists no images"),
        (b"picture,class,part\na.png,benign,0\n", "wrong_header", 1, "it has picture, class, part"),
        (b"images/p00l.png,benign,0\n", "wrong_header", 1, "must name image, label, fold"),
        (b"image,label,fold,label\nimages/p00l.png,benign,0,benign\n", "wrong_header", 1, "column label twice"),
        (b"image,label,fold\nimages/p00l.png,benign\n", "ragged_row", 2, "2 cells, the header 3"),
        (b"image,label,fold\nimages/p00l.png,benign,0\na,b,c,d\n", "ragged_row", 3, "4 cells, the header 3"),
        (b'image,label,fold\nimages/p00l.png,"benign,0\n', "ragged_row", 2, "Close every double quote"),
        (b"image,label,fold\nimages/p00l.png,b\xe9nin,0\n", "bad_encoding", 2, "Save the table as CSV UTF-8"),
        ("image,label,fold\n".encode("utf-16"), "bad_encoding", 1, "not UTF-8"),
        (b"image,label,fold\nimages/p00l.png,benign\0,0\n", "bad_encoding", 2, "zero byte"),
    ],
)
def test_a_table_that_cannot_be_read_says_why_and_where(collection, content, code, line, words):
    (collection / "labels.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_shared(collection)
    assert (caught.value.code, caught.value.line) == (code, line)
    assert words in str(caught.value)
    assert caught.value.remedy


def test_labels_without_folds_serve_an_evaluation(collection):
    (collection / "mine.csv").write_text("image,label,group\nimages/p00l.png,benign,7\n")
    (row,) = read_labels(collection / "mine.csv", root=collection)
    assert (row["image"], row["label"], row.get("group"), row.get("fold"), row.line) == (
        "images/p00l.png",
        "benign",
        "7",
        "",
        2,
    )


def test_a_comma_inside_quotes_is_part_of_the_cell(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n"{""x"": [1, 2]}","first\nsecond"\n')
    (row,) = read_table(tmp_path / "t.csv", required=("a", "b"))
    assert row["a"] == '{"x": [1, 2]}'
    assert row["b"] == "first\nsecond"


def write_workbook(path, sheets):
    """A workbook as Excel writes it: shared strings for text, plain numbers, empty cells left out."""
    strings: list[str] = []
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    links = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    with zipfile.ZipFile(path, "w") as archive:
        names = relations = ""
        for number, (name, rows) in enumerate(sheets.items(), start=1):
            body = ""
            for row, cells in enumerate(rows, start=1):
                body += f'<row r="{row}">'
                for column, value in enumerate(cells):
                    place = f"{chr(65 + column)}{row}"
                    if isinstance(value, str):
                        strings.append(value)
                        body += f'<c r="{place}" t="s"><v>{len(strings) - 1}</v></c>'
                    elif value is not None:
                        body += f'<c r="{place}"><v>{value}</v></c>'
                body += "</row>"
            archive.writestr(
                f"xl/worksheets/sheet{number}.xml", f"<worksheet {main}><sheetData>{body}</sheetData></worksheet>"
            )
            names += f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>'
            relations += f'<Relationship Id="rId{number}" Target="worksheets/sheet{number}.xml"/>'
        texts = "".join(f"<si><t>{escape(text)}</t></si>" for text in strings)
        archive.writestr("xl/sharedStrings.xml", f"<sst {main}>{texts}</sst>")
        archive.writestr("xl/workbook.xml", f"<workbook {main} {links}><sheets>{names}</sheets></workbook>")
        archive.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{relations}</Relationships>")


def test_a_sheet_is_read_by_name_with_its_gaps(tmp_path):
    path = tmp_path / "book.xlsx"
    write_workbook(
        path, {"legend": [["x"], ["y"]], "all": [["name", "age", "note"], ["P1", 44, None], [], ["P2", None, "ok"]]}
    )
    rows = read_sheet(path, required=("name", "age"), sheet="ALL")
    assert [dict(row.values) for row in rows] == [
        {"name": "P1", "age": "44", "note": ""},
        {"name": "P2", "age": "", "note": "ok"},
    ]
    assert [row.line for row in rows] == [2, 4]
    with pytest.raises(DataError, match="lacks the column birads") as caught:
        read_sheet(path, required=("birads",), sheet="all")
    assert caught.value.code == "wrong_header"


def test_a_workbook_that_is_none_or_hides_entities_is_refused(tmp_path):
    path = tmp_path / "book.xlsx"
    path.write_bytes(b"PK no archive")
    with pytest.raises(DataError, match="save its sheet as CSV"):
        read_sheet(path, required=("name",))
    write_workbook(path, {"all": [["name"], ["P1"]]})
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/sharedStrings.xml"] = b'<!DOCTYPE x [<!ENTITY a "b">]>' + parts["xl/sharedStrings.xml"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(DataError) as caught:
        read_sheet(path, required=("name",))
    assert caught.value.code == "bad_workbook"
