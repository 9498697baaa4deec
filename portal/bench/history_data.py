"""Fills a database with analyses that were never run, so that lists can be timed at size. No files are made."""

from __future__ import annotations

import random
from datetime import date, timedelta
from itertools import islice

from django.utils import timezone

from accounts.models import Patient, Team, User
from diagnosis.models import Analysis, Image, Report, Study
from diagnosis.models.analysis import sorted_as
from ml.contract import LABELS
from portal.jobs import State

BATCH = 2_000
IMAGES_A_PATIENT = 4
GIVEN = ("Anna", "Zofia", "Ümit", "Marie", "Priya", "Elena", "Fatima", "Johanna", "Amara", "Ines")
FAMILY = ("Nowak", "Müller", "Okonkwo", "Rossi", "Silva", "Haddad", "Lindqvist", "Moreau", "Novak", "Żółć")
STATES = (State.SUCCEEDED,) * 90 + (State.REJECTED,) * 5 + (State.FAILED,) * 3 + (State.CANCELLED, State.QUEUED)


def _patient(number: int) -> Patient:
    return Patient(
        mrn=f"B{number:07d}",
        given_name=GIVEN[number % len(GIVEN)],
        family_name=f"{FAMILY[number // 10 % len(FAMILY)]}-{number % 997}",
        birth_date=date(1940, 1, 1) + timedelta(days=number % 20_000),
        sex="F",
        synthetic=True,
    )


def _analysis(image: Image, number: int, *, chance: random.Random) -> Analysis:
    state = chance.choice(STATES)
    queued_at = timezone.now() - timedelta(minutes=7 * number)
    study = image.study
    analysis = Analysis(
        image=image,
        patient=study.patient,
        modality=study.modality,
        patient_name=sorted_as(study.patient),
        state=state,
        queued_at=queued_at,
        attempts=1,
    )
    if state == State.SUCCEEDED:
        malignant = chance.random()
        benign = (1 - malignant) * chance.random()
        shares = {"benign": benign, "malignant": malignant, "normal": 1 - malignant - benign}
        analysis.label = max(LABELS, key=lambda label: shares[label])
        analysis.confidence = shares[analysis.label]
        analysis.suspicion = 1 + int(malignant * 9.999)
        for label in LABELS:
            setattr(analysis, f"probability_{label}", shares[label])
        analysis.model_name, analysis.model_version, analysis.model_status = "us-bench", "1.0.0", "released"
        analysis.model_sha256 = "0" * 64
        analysis.finished_at = queued_at + timedelta(seconds=1)
    return analysis


def fill(count: int, *, first: int = 0) -> None:
    """Add ``count`` analyses, each with its image, studies of two images, patients of two studies.

    Args:
        first: number of the first one, so that a second call adds other patients.
    """
    chance = random.Random(first)
    numbers = iter(range(first, first + count))
    while batch := list(islice(numbers, BATCH)):
        patients = [_patient(number) for number in batch[::IMAGES_A_PATIENT]]
        Patient.objects.bulk_create(patients)
        studies = [
            Study(patient=patient, modality=("US", "US", "MG")[index % 3], state=Study.State.ANALYSED)
            for index, patient in enumerate(two for one in patients for two in (one, one))
        ]
        Study.objects.bulk_create(studies)
        images = [
            Image(
                study=studies[index // 2],
                original_name=f"bench-{number}.png",
                source_format="PNG",
                sha256=f"{number:064x}",
                pixels_sha256=f"{number:064x}",
                byte_size=1,
                width=1,
                height=1,
                laterality="LR"[number % 2],
                file=f"images/bench/{number}.png",
            )
            for index, number in enumerate(batch)
        ]
        Image.objects.bulk_create(images)
        analyses = [_analysis(image, number, chance=chance) for image, number in zip(images, batch, strict=True)]
        Analysis.objects.bulk_create(analyses)
        Report.objects.bulk_create(
            Report(analysis=one, state=State.SUCCEEDED, file=f"reports/bench/{one.pk}.pdf", sha256="0" * 64)
            for one in analyses
            if one.label
        )


def share_among_teams(count: int) -> list[Team]:
    """Give the studies to ``count`` teams in turn; as many as one of them gets belong to none."""
    teams = Team.objects.bulk_create(Team(name=f"Clinic {number}") for number in range(1, count + 1))
    keys = list(Study.objects.order_by("pk").values_list("pk", flat=True))
    for place, team in enumerate(teams):
        part = keys[place :: count + 1]
        for start in range(0, len(part), BATCH):
            some = part[start : start + BATCH]
            Study.objects.filter(pk__in=some).update(team=team)
            Analysis.objects.filter(image__study__in=some).update(team=team)
    return teams


def join_teams(user: User, teams: list[Team]) -> None:
    """Have ``user`` be in these teams."""
    user.teams.set(teams)
