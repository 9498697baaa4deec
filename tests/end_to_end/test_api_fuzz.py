"""Hostile and odd requests, made from the OpenAPI description, for each role: no 500, nothing undocumented or leaked.

Schemathesis (Hatfield-Dodds and Dygalo, ICSE 2022) generates them; every response passes all its checks but one: that
what fits the description is always accepted, since a description cannot say that a patient has to exist.
"""

from __future__ import annotations

import os
from datetime import date

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from rest_framework.test import APIClient
from schemathesis.specs.openapi.checks import positive_data_acceptance

from accounts import actions as people
from accounts.roles import Role
from diagnosis import actions
from tests.conftest import person
from tests.fixture_results import lesion, succeeded, with_report

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
"""Requests for each operation and role."""
NAME, MRN, HISTORY = "Zyxwvutsia", "MRN-ZYXWVUTS", "zyxwvuts palpable lump"
"""Planted in a record; who may not see it must never receive them."""
CLINICAL = (Role.RADIOLOGIST, Role.ADMINISTRATOR)
"""Whose answers may hold a patient's name."""


@pytest.fixture
def hospital(live_server):
    """One person of each role, and a record with a result and a report."""
    made = {role: person(f"{role}@fuzz.local", role, "Fuzz", role.title()) for role in Role}
    patient = people.create_patient(
        acting_user=None, mrn=MRN, given_name="Quirina", family_name=NAME, birth_date=date(1970, 5, 17), history=HISTORY
    )
    study = _study(patient, by=made[Role.RADIOLOGIST])
    with_report(succeeded(study=study, by=made[Role.RADIOLOGIST], found=lesion()))
    return made


def _study(patient, *, by):
    return actions.create_study(acting_user=by, patient=patient, modality="US", clinical_history=HISTORY)


def _headers(user) -> dict[str, str]:
    """Of a request that carries the person's token; patients have none and get a stranger's answers."""
    if user is None or user.role == Role.PATIENT:
        return {}
    return {"Authorization": f"Bearer {people.create_token(acting_user=user)[1]}"}


def _description(user, live_server):
    client = APIClient()
    client.force_authenticate(user)
    described = client.get("/api/schema/?format=json").json()
    schema = schemathesis.openapi.from_dict(described)
    schema.config.update(base_url=live_server.url)
    return schema


def _ask(operation, *, headers, may_see_names: bool) -> int:
    """Send made-up requests of one operation; return how many."""
    sent = 0

    @seed(20261121)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case):
        nonlocal sent
        sent += 1
        answer = case.call(headers=headers)
        assert answer.status_code < 500, f"{operation.method} {operation.path}: {answer.text[:300]}"
        case.validate_response(answer, headers=headers, excluded_checks=[positive_data_acceptance])
        for secret in () if may_see_names else (NAME, MRN, HISTORY):
            assert secret.encode() not in answer.content, f"{operation.method} {operation.path} leaks"

    ask()
    return sent


@pytest.mark.parametrize("role", list(Role))
def test_no_request_breaks_the_api_or_makes_it_talk(role, hospital, live_server):
    schema = _description(hospital[Role.RADIOLOGIST], live_server)
    headers = _headers(hospital[role])
    operations = [found.ok() for found in schema.get_all_operations()]
    sent = sum(
        _ask(operation, headers=headers, may_see_names=role in CLINICAL)
        for operation in operations
        # It would end the token that the others need.
        if (operation.method.upper(), operation.path) != ("DELETE", "/api/v1/tokens/current/")
    )
    assert sent > EXAMPLES * 5
