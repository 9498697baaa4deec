"""Fields for passwords: masked, filled by password managers, and open to pasting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
PASSWORD_FIELD = re.compile(r"<input[^>]*\bname=\"(?:[\w-]*password[\w-]*)\"[^>]*>")


def _fields(page: str) -> list[str]:
    return [tag for tag in PASSWORD_FIELD.findall(page) if 'type="hidden"' not in tag]


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("/account/login/", ["current-password"]),
        ("/account/password/change/", ["current-password", "new-password", "new-password"]),
        ("/account/reauthenticate/", ["current-password"]),
    ],
)
def test_a_password_is_masked_and_left_to_the_password_manager(client, rachel, path, kinds):
    if path != "/account/login/":
        client.force_login(rachel)

    fields = _fields(client.get(path).content.decode())

    assert len(fields) == len(kinds)
    for field, kind in zip(fields, kinds, strict=True):
        assert 'type="password"' in field
        assert f'autocomplete="{kind}"' in field
        assert "value=" not in field
        longest = re.search(r'maxlength="(\d+)"', field)
        assert longest is None or int(longest[1]) >= 1000
        assert "readonly" not in field


def test_no_script_stands_in_the_way_of_pasting(client, db):
    """The upload page takes pasted images; it has no password, and pages with a password do not load its script."""
    taking = {
        script.name
        for script in (ROOT / "static" / "js").glob("*.js")
        if re.search(r"[\"']paste[\"']|onpaste|beforeinput", script.read_text(encoding="utf-8"))
    }
    assert taking == {"upload.js"}
    assert "upload.js" not in client.get("/account/login/").content.decode()
