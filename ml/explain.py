"""Grad-CAM in the forward pass: from the network's 7 x 7 maps to maps of the image's own size. NumPy and OpenCV only.

For a linear head on global average pooling the gradient of class score ``y_c`` with respect to each cell of the last
convolution ``A`` is ``w[k, c] / (H W)`` everywhere, so the Grad-CAM of Selvaraju et al. (ICCV 2017, equations 1-2),
``ReLU(sum_k mean_ij(dy_c / dA_ijk) A_k)``, equals ``ReLU(sum_k w[k, c] A_k / (H W))``, which the graph computes beside
the logits. ``tests/ml/test_gradcam.py`` holds the two together.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.images import Letterbox


def class_maps(raw: NDArray[np.float32], *, letterbox: Letterbox) -> dict[str, NDArray[np.float32]]:
    """Maps at the image's resolution.

    Args:
        raw: Grad-CAM before the ReLU on the last convolution's grid, float32 (h, w, labels).
        letterbox: where the image lies on the canvas that the network saw.

    Returns:
        for each label float32 (H, W) in [0, 1], divided by its maximum; zeros where no cell is positive.
    """
    positive = np.maximum(raw, np.float32(0))
    canvas = np.asarray(
        cv2.resize(positive, (letterbox.side, letterbox.side), interpolation=cv2.INTER_LINEAR), dtype=np.float32
    )
    planes = cv2.split(np.ascontiguousarray(letterbox.crop(canvas)))
    maps = {}
    for label, plane in zip(LABELS, planes, strict=True):
        grey = np.asarray(
            cv2.resize(plane, (letterbox.width, letterbox.height), interpolation=cv2.INTER_LINEAR), dtype=np.float32
        )
        highest = cv2.minMaxLoc(grey)[1]
        if highest > 0:
            # Divided, not multiplied by the reciprocal: the peak is then exactly 1.
            np.divide(grey, np.float32(highest), out=grey)
        maps[label] = grey
    return maps
