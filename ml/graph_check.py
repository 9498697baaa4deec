"""What a LiteRT graph may hold: arithmetic on tensors of a sane size, and nothing that loops, branches or calls out.

A digest says that a file is the one its manifest names, not that the manifest is ours. So before a graph runs, its
operations are read from the file: a loop need never end, a custom operation is native code by another name, and a
tensor may state a size that fills the memory.
"""

from __future__ import annotations

import math
from functools import cache

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

_OPERATIONS = (
    "ADD AVERAGE_POOL_2D BATCH_MATMUL BROADCAST_TO CAST CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EXP "
    "EXPAND_DIMS FILL FULLY_CONNECTED GATHER GELU HARD_SWISH L2_NORMALIZATION LEAKY_RELU LOG LOGISTIC MAX_POOL_2D "
    "MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 "
    "RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SHAPE SLICE SOFTMAX SPLIT SPLIT_V SQRT SQUARE "
    "SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV UNPACK"
)
ARITHMETIC = frozenset(_OPERATIONS.split())
"""Operations that the networks of the zoo are made of, by their names in the LiteRT schema."""

TENSOR_ELEMENTS = 64_000_000
"""Most elements of one tensor: five times the largest of VGG16 at 512 pixels."""


def open_graph(content: bytes, *, threads: int) -> Interpreter:
    """A graph ready to run, its memory reserved.

    Args:
        content: a ``.tflite`` file, from anyone.
        threads: threads of one forward pass.

    Raises:
        ValueError, RuntimeError: LiteRT cannot load it, or :func:`graph_fault` speaks against it.
    """
    # The constructor verifies the file's structure; nothing is reserved or run before the operations were looked at.
    interpreter = Interpreter(model_content=content, num_threads=threads)
    fault = graph_fault(content)
    if fault:
        raise ValueError(fault)
    interpreter.allocate_tensors()
    return interpreter


def graph_fault(content: bytes) -> str:
    """Why a graph must not run, in words; empty when it may.

    Args:
        content: a ``.tflite`` file whose structure LiteRT has already verified.
    """
    model = schema.Model.GetRootAs(content)
    if model.SubgraphsLength() != 1:
        return f"it holds {model.SubgraphsLength()} graphs, which only loops and branches need"
    for number in range(model.OperatorCodesLength()):
        operator = model.OperatorCodes(number)
        # Files older than 2020 state the code in the first field alone; it is the larger one that counts.
        code = max(operator.BuiltinCode(), operator.DeprecatedBuiltinCode())
        name = _names().get(code, f"number {code}")
        if name == "CUSTOM":
            name = f"{(operator.CustomCode() or b'')[:40].decode('ascii', 'replace')!r}, a custom one"
        if name not in ARITHMETIC:
            return f"its operation {name} is not among those that are run"
    graph = model.Subgraphs(0)
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        elements = math.prod(max(1, tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))
        if elements > TENSOR_ELEMENTS:
            return f"one of its tensors has {elements:,} elements, more than {TENSOR_ELEMENTS:,}"
    return ""


@cache
def _names() -> dict[int, str]:
    return {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
