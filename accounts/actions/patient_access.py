"""The verbs that tie a patient's log-in to the record: invitation, joining, unlinking.

An invitation is a code on paper. With the date of birth it opens the way to a log-in, once. Whatever is wrong with a
code or a date, the answer is the same.
"""

from __future__ import annotations

from datetime import date, timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions.mail import enqueue_mail
from accounts.actions.rows import save
from accounts.actions.sign_in import end_all_sign_ins
from accounts.actions.users import create_user, twin_of
from accounts.invitation_code import digest, new_code
from accounts.models import Patient, PatientInvitation, User
from accounts.permissions import require
from accounts.roles import Role

TRIES = 5
"""Wrong dates of birth after which a code is burnt."""


class HasLogIn(Exception):
    """The record has a log-in already; the message is for the person who asked."""


def open_invitations(patient: Patient) -> QuerySet[PatientInvitation]:
    """Those whose code still works."""
    return PatientInvitation.objects.filter(
        patient=patient, used_at=None, revoked_at=None, expires_at__gt=timezone.now(), failed_tries__lt=TRIES
    )


@transaction.atomic
def invite_patient(*, acting_user: User, patient: Patient, mail_too: bool = False) -> tuple[PatientInvitation, str]:
    """Make an invitation; return it and its code, which is shown this once. Earlier codes of the record stop working.

    Args:
        mail_too: also write to the address on the record that an invitation is waiting; the code is not in the mail.

    Raises:
        HasLogIn: when the record has one: it is unlinked first.
    """
    require(acting_user, "patient_invitation", "create")
    patient = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    if patient.user_id is not None:
        raise HasLogIn("This record has a log-in already. Unlink it first, if it is no longer used.")
    if patient.merged_into_id is not None:
        raise HasLogIn("This record was merged into another. Invite from that record.")
    now = timezone.now()
    open_invitations(patient).update(revoked_at=now)
    code = new_code()
    invitation = PatientInvitation.objects.create(
        patient=patient,
        digest=digest(code),
        created_by=acting_user,
        created_at=now,
        expires_at=now + timedelta(days=settings.INVITATION_DAYS),
    )
    mailed = mail_too and bool(patient.email)
    if mailed:
        enqueue_mail(
            kind="account",
            recipient=patient.email,
            subject=f"Your access to {settings.SITE_NAME}",
            body=(
                "The clinic has made an invitation for you: with it you can see your reports on our website.\n\n"
                "The code is on the sheet that the clinic gives you or sends you. It is not in this e-mail.\n\n"
                f"When you have it, go to: {settings.PUBLIC_URL}{reverse('join')}\n\n{settings.SITE_NAME}\n"
            ),
        )
    audit.record("patient_invitation.created", actor=acting_user, target=invitation, patient=patient, mailed=mailed)
    return invitation, code


@transaction.atomic
def revoke_invitations(*, acting_user: User, patient: Patient) -> int:
    """Stop the codes of a record that nobody has used yet; return how many there were."""
    require(acting_user, "patient_invitation", "revoke")
    revoked = 0
    for invitation in open_invitations(patient):
        if PatientInvitation.objects.filter(pk=invitation.pk, used_at=None, revoked_at=None).update(
            revoked_at=timezone.now()
        ):
            audit.record("patient_invitation.revoked", actor=acting_user, target=invitation, patient=patient)
            revoked += 1
    return revoked


@transaction.atomic
def check_invitation(*, code: str, birth_date: date) -> PatientInvitation | None:
    """The invitation that this code and date of birth open, or ``None``, whatever the reason.

    A wrong date counts against the code; the row is locked, so that many tries at once count as many.
    """
    known = PatientInvitation.objects.select_for_update().filter(digest=digest(code)).first()
    if known is None:
        audit.record("patient_invitation.refused", actor=None, reason="unknown_code")
        return None
    patient = known.patient
    reason = _why_closed(known)
    if not reason and patient.birth_date != birth_date:
        reason = "birth_date"
        known.failed_tries += 1
        burnt = known.failed_tries >= TRIES
        known.revoked_at = timezone.now() if burnt else None
        known.save(update_fields=["failed_tries", "revoked_at"])
        if burnt:
            audit.record("patient_invitation.burnt", actor=None, target=known, patient=patient, tries=TRIES)
    if reason:
        audit.record("patient_invitation.refused", actor=None, target=known, patient=patient, reason=reason)
        return None
    return known


def _why_closed(invitation: PatientInvitation) -> str:
    """Why a code opens nothing, for the ledger; empty when it does."""
    if invitation.used_at is not None:
        return "used"
    if invitation.revoked_at is not None:
        return "revoked"
    if invitation.expires_at <= timezone.now():
        return "expired"
    if invitation.patient.user_id is not None:
        return "has_log_in"
    if invitation.patient.merged_into_id is not None:
        return "merged"
    return ""


