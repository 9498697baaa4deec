"""A small hospital with two of everything: what a role sees, and what belongs to somebody else.

``SAMPLES`` in tests/portal/access_samples.py says for each address with an argument which of these objects it is asked
for.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.mfa.webauthn.internal.auth import WebAuthn
from allauth.usersessions.models import UserSession
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from django.utils import timezone
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData
from rest_framework.test import APIClient

from accounts import actions as people
from accounts import people_csv
from accounts.models import EmergencyAccess, Patient, Team, User
from accounts.roles import Role
from diagnosis import actions, inference
from diagnosis.models import Analysis, DeidentifiedExport, ModelVersion, Study
from portal import jobs
from tests.fixture_results import concluded, filed, lesion, succeeded
from tests.fixture_sign_in import confirm

PLANTED = {
    "given name": "Plantagenetta",
    "family name": "Wintergreenova",
    "MRN": "MRN-PLANTED-77",
    "clinical history": "sister had a carcinoma at forty-four",
    "clinical question": "hard nodule beside the left areola",
    "telephone": "0800 555 0199",
    "address": "wintergreenova@post.example",
    "accession number": "ACC-PLANTED-5",
    "file name": "wintergreenova-left.png",
    "message": "I feel a pulling in my left side",
    "conclusion": "spiculated mass, biopsy advised",
    "log-in": "petra@test.local",
    "name of the log-in": "Petra Patient",
    "emergency": "She bleeds after the biopsy, I need the images.",
}
"""What nobody but those who treat her may read."""

Keys = dict[str, Any]


@dataclass
class World:
    """Who is there, and which objects.

    Attributes:
        people: the person of each role that asks.
        seen: role -> kind of object -> arguments of an address of one that the role sees.
        hidden: the same of one that is somebody else's.
    """

    people: dict[Role, User]
    seen: dict[Role, dict[str, Keys]] = field(default_factory=lambda: {role: {} for role in Role})
    hidden: dict[Role, dict[str, Keys]] = field(default_factory=lambda: {role: {} for role in Role})
    folder: Path | None = None
    sessions: dict[Role, str] = field(default_factory=dict)
    tokens: dict[Role, str] = field(default_factory=dict)

    def client(self, role: Role) -> Client:
        """A browser that is signed in, and has just proved who it is."""
        client = Client(raise_request_exception=False)
        client.cookies["sessionid"] = self.sessions[role]
        return client

    def program(self, role: Role) -> APIClient:
        """A client of the API with a token; a patient has none and comes with the session of a browser."""
        client = APIClient(raise_request_exception=False)
        if role in self.tokens:
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.tokens[role]}")
        else:
            client.cookies["sessionid"] = self.sessions[role]
        return client


def _person(name: str, role: Role) -> User:
    given_name, family_name = name.split()
    user, _ = people.create_user(
        acting_user=None,
        email=f"{given_name.lower()}@test.local",
        role=role,
        given_name=given_name,
        family_name=family_name,
        password=uuid.uuid4().hex,
    )
    return user


def _planted_patient() -> Patient:
    return people.create_patient(
        acting_user=None,
        mrn=PLANTED["MRN"],
        given_name=PLANTED["given name"],
        family_name=PLANTED["family name"],
        birth_date=date(1968, 3, 12),
        sex="F",
        phone=PLANTED["telephone"],
        email=PLANTED["address"],
        history=PLANTED["clinical history"],
    )


def _other_patient() -> Patient:
    return people.create_patient(
        acting_user=None, mrn="MRN-OTHER", given_name="Olga", family_name="Other", birth_date=date(1970, 5, 17), sex="F"
    )


def _result(patient: Patient, *, by: User, seed: int) -> Analysis:
    """A result with a map, an outline, and a report that the patient may see."""
    study = actions.create_study(
        acting_user=by,
        patient=patient,
        modality="US",
        laterality="L",
        clinical_history=PLANTED["clinical question"] if patient.mrn == PLANTED["MRN"] else "",
        accession_number=PLANTED["accession number"] if patient.mrn == PLANTED["MRN"] else "",
    )
    analysis = succeeded(study=study, by=by, seed=seed, found=lesion())
    type(analysis.image).objects.filter(pk=analysis.image_id).update(original_name=PLANTED["file name"])
    report = concluded(analysis, by=by, text=PLANTED["conclusion"])
    actions.release_report(acting_user=by, report=report, letter="Dear patient, all is well.")
    analysis.refresh_from_db()
    return analysis


def _clinical(analysis: Analysis, *, by: User, colleague: User) -> dict[str, Keys]:
    """What hangs on one result, each as the arguments of its address."""
    study = analysis.image.study
    report = analysis.reports.exclude(released_at=None).get()
    asked = actions.ask_second_opinion(acting_user=colleague, analysis=analysis, asked_of=by, question="Benign?")
    asking = actions.ask_second_opinion(acting_user=by, analysis=analysis, asked_of=colleague, question="A cyst?")
    appointment = people.make_appointment(
        acting_user=by,
        patient=study.patient,
        at=timezone.now() + timedelta(days=3),
        place="Clinic",
        purpose="Follow-up",
    )
    filed(study=study, by=by, seed=900 + analysis.image.byte_size % 7)
    return {
        "patient": {"pk": study.patient_id},
        "study": {"pk": study.pk},
        "image": {"pk": analysis.image_id},
        "analysis": {"pk": analysis.pk},
        "report": {"pk": report.pk},
        "opinion asked of me": {"pk": asked.pk},
        "opinion I asked for": {"pk": asking.pk},
        "appointment": {"pk": appointment.pk},
    }


def _own(user: User) -> dict[str, Keys]:
    """What belongs to a person alone."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = UserSession.objects.create(
        user=user, session_key=client.session.session_key, ip="10.0.0.7", user_agent="Firefox"
    )
    people.notify("account_event", users=[user], text="Something changed.")
    TOTP.activate(user, generate_totp_secret())
    RecoveryCodes.activate(user)
    passkey = WebAuthn.add(user, "Key", _credential())
    own = {
        "notification": {"pk": user.notifications.latest("pk").pk},
        "session": {"pk": session.pk},
        "passkey": {"pk": passkey.instance.pk},
    }
    if user.role != Role.PATIENT:
        own["token"] = {"pk": people.create_token(acting_user=user)[0].pk}
    return own


