"""Two persons change the model in use: one administrator proposes with a reason, another one confirms."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions import notify
from accounts.models import AuditEvent, User
from accounts.permissions import may, require
from accounts.roles import Role
from diagnosis import inference
from diagnosis.actions.registry import (
    in_use,
    refuse_stop,
    refuse_use,
    take_into_use,
    take_out_of_use,
    versions_of,
)
from diagnosis.actions.shadow import leave_the_shadow
from diagnosis.actions.steps import WrongState
from diagnosis.models import Modality, ModelProposal, ModelVersion
from diagnosis.proposals import open_proposals, rolls_back_to
from ml.contract import ModelError

LONGEST_REASON = 300
TOUCHED_LATELY = timedelta(hours=24)
"""Two administrators of whom one made or changed the other's log-in within this may be one person with two log-ins."""
TAKES_OVER = ("user.created", "user.changed", "user.mfa_reset")
OPENS_A_LOG_IN = frozenset({"email", "role", "is_active"})
"""Fields of a log-in; whoever corrects a name alone does not become its owner."""
Change = ModelProposal.Change


def propose_change(*, acting_user: User, model: ModelVersion, change: str, reason: str) -> ModelProposal:
    """Propose to use a model, to go back to the one before, or to stop a research model. Nothing changes yet.

    Args:
        acting_user: an administrator; another one has to confirm.
        change: of :class:`ModelProposal.Change`.
        reason: why, kept with the proposal and shown to who confirms.

    Raises:
        WrongState: no reason, the change is not possible now, the files are not what was registered, or a proposal
            for this modality is open.
    """
    require(acting_user, "model", "choose")
    reason = " ".join(reason.split())[:LONGEST_REASON]
    if not reason:
        raise WrongState("Say why: the reason is kept, and who confirms has to read it.")
    if change not in Change.values:
        raise WrongState("There is no such change.")
    _refuse_altered(model, change)
    with transaction.atomic():
        rows = versions_of(model.modality)
        waiting = open_proposals(model.modality).first()
        if waiting is not None:
            raise WrongState(f"A proposal for these images is open ({waiting}). It has to be settled first.")
        before = in_use(rows)
        _refuse_impossible(model, change, rows=rows)
        proposal = ModelProposal.objects.create(
            model=model, change=change, reason=reason, proposed_by=acting_user, replaced=before
        )
        _tell(
            proposal,
            f"{acting_user.get_full_name()} proposes for {_images(model)}: {_words(proposal)}. A second person has to "
            "confirm it.",
            but=acting_user,
        )
        audit.record(
            "model.change_proposed",
            actor=acting_user,
            target=proposal,
            change=change,
            model=str(model),
            replaces=str(before) if before else "",
            purpose=reason,
        )
    return proposal


def confirm_change(*, acting_user: User, proposal: ModelProposal) -> ModelProposal:
    """Confirm what somebody else proposed: it is done at once, for images that are analysed from now on.

    Raises:
        WrongState: it is one's own, was settled already, or no longer fits, or one of the two touched the log-in of the
            other lately (the message says why).
    """
    require(acting_user, "model", "choose")
    # Read and compared before the transaction: the files are some 10 MB, and SQLite has one writer.
    _refuse_altered(proposal.model, proposal.change)
    with transaction.atomic():
        rows = versions_of(proposal.model.modality)
        row = ModelProposal.objects.select_for_update(of=("self",)).select_related("proposed_by").get(pk=proposal.pk)
        _refuse_settled(row)
        if row.proposed_by_id == acting_user.pk:
            raise WrongState("You proposed this yourself. Another administrator has to confirm it.")
        misfit = _misfit(row, rows=rows)
        if misfit:
            raise WrongState(misfit)
        _refuse_second_log_in(row.proposed_by, acting_user)
        row.confirmed_by, row.confirmed_at = acting_user, timezone.now()
        row.save(update_fields=["confirmed_by", "confirmed_at"])
        step = take_out_of_use if row.change == Change.STOP else take_into_use
        model = rows[row.model_id]
        step(model, rows=rows, proposed_by=row.proposed_by, confirmed_by=acting_user, reason=row.reason)
        leave_the_shadow(model, actor=acting_user)
        _tell(
            row,
            f"{acting_user.get_full_name()} confirmed for {_images(model)}: {_words(row)}. It holds from now on.",
            but=acting_user,
        )
        audit.record(
            "model.change_confirmed",
            actor=acting_user,
            target=row,
            change=row.change,
            model=str(model),
            proposed_by=row.proposed_by_id,
        )
    return row


