"""Importing a list of people: file, preview, "import"."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.actions import create_team, create_user, set_teams, update_team, update_user
from accounts.models import AuditEvent, OutgoingMail, PeopleImport, User
from accounts.people_csv import EXAMPLE, MOST_PEOPLE
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
URL = "/users/import/"
HEADING = "email,given_name,family_name,role,teams\n"


@pytest.fixture
def sign_in(client):
    def signed_in(user):
        client.force_login(user)
        confirm(client)

    return signed_in


@pytest.fixture
def upload(client, sign_in, adam):
    """``upload(text)``: Adam uploads a file; the page that answers."""
    sign_in(adam)

    def uploaded(content: str | bytes, name: str = "people.csv"):
        raw = content.encode() if isinstance(content, str) else content
        return client.post(URL, {"file": SimpleUploadedFile(name, raw, "text/csv")}, follow=True)

    return uploaded


def outcomes(answer) -> dict[str, tuple[str, str]]:
    """Address -> outcome and sentences, as the preview shows them."""
    return {row.cells["email"]: (str(row.outcome), " ".join(row.sentences)) for row in answer.context["rows"]}


def confirmed(client) -> str:
    return client.post(f"{URL}{PeopleImport.objects.get().pk}/confirm/", follow=True).content.decode()


def test_new_people_are_shown_and_only_then_invited(client, upload, adam):
    create_team(acting_user=adam, name="Breast clinic")

    answer = upload(HEADING + "lena@test.local,Lena,Locum,radiologist,Breast Clinic\ntom@test.local,Tom,,IT staff,\n")

    assert outcomes(answer) == {"lena@test.local": ("new", ""), "tom@test.local": ("new", "")}
    assert "Import 2 people" in answer.content.decode()
    assert not User.objects.filter(email="lena@test.local").exists()

    assert "2 people invited, 0 changed." in confirmed(client)
    lena, tom = (User.objects.get(email=f"{name}@test.local") for name in ("lena", "tom"))
    assert (lena.get_full_name(), lena.role, lena.is_invited) == ("Lena Locum", "radiologist", True)
    assert [team.name for team in lena.teams.all()] == ["Breast clinic"]
    assert tom.role == "it_staff"
    assert set(OutgoingMail.objects.values_list("recipient", flat=True)) == {lena.email, tom.email}
    assert AuditEvent.objects.get(action="user.imported").details == {"invited": 2, "changed": 0, "left_out": 0}


def test_who_is_on_record_is_changed_or_left_as_they_are(client, upload, adam, rachel, ivan):
    clinic = create_team(acting_user=adam, name="Breast clinic")
    set_teams(acting_user=adam, user=ivan, teams=[clinic])

    answer = upload(
        HEADING
        + "RACHEL@test.local ,Rahel,,administrator,Breast clinic\n"
        + "ivan@test.local,Ivan,Technician,it_staff,\n"
    )

    assert outcomes(answer) == {
        "RACHEL@test.local": (
            "changed",
            "Given name: Rachel becomes Rahel. Role: Radiologist becomes Administrator. "
            "Teams: none becomes Breast clinic.",
        ),
        "ivan@test.local": ("same", ""),
    }
    assert "0 people invited, 1 changed." in confirmed(client)
    rachel.refresh_from_db()
    assert (rachel.given_name, rachel.family_name, rachel.role) == ("Rahel", "Radiologist", "administrator")
    assert list(rachel.teams.all()) == [clinic]
    assert list(ivan.teams.all()) == [clinic]


WRONG = {
    "no address": ("nobody,Lena,Locum,radiologist,", "email: Enter a valid email address."),
    "empty address": (",Lena,Locum,radiologist,", "The e-mail address is missing."),
    "unknown role": ("x@test.local,Lena,Locum,emperor,", "There is no role “emperor”."),
    "no role": ("x@test.local,Lena,Locum,,", "The role is missing."),
    "unknown team": ("x@test.local,Lena,Locum,radiologist,Ghosts", "There is no team “Ghosts”."),
    "closed team": ("x@test.local,Lena,Locum,radiologist,Old ward", "The team “Old ward” is closed."),
    "formula": ('x@test.local,"=HYPERLINK(""http://evil"")",Locum,radiologist,', "given_name begins like a formula"),
    "formula in the address": ("@SUM(1),Lena,Locum,radiologist,", "email begins like a formula"),
    "header injection": ('x@test.local,"Lena\r\nBcc: all@x.example",Locum,radiologist,', "holds a line break"),
    "header injection in the address": ('"x@test.local\nBcc: y@x.example",L,L,radiologist,', "Enter a valid email"),
    "turned letters": ("x@test.local,Le\u202ena,Locum,radiologist,", "holds a line break or an invisible character"),
    "too long": (f"x@test.local,{'L' * 101},Locum,radiologist,", "at most 100 characters"),
    "more cells than columns": ("x@test.local,Lena,Locum,radiologist,,surplus", "more cells than columns"),
    "a colleague's look-alike": ("rachel@сlinic.example,R,R,radiologist,", "looks like rachel@clinic.example"),
    "own role": ("adam@test.local,Adam,Administrator,it_staff,", "Nobody changes their own role."),
}


@pytest.mark.parametrize(("row", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_row_says_what_is_wrong_and_the_right_ones_are_imported(client, upload, adam, row, sentence):
    create_user(acting_user=None, email="rachel@clinic.example", role="radiologist")
    update_team(acting_user=adam, team=create_team(acting_user=adam, name="Old ward"), is_active=False)
    before = set(User.objects.values_list("pk", flat=True))

    answer = upload(HEADING + row + "\ngood@test.local,Gwen,Good,radiologist,\n")

    wrong = [one for one in answer.context["rows"] if one.outcome == "wrong"]
    assert len(wrong) == 1
    assert sentence in " ".join(wrong[0].sentences)
    assert "<script" not in answer.content.decode().split("<main")[1].split("</main")[0]
    confirmed(client)
    assert list(User.objects.exclude(pk__in=before).values_list("email", flat=True)) == ["good@test.local"]


def test_two_rows_for_one_address_or_for_two_that_look_alike_are_both_left_out(upload):
    answer = upload(
        HEADING
        + "lena@test.local,Lena,Locum,radiologist,\n"
        + "LENA@test.local,Lena,Locum,administrator,\n"
        + "otto@clinic.example,O,O,radiologist,\n"
        + "otto@сlinic.example,O,O,radiologist,\n"
    )

    assert [row.outcome for row in answer.context["rows"]] == ["wrong"] * 4
    said = outcomes(answer)
    assert said["lena@test.local"][1] == "The same address is on line 3."
    assert "looks like that of line 5" in said["otto@clinic.example"][1]
    assert "There is nothing to import in this list." in answer.content.decode()


def test_lines_are_counted_as_in_the_file(upload):
    answer = upload(HEADING + '\n"a@test.local","Two\nlines",L,radiologist,\nb@test.local,B,B,nothing,\n')

    assert {row.cells["email"]: row.line for row in answer.context["rows"]} == {"a@test.local": 3, "b@test.local": 5}


# Twice, late, by somebody else


def test_importing_twice_creates_nothing_twice(client, upload):
    upload(HEADING + "lena@test.local,Lena,Locum,radiologist,\n")
    address = f"{URL}{PeopleImport.objects.get().pk}/confirm/"
    client.post(address)
    mails, events = OutgoingMail.objects.count(), AuditEvent.objects.filter(action="user.imported").count()

    again = client.post(address, follow=True).content.decode()

    assert "imported already, or it expired. Nothing was done again." in again
    assert (OutgoingMail.objects.count(), AuditEvent.objects.filter(action="user.imported").count()) == (mails, events)


def test_the_same_file_again_finds_everybody_unchanged(client, upload):
    text = HEADING + "lena@test.local,Lena,Locum,radiologist,\n"
    upload(text)
    confirmed(client)

    assert outcomes(upload(text)) == {"lena@test.local": ("same", "")}


def test_the_list_survives_a_restart_between_preview_and_import(client, upload):
    upload(HEADING + "lena@test.local,Lena,Locum,radiologist,\n")

    assert "Import 1 person" in client.get(f"{URL}{PeopleImport.objects.get().pk}/").content.decode()


def test_a_list_that_waited_too_long_is_gone(client, upload):
    upload(HEADING + "lena@test.local,Lena,Locum,radiologist,\n")
    kept = PeopleImport.objects.get()
    PeopleImport.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert client.get(f"{URL}{kept.pk}/").status_code == 404
    client.post(f"{URL}{kept.pk}/confirm/")
    assert not User.objects.filter(email="lena@test.local").exists()
    upload(HEADING + "tom@test.local,Tom,T,it_staff,\n")
    assert not PeopleImport.objects.filter(pk=kept.pk).exists()


def test_what_changed_since_the_preview_counts(client, upload, adam, rachel):
    upload(HEADING + "lena@test.local,Lena,Locum,radiologist,\nrachel@test.local,,,administrator,\n")
    create_user(acting_user=None, email="lena@test.local", role="it_staff", given_name="Lena", family_name="Locum")
    update_user(acting_user=adam, user=rachel, role="administrator")

    assert "0 people invited, 1 changed." in confirmed(client)
    assert User.objects.get(email="lena@test.local").role == "radiologist"


def test_another_administrators_list_is_not_mine(client, upload, sign_in, rachel, adam):
    upload(HEADING + "lena@test.local,Lena,Locum,radiologist,\n")
    kept = PeopleImport.objects.get()
    update_user(acting_user=adam, user=rachel, role="administrator")
    sign_in(User.objects.get(pk=rachel.pk))

    assert client.get(f"{URL}{kept.pk}/").status_code == 404
    client.post(f"{URL}{kept.pk}/confirm/")
    client.post(f"{URL}{kept.pk}/discard/")
    assert PeopleImport.objects.filter(pk=kept.pk).exists()
    assert not User.objects.filter(email="lena@test.local").exists()


def test_rows_sent_with_the_confirmation_are_not_read(client, upload):
    upload(HEADING + "lena@test.local,Lena,Locum,radiologist,\n")
    forged = {"rows": '[{"email": "eve@test.local", "role": "administrator"}]', "role": "administrator"}

    client.post(f"{URL}{PeopleImport.objects.get().pk}/confirm/", forged)

    assert User.objects.get(email="lena@test.local").role == "radiologist"
    assert not User.objects.filter(email="eve@test.local").exists()


def test_a_list_can_be_thrown_away(client, upload):
    upload(HEADING + "lena@test.local,Lena,Locum,radiologist,\n")

    page = client.post(f"{URL}{PeopleImport.objects.get().pk}/discard/", follow=True).content.decode()

    assert "Nobody was invited or changed." in page
    assert not PeopleImport.objects.exists()


def test_the_import_asks_an_old_sign_in_who_it_is(client, upload, adam):
    upload(HEADING + "lena@test.local,Lena,Locum,radiologist,\n")
    client.logout()
    client.force_login(adam)

    answer = client.post(f"{URL}{PeopleImport.objects.get().pk}/confirm/")

    assert "/account/reauthenticate/" in answer["Location"]
    assert not User.objects.filter(email="lena@test.local").exists()


# Files that are none


UNREADABLE = {
    "empty": (b"", "The file is empty."),
    "only a heading": (HEADING.encode(), "nobody below it"),
    "no heading": (b"lena@test.local,Lena,Locum,radiologist\n" * 2, "email and role are missing"),
    "a column twice": (b"email,email,role\na@x.example,b@x.example,patient\n", "The column email is there twice."),
    "null bytes": (b"email,role\n\0\0\0\0", "null bytes"),
    "a spreadsheet": (b"PK\x03\x04" + b"\0" * 400, "“CSV UTF-8”"),
    "UTF-16": ("email,role\nä@test.local,patient\n".encode("utf-16"), "The file is in UTF-16."),
    "no encoding we know": (b"email,role\n\x81\x8d\xff,patient\n", "neither UTF-8 nor Windows-1252"),
    "an open quotation mark": (b'email,role\n"lena@test.local,radiologist\n', "A quotation mark that is opened"),
    "one endless cell": (b"email,role\n" + b"a" * 300_000 + b",radiologist\n", "cannot be read"),
    "100,000 short lines": (b"email,role\n" + b"a@b.c,x\n" * 100_000, "100,000 rows; 200 people"),
    "100,000 long lines": (
        b"email,role\n" + b"lena@hospital.example,radiologist\n" * 100_000,
        "larger than 1 MB",
    ),
}


@pytest.mark.parametrize(("content", "sentence"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_is_no_list_says_why_and_nothing_is_kept(upload, content, sentence):
    answer = upload(content)

    assert answer.status_code == 422
    assert sentence in " ".join(answer.context["form"].errors["file"])
    assert not PeopleImport.objects.exists()


def test_no_file_at_all(client, sign_in, adam):
    sign_in(adam)

    answer = client.post(URL, {})

    assert answer.status_code == 422
    assert "Choose a file." in answer.content.decode()


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("email,family_name,role\nlena@test.local,Żółć,radiologist\n".encode("utf-8-sig"), "UTF-8"),
        ("email,family_name,role\nlena@test.local,Müller,radiologist\n".encode("cp1252"), "Windows-1252"),
        ("E-mail;Family name;Role\r\nlena@test.local;Müller;Radiologist\r\n".encode(), "UTF-8"),
        ("email\tfamily_name\trole\nlena@test.local\tMüller\tradiologist\n".encode(), "UTF-8"),
    ],
)
def test_what_spreadsheets_write_is_read(client, upload, content, encoding):
    answer = upload(content)
    assert PeopleImport.objects.get().encoding == encoding
    assert ("was read as Windows-1252" in answer.content.decode()) == (encoding == "Windows-1252")
    confirmed(client)
    assert User.objects.get(email="lena@test.local").family_name in ("Żółć", "Müller")


def test_the_example_and_the_export_can_be_imported(client, upload, adam, rachel, ivan):
    create_team(acting_user=adam, name="Breast clinic")
    create_team(acting_user=adam, name="Screening")
    assert {outcome for outcome, _ in outcomes(upload(EXAMPLE)).values()} == {"new"}
    assert client.get(f"{URL}example.csv").content.decode("utf-8-sig") == EXAMPLE

    export = client.get("/users/export.csv").getvalue()

    assert {outcome for outcome, _ in outcomes(upload(export)).values()} == {"same"}


@pytest.mark.parametrize("who", ["ivan", "rachel", "petra"])
def test_who_may_not(client, sign_in, request, who):
    sign_in(request.getfixturevalue(who))
    file = SimpleUploadedFile("people.csv", (HEADING + "x@test.local,X,X,patient,\n").encode())

    assert client.get(URL).status_code == 403
    assert client.post(URL, {"file": file}).status_code == 403
    assert not PeopleImport.objects.exists()


@pytest.mark.slow
def test_the_longest_list_is_imported_while_its_sender_waits(client, upload):
    rows = "".join(f"p{number}@test.local,Given{number},Family,radiologist,\n" for number in range(MOST_PEOPLE))
    upload(HEADING + rows)

    began, worked = time.monotonic(), time.process_time()
    assert f"{MOST_PEOPLE} people invited" in confirmed(client)
    seconds, processor = time.monotonic() - began, time.process_time() - worked
    print(f"{MOST_PEOPLE} people imported in {seconds:.1f} s, {processor:.1f} s of them on the processor")
    assert processor < 15