def _credential() -> dict[str, Any]:
    """What a browser sends when a passkey is made, from a key that nobody keeps (WebAuthn Level 2, 6.5.1)."""
    name = uuid.uuid4().bytes
    public = ES256.from_cryptography_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    data = AuthenticatorData.create(
        sha256(b"testserver").digest(),
        AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV | AuthenticatorData.FLAG.AT,
        0,
        bytes(AttestedCredentialData.create(b"\0" * 16, name, public)),
    )
    client = CollectedClientData.create("webauthn.create", b"challenge", "https://testserver")
    return {
        "id": websafe_encode(name),
        "rawId": websafe_encode(name),
        "type": "public-key",
        "response": {
            "clientDataJSON": websafe_encode(bytes(client)),
            "attestationObject": websafe_encode(bytes(AttestationObject.create("none", data, {}))),
        },
        "clientExtensionResults": {},
    }


def _sign_in(world: World) -> None:
    for role, user in world.people.items():
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        confirm(client)
        world.sessions[role] = client.session.session_key
        if role != Role.PATIENT:
            world.tokens[role] = people.create_token(acting_user=user)[1]


def _clinics(rachel: User, petra: User, adam: User) -> tuple[dict[str, Keys], dict[str, Keys], dict[str, Any]]:
    """The clinic in the north, that Rachel works in, and the one in the south, that is shut to her."""
    north, south = (people.create_team(acting_user=adam, name=name) for name in ("North clinic", "South clinic"))
    carla, bob, sam = (_person(f"{name} Radiologist", Role.RADIOLOGIST) for name in ("Carla", "Bob", "Sam"))
    for user, team in ((rachel, north), (carla, north), (bob, south), (sam, south)):
        people.set_teams(acting_user=adam, user=user, teams=[team])
    eve = _person("Eve Patient", Role.PATIENT)
    ours, theirs = _planted_patient(), _other_patient()
    people.link_patient_login(acting_user=adam, patient=ours, user=petra)
    people.link_patient_login(acting_user=adam, patient=theirs, user=eve)
    for user in (petra, eve):
        people.give_consent(acting_user=user, purpose="portal")
    people.write_to_clinic(acting_user=petra, text=PLANTED["message"])
    seen = _clinical(_result(ours, by=rachel, seed=1), by=rachel, colleague=carla)
    hidden = _clinical(_result(theirs, by=bob, seed=2), by=bob, colleague=sam)
    return seen, hidden, {"bob": bob, "eve": eve, "north": north, "ours": ours, "theirs": theirs}


