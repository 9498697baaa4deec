"""docs/access.md says what is in force."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from portal import access_document


def test_the_document_is_fresh():
    text = access_document.path().read_text(encoding="utf-8")

    assert access_document.written(text) == text, "run manage.py write_access_document"


def test_the_command_writes_what_is_in_force(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    file = tmp_path / "docs" / "access.md"
    parts = "\n".join(
        f"<!-- {name}: written by write_access_document -->\nold\n<!-- end of {name} -->"
        for name in ("roles", "addresses")
    )
    file.write_text(f"# Kept\n{parts}\nkept too\n", encoding="utf-8")

    with pytest.raises(CommandError, match="out of date"):
        call_command("write_access_document", "--check")
    call_command("write_access_document")
    call_command("write_access_document", "--check")

    text = file.read_text(encoding="utf-8")
    assert text.startswith("# Kept\n")
    assert text.endswith("kept too\n")
    assert "old" not in text
    assert "| Studies | see (`study.view`) | yes | yes |  |  |" in text
    assert "| `/studies/<uuid:pk>/` | GET, POST | `study.view` | yes | yes |  |  |" in text


def test_a_document_without_a_place_for_them_is_left_alone(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    file = tmp_path / "docs" / "access.md"
    file.write_text("# Nothing here\n", encoding="utf-8")

    with pytest.raises(CommandError, match="no place for the part"):
        call_command("write_access_document")
    assert file.read_text(encoding="utf-8") == "# Nothing here\n"
