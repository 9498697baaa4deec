"""The roles and what each may do, as data. ``accounts.permissions`` is the only reader."""

from __future__ import annotations

from django.db import models


class Role(models.TextChoices):
    RADIOLOGIST = "radiologist", "Radiologist"
    ADMINISTRATOR = "administrator", "Administrator"
    IT_STAFF = "it_staff", "IT staff"
    PATIENT = "patient", "Patient"


_R, _A, _I, _P = Role.RADIOLOGIST, Role.ADMINISTRATOR, Role.IT_STAFF, Role.PATIENT

TABLE: dict[str, dict[str, frozenset[Role]]] = {
    "home": {"view": frozenset({_R, _A, _I, _P})},
    "own_account": {"view": frozenset({_R, _A, _I, _P}), "change": frozenset({_R, _A, _I, _P})},
    "token": {"create": frozenset({_R, _A, _I}), "delete": frozenset({_R, _A, _I})},
    "api_schema": {"view": frozenset({_R, _A, _I, _P})},
    "user": {
        "view": frozenset({_A, _I}),
        "create": frozenset({_A, _I}),
        "change": frozenset({_A, _I}),
    },
    "patient": {
        "view": frozenset({_R, _A}),
        "create": frozenset({_R, _A}),
        "change": frozenset({_R, _A}),
    },
    "study": {"view": frozenset({_R, _A}), "create": frozenset({_R})},
    "image": {"view": frozenset({_R, _A}), "add": frozenset({_R})},
    "analysis": {
        "view": frozenset({_R, _A}),
        "retry": frozenset({_R}),
        "cancel": frozenset({_R}),
        "export": frozenset({_R, _A}),
    },
    "report": {"view": frozenset({_R, _A, _P}), "reissue": frozenset({_R})},
    "model": {
        "view": frozenset({_R, _A, _I}),
        "choose": frozenset({_A}),
        "set_prevalence": frozenset({_A}),
    },
    "operations": {"view": frozenset({_A, _I})},
}
"""object -> verb -> the roles that may. What is not here, nobody may."""

GRANTS: dict[Role, frozenset[Role]] = {
    _A: frozenset(Role),
    _I: frozenset({_I}),
}
"""Whose log-ins a role may make and change. Anybody else's they may only activate and deactivate: who can change an
e-mail address can have the password reset to it, and so sign in as that person."""
