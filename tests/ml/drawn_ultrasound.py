"""Frames with the layers, strands and speckle of breast ultrasound, made by computation.

They resemble real frames enough for the novelty gate; the portal has finer ones, which this library must not import.
"""

from __future__ import annotations

from ml.bench import synthetic_image

drawn_ultrasound = synthetic_image
