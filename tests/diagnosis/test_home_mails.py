"""What IT staff see on their first page of mails that did not leave: no recipient, no text."""

from __future__ import annotations

import pytest

from accounts import actions
from accounts.models import OutgoingMail
from portal import jobs

pytestmark = pytest.mark.django_db


def stuck(user) -> None:
    """Two mails to a person: one that the server put off, one that it refused."""
    for verb in (actions.postpone_mail, actions.fail_mail):
        mail = actions.enqueue_mail(
            kind="report_released", recipient=user.email, subject="A secret subject", body="A secret link", user=user
        )
        claim = jobs.claim(OutgoingMail, mail.pk)
        code = verb.__name__
        verb(claim=claim, code=code, message=f"The sentence of {code}.", detail="451 <(address)> Come again")


def test_it_staff_see_what_did_not_leave_and_why(client, ivan, petra):
    stuck(petra)
    client.force_login(ivan)

    shown = client.get("/").content.decode()

    for words in ("The sentence of postpone_mail.", "The sentence of fail_mail.", "Put off", "451 &lt;(address)&gt;"):
        assert words in shown
    for hidden in (petra.email, "A secret subject", "A secret link"):
        assert hidden not in shown


def test_when_every_mail_left_the_page_says_so(client, ivan, petra):
    actions.enqueue_mail(kind="report_released", recipient=petra.email, subject="Waiting", body="Waiting")
    client.force_login(ivan)
    assert "Every e-mail left" in client.get("/").content.decode()


@pytest.mark.parametrize("who", ["rachel", "petra"])
def test_others_see_nothing_of_it(client, request, who, petra):
    stuck(petra)
    client.force_login(request.getfixturevalue(who))
    shown = client.get("/").content.decode()
    assert "The sentence of" not in shown
    assert "that did not leave" not in shown
