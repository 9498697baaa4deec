"""``manage.py reset_mfa``: when the only administrator has lost the second factor."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from accounts.actions import rotate_field_keys, sealings, use_code
from accounts.models import AuditEvent
from tests.fixture_sign_in import add_app, code, keep_off_the_edge

pytestmark = pytest.mark.django_db


def test_it_takes_the_factors_away_and_is_in_the_ledger(client, adam, capsys):
    add_app(adam)
    client.force_login(adam)

    call_command("reset_mfa", "Adam@test.local", reason="Telephone stolen")

    assert not Authenticator.objects.exists()
    assert client.get("/").status_code == 302
    event = AuditEvent.objects.get(action="user.mfa_reset")
    assert (event.actor, event.purpose) == (None, "Telephone stolen")
    assert "2 removed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("email", "reason", "sentence"),
    [("nobody@test.local", "x", "There is no user"), ("adam@test.local", " ", "Say why")],
)
def test_it_says_what_is_wrong_and_changes_nothing(adam, email, reason, sentence):
    add_app(adam)

    with pytest.raises(CommandError, match=sentence):
        call_command("reset_mfa", email, reason=reason)

    assert Authenticator.objects.count() == 2


def test_a_change_of_keys_takes_the_second_factors_along(adam, settings):
    """``rotate_field_keys``: the old key may be taken away afterwards, and the app still opens the account."""
    keep_off_the_edge()
    secret = add_app(adam)
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_KEYS]

    rotate_field_keys()
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]

    assert use_code(user=adam, code=code(secret)) is not None
    (factors,) = [one for one in sealings() if one.name == "second factor keys"]
    assert (factors.current, factors.older, factors.unreadable) == (2, 0, 0)
