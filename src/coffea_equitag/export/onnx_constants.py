"""Numbers of a graph as ONNX constants in double precision; torch's own translations go by way of float32.

There π is 3.14159274, and 1e-300 is 0. To be imported only where onnxscript is installed.
"""

from __future__ import annotations

from typing import Any

import torch
from onnxscript import ir
from onnxscript import opset20 as op

__all__ = ["TRANSLATIONS"]


def _constant(number: Any, dtype: int | None) -> Any:
    """A constant, or a length that is known only later, in one of ONNX's types; -1: float32."""
    wanted = ir.DataType(ir.DataType.FLOAT if dtype in (None, -1) else dtype)
    if isinstance(number, ir.Value):
        return op.Cast(number, to=wanted)
    return op.Constant(value=ir.tensor(number, dtype=wanted))


def _scalar_tensor(s: Any, dtype: int | None = None, **_: Any) -> Any:
    return _constant(s, dtype)


def _full(size: Any, fill_value: Any, dtype: int | None = None, **_: Any) -> Any:
    return op.Expand(_constant(fill_value, dtype), size)


def _clamp(self: Any, min: Any = None, max: Any = None) -> Any:
    return op.Clip(self, *(None if bound is None else _constant(bound, self.dtype) for bound in (min, max)))


_ATEN: Any = torch.ops.aten

#: What takes the place of torch's translations.
TRANSLATIONS: dict[Any, Any] = {
    _ATEN.clamp.default: _clamp,
    _ATEN.full.default: _full,
    _ATEN.scalar_tensor.default: _scalar_tensor,
}
