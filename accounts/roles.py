"""The roles and what each may do, as data. ``accounts.permissions`` is the only one that decides by it.

``accounts.role_words`` has the words for every object and verb, for the page and for docs/access.md.
"""

from __future__ import annotations

from django.db import models


class Role(models.TextChoices):
    RADIOLOGIST = "radiologist", "Radiologist"
    ADMINISTRATOR = "administrator", "Administrator"
    IT_STAFF = "it_staff", "IT staff"
    PATIENT = "patient", "Patient"


_R, _A, _I, _P = Role.RADIOLOGIST, Role.ADMINISTRATOR, Role.IT_STAFF, Role.PATIENT

TABLE: dict[str, dict[str, frozenset[Role]]] = {
    # Everybody's own
    "home": {"view": frozenset({_R, _A, _I, _P})},
    "own_account": {"view": frozenset({_R, _A, _I, _P}), "change": frozenset({_R, _A, _I, _P})},
    "notification": {"view": frozenset({_R, _A, _I, _P}), "change": frozenset({_R, _A, _I, _P})},
    "token": {"create": frozenset({_R, _A, _I}), "delete": frozenset({_R, _A, _I})},
    "api_schema": {"view": frozenset({_R, _A, _I, _P})},
    "role_table": {"view": frozenset({_R, _A, _I})},
    # People
    "user": {
        "view": frozenset({_A, _I}),
        "create": frozenset({_A, _I}),
        "change": frozenset({_A, _I}),
        "import": frozenset({_A}),
        "export": frozenset({_A}),
        "reset_mfa": frozenset({_A, _I}),
        "end_sessions": frozenset({_A, _I}),
    },
    "team": {"view": frozenset({_A, _I}), "create": frozenset({_A}), "change": frozenset({_A})},
    # Patients' records
    "patient": {
        "view": frozenset({_R, _A}),
        "create": frozenset({_R, _A}),
        "change": frozenset({_R, _A}),
        "merge": frozenset({_A}),
        "erase": frozenset({_A}),
    },
    "emergency_access": {
        "create": frozenset({_R}),
        "end": frozenset({_R, _A}),
        "view": frozenset({_A}),
        "review": frozenset({_A}),
    },
    "study": {"view": frozenset({_R, _A}), "create": frozenset({_R}), "assign": frozenset({_A})},
    "image": {"view": frozenset({_R, _A, _P}), "add": frozenset({_R})},
    "analysis": {
        "view": frozenset({_R, _A}),
        "retry": frozenset({_R}),
        "cancel": frozenset({_R}),
        "export": frozenset({_R, _A}),
    },
    "assessment": {"view": frozenset({_R, _A}), "create": frozenset({_R})},
    "known_outcome": {"view": frozenset({_R, _A}), "create": frozenset({_R, _A})},
    "second_opinion": {"view": frozenset({_R, _A}), "ask": frozenset({_R}), "answer": frozenset({_R})},
    "report": {
        "view": frozenset({_R, _A, _P}),
        "reissue": frozenset({_R}),
        "release": frozenset({_R}),
        "withdraw": frozenset({_R, _A}),
    },
    # What a patient may do, and what the clinic does for them
    "own_record": {"view": frozenset({_P}), "change": frozenset({_P}), "export": frozenset({_P})},
    "patient_invitation": {"create": frozenset({_R, _A}), "revoke": frozenset({_R, _A})},
    "message": {"view": frozenset({_R, _A}), "create": frozenset({_R, _A})},
    "appointment": {"view": frozenset({_R, _A}), "create": frozenset({_R, _A}), "change": frozenset({_R, _A})},
    # The house
    "model": {
        "view": frozenset({_R, _A, _I}),
        "choose": frozenset({_A}),
        "set_prevalence": frozenset({_A}),
        "shadow": frozenset({_A}),
    },
    "dashboard": {"view": frozenset({_A})},
    "ledger": {"view": frozenset({_A}), "export": frozenset({_A})},
    "ledger_metadata": {"view": frozenset({_A, _I})},
    "deidentified_export": {"view": frozenset({_A}), "create": frozenset({_A})},
    "job": {"view": frozenset({_A, _I}), "retry": frozenset({_I}), "cancel": frozenset({_I})},
    "mail": {"view": frozenset({_A, _I}), "retry": frozenset({_A, _I})},
    "operations": {"view": frozenset({_A, _I})},
}
"""object -> verb -> the roles that may. What is not here, nobody may."""

GRANTS: dict[Role, frozenset[Role]] = {
    _A: frozenset(Role),
    _I: frozenset({_I}),
}
"""Whose log-ins a role may make and change. Anybody else's they may only activate and deactivate: who can change an
e-mail address can have the password reset to it, and so sign in as that person."""
