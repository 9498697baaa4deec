"""The words for what ``accounts.roles.TABLE`` allows: for the page "Roles" and for docs/access.md.

Every object and verb of the table has its words here (a test compares the two).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accounts.roles import TABLE, Role


@dataclass(frozen=True, slots=True)
class Words:
    """How an object of the table is said.

    Attributes:
        heading: under which the page lists it.
        name: of the object.
        verbs: verb -> what the person does, as one says it.
        why: what one row would else have people ask; verb -> sentence, or ``""`` for the object as a whole.
    """

    heading: str
    name: str
    verbs: dict[str, str]
    why: dict[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table in words; ``first`` and ``last`` of the ``span`` rows of its object."""

    name: str
    verb: str
    key: str
    allowed: tuple[bool, ...]
    why: str
    first: bool
    last: bool
    span: int

    @property
    def who(self) -> str:
        """The roles that may, where there is no room for a column each."""
        return ", ".join(str(role.label) for role, may in zip(Role, self.allowed, strict=True) if may)


@dataclass(frozen=True, slots=True)
class Section:
    """The rows under one heading."""

    heading: str
    lines: tuple[Line, ...]


OWN, PEOPLE, RECORDS, CARE, HOUSE = "One's own", "People", "Patients' records", "With patients", "The site"

WORDS: dict[str, Words] = {
    "home": Words(OWN, "Home page", {"view": "open"}, {"": "Each role has its own."}),
    "own_account": Words(
        OWN,
        "Own account",
        {"view": "see sessions and sign-in methods", "change": "change password, second factor, end sessions"},
        {"": "Only ever one's own."},
    ),
    "notification": Words(
        OWN, "Own notifications", {"view": "read", "change": "mark as read, choose kinds"}, {"": "Only ever one's own."}
    ),
    "token": Words(
        OWN,
        "Own API tokens",
        {"create": "make", "delete": "revoke"},
        {"create": "Programs act for staff; a patient uses the pages."},
    ),
    "api_schema": Words(OWN, "Description of the API", {"view": "read"}, {}),
    "role_table": Words(OWN, "This table", {"view": "read"}, {}),
    "user": Words(
        PEOPLE,
        "Users",
        {
            "view": "see the list",
            "create": "create and invite",
            "change": "change, switch on and off",
            "import": "import from a file",
            "export": "export to a file",
            "reset_mfa": "reset a second factor",
            "end_sessions": "end somebody's sessions",
        },
        {
            "view": "IT staff do not see patients' log-ins: those are names of patients.",
            "create": "IT staff make log-ins of IT staff only; nobody raises their own rights.",
            "change": "IT staff change log-ins of IT staff, and switch others on and off.",
        },
    ),
    "team": Words(
        PEOPLE,
        "Teams",
        {"view": "see", "create": "make", "change": "rename, switch on and off, choose the members"},
        {"change": "A team decides which studies its radiologists see."},
    ),
    "patient": Words(
        RECORDS,
        "Patients",
        {
            "view": "open the record",
            "create": "put on record",
            "change": "correct",
            "merge": "merge two records, and undo it",
            "erase": "erase, and decide how long to keep",
        },
        {"view": "A radiologist those with no study yet, with a study they see, or by emergency access."},
    ),
    "emergency_access": Words(
        RECORDS,
        "Emergency access",
        {
            "create": "open a record outside one's teams",
            "end": "end",
            "view": "see all uses",
            "review": "review a use",
        },
        {
            "create": "With a reason, for a limited time; every administrator is alerted.",
            "end": "Radiologists their own, administrators anybody's.",
            "review": "Nobody their own.",
        },
    ),
    "study": Words(
        RECORDS,
        "Studies",
        {"view": "see", "create": "begin", "assign": "give to another team"},
        {"view": "A radiologist those of no team and of their own teams."},
    ),
    "image": Words(
        RECORDS,
        "Images",
        {"view": "see", "add": "add"},
        {"view": "A patient only those of a released report of their own."},
    ),
    "analysis": Words(
        RECORDS,
        "Analyses",
        {"view": "see the result", "retry": "try again", "cancel": "cancel", "export": "export the list"},
        {"view": "Never a patient: no score before a doctor has signed."},
    ),
    "assessment": Words(RECORDS, "Radiologists' conclusions", {"view": "see", "create": "write"}, {}),
    "known_outcome": Words(RECORDS, "Known outcomes", {"view": "see", "create": "enter"}, {}),
    "second_opinion": Words(
        RECORDS,
        "Second opinions",
        {"view": "see", "ask": "ask a colleague", "answer": "answer"},
        {"answer": "Only who was asked."},
    ),
    "report": Words(
        RECORDS,
        "Reports",
        {
            "view": "read",
            "reissue": "have made again",
            "release": "release to the patient",
            "withdraw": "withdraw from the patient",
        },
        {"view": "A patient only their own, once it is released."},
    ),
    "own_record": Words(
        CARE,
        "Own record",
        {"view": "see", "change": "write messages, give and withdraw consent", "export": "take away a copy of"},
        {"": "Only what was released."},
    ),
    "patient_invitation": Words(
        CARE, "Patients' invitations", {"create": "invite to the portal", "revoke": "revoke"}, {}
    ),
    "message": Words(CARE, "Messages of patients", {"view": "read", "create": "answer"}, {}),
    "appointment": Words(CARE, "Appointments", {"view": "see", "create": "make", "change": "move and cancel"}, {}),
    "model": Words(
        HOUSE,
        "Models",
        {
            "view": "see figures and cards",
            "choose": "choose which is used",
            "set_prevalence": "enter the site's prevalence",
            "shadow": "have one score unseen",
        },
        {"choose": "One person proposes, another confirms."},
    ),
    "dashboard": Words(HOUSE, "Dashboard", {"view": "see"}, {}),
    "ledger": Words(
        HOUSE, "Ledger", {"view": "search", "export": "export"}, {"view": "It names patients, so IT staff do not."}
    ),
    "ledger_metadata": Words(
        HOUSE, "Ledger without patients", {"view": "see"}, {"view": "Whether it is whole; no row of a patient."}
    ),
    "deidentified_export": Words(
        HOUSE, "De-identified packages", {"view": "see and download", "create": "have made"}, {}
    ),
    "job": Words(HOUSE, "Jobs", {"view": "see", "retry": "try again", "cancel": "cancel"}, {"": "By number, no name."}),
    "mail": Words(HOUSE, "Outgoing e-mail", {"view": "see", "retry": "send again"}, {"": "It says nothing clinical."}),
    "operations": Words(HOUSE, "Operations and admin site", {"view": "open"}, {"": "Names no patient."}),
}


