"""The domain's tables. Written by ``diagnosis.actions`` only."""

from diagnosis.models.analysis import Analysis
from diagnosis.models.registry import ModelVersion
from diagnosis.models.report import Report
from diagnosis.models.study import Image, Laterality, Modality, Study, View

__all__ = ["Analysis", "Image", "Laterality", "ModelVersion", "Modality", "Report", "Study", "View"]