@transaction.atomic
def send_number(*, invitation: PatientInvitation, email: str, number: str) -> bool:
    """Mail the number that shows that the address is the person's own; return whether it can lead to a log-in.

    To an address that has a log-in already goes another mail, and the person at the page learns no difference: who
    holds a code must not find out who else has a log-in here.
    """
    free = _may_join_with(email)
    if free:
        body = (
            f"Your number is: {number}\n\n"
            "Type it on the page where you entered this address. It is valid for ten minutes.\n\n"
            "If you did not ask for it, somebody typed your address by mistake. You need not do anything.\n\n"
        )
    else:
        body = (
            "Somebody tried to make a log-in with this e-mail address. There is one already, so nothing was made.\n\n"
            "If it was you: use another address; your code is still valid. If it was not you, you need not do "
            f"anything.\n\n{settings.PUBLIC_URL}{reverse('join')}\n\n"
        )
    enqueue_mail(
        kind="account",
        recipient=email,
        subject=f"Your access to {settings.SITE_NAME}",
        body=f"{body}{settings.SITE_NAME}\n",
    )
    audit.record(
        "patient_invitation.number_sent", actor=None, target=invitation, patient=invitation.patient, address_free=free
    )
    return free


def _may_join_with(email: str) -> bool:
    """A new address that looks like nobody's, or that of a patient's log-in that was unlinked from its record."""
    former = User.objects.filter(email__iexact=email).first()
    return twin_of(User(email=email)) is None if former is None else _was_unlinked(former)


def _was_unlinked(user: User) -> bool:
    return user.role == Role.PATIENT and not user.is_active and not Patient.objects.filter(user=user).exists()


@transaction.atomic
def join(*, invitation: PatientInvitation, email: str, password: str) -> User | None:
    """Make the log-in and tie it to the record; ``None`` when the code or the address was taken meanwhile.

    A person whose log-in was unlinked comes back to the same one, with a new password and without their old second
    factors: the code, the date of birth and the address have shown again who they are.

    Raises:
        ValidationError: when the address is none, or looks like somebody else's.
    """
    now = timezone.now()
    used = PatientInvitation.objects.filter(
        pk=invitation.pk, used_at=None, revoked_at=None, expires_at__gt=now, failed_tries__lt=TRIES
    )
    if not used.update(used_at=now):
        return None
    patient = Patient.objects.select_for_update(no_key=True).get(pk=invitation.patient_id)
    email = email.strip().lower()
    user = User.objects.filter(email__iexact=email).first()
    if patient.user_id is not None or patient.merged_into_id is not None or not (user is None or _was_unlinked(user)):
        transaction.set_rollback(True)
        return None
    if user is None:
        user, _ = create_user(
            acting_user=None,
            email=email,
            role=Role.PATIENT,
            given_name=patient.given_name,
            family_name=patient.family_name,
            password=password,
        )
    else:
        _bring_back(user, patient=patient, password=password)
    patient.user = user
    patient.save(update_fields=["user"])
    audit.record("patient_invitation.used", actor=user, target=invitation, patient=patient)
    return user


def _bring_back(user: User, *, patient: Patient, password: str) -> None:
    Authenticator.objects.filter(user=user).delete()
    EmailAddress.objects.filter(user=user).delete()
    user.given_name, user.family_name, user.is_active = patient.given_name, patient.family_name, True
    user.set_password(password)
    user.full_clean()
    save(user)
    audit.record("user.changed", actor=user, target=user, fields=["is_active", "password"])


@transaction.atomic
def unlink_patient_login(*, acting_user: User | None, patient: Patient, reason: str = "") -> bool:
    """Take the log-in away from the record and switch it off: sessions and API tokens end, open codes stop working.

    Called by staff, and where a record is erased or merged (``acting_user`` ``None``: a command on the server).

    Returns:
        Whether there was a log-in.
    """
    if acting_user is not None:
        require(acting_user, "patient_invitation", "revoke")
    patient = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    open_invitations(patient).update(revoked_at=timezone.now())
    user = patient.user
    if user is None:
        return False
    patient.user = None
    patient.save(update_fields=["user"])
    user.is_active = False
    user.save(update_fields=["is_active"])
    ended = end_all_sign_ins(user=user)
    audit.record("user.changed", actor=acting_user, target=user, fields=["is_active"], **ended)
    audit.record("patient.login_unlinked", actor=acting_user, target=patient, patient=patient, purpose=reason)
    return True
