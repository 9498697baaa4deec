"""The domain's tables. Written by ``diagnosis.actions`` only."""

from diagnosis.models.analysis import Analysis
from diagnosis.models.registry import ModalitySetting, ModelVersion
from diagnosis.models.report import Report
from diagnosis.models.study import Image, Laterality, Modality, Study, View

__all__ = ["Analysis", "Image", "Laterality", "ModalitySetting", "Modality", "ModelVersion", "Report", "Study", "View"]
