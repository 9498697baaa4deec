"""The verbs on people: the only writer of users, patients, tokens and what belongs to them.

Every function takes ``acting_user`` by keyword (``None``: a command on the server), asks the permission table, and
writes its ledger row in the same transaction.
"""

from accounts.actions.mail import abandon_mail, enqueue_mail, fail_mail, record_sent, retry_mail
from accounts.actions.notifications import mark_read, notify
from accounts.actions.patients import (
    create_patient,
    link_patient_login,
    set_patient_of_login,
    update_patient,
)
from accounts.actions.tokens import create_token, delete_token, note_refused_token
from accounts.actions.users import create_user, note_new_password, update_user

__all__ = [
    "abandon_mail",
    "enqueue_mail",
    "fail_mail",
    "mark_read",
    "notify",
    "record_sent",
    "retry_mail",
    "create_patient",
    "create_token",
    "create_user",
    "delete_token",
    "link_patient_login",
    "note_new_password",
    "note_refused_token",
    "set_patient_of_login",
    "update_patient",
    "update_user",
]
