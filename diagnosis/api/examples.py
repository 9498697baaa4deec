"""Example values of the API's documentation. Nobody real."""

from __future__ import annotations

from typing import Any

PATIENT_ID = "5b0c8a1e-6a0e-4e57-9f0b-1f8f0b1c2d3e"
STUDY_ID = "0d6c2f1a-9b9f-4d0e-8a51-3b8f6f8e7a10"
IMAGE_ID = "7a3c5b3e-1f64-4f0b-9a55-0b7a1c9d2e44"
ANALYSIS_ID = "c1a5f0de-4b7a-4c0e-bd5f-6a1f0c3b9e21"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
SITE = "https://senolens.example.org"

ANALYSIS_BRIEF: dict[str, Any] = {
    "id": ANALYSIS_ID,
    "state": "queued",
    "url": f"{SITE}/api/v1/analyses/{ANALYSIS_ID}/",
}

STUDY_REQUEST: dict[str, Any] = {
    "patient": PATIENT_ID,
    "modality": "US",
    "laterality": "L",
    "clinical_history": "Palpable lump, left, 2 o'clock.",
    "accession_number": "ACC-1042",
    "team": None,
}

STUDY: dict[str, Any] = {
    "id": STUDY_ID,
    **STUDY_REQUEST,
    "patient_mrn": "MRN-001",
    "patient_name": "Zofia Żółć",
    "state": "received",
    "created_at": "2026-11-21T13:00:00Z",
    "images": [
        {
            "id": IMAGE_ID,
            "sha256": SHA256,
            "name": "left-2-oclock.png",
            "laterality": "L",
            "view": "",
            "analysis": {**ANALYSIS_BRIEF, "label": None},
        }
    ],
}

FILED: dict[str, Any] = {
    "images": [{"id": IMAGE_ID, "sha256": SHA256, "duplicate": False, "analysis": ANALYSIS_BRIEF}],
    "refused": [],
}

PARTLY_REFUSED: dict[str, Any] = {
    "images": FILED["images"],
    "refused": [
        {
            "file": "referral.pdf",
            "code": "unsupported_type",
            "detail": "“referral.pdf” is a PDF document; it is not an image that is read here. Nothing was kept.",
        }
    ],
}

MISMATCH: dict[str, Any] = {
    "code": "identity_mismatch",
    "detail": "The file and the record disagree: the file names the patient MRN-7, the record MRN-001. "
    "Nothing was stored. Check the patient, then confirm to file it here all the same.",
    "fields": {},
    "refused": [
        {
            "file": "scan.dcm",
            "code": "identity_mismatch",
            "detail": "The file and the record disagree.",
            "differences": [
                {
                    "field": "mrn",
                    "in_file": "MRN-7",
                    "on_record": "MRN-001",
                    "sentence": "The file names the patient MRN-7, the record MRN-001.",
                }
            ],
        }
    ],
}

ANALYSIS: dict[str, Any] = {
    "id": ANALYSIS_ID,
    "state": "succeeded",
    "attempts": 1,
    "image": IMAGE_ID,
    "study": STUDY_ID,
    "model": {"name": "us-mobilenetv2", "version": "2.0.1", "sha256": SHA256, "status": "released"},
    "prediction": {
        "label": "malignant",
        "confidence": 0.81,
        "probabilities": {"benign": 0.16, "malignant": 0.81, "normal": 0.03},
        "suspicion": 8,
        "uncertain": False,
        "prevalence": 0.25,
        "model_probabilities": {"benign": 0.10, "malignant": 0.88, "normal": 0.02},
    },
    "quality": {"passed": True, "checks": [{"name": "blur", "value": 412.7, "passed": True}]},
    "explanation_url": f"{SITE}/api/v1/analyses/{ANALYSIS_ID}/explanation.png",
    "segmentation_url": f"{SITE}/api/v1/analyses/{ANALYSIS_ID}/segmentation.png",
    "lesion": {
        "area_share": 0.0812,
        "area_mm2": 142.6,
        "longest_diameter_px": 171.4,
        "longest_diameter_mm": 16.3,
        "box": [122, 201, 240, 355],
    },
    "marks": [],
    "similar_cases": [{"case": "busi/malignant-0042", "source": "busi", "label": "malignant", "similarity": 0.93}],
    "report_url": f"{SITE}/api/v1/analyses/{ANALYSIS_ID}/report.pdf",
    "error": None,
    "queued_at": "2026-11-21T13:00:00Z",
    "started_at": "2026-11-21T13:00:00.120000Z",
    "finished_at": "2026-11-21T13:00:00.870000Z",
}

QUEUED: dict[str, Any] = {
    **ANALYSIS,
    "state": "queued",
    "attempts": 0,
    "model": None,
    "prediction": None,
    "quality": None,
    "explanation_url": None,
    "segmentation_url": None,
    "lesion": None,
    "marks": None,
    "similar_cases": None,
    "report_url": None,
    "started_at": None,
    "finished_at": None,
}

CANCELLED: dict[str, Any] = {**QUEUED, "state": "cancelled", "finished_at": "2026-11-21T13:00:01Z"}

REJECTED: dict[str, Any] = {
    **QUEUED,
    "state": "rejected",
    "attempts": 1,
    "model": ANALYSIS["model"],
    "quality": {"passed": False, "checks": [{"name": "blur", "value": 3.1, "passed": False}]},
    "error": {"code": "refused", "message": "The image is too blurred to be judged. Take it again."},
    "started_at": ANALYSIS["started_at"],
    "finished_at": ANALYSIS["finished_at"],
}

WRONG_STATE: dict[str, Any] = {
    "code": "wrong_state",
    "detail": "The analysis has already finished; there is nothing to cancel.",
    "fields": {},
}

CONCLUSION_REQUEST: dict[str, Any] = {
    "label": "benign",
    "birads": "2",
    "conclusion": "Simple cyst, 8 mm, two o'clock.",
    "seen": 0,
}

CONCLUSION: dict[str, Any] = {
    "id": 4711,
    "label": "benign",
    "birads": "2",
    "conclusion": "Simple cyst, 8 mm, two o'clock.",
    "reader": "Rosa Lindqvist",
    "created_at": "2026-11-21T13:04:00Z",
}

RELEASE_REQUEST: dict[str, Any] = {"letter": "On 21 November 2026 you had an ultrasound of your left breast. ..."}

REPORT: dict[str, Any] = {
    "id": "2f0f6c1e-7a3b-4c0e-8f53-0c8a1b1d9e10",
    "analysis": ANALYSIS_ID,
    "version": 2,
    "status": "final",
    "state": "succeeded",
    "conclusion": 4711,
    "letter": RELEASE_REQUEST["letter"],
    "released_at": "2026-11-21T13:10:00Z",
    "withdrawn_at": None,
    "created_at": "2026-11-21T13:04:00Z",
}

MODEL: dict[str, Any] = {
    "name": "us-mobilenetv2",
    "version": "1.0.0",
    "modality": "US",
    "status": "released",
    "sha256": SHA256,
    "active": True,
    "registered_at": "2026-11-21T12:00:00Z",
    "card_url": f"{SITE}/api/v1/models/us-mobilenetv2/1.0.0/card/",
}