def build() -> World:
    """Make it; nothing is committed by itself."""
    rachel, adam, ivan, petra = (
        _person("Rachel Radiologist", Role.RADIOLOGIST),
        _person("Adam Administrator", Role.ADMINISTRATOR),
        _person("Ivan Technician", Role.IT_STAFF),
        _person("Petra Patient", Role.PATIENT),
    )
    alma, ines = _person("Alma Administrator", Role.ADMINISTRATOR), _person("Ines Technician", Role.IT_STAFF)
    world = World(people=dict(zip(Role, (rachel, adam, ivan, petra), strict=True)))
    seen, hidden, others = _clinics(rachel, petra, adam)
    for role in Role:
        world.seen[role] |= seen
        world.seen[role] |= _own(world.people[role])
    for role in (Role.RADIOLOGIST, Role.PATIENT):
        world.hidden[role] |= hidden
    for role, other in zip(Role, (others["bob"], alma, ines, others["eve"]), strict=True):
        world.hidden[role] |= _own(other)
    _house(world, others=others, alma=alma, ines=ines)
    _sign_in(world)
    return world


def _house(world: World, *, others: dict[str, Any], alma: User, ines: User) -> None:
    """What is the house's: log-ins, teams, models, uses of emergency access, uploaded lists."""
    rachel, adam, _, petra = world.people.values()
    theirs, ours = others["theirs"], others["ours"]
    # Bob looks into the record of the north; Rachel's own use is over, so that the south stays hidden from her.
    of_bob = people.grant_emergency_access(acting_user=others["bob"], patient=ours, reason=PLANTED["emergency"])
    of_rachel = people.grant_emergency_access(acting_user=rachel, patient=theirs, reason=PLANTED["emergency"])
    people.end_emergency_access(acting_user=rachel, access=of_rachel)
    model = _model()
    proposal = _proposal(alma, model)
    team: Team = others["north"]
    shared = {
        "team": {"pk": team.pk},
        "model": {"name": model.name, "version": model.version, "plot": "roc"},
        "modality": {"modality": "US"},
        "purpose": {"purpose": "research"},
        "proposal": {"pk": proposal},
        "record outside my teams": {"pk": theirs.pk},
        "use of emergency access": {"pk": of_bob.pk},
        "my use of emergency access": {"pk": of_rachel.pk},
        "log-in": {"pk": ines.pk},
        "transfer": _transfer(rachel, adam),
        "package": _package(world.seen[Role.ADMINISTRATOR]["study"], by=alma),
    }
    for role in Role:
        world.seen[role] |= shared
    for user, places in ((adam, world.seen), (alma, world.hidden)):
        sheet = people_csv.read(b"email,given_name,family_name,role\nnew@test.local,New,Person,it_staff\n")
        places[Role.ADMINISTRATOR]["uploaded list"] = {"pk": people.keep_people(acting_user=user, sheet=sheet).pk}
    world.seen[Role.ADMINISTRATOR]["my use of emergency access"] = {"pk": of_bob.pk}
    world.hidden[Role.RADIOLOGIST]["my use of emergency access"] = {"pk": of_bob.pk}
    world.hidden[Role.RADIOLOGIST]["record outside my teams"] = {"pk": uuid.UUID(int=7)}
    world.hidden[Role.IT_STAFF]["log-in"] = {"pk": petra.pk}
    assert EmergencyAccess.objects.running().count() == 1


def _transfer(rachel: User, adam: User) -> Keys:
    """A study that was moved from one record to another."""
    wrong, right = (
        people.create_patient(
            acting_user=None, mrn=f"MRN-{name}", given_name=name, family_name="Person", birth_date=date(1980, 1, 1)
        )
        for name in ("Wrong", "Right")
    )
    study = actions.create_study(acting_user=rachel, patient=wrong, modality="US")
    moved = actions.split_patient(
        acting_user=adam, source=wrong, studies=[study], target=right, reason="Filed on the wrong record."
    )
    return {"pk": wrong.pk, "transfer": moved.pk}


def _package(study: Keys, *, by: User) -> Keys:
    """A de-identified package that is ready."""
    chosen = Study.objects.filter(**study)
    people.give_consent(acting_user=chosen.get().patient.user, purpose="research")
    export = actions.request_export(acting_user=by, studies=chosen, purpose="Quality figures of the year.")
    claim = jobs.claim(DeidentifiedExport, export.pk)
    assert claim is not None
    with NamedTemporaryFile() as file:
        assert actions.record_export(claim=claim, package=Path(file.name), sha256="0" * 64, image_count=0, left_out=[])
    return {"pk": export.pk}


def _model() -> ModelVersion:
    actions.register_models(found=inference.installed())
    return ModelVersion.objects.filter(modality="US", active=True).get()


def _proposal(alma: User, model: ModelVersion) -> int:
    return actions.propose_change(
        acting_user=alma,
        model=ModelVersion.objects.exclude(pk=model.pk).filter(modality="MG").first(),
        change="use",
        reason="Better on our own cases.",
    ).pk
