"""The verbs of the house: one function per edge of the state machines, and the only writer of domain rows.

Every function takes its arguments by keyword, asks the permission table for ``acting_user`` (``None``: the system), and
writes its ledger row in the same transaction. What has to follow (work, reports) is enqueued there too, so that a
process that dies between two steps loses neither.
"""

from diagnosis.actions.analyses import (
    NO_MODEL,
    abandon_analysis,
    cancel_analysis,
    fail_analysis,
    record_outcome,
    reject_analysis,
    retry_analysis,
)
from diagnosis.actions.images import Filed, IdentityMismatch, add_frame, add_image, create_study
from diagnosis.actions.lists import follow_patient, note_export
from diagnosis.actions.registry import choose_model, register_models, set_prevalence, stop_model
from diagnosis.actions.reports import abandon_report, fail_report, record_report, reissue_report
from diagnosis.actions.reviews import (
    answer_second_opinion,
    ask_second_opinion,
    conclude,
    record_known_outcome,
    release_report,
    withdraw_report,
    withdraw_second_opinion,
)
from diagnosis.actions.steps import WrongState

__all__ = [
    "withdraw_second_opinion",
    "withdraw_report",
    "release_report",
    "record_known_outcome",
    "conclude",
    "ask_second_opinion",
    "answer_second_opinion",
    "NO_MODEL",
    "Filed",
    "IdentityMismatch",
    "WrongState",
    "abandon_analysis",
    "abandon_report",
    "add_frame",
    "add_image",
    "cancel_analysis",
    "choose_model",
    "create_study",
    "fail_analysis",
    "fail_report",
    "follow_patient",
    "note_export",
    "record_outcome",
    "record_report",
    "register_models",
    "reissue_report",
    "reject_analysis",
    "retry_analysis",
    "set_prevalence",
    "stop_model",
]
