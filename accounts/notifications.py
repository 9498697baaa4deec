"""The kinds of notification. ``accounts.actions.notify`` is what every verb calls.

Words name no patient, and an e-mail says nothing clinical: it says that there is something, and where to sign in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from accounts.roles import Role

KEEP_READ = timedelta(days=90)
"""How long a notification is kept after it was read."""
KEEP_ENDED_MAILS = timedelta(days=30)
"""How long the row of a mail that was sent or failed is kept; the ledger keeps the fact."""

_R, _A, _I, _P = Role.RADIOLOGIST, Role.ADMINISTRATOR, Role.IT_STAFF, Role.PATIENT


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of notification.

    Attributes:
        label: as the page of preferences names it.
        roles: who can get it.
        subject: of the e-mail; says nothing clinical.
        sentence: of the e-mail, before the address of the site; says nothing clinical.
        in_app: whether it is shown under the bell where the person has not chosen.
        by_email: whether it is also mailed where the person has not chosen.
        why_always: why it cannot be switched off; empty: it can.
    """

    label: str
    roles: frozenset[Role]
    subject: str
    sentence: str
    in_app: bool = True
    by_email: bool = False
    why_always: str = ""

    @property
    def always(self) -> bool:
        """Whether it cannot be switched off."""
        return bool(self.why_always)


KINDS: dict[str, Kind] = {
    "result_ready": Kind(
        "A result is ready", frozenset({_R}), "A result is ready", "An analysis that you asked for has finished."
    ),
    "suspicious_result": Kind(
        "A result needs a look soon",
        frozenset({_R}),
        "A result needs a look",
        "An analysis that you asked for has finished and should be looked at soon.",
        by_email=True,
    ),
    "analysis_refused": Kind(
        "An image was refused", frozenset({_R}), "An image was refused", "An image that you added could not be judged."
    ),
    "analysis_failed": Kind(
        "An analysis failed", frozenset({_R, _I}), "An analysis failed", "An analysis stopped because of a fault."
    ),
    "second_opinion_asked": Kind(
        "A colleague asks for a second opinion",
        frozenset({_R}),
        "A second opinion is asked for",
        "A colleague asks for your opinion.",
        by_email=True,
    ),
    "second_opinion_given": Kind(
        "A second opinion was given",
        frozenset({_R}),
        "A second opinion was given",
        "A colleague answered what you asked.",
    ),
    "report_released": Kind(
        "A report is ready for me", frozenset({_P}), "A report is ready", "A report is ready.", by_email=True
    ),
    "message_received": Kind(
        "A message arrived",
        frozenset({_P, _R, _A}),
        "A message is waiting",
        "A message is waiting for you.",
        by_email=True,
    ),
    "appointment_changed": Kind(
        "An appointment of mine was made, changed or cancelled",
        frozenset({_P}),
        "Something about your appointments",
        "An appointment was made, changed or cancelled.",
        by_email=True,
    ),
    "account_event": Kind(
        "Something changed in my account",
        frozenset(Role),
        "Your account was changed",
        "Something about your account was changed. If it was not you, tell the administrators at once.",
        by_email=True,
        why_always="if somebody else changes your account, you must hear of it.",
    ),
    "emergency_access": Kind(
        "Somebody used emergency access",
        frozenset({_A}),
        "Emergency access was used",
        "A member of staff opened a record by emergency access. Please review it.",
        by_email=True,
        why_always="emergency access is only safe when somebody reviews it.",
    ),
    "model_change": Kind(
        "A change of models needs me or was made",
        frozenset({_A}),
        "A change of models",
        "A change of the model in use was proposed or made.",
    ),
    "queue_trouble": Kind(
        "The queue is in trouble",
        frozenset({_I}),
        "The queue needs attention",
        "Work is waiting too long, or nobody works on it.",
        by_email=True,
    ),
    "export_ready": Kind(
        "A de-identified package is ready",
        frozenset({_A}),
        "A package is ready",
        "A package that you asked for is ready.",
    ),
}
"""Every kind there is, by its key."""


def kinds_of(role: str) -> dict[str, Kind]:
    """The kinds that people of this role get, in the order of the page of preferences."""
    return {key: kind for key, kind in KINDS.items() if role in kind.roles}
