"""``python -m ml verify``: is every file of every installed model the released one, and is there no other?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ml.registry import altered_files, installed_models, stray_files


def run(arguments: Sequence[str]) -> int:
    """Check all models; exit 0 when every file matches, else 1."""
    parser = argparse.ArgumentParser(prog="python -m ml verify", description=__doc__)
    parser.add_argument("--root", type=Path, help="folder of the models; by default MODEL_DIR or the shipped one")
    models = installed_models(parser.parse_args(arguments).root)
    findings = 0
    for model in models:
        altered = [*altered_files(model), *(f"{name} is not part of the release" for name in stray_files(model))]
        findings += len(altered)
        print(f"{model.name} {model.version} ({model.modality}, {model.status}): {'; '.join(altered) or 'intact'}")
    if not models:
        print("No model is installed.")
    return 1 if findings or not models else 0
