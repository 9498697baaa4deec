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
from diagnosis.actions.erasure import carry_out_erasure, erase_patient, finish_erasures, start_erasure
from diagnosis.actions.images import Filed, IdentityMismatch, add_frame, add_image
from diagnosis.actions.jobs import cancel_job, retry_job
from diagnosis.actions.lists import follow_patient, note_export
from diagnosis.actions.privacy import (
    MOST_STUDIES,
    abandon_export,
    cancel_export,
    clear_work,
    expire_exports,
    fail_export,
    note_export_download,
    record_export,
    request_export,
    without_consent,
    work_folder,
)
from diagnosis.actions.proposals import confirm_change, misfit_of, propose_change, withdraw_change
from diagnosis.actions.registry import register_models, set_prevalence
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
from diagnosis.actions.shadow import (
    abandon_shadow_reading,
    end_shadow,
    fail_shadow_reading,
    record_shadow_reading,
    set_shadow,
)
from diagnosis.actions.steps import WrongState
from diagnosis.actions.studies import assign_study, create_study
from diagnosis.actions.transfers import COMPARED, contradiction, merge_patients, split_patient, undo_transfer

__all__ = [
    "COMPARED",
    "cancel_job",
    "retry_job",
    "MOST_STUDIES",
    "NO_MODEL",
    "Filed",
    "IdentityMismatch",
    "WrongState",
    "abandon_analysis",
    "abandon_export",
    "abandon_report",
    "abandon_shadow_reading",
    "add_frame",
    "add_image",
    "answer_second_opinion",
    "ask_second_opinion",
    "assign_study",
    "cancel_analysis",
    "cancel_export",
    "carry_out_erasure",
    "clear_work",
    "conclude",
    "contradiction",
    "confirm_change",
    "create_study",
    "end_shadow",
    "erase_patient",
    "expire_exports",
    "fail_analysis",
    "fail_export",
    "fail_report",
    "fail_shadow_reading",
    "finish_erasures",
    "follow_patient",
    "merge_patients",
    "misfit_of",
    "note_export",
    "note_export_download",
    "propose_change",
    "record_export",
    "record_known_outcome",
    "record_outcome",
    "record_report",
    "record_shadow_reading",
    "register_models",
    "reissue_report",
    "request_export",
    "reject_analysis",
    "release_report",
    "retry_analysis",
    "set_prevalence",
    "set_shadow",
    "split_patient",
    "start_erasure",
    "undo_transfer",
    "withdraw_change",
    "withdraw_report",
    "withdraw_second_opinion",
    "without_consent",
    "work_folder",
]
