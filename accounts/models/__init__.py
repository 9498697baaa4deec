"""Users, patients, tokens, notifications and the audit ledger. Written by ``accounts.actions`` only."""

from accounts.models.ledger import AuditEvent
from accounts.models.notification import Notification, NotificationPreference, OutgoingMail
from accounts.models.patient import EmergencyAccess, Patient, Sex, not_in_the_future
from accounts.models.people_import import PeopleImport
from accounts.models.person import Team, User, UserManager
from accounts.models.portal_access import Appointment, Consent, Message, PatientInvitation
from accounts.models.token import ApiToken

__all__ = [
    "ApiToken",
    "Appointment",
    "AuditEvent",
    "Consent",
    "EmergencyAccess",
    "Message",
    "Notification",
    "NotificationPreference",
    "OutgoingMail",
    "Patient",
    "PatientInvitation",
    "PeopleImport",
    "Sex",
    "Team",
    "User",
    "UserManager",
    "not_in_the_future",
]
