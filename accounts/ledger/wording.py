"""What a row of the ledger says, in words: who did what, without a code."""

from __future__ import annotations

from accounts.ledger.chain import GENESIS
from accounts.models import AuditEvent
from accounts.roles import Role

SYSTEM = "The system"
SOMEBODY = "Somebody"

PHRASES: dict[str, str] = {
    # Signing in
    "user.signed_in": "signed in",
    "user.signed_out": "signed out",
    "user.sign_in_failed": "failed to sign in",
    "user.timed_out": "was signed out after a time without use",
    "user.provider_connected": "connected the hospital's sign-in",
    "user.provider_refused": "was refused by the hospital's sign-in",
    "user.new_device": "signed in from a new device",
    "user.password_changed": "set a new password",
    "user.sessions_ended": "ended sessions",
    "user.reconfirmed": "confirmed who they are",
    "mfa.added": "added a second factor",
    "mfa.removed": "removed a second factor",
    "mfa.failed": "gave a wrong code of the second factor",
    "mfa.recovery_codes_shown": "had their recovery codes shown",
    "mfa.recovery_code_used": "signed in with a recovery code",
    "token.created": "got an API token",
    "token.deleted": "deleted an API token",
    "token.refused": "was refused an API sign-in",
    "access.denied": "was refused",
    # People
    "user.created": "created a user",
    "user.changed": "changed a user",
    "user.viewed": "opened a user",
    "user.listed": "opened the list of users",
    "user.invited": "invited a user",
    "user.invitation_revoked": "took back an invitation of a user",
    "user.mfa_reset": "reset a second factor",
    "user.teams_changed": "changed the teams of a user",
    "user.import_uploaded": "uploaded a list of users",
    "user.imported": "imported users",
    "user.exported": "exported the list of users",
    "team.created": "created a team",
    "team.changed": "changed a team",
    "notifications.chosen": "chose their notifications",
    # Records
    "patient.created": "created the record",
    "patient.changed": "changed the record",
    "patient.viewed": "opened the record",
    "patient.listed": "opened a list of patients",
    "patient.access_viewed": "asked who opened the record",
    "patient.login_linked": "connected the record with a log-in",
    "patient.login_unlinked": "disconnected the record from a log-in",
    "patient.merged": "merged the record with another",
    "patient.split": "moved studies to another record",
    "patient.erasure_started": "began to erase the record",
    "patient.erased": "erased the record",
    "patient.transfer_undone": "took a merge or split of records back",
    "own_record.viewed": "opened their own record",
    "own_record.listed": "opened their own record",
    "own_record.exported": "exported their own data",
    "emergency_access.offered": "searched for the MRN of the record, outside their teams",
    "emergency_access.granted": "opened the record by emergency access",
    "emergency_access.ended": "ended an emergency access",
    "emergency_access.reviewed": "reviewed an emergency access",
    "emergency_access.refused": "was refused emergency access",
    "emergency_access.viewed": "opened a use of emergency access",
    "emergency_access.listed": "opened the list of emergency accesses",
    "patient_invitation.created": "invited the patient to the portal",
    "patient_invitation.revoked": "took back an invitation of the patient",
    "patient_invitation.used": "made a log-in with an invitation",
    "patient_invitation.refused": "was refused an invitation",
    "patient_invitation.burnt": "used up the tries of an invitation",
    "patient_invitation.number_sent": "sent the number of an invitation",
    "consent.given": "gave a consent",
    "consent.withdrawn": "withdrew a consent",
    "message.sent": "sent a message",
    "message.read": "read a message",
    "message.listed": "opened the messages",
    "appointment.created": "made an appointment",
    "appointment.changed": "changed an appointment",
    "appointment.cancelled": "cancelled an appointment",
    "appointment.viewed": "opened an appointment",
    "appointment.listed": "opened the appointments",
    # Studies, images, results
    "study.created": "created a study",
    "study.viewed": "opened a study",
    "study.listed": "opened a list of studies",
    "study.assigned": "gave a study to a team",
    "image.filed": "filed an image",
    "image.viewed": "opened an image",
    "image.listed": "opened a list of images",
    "image.refused": "was told that an image is not taken",
    "image.mismatch_shown": "was told that a file names another patient",
    "analysis.viewed": "opened a result",
    "analysis.listed": "opened the history",
    "analysis.map_viewed": "opened the map of a result",
    "analysis.succeeded": "stored a result",
    "analysis.rejected": "refused an image",
    "analysis.failed": "could not finish an analysis",
    "analysis.retried": "asked for an analysis again",
    "analysis.cancelled": "cancelled an analysis",
    "history.exported": "exported the history",
    "home.viewed": "opened the start page",
    "assessment.made": "signed an assessment",
    "known_outcome.entered": "entered an outcome",
    "second_opinion.asked": "asked for a second opinion",
    "second_opinion.given": "gave a second opinion",
    "second_opinion.withdrawn": "withdrew a question for a second opinion",
    "report.requested": "asked for a report",
    "report.stored": "stored a report",
    "report.failed": "could not make a report",
    "report.retried": "had a report made again",
    "report.cancelled": "cancelled the making of a report",
    "shadow_reading.retried": "had an image read again by a model that is tried unseen",
    "shadow_reading.cancelled": "cancelled a reading by a model that is tried unseen",
    "export.retried": "had a de-identified package made again",
    "report.viewed": "opened a report",
    "report.downloaded": "downloaded a report",
    "report.released": "released a report to the patient",
    "report.withdrawn": "withdrew a report",
    "export.requested": "asked for a de-identified package",
    "export.stored": "stored a de-identified package",
    "export.failed": "could not make a de-identified package",
    "export.cancelled": "cancelled a de-identified package",
    "export.downloaded": "downloaded a de-identified package",
    "export.removed": "removed a de-identified package",
    "deidentified_export.viewed": "opened a de-identified package",
    "deidentified_export.listed": "opened the list of de-identified packages",
    "shadow_reading.made": "had a candidate model read an image unseen",
    "shadow_reading.failed": "could not have a candidate model read an image",
    # The house
    "queue.trouble_began": "saw trouble in the queue",
    "queue.trouble_ended": "saw the end of a trouble in the queue",
    "mail.sent": "sent an e-mail",
    "mail.failed": "could not send an e-mail",
    "mail.retried": "sent an e-mail again",
    "model.registered": "registered a model",
    "model.activated": "took a model into use",
    "model.retired": "took a model out of use",
    "model.change_proposed": "proposed a change of models",
    "model.change_confirmed": "confirmed a change of models",
    "model.change_declined": "declined a change of models",
    "model.change_withdrawn": "withdrew a proposed change of models",
    "model.shadow_began": "began to try a model unseen",
    "model.shadow_ended": "stopped trying a model unseen",
    "prevalence.changed": "changed a prevalence",
    "field_keys.rotated": "changed the keys of contact data",
    "ledger.viewed": "searched the ledger",
    "ledger.exported": "exported the ledger",
    "ledger.anchored": "anchored the ledger",
}
"""What follows the name of the person, by action."""

