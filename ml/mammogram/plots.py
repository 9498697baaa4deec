"""Free-response curves and example films, for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from ml.mammogram.froc import RATES
from ml.plots import DPI


def draw_free_response(path: Path, sets: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Path:
    """Draw the share of lesions marked against false marks a film, by collection."""
    canvas, axis = plt.subplots(figsize=(5, 4.5), layout="constrained")
    for name, (false, share) in sets.items():
        axis.plot(false, share, label=name, drawstyle="steps-post")
    axis.set(
        xlabel="false marks a film",
        ylabel="share of lesions marked",
        title="Free response, out of fold",
        xlim=(0, max(RATES)),
        ylim=(0, 1),
    )
    axis.legend(loc="lower right", fontsize=8)
    axis.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the software version in it, the file is the same for the same figures.
    canvas.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(canvas)
    return path
