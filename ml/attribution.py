"""Two other ways to ask where a class score comes from, as a check on Grad-CAM. NumPy only.

Grad-CAM++: Chattopadhay et al., WACV 2018. Occlusion: Zeiler and Fergus, "Visualizing and understanding convolutional
networks", ECCV 2014.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

OCCLUDER_CELLS = 2
"""Side of the occluder in cells of the map: it covers the cell that it scores and half of each neighbour."""


def plus_plus_maps(activations: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grad-CAM++ of every label for a linear head on global average pooling, in closed form.

    The paper takes ``Y_c = exp(S_c)``. With ``S_c = sum_k w[k, c] mean_ij(A_ijk) + b_c`` every derivative is constant
    over the cells: ``dY/dA_ijk = Y g``, ``d2Y/dA2 = Y g^2``, ``d3Y/dA3 = Y g^3`` with ``g = w[k, c] / (H W)``. Its
    weights of the gradients, ``d2Y / (2 d2Y + sum_ab A_abk d3Y)``, are then ``1 / (2 + w[k, c] mean_ij(A_ijk))``, and
    the map ``sum_k A_k ReLU(w[k, c]) / (2 + w[k, c] mean(A_k))`` up to the factor ``Y``, which is the same for all
    cells and dropped. ``tests/ml/test_attribution.py`` holds it to nested gradient tapes.

    Args:
        activations: last convolution, not negative, (N, h, w, K).
        kernel: of the head (K, labels).

    Returns:
        (N, h, w, labels), not negative, not scaled.
    """
    means = activations.mean(axis=(1, 2))
    positive = np.maximum(kernel, np.float32(0))
    # Where w is negative the weight is 0 whatever the denominator; where it is positive the denominator is above 2.
    weights = positive[None] / (2 + positive[None] * means[:, :, None])
    return np.einsum("nijk,nkc->nijc", activations, weights, optimize=True).astype(np.float32)


def occlusion_map(
    pixels: NDArray[np.float32],
    logits: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    *,
    cells: int,
    inside: tuple[slice, slice],
) -> NDArray[np.float32]:
    """How far each label's logit falls when a part of the image is covered.

    Args:
        pixels: the network's input, float32 (1, S, S, 3).
        logits: from a batch (B, S, S, 3) to logits (B, labels).
        cells: rows and columns of the map.
        inside: rows and columns of the canvas that the image covers; the occluder has their mean grey.

    Returns:
        float32 (cells, cells, labels), the logit of the whole image minus that of the covered one: positive where
        what lies there speaks for the label.
    """
    side = pixels.shape[1]
    step = side / cells
    reach = OCCLUDER_CELLS * step / 2
    grey = pixels[0][inside].mean()
    covered = np.repeat(pixels, cells * cells + 1, axis=0)
    for row in range(cells):
        for column in range(cells):
            top, left = (row + 0.5) * step - reach, (column + 0.5) * step - reach
            rows = slice(max(0, round(top)), round(top + 2 * reach))
            columns = slice(max(0, round(left)), round(left + 2 * reach))
            covered[row * cells + column, rows, columns] = grey
    scores = np.asarray(logits(covered), dtype=np.float32)
    return (scores[-1] - scores[:-1]).reshape(cells, cells, -1)


def rank_correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Spearman's rho of two maps of one shape; 0 where one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    ranks = [values.ravel().argsort().argsort().astype(np.float64) for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
