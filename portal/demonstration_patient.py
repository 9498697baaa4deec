"""What the demonstration's patient finds after signing in: a released report with its letter, messages, appointments.

The report is a real one: the image is analysed here, before the worker starts, because somebody has to read the result
and sign. Each step is taken only where it was not taken before.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

import cv2
from django.utils import timezone

from accounts import actions as people
from accounts.consents import Purpose
from accounts.models import Appointment, Message, Patient, User
from diagnosis import actions, inference, letter, phantom, tasks
from diagnosis.models import Analysis, Report, Study
from ml.contract import ModelError
from portal.demonstration import RELEASED
from portal.job_task import work_now
from portal.jobs import State


def fill(*, patient: Patient, radiologist: User, administrator: User) -> bool:
    """Fill the record of the demonstration's patient; return whether a report is released.

    Without a model that works there is no result to sign, so no report; the rest is there all the same.
    """
    user = patient.user
    if user is None:
        raise ValueError("The demonstration's patient has no log-in.")
    if not patient.consents.exists():
        for purpose in (Purpose.PORTAL, Purpose.EMAIL):
            people.give_consent(acting_user=user, purpose=purpose)
    released = _released_report(patient, radiologist)
    if not Message.objects.filter(patient=patient).exists():
        people.write_to_clinic(acting_user=user, text=RELEASED.question_to_clinic)
        people.write_to_patient(acting_user=radiologist, patient=patient, text=RELEASED.answer)
    if not Appointment.objects.filter(patient=patient).exists():
        day = timezone.localtime() + timedelta(days=RELEASED.appointment_in_days)
        people.make_appointment(
            acting_user=administrator,
            patient=patient,
            at=timezone.make_aware(datetime.combine(day.date(), time(9, 30))),
            place=RELEASED.place,
            purpose=RELEASED.purpose,
        )
    return released


def _released_report(patient: Patient, radiologist: User) -> bool:
    if Report.objects.filter(analysis__image__study__patient=patient, released_at__isnull=False).exists():
        return True
    analysis = _analysis(patient, radiologist)
    if analysis is None:
        return False
    if not analysis.own_conclusions().exists():
        actions.conclude(
            acting_user=radiologist,
            analysis=analysis,
            label=RELEASED.label,
            birads=RELEASED.birads,
            conclusion=RELEASED.conclusion,
        )
    for version in analysis.reports.filter(state=State.QUEUED).order_by("version"):
        work_now(tasks.render_report, version.pk)
    report = analysis.reports.order_by("-version")[0]
    if not report.is_ready:
        return False
    actions.release_report(acting_user=radiologist, report=report, letter=letter.draft(report))
    return True


def _analysis(patient: Patient, radiologist: User) -> Analysis | None:
    """The result of the control examination; ``None`` where no model could make one."""
    study = Study.objects.filter(
        patient=patient, accession_number=RELEASED.accession_number
    ).first() or actions.create_study(
        acting_user=radiologist,
        patient=patient,
        modality="US",
        laterality=RELEASED.scan.laterality,
        clinical_history=RELEASED.question,
        accession_number=RELEASED.accession_number,
    )
    image = study.images.first()
    if image is None:
        drawn = phantom.generate(RELEASED.scan.kind, seed=RELEASED.scan.seed)
        encoded, png = cv2.imencode(".png", drawn.pixels)
        if not encoded:
            raise ValueError("A phantom image could not be encoded as PNG.")
        image = actions.add_image(
            acting_user=radiologist,
            study=study,
            upload=png.tobytes(),
            filename=f"phantom-{RELEASED.scan.kind}-{RELEASED.scan.seed}.png",
            laterality=RELEASED.scan.laterality,
        ).image
    try:
        actions.register_models(found=inference.installed())
    except ModelError:
        return None
    if image.analysis.state == State.QUEUED:
        work_now(tasks.analyse, image.analysis.pk)
    analysis = Analysis.objects.get(pk=image.analysis.pk)
    return analysis if analysis.state == State.SUCCEEDED else None
