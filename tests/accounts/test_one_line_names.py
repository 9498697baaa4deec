"""Names and numbers are one visible line wherever they come in: they go into e-mails, files, PDFs, DICOM headers."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from accounts.actions import create_patient, create_team, update_team
from accounts.models import OutgoingMail, Patient, Team, User
from accounts.plain_text import is_one_line
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
SMUGGLED = {
    "header injection": "Eve\r\nBcc: all@test.local",
    "line break": "Eve\nEve",
    "line separator": "Eve\u2028Eve",
    "bell": "Eve\x07",
    "escape sequence": "Eve\x1b[2J",
    "right-to-left override": "Eve\u202eevE",
    "invisible space": "Eve\u200b",
    "byte order mark": "Eve\ufeffE",
}
NAMES = ["Żółć", "花子", "d'Aubigné", "Müller-Weiß", "می‌خواهم", "O\u2019Brien", "Nguyễn Thị Hoa", "क्‍ष"]


@pytest.mark.parametrize("name", NAMES)
def test_the_names_of_the_world_are_one_line(name):
    assert is_one_line(name)


def born() -> dict[str, str]:
    return {"birth_date": "1970-01-01", "sex": "F"}


@pytest.mark.parametrize("name", SMUGGLED.values(), ids=SMUGGLED.keys())
@pytest.mark.parametrize("field", ["given_name", "family_name", "mrn"])
def test_a_patient_by_the_verb(name, field):
    values = {"mrn": "M-1", "given_name": "Anna", "family_name": "Nowak", "birth_date": "1970-01-01", field: name}

    with pytest.raises(ValidationError) as refused:
        create_patient(acting_user=None, **values)

    assert field in refused.value.message_dict
    assert not Patient.objects.exists()


@pytest.mark.parametrize("name", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_a_patient_by_the_page_and_by_the_api(client, api, rachel, name):
    typed = {"mrn": "M-1", "given_name": name, "family_name": "Nowak", **born()}
    client.force_login(rachel)

    assert client.post("/patients/new/", typed).status_code == 422
    answer = api(rachel).post("/api/v1/patients/", typed)
    assert answer.status_code == 400
    assert "given_name" in answer.json()["fields"]
    assert not Patient.objects.exists()


@pytest.mark.parametrize("name", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_a_user_by_the_page_and_by_the_command(client, adam, name):
    client.force_login(adam)
    confirm(client)
    typed = {"email": "eve@test.local", "role": "radiologist", "family_name": name, "way_in": "invite"}

    assert client.post("/users/new/", typed).status_code == 422
    with pytest.raises(CommandError):
        call_command("create_user", "eve@test.local", role="radiologist", family_name=name, stdout=StringIO())
    assert not User.objects.filter(email="eve@test.local").exists()
    assert not OutgoingMail.objects.exists()


@pytest.mark.parametrize("name", ["Ward\x07", "Ward\u202e", "Ward\u200b"])
def test_a_team(adam, name):
    with pytest.raises(ValidationError):
        create_team(acting_user=adam, name=name)
    team = create_team(acting_user=adam, name="Ward")
    with pytest.raises(ValidationError):
        update_team(acting_user=adam, team=team, name=name)
    assert Team.objects.get().name == "Ward"
