"""The folder of a model in a repository of Triton Inference Server."""

from __future__ import annotations

from collections.abc import Sequence

from .interface import Port

__all__ = ["BATCH_SIZE", "configuration"]

#: Jets per request. coffea's ``triton_wrapper`` fills each request up to this number.
BATCH_SIZE = 64

_TYPES = {"float32": "TYPE_FP32", "float64": "TYPE_FP64", "int64": "TYPE_INT64"}


def configuration(name: str, inputs: Sequence[Port], outputs: Sequence[Port], batch_size: int = BATCH_SIZE) -> str:
    """``config.pbtxt``: the first dimension, jets, is the server's batch dimension and not listed."""
    lines = [f'name: "{name}"', 'backend: "onnxruntime"', f"max_batch_size: {batch_size}"]
    for kind, ports in (("input", inputs), ("output", outputs)):
        lines += [f"{kind} [", ",\n".join(map(_port, ports)), "]"]
    return "\n".join(lines) + "\n"


def _port(port: Port) -> str:
    lengths = ", ".join(str(-1 if isinstance(length, str) else length) for length in port.shape[1:])
    return f'  {{\n    name: "{port.name}"\n    data_type: {_TYPES[port.dtype]}\n    dims: [ {lengths} ]\n  }}'
