"""The page that shows what each role may do, and the document with the same table."""

from __future__ import annotations

import pytest

from accounts.role_words import WORDS, sections
from accounts.roles import TABLE, Role


def test_every_object_and_verb_of_the_table_has_words():
    assert {name: set(words.verbs) for name, words in WORDS.items()} == {
        name: set(verbs) for name, verbs in TABLE.items()
    }
    assert all(set(words.why) <= {"", *words.verbs} for words in WORDS.values())


def test_the_page_shows_each_cell_of_the_table():
    shown = {line.key: dict(zip(Role, line.allowed, strict=True)) for part in sections() for line in part.lines}

    expected = {
        f"{name}.{verb}": {role: role in allowed for role in Role}
        for name, verbs in TABLE.items()
        for verb, allowed in verbs.items()
    }
    assert shown == expected


@pytest.mark.parametrize(("who", "status"), [("rachel", 200), ("adam", 200), ("ivan", 200), ("petra", 403)])
def test_who_may_read_it(client, request, who, status):
    client.force_login(request.getfixturevalue(who))

    answer = client.get("/roles/")

    assert answer.status_code == status
    assert ("Emergency access" in answer.content.decode()) == (status == 200)


def test_a_row_says_who_may_in_words(client, rachel):
    client.force_login(rachel)

    html = client.get("/roles/").content.decode()

    row = html.split("give to another team")[1].split("</tr>")[0]
    assert [("yes" in cell) for cell in row.split("<td")[1:5]] == [False, True, False, False]
