"""What a patient agrees to, takes back, and what follows from it."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from accounts import actions
from accounts.consents import TERMS, has_consent
from accounts.models import AuditEvent, Consent, OutgoingMail
from tests.fixture_patients import with_log_in

PAGES = ("own-messages", "own-appointments", "own-accesses")


@pytest.fixture
def own(client, anna, petra):
    """Petra, signed in, with Anna's record and no consent yet."""
    with_log_in(anna, petra, agreed=())
    client.force_login(petra)
    return client


def answer(client, purpose, word):
    return client.post(reverse("own-consent", args=[purpose]), {"answer": word})


def page(client) -> str:
    return client.get(reverse("own-consents")).content.decode()


def test_without_the_first_agreement_there_is_only_the_page_of_consents(own):
    for address in ("home", *PAGES):
        assert own.get(reverse(address)).url == reverse("own-consents")
    html = page(own)
    for terms in TERMS.values():
        assert terms.title in html
    assert "please answer the first question with yes" in html


def test_an_agreement_opens_the_pages_and_is_kept_in_its_words(own, anna, petra):
    answer(own, "portal", "yes")

    for address in ("home", *PAGES):
        assert own.get(reverse(address)).status_code == 200
    row = Consent.objects.get()
    assert (row.patient, row.wording, row.withdrawn_at) == (anna, TERMS["portal"].wording, None)
    event = AuditEvent.objects.get(action="consent.given")
    assert (event.actor, event.patient, event.details["of"]) == (petra, anna, "portal")


def test_taking_it_back_closes_the_pages_and_keeps_the_history(own, anna, petra):
    answer(own, "portal", "yes")
    answer(own, "portal", "no")
    assert own.get(reverse("home")).url == reverse("own-consents")
    answer(own, "portal", "yes")

    assert own.get(reverse("home")).status_code == 200
    assert Consent.objects.filter(purpose="portal").count() == 2
    assert Consent.objects.filter(purpose="portal", withdrawn_at=None).count() == 1
    html = page(own)
    assert html.count("Agreed on") == 2
    assert html.count("taken back on") == 1
    assert AuditEvent.objects.get(action="consent.withdrawn").actor == petra


def test_each_answer_stands_for_itself(own, anna):
    answer(own, "research", "yes")

    assert has_consent(anna, "research")
    assert not has_consent(anna, "portal")
    assert not has_consent(anna, "email")


def test_the_same_answer_twice_is_one(own):
    for _ in range(2):
        answer(own, "email", "yes")
    for _ in range(2):
        answer(own, "email", "no")

    assert Consent.objects.count() == 1
    assert AuditEvent.objects.filter(action__startswith="consent.").count() == 2


def test_the_words_that_were_agreed_to_are_shown_when_they_were_others(own, anna):
    Consent.objects.create(patient=anna, purpose="research", wording="The sentence of last year.")

    assert "The sentence of last year." in page(own)


def test_without_the_agreement_no_mail_says_that_a_report_is_ready(own, anna, petra):
    def told():
        actions.notify("report_released", users=[petra], text="A report is ready", path="/")
        return OutgoingMail.objects.filter(recipient=petra.email).count()

    assert told() == 0
    answer(own, "email", "yes")
    assert told() == 1
    answer(own, "email", "no")
    assert told() == 1


@pytest.mark.parametrize(("purpose", "word"), [("portal", "maybe"), ("everything", "yes"), ("portal", "")])
def test_another_answer_or_question_does_not_exist(own, purpose, word):
    assert answer(own, purpose, word).status_code == 404
    assert not Consent.objects.exists()


@pytest.mark.parametrize("who", ["rachel", "adam", "ivan"])
def test_nobody_answers_for_a_patient(client, anna, who, request):
    user = request.getfixturevalue(who)
    client.force_login(user)

    assert answer(client, "portal", "yes").status_code == 404
    assert client.get(reverse("own-consents")).status_code == 403
    with pytest.raises(PermissionDenied):
        actions.give_consent(acting_user=user, purpose="portal")
    assert not has_consent(anna, "portal")


def test_a_log_in_without_a_record_has_nothing_to_answer(client, petra):
    client.force_login(petra)

    for address in ("home", "own-consents", *PAGES):
        assert "not connected to a record" in client.get(reverse(address)).content.decode()
    with pytest.raises(PermissionDenied):
        actions.give_consent(acting_user=petra, purpose="portal")
