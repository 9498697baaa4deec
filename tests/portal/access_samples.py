"""For each address with an argument: which object of ``access_world`` it is asked for.

A new address with an argument needs a line here; one without needs none. tests/portal/test_access_matrix.py says so.
"""

from __future__ import annotations

from accounts.roles import Role

SAMPLES: dict[str, str] = {
    # A patient's record
    "patient-detail": "patient",
    "patient-edit": "patient",
    "patient-invite": "patient",
    "patient-invitation-revoke": "patient",
    "patient-unlink": "patient",
    "patient-messages": "patient",
    "patient-appointments": "patient",
    "appointment-create": "patient",
    "study-create": "patient",
    "study-start": "patient",
    "api-patient": "patient",
    "patient-access": "patient",
    "patient-merge": "patient",
    "patient-split": "patient",
    "patient-erase": "patient",
    "transfer-list": "patient",
    "transfer-undo": "transfer",
    "appointment-change": "appointment",
    "appointment-cancel": "appointment",
    "emergency-open": "record outside my teams",
    "emergency-review": "use of emergency access",
    "emergency-end": "my use of emergency access",
    # Studies, images, results, reports
    "study-detail": "study",
    "study-images": "study",
    "study-assign": "study",
    "study-upload": "study",
    "known-outcome": "study",
    "api-study": "study",
    "api-study-images": "study",
    "image-file": "image",
    "image-thumbnail": "image",
    "image-frame": "image",
    "analysis-detail": "analysis",
    "analysis-panel": "analysis",
    "analysis-retry": "analysis",
    "analysis-cancel": "analysis",
    "analysis-review": "analysis",
    "analysis-conclude": "analysis",
    "second-opinion-ask": "analysis",
    "report-reissue": "analysis",
    "explanation-file": "analysis",
    "api-analysis": "analysis",
    "api-analysis-retry": "analysis",
    "api-analysis-cancel": "analysis",
    "api-analysis-explanation": "analysis",
    "api-analysis-segmentation": "analysis",
    "api-analysis-report": "analysis",
    "api-conclusions": "analysis",
    "api-reports": "analysis",
    "api-report": "report",
    "api-report-release": "report",
    "api-report-withdraw": "report",
    "second-opinion-answer": "opinion asked of me",
    "second-opinion-take-back": "opinion I asked for",
    "report-file": "report",
    "report-release": "report",
    "report-withdraw": "report",
    "own-report": "report",
    "own-consent": "purpose",
    # One's own
    "notification-open": "notification",
    "account-session-end": "session",
    "account-token-delete": "token",
    "mfa_remove_webauthn": "passkey",
    "mfa_edit_webauthn": "passkey",
    # People
    "user-edit": "log-in",
    "user-activate": "log-in",
    "user-deactivate": "log-in",
    "user-invite": "log-in",
    "user-revoke": "log-in",
    "user-reset-mfa": "log-in",
    "user-end-sessions": "log-in",
    "team-edit": "team",
    "people-import-preview": "uploaded list",
    "people-import-confirm": "uploaded list",
    "people-import-discard": "uploaded list",
    # The house
    "model-prevalence": "modality",
    "model-proposal": "proposal",
    "model-proposal-confirm": "proposal",
    "model-proposal-withdraw": "proposal",
    "model-card": "model",
    "model-propose": "model",
    "model-shadow": "model",
    "model-shadow-end": "model",
    "model-plot": "model",
    "api-model-card": "model",
    "model-here": "model",
    "export-detail": "package",
    "export-file": "package",
    "export-cancel": "package",
}

EVERYBODYS = {
    "team": "whoever may see teams sees all of them",
    "model": "models are the house's",
    "modality": "the house's",
    "proposal": "administrators settle each other's",
    "transfer": "administrators undo each other's",
    "package": "administrators see each other's",
    "purpose": "what a patient can consent to; the answer is always on their own record",
    "use of emergency access": "administrators see every use",
}
"""Kinds of object of which every role that may see one sees all, and why."""

SEES_ALL: dict[Role, frozenset[str]] = {
    Role.ADMINISTRATOR: frozenset(
        {
            "patient",
            "study",
            "image",
            "analysis",
            "report",
            "appointment",
            "my use of emergency access",
            "log-in",
        }
    )
}
"""Kinds of object of which this role sees all, where others see some."""

BODY = {
    "reason": "The surgeon asks for the images at once.",
    "note": "Nothing to object to.",
    "text": "Please call us.",
    "letter": "Dear patient, all is well.",
    "conclusion": "A cyst.",
    "label": "benign",
    "birads": "2",
    "question": "Benign?",
    "source": "histology",
    "determined_on": "2026-01-05",
    "modality": "US",
    "name": "Anything",
    "place": "Clinic",
    "purpose": "Follow-up",
    "percent": "5",
    "change": "use",
    "mrn": "MRN-NEW",
    "given_name": "New",
    "family_name": "Person",
    "birth_date": "1980-01-01",
    "email": "somebody@test.local",
    "role": "it_staff",
    "frame": "1",
    "answer": "yes",
    "agree": "on",
    "confirm": "on",
    # What nobody may set
    "is_staff": "1",
    "owner": "1",
    "state": "signed",
    "sha256": "0" * 64,
    "created_by": "1",
    "user": "1",
}
"""Sent to everything that takes a form: it would change something where it is let in."""

NOT_THERE: dict[str, str] = {
    "api-no-such-address": "says that there is no such address",
    "account-reconfirm-by-provider": "no single sign-on is configured here (tests/accounts/test_oidc.py)",
}
"""Addresses that answer 404 to those who may, and why."""

GONE: dict[str, str] = {
    "people-import-confirm": "says that the list is not there any more, as after its time",
}
"""Addresses that lead back to where one came from when asked for somebody else's object, and why."""
