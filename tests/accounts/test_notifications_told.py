"""Who hears of what: roles, switched-off people, lines that are told together, and what a mail may say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import actions
from accounts.models import OutgoingMail, User

pytestmark = pytest.mark.django_db


def together(words: str = "{} results are ready."):
    """A line that says how often it was told since it was last read."""
    told: list[object] = []

    def line(user, since) -> str:
        told.append(since)
        return words.format(len([one for one in told if one == since]))

    return line


def test_a_person_whose_role_does_not_get_the_kind_is_passed_over(rachel, adam, ivan, petra):
    assert actions.notify("queue_trouble", users=[rachel, adam, ivan, petra], text="Waiting.") == 1
    assert [user.notifications.count() for user in (rachel, adam, ivan, petra)] == [0, 0, 1, 0]


def test_somebody_switched_off_is_passed_over(rachel):
    User.objects.filter(pk=rachel.pk).update(is_active=False)
    rachel.refresh_from_db()
    assert actions.notify("suspicious_result", users=[rachel], text="Soon.") == 0
    assert not OutgoingMail.objects.exists()


def test_who_is_named_twice_is_told_once(ivan):
    assert actions.notify("queue_trouble", users=[ivan, ivan], text="Waiting.") == 1
    assert (ivan.notifications.count(), OutgoingMail.objects.count()) == (1, 1)


def test_a_kind_that_does_not_exist_is_a_mistake_of_ours(rachel):
    with pytest.raises(KeyError):
        actions.notify("no_such_kind", users=[rachel], text="?")


def test_what_is_told_together_is_one_line_until_it_is_read(rachel):
    line = together()
    for _ in range(40):
        actions.notify("result_ready", users=[rachel], text=line, path="/studies/1/")
    assert [row.text for row in rachel.notifications.all()] == ["40 results are ready."]

    actions.mark_read(acting_user=rachel)
    actions.notify("result_ready", users=[rachel], text=line, path="/studies/1/")
    actions.notify("result_ready", users=[rachel], text=together(), path="/studies/2/")

    unread = rachel.notifications.unread()
    assert sorted((row.text, row.path) for row in unread) == [
        ("1 results are ready.", "/studies/1/"),
        ("1 results are ready.", "/studies/2/"),
    ]


def test_a_line_brought_up_to_date_is_the_newest_again(rachel):
    line = together()
    actions.notify("result_ready", users=[rachel], text=line, path="/studies/1/")
    rachel.notifications.update(created_at=timezone.now() - timedelta(hours=2))
    actions.notify("result_ready", users=[rachel], text="Another.", path="/studies/2/")
    actions.notify("result_ready", users=[rachel], text=line, path="/studies/1/")
    assert [row.path for row in rachel.notifications.all()] == ["/studies/1/", "/studies/2/"]


def test_what_is_told_together_is_mailed_once_in_a_while(rachel):
    line = together("{} results need a look soon.")
    for _ in range(5):
        actions.notify("suspicious_result", users=[rachel], text=line, path="/studies/1/")
    assert OutgoingMail.objects.count() == 1

    OutgoingMail.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    actions.notify("suspicious_result", users=[rachel], text=line, path="/studies/1/")
    assert OutgoingMail.objects.count() == 2


def test_what_is_told_one_by_one_is_mailed_one_by_one(rachel):
    for text in ("Your password was changed.", "Your sessions were ended."):
        actions.notify("account_event", users=[rachel], text=text)
    assert OutgoingMail.objects.count() == 2


def test_a_mail_says_that_there_is_something_and_where_to_sign_in(rachel, settings):
    actions.notify(
        "suspicious_result", users=[rachel], text="2 results need a look soon (study 1A).", path="/studies/7/"
    )
    mail = OutgoingMail.objects.get()
    assert mail.subject == f"{settings.SITE_NAME}: A result needs a look"
    assert f"{settings.PUBLIC_URL}/notifications/" in mail.body
    assert "1A" not in mail.body
    assert "/studies/" not in mail.body


def test_a_mail_says_more_only_where_the_site_says_so(rachel, settings):
    settings.MAIL_CLINICAL_CONTENT = True
    actions.notify(
        "suspicious_result", users=[rachel], text="2 results need a look soon (study 1A).", path="/studies/7/"
    )
    mail = OutgoingMail.objects.get()
    assert "2 results need a look soon (study 1A)." in mail.body
    assert f"{settings.PUBLIC_URL}/studies/7/" in mail.body