DENIALS = {
    "role": "was refused by role",
    "refused": "was refused",
    "not_theirs": "asked for something that is not there or not theirs",
    "not_signed_in": "was refused: not signed in",
    "many": "was refused many different things",
}
"""The same for ``access.denied``, by its reason."""

OBJECTS = {
    "user": "user",
    "apitoken": "API token",
    "patient": "record",
    "study": "study",
    "image": "image",
    "analysis": "result",
    "report": "report",
    "outgoingmail": "e-mail",
    "modelversion": "model",
    "modalitysetting": "modality",
    "team": "team",
    "secondopinion": "second opinion",
    "knownoutcome": "outcome",
    "emergencyaccess": "emergency access",
    "patientinvitation": "invitation",
    "peopleimport": "list of users",
    "modelproposal": "change of models",
    "deidentifiedexport": "de-identified package",
    "recordtransfer": "merge or split",
    "shadowreading": "unseen reading",
    "erasure": "erasure",
    "consent": "consent",
    "message": "message",
    "appointment": "appointment",
    "assessment": "assessment",
    "job": "job",
}

ROLES = {**{role.value: str(role.label) for role in Role}, "system": "System"}


def phrase(event: AuditEvent) -> str:
    """What was done, to follow the person's name: "opened the record"."""
    if event.action == "access.denied":
        return DENIALS.get(_reason(event), PHRASES[event.action])
    return PHRASES.get(event.action) or fallback(event.action)


def fallback(action: str) -> str:
    """A phrase for an action that has none yet: the action's own words."""
    words = action.replace("_", " ").split(".")
    return f"({', '.join(words)})"


def _reason(event: AuditEvent) -> str:
    return str(event.details.get("reason", "")) if isinstance(event.details, dict) else ""


def person(event: AuditEvent, name: str | None) -> str:
    """Who did it: the name, or what stands for it where nobody is named or the person no longer exists."""
    if name:
        return name
    if event.actor_id is not None:
        return f"User {event.actor_id}"
    return SOMEBODY if event.action.rpartition(".")[2] in ("sign_in_failed", "refused", "denied") else SYSTEM


def role(event: AuditEvent) -> str:
    """What they were at that time; nothing where nobody is named."""
    return "" if event.actor_id is None else ROLES.get(event.actor_role, event.actor_role)


def object_words(event: AuditEvent) -> str:
    """The kind of the object and the beginning of its key: "study 0d6c2f1a". Empty where the phrase says it all."""
    is_self = event.object_type == "user" and event.object_id == str(event.actor_id)
    if not event.object_id or is_self or (event.object_type in SAID_BY_PHRASE and event.action != "access.denied"):
        return ""
    kind = OBJECTS.get(event.object_type, event.object_type.replace("_", " "))
    key = event.object_id if len(event.object_id) <= SHORT_KEY else event.object_id[:SHORT_KEY]
    return f"{kind} {key}".strip()


SHORT_KEY = 8
SAID_BY_PHRASE = frozenset({"patient", "home", "own_record", "ledger"})
SHORT_DIGEST = 12
NOT_SHOWN = frozenset({"page"})
"""Details of a viewing that only programs read."""


def details_words(event: AuditEvent) -> str:
    """The details as "name: value" pairs."""
    if not isinstance(event.details, dict):
        return str(event.details)
    is_viewing = event.action.endswith((".viewed", ".listed"))
    return ", ".join(
        f"{name.replace('_', ' ')}: {_plain(value)}"
        for name, value in event.details.items()
        if not (is_viewing and name in NOT_SHOWN) and value != {}
    )


def _plain(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_plain, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{name} {_plain(one)}" for name, one in value.items()) or "none"
    if value is None:
        return "none"
    if isinstance(value, str) and len(value) == len(GENESIS) and value.isalnum():
        return value[:SHORT_DIGEST]
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
