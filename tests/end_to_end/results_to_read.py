"""Results of every kind on record without a model being run: what the newer models add, to be read in a browser.

Runs inside the site: ``manage.py shell --command "from tests.end_to_end.results_to_read import file_results; ..."``.
"""

from __future__ import annotations

import json
from datetime import date

import cv2
import numpy as np
from django.db import transaction

from accounts.actions import create_patient
from accounts.models import User
from diagnosis import actions, overlay, phantom
from diagnosis.lesion import kept
from diagnosis.models import Analysis, Study
from ml.contract import Mark, Outcome, OutcomeState, Quality, QualityCheck, Segmentation
from portal import jobs
from tests.end_to_end.demonstration_site import RADIOLOGIST
from tests.fixture_images import good_dicom
from tests.fixture_results import MODEL, RESEARCH, SIMILAR, outcome

MRN = "READ-0001"
SPACING_MM = 0.08
FOREIGN = Quality(
    (
        QualityCheck(name="blur", value=0.21, passed=True, limit=">= 0.065"),
        QualityCheck(
            name="novelty",
            value=31.4,
            passed=False,
            limit="<= 12.5",
            message="The image is unlike the breast ultrasounds that the model knows.",
        ),
    )
)


def file_results() -> None:
    """File one result of each kind and print the addresses of their pages as JSON."""
    reader = User.objects.get(email=RADIOLOGIST)
    # One transaction: the site's own worker hears of an analysis when it has its result already.
    with transaction.atomic():
        patient = create_patient(
            acting_user=reader,
            mrn=MRN,
            given_name="Ida",
            family_name="Reading",
            birth_date=date(1968, 2, 9),
            sex="F",
            synthetic=True,
        )
        ultrasound = actions.create_study(acting_user=reader, patient=patient, modality="US", laterality="L")
        mammogram = actions.create_study(acting_user=reader, patient=patient, modality="MG")
        outlined = _outlined(reader, ultrasound)
        refused = _refused(reader, ultrasound)
        marked = [
            _marked(reader, mammogram, side=side, view=view, seed=seed, scores=scores)
            for seed, (side, view, scores) in enumerate(
                (("L", "CC", (0.74, 0.31)), ("L", "MLO", (0.58,)), ("R", "CC", (0.12,)), ("R", "MLO", (0.05,)))
            )
        ]
    found = {
        "patient": f"/patients/{patient.pk}/",
        "ultrasound": f"/studies/{ultrasound.pk}/",
        "mammogram": f"/studies/{mammogram.pk}/",
        "outlined": f"/analyses/{outlined.pk}/",
        "refused": f"/analyses/{refused.pk}/",
        "marked": f"/analyses/{marked[0].pk}/",
    }
    print(json.dumps(found))


def _file(reader: User, study: Study, pixels: np.ndarray, *, seed: int, **elements: str) -> Analysis:
    file = good_dicom(
        seed=seed,
        pixels=pixels,
        patient_id=MRN,
        given_name="Ida",
        family_name="Reading",
        birth_date=date(1968, 2, 9),
        modality=study.modality,
        PixelSpacing=[SPACING_MM, SPACING_MM],
        **elements,
    )
    image = actions.add_image(acting_user=reader, study=study, upload=file, filename=f"IM-{seed:04}.dcm").image
    return image.analysis


def _end(analysis: Analysis, said: Outcome, **files: object) -> Analysis:
    claim = jobs.claim(Analysis, analysis.pk)
    assert claim is not None
    assert actions.record_outcome(claim=claim, outcome=said, **files)  # type: ignore[arg-type]
    return analysis


def _map(mask: np.ndarray) -> bytes:
    blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 40)
    return overlay.layer_png((blurred / blurred.max()).astype(np.float32))


def _outlined(reader: User, study: Study) -> Analysis:
    drawn = phantom.generate("mass", seed=5)
    rows, columns = np.nonzero(drawn.mask)
    contour = max(cv2.findContours(drawn.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=cv2.contourArea)
    hull = cv2.convexHull(contour).reshape(-1, 2).astype(float)
    segmentation = Segmentation(
        mask=drawn.mask,
        area_share=float((drawn.mask > 0).mean()),
        area_px=int((drawn.mask > 0).sum()),
        diameter_px=float(np.hypot(*(hull[:, None] - hull[None]).T).max()),
        box=(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1),
    )
    return _end(
        _file(reader, study, drawn.pixels, seed=9_001),
        outcome(confidence=0.47, suspicion=5, uncertain=True, model=MODEL, similar=SIMILAR),
        explanation=_map(drawn.mask),
        lesion=kept(segmentation, row_spacing_mm=SPACING_MM, column_spacing_mm=SPACING_MM),
        prevalence=0.08,
        own_probabilities={"benign": 0.17, "malignant": 0.79, "normal": 0.04},
    )


def _refused(reader: User, study: Study) -> Analysis:
    said = Outcome(
        state=OutcomeState.REJECTED,
        model=MODEL,
        quality=FOREIGN,
        reasons=tuple(check.message for check in FOREIGN.checks if not check.passed),
    )
    return _end(_file(reader, study, phantom.generate("normal", seed=6).pixels, seed=9_002), said, explanation=None)


def _marked(reader: User, study: Study, *, side: str, view: str, seed: int, scores: tuple[float, ...]) -> Analysis:
    pixels = np.asarray(cv2.GaussianBlur(phantom.generate("normal", seed=40 + seed).pixels, (0, 0), 3), np.uint8)
    height, width = pixels.shape
    mask = np.zeros_like(pixels)
    cv2.circle(mask, (width // 2, height // 3), 50, 255, -1)
    marks = tuple(
        Mark(row=height * (0.33 + 0.3 * place), column=width * (0.5 - 0.2 * place), radius=55 - 15 * place, score=score)
        for place, score in enumerate(scores)
    )
    label, confidence = ("malignant", scores[0]) if scores[0] > 0.5 else ("normal", 1 - scores[0])
    return _end(
        _file(reader, study, pixels, seed=9_010 + seed, laterality=side, view=view),
        outcome(label=label, confidence=confidence, suspicion=1 + int(9 * scores[0]), model=RESEARCH, marks=marks),
        explanation=_map(mask),
    )
