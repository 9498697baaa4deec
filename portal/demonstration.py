"""The demonstration hospital: whom it employs, whom it treats, and which synthetic images are on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from accounts.roles import Role
from diagnosis.phantom import Kind


@dataclass(frozen=True, slots=True)
class Person:
    """A log-in of the demonstration (contract, "Roles")."""

    email: str
    role: Role
    given_name: str
    family_name: str


@dataclass(frozen=True, slots=True)
class Scan:
    """One phantom image; ``seed`` makes it reproducible."""

    kind: Kind
    seed: int
    laterality: str


@dataclass(frozen=True, slots=True)
class Case:
    """One synthetic patient with one ultrasound study."""

    mrn: str
    given_name: str
    family_name: str
    birth_date: date
    history: str
    question: str
    scans: tuple[Scan, ...]


PEOPLE = (
    Person("radiologist@demo.local", Role.RADIOLOGIST, "Rosa", "Lindqvist"),
    Person("admin@demo.local", Role.ADMINISTRATOR, "Adrian", "Novak"),
    Person("second-admin@demo.local", Role.ADMINISTRATOR, "Noor", "Haddad"),
    Person("it@demo.local", Role.IT_STAFF, "Ines", "Moreau"),
    Person("patient@demo.local", Role.PATIENT, "Zofia", "Żółć"),
)


@dataclass(frozen=True, slots=True)
class Released:
    """What the patient's log-in finds: an examination with a released report, messages and an appointment."""

    accession_number: str
    question: str
    scan: Scan
    label: str
    birads: str
    conclusion: str
    question_to_clinic: str
    answer: str
    appointment_in_days: int
    place: str
    purpose: str


RELEASED = Released(
    accession_number="DEMO-0001-US2",
    question="Control of a known simple cyst, right.",
    scan=Scan("cyst", 121, "R"),
    label="benign",
    birads="2",
    conclusion="Simple cyst, right, unchanged. No suspicious finding on this side.",
    question_to_clinic="Good morning, may I go swimming before the next examination?",
    answer="Good morning. Yes, you may. Please use no cream on the day itself.",
    appointment_in_days=9,
    place="Breast clinic, building B, second floor",
    purpose="Ultrasound of both breasts",
)

PATIENT_OF_LOGIN = {"patient@demo.local": "DEMO-0001"}
"""Which record the patient's log-in belongs to."""

CASES = (
    Case(
        "DEMO-0001",
        "Zofia",
        "Żółć",
        date(1968, 3, 12),
        "Mother: breast cancer at 61.",
        "Palpable lump, left, 2 o'clock.",
        (Scan("mass", 101, "L"), Scan("normal", 102, "R")),
    ),
    Case(
        "DEMO-0002",
        "Ümit",
        "Çağlar",
        date(1979, 11, 2),
        "",
        "Cyclic pain, right.",
        (Scan("cyst", 103, "R"),),
    ),
    Case(
        "DEMO-0003",
        "Нина",
        "Соколова",
        date(1955, 7, 30),
        "Hormone replacement until 2012.",
        "Density seen on screening.",
        (Scan("mass", 104, "R"), Scan("mass", 105, "R")),
    ),
    Case(
        "DEMO-0004",
        "花子",
        "山田",
        date(1983, 1, 19),
        "",
        "Follow-up of a known fibroadenoma.",
        (Scan("fibroadenoma", 106, "L"),),
    ),
    Case(
        "DEMO-0005",
        "Amara",
        "Okonkwo",
        date(1990, 9, 5),
        "Breast-feeding.",
        "Lump behind the nipple, left.",
        (Scan("cyst", 107, "L"), Scan("normal", 108, "R")),
    ),
    Case(
        "DEMO-0006",
        "Marie-Claire",
        "d'Aubigné",
        date(1947, 12, 24),
        "Lumpectomy right, 2009.",
        "Yearly control.",
        (Scan("normal", 109, "R"), Scan("normal", 110, "L")),
    ),
    Case(
        "DEMO-0007",
        "Priya",
        "Raghunathan",
        date(1986, 4, 8),
        "",
        "Mobile lump, right, 10 o'clock.",
        (Scan("fibroadenoma", 111, "R"),),
    ),
    Case(
        "DEMO-0008",
        "Elena",
        "Vasilescu",
        date(1962, 6, 17),
        "Smoker.",
        "Skin dimpling, left.",
        (Scan("mass", 112, "L"),),
    ),
    Case(
        "DEMO-0009",
        "Ελένη",
        "Παπαδοπούλου",
        date(1973, 2, 28),
        "",
        "Screening, dense breasts.",
        (Scan("normal", 113, "L"), Scan("cyst", 114, "R")),
    ),
    Case(
        "DEMO-0010",
        "Nguyễn",
        "Thị Hoa",
        date(1994, 10, 11),
        "",
        "Lump, left, two months.",
        (Scan("fibroadenoma", 115, "L"),),
    ),
    Case(
        "DEMO-0011",
        "Fatima",
        "El Idrissi",
        date(1969, 8, 3),
        "Sister: ovarian cancer.",
        "Nipple discharge, right.",
        (Scan("mass", 116, "R"), Scan("normal", 117, "L")),
    ),
    Case(
        "DEMO-0012",
        "Johanna",
        "Müller-Weiß",
        date(1958, 5, 21),
        "",
        "Control after six months.",
        (Scan("cyst", 118, "L"),),
    ),
)
