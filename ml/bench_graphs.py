"""The shipped graph by itself, without the pipeline round it: by LiteRT, and by OpenVINO as the outside reference.

OpenVINO (Apache-2.0) reads the very file that is shipped, so both run the same arithmetic on the same weights. It is
needed by the benchmark only (``requirements-bench.txt``).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Forward = Callable[[], list[NDArray[np.float32]]]
"""One forward pass; the outputs, sorted by shape."""


def graph_input(path: Path) -> NDArray[np.float32]:
    """An input as the graph wants it, values in [-1, 1]; what they are does not change the time."""
    shape = Interpreter(model_content=path.read_bytes()).get_input_details()[0]["shape"]
    return np.random.default_rng(0).uniform(-1, 1, tuple(shape)).astype(np.float32)


def litert_forward(path: Path, pixels: NDArray[np.float32], *, threads: int) -> Forward:
    """LiteRT on one float32 input, with every output copied out."""
    interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    exits = [detail["index"] for detail in interpreter.get_output_details()]

    def forward() -> list[NDArray[np.float32]]:
        interpreter.set_tensor(entry, pixels)
        interpreter.invoke()
        return _by_shape([interpreter.get_tensor(index) for index in exits])

    return forward


def openvino_version() -> str | None:
    """The installed version, or ``None``."""
    if importlib.util.find_spec("openvino") is None:
        return None
    # "2026.4.1-22102-..." says which build it is; the release is enough.
    return str(importlib.import_module("openvino").__version__).split("-")[0]


def openvino_forward(path: Path, pixels: NDArray[np.float32], *, threads: int) -> Forward:
    """OpenVINO on the same file, in float32 as LiteRT computes (left alone it would choose bfloat16 where it can)."""
    openvino = importlib.import_module("openvino")
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(path),
        "CPU",
        {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"},
    )
    request = compiled.create_infer_request()

    def forward() -> list[NDArray[np.float32]]:
        request.infer({0: pixels})
        return _by_shape([request.get_output_tensor(number).data.copy() for number in range(len(compiled.outputs))])

    return forward


def _by_shape(arrays: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    return sorted(arrays, key=lambda array: (array.ndim, array.shape))
