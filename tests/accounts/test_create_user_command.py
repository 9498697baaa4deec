"""``manage.py create_user``."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEvent, User

pytestmark = pytest.mark.django_db


def create(*arguments: str) -> str:
    output = io.StringIO()
    call_command("create_user", *arguments, stdout=output)
    return output.getvalue()


def test_the_last_word_printed_is_the_one_time_password(client):
    printed = create("Ada@Hospital.local", "--role", "administrator", "--given-name", "Ada", "--family-name", "Żółć")

    user = User.objects.get()
    assert (user.email, user.role, user.get_full_name()) == ("ada@hospital.local", "administrator", "Ada Żółć")
    assert user.check_password(printed.split()[-1])


def test_it_is_in_the_ledger_as_done_by_the_system():
    create("ada@hospital.local", "--role", "administrator")

    event = AuditEvent.objects.get(action="user.created")
    assert (event.actor, event.actor_role) == (None, "system")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("new@test.local", "--role", "emperor"), "The roles are: radiologist, administrator, it_staff, patient."),
        (("rachel@test.local", "--role", "radiologist"), "There is already a user with this e-mail address."),
        (("RACHEL@test.local", "--role", "radiologist"), "There is already a user with this e-mail address."),
        (("no address", "--role", "radiologist"), "Enter a valid email address."),
    ],
    ids=["role", "taken", "taken, other case", "no address"],
)
def test_a_refusal_says_why_and_creates_nothing(rachel, arguments, sentence):
    with pytest.raises(CommandError) as refusal:
        create(*arguments)

    assert sentence in str(refusal.value)
    assert "Nothing was created." in str(refusal.value)
    assert User.objects.count() == 1
