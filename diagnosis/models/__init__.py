"""The domain's tables. Written by ``diagnosis.actions`` only."""

from diagnosis.models.analysis import Analysis, Label
from diagnosis.models.privacy import DeidentifiedExport, Erasure, RecordTransfer
from diagnosis.models.registry import ModalitySetting, ModelProposal, ModelVersion
from diagnosis.models.report import Report
from diagnosis.models.review import Assessment, BiRads, KnownOutcome, SecondOpinion
from diagnosis.models.shadow import ShadowReading
from diagnosis.models.study import Image, Laterality, Modality, Study, View

__all__ = [
    "Analysis",
    "Assessment",
    "BiRads",
    "DeidentifiedExport",
    "Erasure",
    "Image",
    "KnownOutcome",
    "Label",
    "Laterality",
    "ModalitySetting",
    "Modality",
    "ModelProposal",
    "ModelVersion",
    "RecordTransfer",
    "Report",
    "SecondOpinion",
    "ShadowReading",
    "Study",
    "View",
]
