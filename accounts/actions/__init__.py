"""The verbs on people: the only writer of users, patients, tokens and what belongs to them.

Every function takes ``acting_user`` by keyword (``None``: a command on the server), asks the permission table, and
writes its ledger row in the same transaction.
"""

from accounts.actions.appointments import cancel_appointment, change_appointment, make_appointment
from accounts.actions.consents import give_consent, withdraw_consent
from accounts.actions.emergency import (
    AlreadyReviewed,
    TooManyEmergencies,
    end_emergency_access,
    grant_emergency_access,
    review_emergency_access,
)
from accounts.actions.erasure import expired, remove_expired, remove_people_rows
from accounts.actions.field_keys import Sealing, encrypted_columns, rotate_field_keys, sealings
from accounts.actions.invitations import invite_again, invite_user, revoke_invitation
from accounts.actions.mail import (
    TextExpired,
    UnusableMail,
    abandon_mail,
    enqueue_mail,
    expire_mail_texts,
    fail_mail,
    forget_mails,
    give_up_mail,
    is_stale,
    postpone_mail,
    record_sent,
    retry_mail,
)
from accounts.actions.merging import merge_people_rows, unmerge_people_rows
from accounts.actions.messages import read_messages_of, read_own_messages, write_to_clinic, write_to_patient
from accounts.actions.notifications import (
    choose_notifications,
    forget_notifications,
    forget_old_notices,
    mark_read,
    notify,
)
from accounts.actions.patient_access import (
    HasLogIn,
    check_invitation,
    invite_patient,
    join,
    open_invitations,
    revoke_invitations,
    send_number,
    unlink_patient_login,
)
from accounts.actions.patients import (
    create_patient,
    hold_patients_of_login,
    link_patient_login,
    set_patient_of_login,
    update_patient,
)
from accounts.actions.people_imports import AlreadyImported, discard_people, import_people, keep_people
from accounts.actions.rows import hold_users
from accounts.actions.second_factor import note_second_factor, note_used_code, reset_mfa, use_code
from accounts.actions.sign_in import (
    end_all_sign_ins,
    end_own_session,
    end_own_sessions,
    end_sessions,
    note_new_device,
    note_provider_connected,
    note_refused_provider,
    note_session,
    note_timeout,
    renew_session,
)
from accounts.actions.teams import create_team, set_team_members, set_teams, update_team
from accounts.actions.tokens import create_token, delete_token, note_refused_token
from accounts.actions.troubles import look_for_trouble, standing_troubles
from accounts.actions.users import create_user, note_new_password, note_people_exported, update_user

__all__ = [
    "AlreadyReviewed",
    "TooManyEmergencies",
    "create_team",
    "end_emergency_access",
    "grant_emergency_access",
    "review_emergency_access",
    "set_team_members",
    "set_teams",
    "update_team",
    "AlreadyImported",
    "discard_people",
    "import_people",
    "invite_again",
    "invite_user",
    "keep_people",
    "note_people_exported",
    "revoke_invitation",
    "HasLogIn",
    "cancel_appointment",
    "change_appointment",
    "check_invitation",
    "give_consent",
    "invite_patient",
    "join",
    "make_appointment",
    "open_invitations",
    "read_messages_of",
    "read_own_messages",
    "revoke_invitations",
    "send_number",
    "unlink_patient_login",
    "withdraw_consent",
    "write_to_clinic",
    "write_to_patient",
    "Sealing",
    "encrypted_columns",
    "expired",
    "remove_expired",
    "remove_people_rows",
    "merge_people_rows",
    "rotate_field_keys",
    "unmerge_people_rows",
    "sealings",
    "end_all_sign_ins",
    "end_own_session",
    "end_own_sessions",
    "end_sessions",
    "note_new_device",
    "note_provider_connected",
    "note_refused_provider",
    "note_second_factor",
    "note_session",
    "note_timeout",
    "renew_session",
    "reset_mfa",
    "note_used_code",
    "use_code",
    "TextExpired",
    "UnusableMail",
    "abandon_mail",
    "choose_notifications",
    "enqueue_mail",
    "expire_mail_texts",
    "fail_mail",
    "forget_mails",
    "forget_notifications",
    "forget_old_notices",
    "give_up_mail",
    "is_stale",
    "look_for_trouble",
    "mark_read",
    "notify",
    "postpone_mail",
    "record_sent",
    "retry_mail",
    "standing_troubles",
    "create_patient",
    "create_token",
    "create_user",
    "delete_token",
    "link_patient_login",
    "note_new_password",
    "note_refused_token",
    "set_patient_of_login",
    "hold_patients_of_login",
    "hold_users",
    "update_patient",
    "update_user",
]