def withdraw_change(*, acting_user: User, proposal: ModelProposal) -> ModelProposal:
    """Settle an open proposal without doing it: withdrawn by who made it, or declined by another administrator.

    Raises:
        WrongState: it was settled already.
    """
    require(acting_user, "model", "choose")
    with transaction.atomic():
        versions_of(proposal.model.modality)
        row = ModelProposal.objects.select_for_update(of=("self",)).get(pk=proposal.pk)
        _refuse_settled(row)
        row.withdrawn_by, row.withdrawn_at = acting_user, timezone.now()
        row.save(update_fields=["withdrawn_by", "withdrawn_at"])
        own = row.proposed_by_id == acting_user.pk
        done = "withdrew" if own else "declined"
        _tell(row, f"{acting_user.get_full_name()} {done} for {_images(row.model)}: {_words(row)}.", but=acting_user)
        audit.record(
            "model.change_withdrawn" if own else "model.change_declined",
            actor=acting_user,
            target=row,
            change=row.change,
            model=str(row.model),
        )
    return row


def misfit_of(proposal: ModelProposal) -> str:
    """Why an open proposal could not be confirmed now, in a sentence; empty where it could. Changes nothing."""
    try:
        _refuse_altered(proposal.model, proposal.change)
    except WrongState as altered:
        return str(altered)
    rows = {row.pk: row for row in ModelVersion.objects.filter(modality=proposal.model.modality)}
    return _misfit(proposal, rows=rows)


def _misfit(proposal: ModelProposal, *, rows: dict[int, ModelVersion]) -> str:
    """The same, but for the files."""
    if not may(proposal.proposed_by, "model", "choose"):
        return (
            f"{proposal.proposed_by.get_full_name()}, who proposed this, is no longer an administrator here. "
            "Decline it; somebody who still answers for it can propose it again."
        )
    now = in_use(rows)
    if (now.pk if now else None) != proposal.replaced_id:
        before = str(proposal.replaced) if proposal.replaced else "no model"
        return (
            f"The model in use has changed since this was proposed: it was {before} then, and is "
            f"{now or 'no model'} now. Decline it, and propose again what is still wanted."
        )
    try:
        refuse = refuse_stop if proposal.change == Change.STOP else refuse_use
        refuse(rows[proposal.model_id], rows=rows)
    except WrongState as wrong:
        return str(wrong)
    return ""


def _refuse_impossible(model: ModelVersion, change: str, *, rows: dict[int, ModelVersion]) -> None:
    if change == Change.STOP:
        refuse_stop(model, rows=rows)
        return
    refuse_use(model, rows=rows)
    if change == Change.ROLL_BACK and rolls_back_to(model.modality) != model:
        raise WrongState(f"{model} was not in use before the last change, so there is no going back to it.")


def _refuse_altered(model: ModelVersion, change: str) -> None:
    """A model is taken into use only as it was registered; stopping one needs no file of it."""
    if change == Change.STOP:
        return
    try:
        altered = inference.altered_files(model.name, model.version, sha256=model.sha256)
    except ModelError:
        altered = [f"{model} is not installed"]
    if altered:
        raise WrongState(
            f"The files of {model} are missing or were altered since it was registered, so it cannot be used. Tell IT."
        )


def _refuse_second_log_in(proposer: User, confirmer: User) -> None:
    """An administrator can make another administrator, or take over a log-in by its address: one person is not two."""
    lately = AuditEvent.objects.filter(
        action__in=TAKES_OVER, object_type="user", at__gt=timezone.now() - TOUCHED_LATELY
    ).order_by()
    by_each_other = lately.filter(actor=proposer.pk, object_id=str(confirmer.pk)) | lately.filter(
        actor=confirmer.pk, object_id=str(proposer.pk)
    )
    if any(row.action != "user.changed" or OPENS_A_LOG_IN & {*row.details["fields"]} for row in by_each_other):
        raise WrongState(
            "One of you two made or changed the log-in of the other within the last day. A third administrator can "
            "confirm this, or you can tomorrow. Nothing was changed."
        )


def _refuse_settled(proposal: ModelProposal) -> None:
    if proposal.confirmed_at is not None:
        raise WrongState("This was confirmed already. Nothing more is to do.")
    if proposal.withdrawn_at is not None:
        raise WrongState("This was withdrawn or declined already. Propose it again if it is still wanted.")


def _tell(proposal: ModelProposal, text: str, *, but: User) -> None:
    others = User.objects.filter(is_active=True, role=Role.ADMINISTRATOR).exclude(pk=but.pk)
    notify("model_change", users=others, text=text, path=reverse("model-proposal", args=[proposal.pk]))


def _images(model: ModelVersion) -> str:
    return f"{Modality(model.modality).label.lower()} images"


def _words(proposal: ModelProposal) -> str:
    """``use us-mobilenetv2 2.0.0``."""
    verb = {Change.USE: "use", Change.ROLL_BACK: "go back to", Change.STOP: "stop"}[Change(proposal.change)]
    return f"{verb} {proposal.model}"
