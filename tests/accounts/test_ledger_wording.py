"""Every action that the code records has its words; nobody reads codes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from accounts.ledger import wording
from accounts.models import AuditEvent

ROOT = Path(__file__).resolve().parents[2]
RECORDERS = ("audit.record", "audit.record_viewing", "audit.record_of", "audit.note_viewing")


def recorded() -> dict[str, str]:
    """Action -> where, of every call that names its action."""
    found = {}
    for path in (file for room in ("accounts", "diagnosis", "portal") for file in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in RECORDERS and node.args:
                action = node.args[0]
                if isinstance(action, ast.Constant):
                    found[str(action.value)] = f"{path.relative_to(ROOT)}:{node.lineno}"
    return found


def test_every_action_has_its_words():
    actions = recorded()
    assert len(actions) > 50
    assert {action: where for action, where in actions.items() if action not in wording.PHRASES} == {}


def test_phrases_follow_a_name():
    assert [phrase for phrase in wording.PHRASES.values() if phrase != phrase.strip() or phrase.endswith(".")] == []
    assert all(phrase[0].islower() for phrase in wording.PHRASES.values())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"action": "patient.viewed", "actor_id": 7, "actor_role": "radiologist"}, "User 7 opened the record"),
        ({"action": "analysis.succeeded", "actor_role": "system"}, "The system stored a result"),
        ({"action": "user.sign_in_failed"}, "Somebody failed to sign in"),
        ({"action": "token.refused"}, "Somebody was refused an API sign-in"),
        ({"action": "access.denied", "actor_id": 7, "details": {"reason": "role"}}, "User 7 was refused by role"),
        ({"action": "access.denied", "actor_id": 7, "details": {"reason": "?"}}, "User 7 was refused"),
        ({"action": "access.denied", "actor_id": 7, "details": []}, "User 7 was refused"),
        ({"action": "new.thing_done", "actor_id": 7}, "User 7 (new, thing done)"),
    ],
)
def test_a_row_is_a_sentence(values, said):
    event = AuditEvent(**values)
    assert f"{wording.person(event, None)} {wording.phrase(event)}" == said


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({}, ""),
        ({"fields": ["email", "phone"], "count": 3}, "fields: email phone, count: 3"),
        ({"before": None, "after": 0.05, "yes": True}, "before: none, after: 0.05, yes: yes"),
        ({"filters": {"state": "failed"}}, "filters: state failed"),
        ({"filters": {}}, ""),
        ({"sha256": "0123456789ab" + "0" * 52}, "sha256: 0123456789ab"),
        (["odd"], "['odd']"),
    ],
)
def test_details_are_words(details, said):
    assert wording.details_words(AuditEvent(action="study.created", details=details)) == said


def test_what_the_phrase_says_is_not_said_again():
    assert wording.object_words(AuditEvent(action="patient.viewed", object_type="patient", object_id="x")) == ""
    assert (
        wording.object_words(AuditEvent(action="user.signed_in", object_type="user", object_id="7", actor_id=7)) == ""
    )
    assert wording.object_words(AuditEvent(action="user.changed", object_type="user", object_id="8", actor_id=7))
    denied = AuditEvent(action="access.denied", object_type="patient", object_id="0123456789")
    assert wording.object_words(denied) == "record 01234567"
