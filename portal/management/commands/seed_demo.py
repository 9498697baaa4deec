"""Fill the demonstration hospital: log-ins, patients, studies, synthetic images. The worker analyses them for real."""

from __future__ import annotations

from typing import Any

import cv2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import actions as people
from accounts.models import Patient, User
from diagnosis import actions, phantom
from diagnosis.models import Study
from portal import demonstration, demonstration_patient


class Command(BaseCommand):
    help = "Fill the demonstration hospital. Run twice, it adds only what is missing."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                "This is not a demonstration: known passwords would open a real site. Set DEMO=1 on a fresh DATA_DIR."
            )
        for person in demonstration.PEOPLE:
            self._log_in(person)
        radiologist = User.objects.get(email=demonstration.PEOPLE[0].email)
        images = sum(self._case(case, radiologist=radiologist) for case in demonstration.CASES)
        for email, mrn in demonstration.PATIENT_OF_LOGIN.items():
            patient = Patient.objects.get(mrn=mrn)
            if patient.user is None:
                people.link_patient_login(acting_user=None, patient=patient, user=User.objects.get(email=email))
            self._own_record(patient, radiologist=radiologist)
        self.stdout.write(
            f"Demonstration hospital: {len(demonstration.PEOPLE)} log-ins, "
            f"{len(demonstration.CASES)} synthetic patients, {images} new images queued for analysis."
        )
        for person in demonstration.PEOPLE:
            self.stdout.write(f"  {person.role.label:<14} {person.email:<24} {settings.DEMO_PASSWORD}")

    def _own_record(self, patient: Patient, *, radiologist: User) -> None:
        """What the patient finds after signing in."""
        administrator = User.objects.get(email=demonstration.PEOPLE[1].email)
        if not demonstration_patient.fill(patient=patient, radiologist=radiologist, administrator=administrator):
            self.stderr.write("The patient's report could not be made: no model judged the image. All else is there.")

    def _log_in(self, person: demonstration.Person) -> None:
        if User.objects.filter(email=person.email).exists():
            return
        people.create_user(
            acting_user=None,
            email=person.email,
            role=person.role,
            given_name=person.given_name,
            family_name=person.family_name,
            password=settings.DEMO_PASSWORD,
        )

    def _case(self, case: demonstration.Case, *, radiologist: User) -> int:
        """Add what is missing of one case; return the number of images that were new."""
        patient = Patient.objects.filter(mrn=case.mrn).first() or people.create_patient(
            acting_user=None,
            synthetic=True,
            mrn=case.mrn,
            given_name=case.given_name,
            family_name=case.family_name,
            birth_date=case.birth_date,
            sex="F",
            history=case.history,
        )
        study = Study.objects.filter(patient=patient).order_by("created_at").first() or actions.create_study(
            acting_user=radiologist,
            patient=patient,
            modality="US",
            clinical_history=case.question,
            accession_number=f"{case.mrn}-US1",
        )
        if study.images.count() >= len(case.scans):
            return 0
        new = 0
        for scan in case.scans:
            image = phantom.generate(scan.kind, seed=scan.seed)
            encoded, png = cv2.imencode(".png", image.pixels)
            if not encoded:
                raise CommandError("A phantom image could not be encoded as PNG.")
            filed = actions.add_image(
                acting_user=radiologist,
                study=study,
                upload=png.tobytes(),
                filename=f"phantom-{scan.kind}-{scan.seed}.png",
                laterality=scan.laterality,
            )
            new += not filed.duplicate
        return new
