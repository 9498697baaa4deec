"""Preprocessing, one code for training and serving. NumPy and OpenCV only.

Letterboxing is :class:`ml.images.Letterbox`; it comes after these steps.
"""

from ml.preprocess.chain import STEPS, Prepared, Preprocessing, Step, apply, prepare
from ml.preprocess.intensity import clahe, median, non_local_means, window
from ml.preprocess.mammogram import breast_mask, chest_side, keep_breast, pectoral_mask, remove_pectoral
from ml.preprocess.overlay import coloured_pixels, overlay_mask, remove_overlay
from ml.preprocess.sector import Box, keep_sector, sector_box, sector_mask

__all__ = [
    "STEPS",
    "Box",
    "Prepared",
    "Preprocessing",
    "Step",
    "apply",
    "breast_mask",
    "chest_side",
    "clahe",
    "coloured_pixels",
    "keep_breast",
    "keep_sector",
    "median",
    "non_local_means",
    "overlay_mask",
    "pectoral_mask",
    "prepare",
    "remove_overlay",
    "remove_pectoral",
    "sector_box",
    "sector_mask",
    "window",
]