def _lines(target: str) -> Iterator[Line]:
    words, verbs = WORDS[target], TABLE[target]
    for place, (verb, roles) in enumerate(verbs.items()):
        yield Line(
            name=words.name,
            verb=words.verbs[verb],
            key=f"{target}.{verb}",
            allowed=tuple(role in roles for role in Role),
            why=words.why.get(verb, words.why.get("", "") if place == 0 else ""),
            first=place == 0,
            last=place == len(verbs) - 1,
            span=len(verbs),
        )


def sections() -> list[Section]:
    """The whole table in words, in its own order."""
    headings = dict.fromkeys(WORDS[target].heading for target in TABLE)
    return [
        Section(heading, tuple(line for name in TABLE if WORDS[name].heading == heading for line in _lines(name)))
        for heading in headings
    ]


def as_markdown() -> str:
    """The same as a table of Markdown, for docs/access.md."""
    roles = [str(role.label) for role in Role]
    rows = [f"| what | may | {' | '.join(roles)} | why, or how far |", f"| --- | --- |{' :---: |' * len(roles)} --- |"]
    for section in sections():
        rows.append(f"| **{section.heading}** | |{' |' * len(roles)} |")
        for line in section.lines:
            marks = " | ".join("yes" if allowed else "" for allowed in line.allowed)
            rows.append(f"| {line.name if line.first else ''} | {line.verb} (`{line.key}`) | {marks} | {line.why} |")
    return "\n".join(rows)
