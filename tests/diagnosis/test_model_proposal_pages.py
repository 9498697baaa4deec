"""The pages on which two persons change the model in use."""

from __future__ import annotations

from html import unescape

import pytest
from django.urls import reverse

from diagnosis import inference
from diagnosis.actions import propose_change, register_models
from diagnosis.models import ModelProposal, ModelVersion
from ml.contract import ModelIdentity
from tests.fixture_models import registered, switched
from tests.fixture_results import MODEL
from tests.fixture_sign_in import confirm as just_confirmed

NEWER = ModelIdentity(name="us-test", version="2.0.0", sha256="ef" * 32, modality="US")
REASON = "Better on dense breasts, see the card"


@pytest.fixture
def sound(monkeypatch):
    """Every artefact is what was registered; ``sound.add(sentence)`` has one of them altered."""
    altered: list[str] = []
    monkeypatch.setattr(inference, "altered_files", lambda name, version, *, sha256: list(altered))
    return altered


@pytest.fixture
def now(db, sound) -> ModelVersion:
    """The ultrasound model in use."""
    return registered(MODEL, active=True)


@pytest.fixture
def newer(now) -> ModelVersion:
    """Another released version for ultrasound."""
    return registered(NEWER)


def in_use() -> set[str]:
    return {str(row) for row in ModelVersion.objects.filter(active=True)}


def proposed(model, by, change: str = "use") -> ModelProposal:
    return propose_change(acting_user=by, model=model, change=change, reason=REASON)


def page(client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode())


def propose_by_page(client, model, *, change: str = "use", reason: str = REASON):
    return client.post(
        reverse("model-propose", args=[model.name, model.version]), {"change": change, "reason": reason}, follow=True
    )


def test_from_the_card_to_the_confirmation(client, adam, ada, newer):
    client.force_login(adam)
    just_confirmed(client)
    card = reverse("model-card", args=[newer.name, newer.version])
    assert "Propose this version" in page(client, card)
    html = unescape(propose_by_page(client, newer).content.decode())
    assert "Nothing has changed yet" in html
    assert "Ada Administrator-Two. They were told." in html
    assert "Confirm the change" not in html

    proposal = ModelProposal.objects.get()
    address = reverse("model-proposal", args=[proposal.pk])
    client.force_login(ada)
    just_confirmed(client)
    html = page(client, address)
    assert REASON in html
    assert "Confirm the change" in html
    html = unescape(client.post(address + "confirm/", follow=True).content.decode())
    assert "us-test 2.0.0 analyses new images from now on." in html
    assert in_use() == {"us-test 2.0.0"}
    history = page(client, reverse("model-list"))
    assert "confirmed by Ada Administrator-Two" in history
    assert "Before: us-test 1.0.0." in history


def test_the_one_who_proposed_is_refused_on_the_page_too(client, adam, ada, newer):
    proposal = proposed(newer, adam)
    client.force_login(adam)
    just_confirmed(client)
    html = client.post(reverse("model-proposal-confirm", args=[proposal.pk]), follow=True).content.decode()
    assert "You proposed this yourself." in html
    assert in_use() == {"us-test 1.0.0"}


@pytest.mark.parametrize("name", ["model-propose", "model-proposal-confirm", "model-shadow"])
def test_each_step_asks_again_who_it_is(client, adam, ada, newer, name):
    proposal = proposed(newer, adam)
    client.force_login(ada)
    arguments = [proposal.pk] if name == "model-proposal-confirm" else [newer.name, newer.version]
    answer = client.post(reverse(name, args=arguments), {"change": "use", "reason": REASON})
    assert answer.status_code == 302
    assert "reauthenticate" in answer["Location"]
    assert in_use() == {"us-test 1.0.0"}
    newer.refresh_from_db()
    assert not newer.shadow


def test_the_only_administrator_is_told_that_nobody_can_confirm(client, adam, ivan, newer):
    client.force_login(adam)
    just_confirmed(client)
    html = page(client, reverse("model-card", args=[newer.name, newer.version]))
    assert "You are the only administrator here" in html
    assert "IT staff cannot confirm" in html
    html = propose_by_page(client, newer).content.decode()
    assert "nobody can confirm it" in html


def test_a_misfit_says_why_and_has_no_button(client, adam, ada, sound, newer):
    proposal = proposed(newer, adam)
    sound.append("model.tflite differs")
    client.force_login(ada)
    html = page(client, reverse("model-proposal", args=[proposal.pk]))
    assert "It cannot be confirmed." in html
    assert "missing or were altered" in html
    assert "Confirm the change" not in html
    assert ">Decline</button>" in html


def test_a_proposal_is_withdrawn_on_its_page(client, adam, ada, newer):
    proposal = proposed(newer, adam)
    client.force_login(adam)
    html = client.post(reverse("model-proposal-withdraw", args=[proposal.pk]), follow=True).content.decode()
    assert "The model in use has not changed." in html
    assert "<dt>Withdrawn</dt>" in html


def test_going_back_is_one_press_with_a_reason_ready(client, adam, ada, now, newer):
    switched(newer, by=adam, and_by=ada)
    client.force_login(adam)
    html = page(client, reverse("model-card", args=[newer.name, newer.version]))
    assert "Propose to go back to us-test 1.0.0" in html
    assert 'value="Back to the model that was in use before us-test 2.0.0."' in html


def test_the_list_shows_what_waits(client, rachel, adam, newer):
    proposed(newer, adam)
    client.force_login(rachel)
    html = page(client, reverse("model-list"))
    assert "Waiting for a second person" in html
    assert "/models/proposals/" not in html, "the page opens to administrators alone"


@pytest.mark.parametrize("who", ["rachel", "ivan", "petra"])
def test_a_proposal_is_not_shown_to_those_who_may_not_decide(client, request, adam, newer, who):
    proposal = proposed(newer, adam)
    client.force_login(request.getfixturevalue(who))
    address = reverse("model-proposal", args=[proposal.pk])
    assert client.get(address).status_code == 404
    assert client.post(address + "confirm/").status_code == 404
    assert client.post(address + "withdraw/").status_code == 404
    assert propose_by_page(client, newer).status_code == 404
    assert ModelProposal.objects.get().is_open


def test_hostile_words_in_a_reason_are_shown_not_run(client, adam, ada, newer):
    client.force_login(adam)
    just_confirmed(client)
    html = propose_by_page(client, newer, reason="<script>alert(1)</script>\r\nSet-Cookie: x").content.decode()
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Set-Cookie: x" in html


def test_the_first_activation_at_installation_needs_no_person_and_is_in_the_history(client, adam, db, sound):
    register_models(found=[ModelVersion(name="us-test", version="1", modality="US", status="released", sha256="1")])
    assert in_use() == {"us-test 1"}
    client.force_login(adam)
    html = page(client, reverse("model-list"))
    assert "Taken into use at installation" in html
    assert "by the portal itself, no person" in html
