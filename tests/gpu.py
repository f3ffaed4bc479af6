"""Where tests of GPU kernels run: on a GPU, or in Triton's interpreter, which multiplies matrices more exactly."""

from __future__ import annotations

import importlib.util
import os
from functools import cache

import numpy as np
import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED or not torch.cuda.is_available() else "cuda"


def _reason():
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    if DEVICE == "cpu" and not INTERPRETED:
        return "no GPU; test_gpu_interpreter runs these in Triton's interpreter"
    return ""


#: Why tests of GPU kernels cannot run in this process; empty if they can.
UNAVAILABLE = _reason()

#: Marks a test of GPU kernels, which tests/kernels/conftest.py skips where they are unavailable.
needs_gpu = pytest.mark.gpu


def device_of(backend):
    """Where a backend's tensors are: ``"cpu"``, or the GPU if there is one."""
    return DEVICE if backend == "gpu" else "cpu"


def interpreted(backend):
    """Whether a backend runs in Triton's interpreter, where tests must be small."""
    return backend == "gpu" and INTERPRETED


def emulate_precision():
    """Make the interpreter round as a GPU does: operands of matrix products, and fma once instead of twice.

    Products are added up in one order for all rows, as on a GPU: BLAS takes some rows of a tile in another way.
    """
    from triton.runtime import interpreter

    handle = interpreter.TensorHandle

    def create_dot(self, a, b, total, input_precision, max_num_imprecise_acc):
        x, y = a.data, b.data
        if x.dtype == np.uint16:
            x, y = (_bits(value.astype(np.uint32) << 16) for value in (x, y))
        elif x.dtype == np.float32 and input_precision.name != "IEEE":
            high_x, high_y = _tf32(x), _tf32(y)
            if input_precision.name == "TF32x3":
                low = _matmul(_tf32(x - high_x), high_y) + _matmul(high_x, _tf32(y - high_y))
                return handle(_matmul(high_x, high_y) + low + total.data, total.dtype.scalar)
            x, y = high_x, high_y
        return handle(_matmul(x.astype(total.data.dtype), y.astype(total.data.dtype)) + total.data, total.dtype.scalar)

    interpreter.InterpreterBuilder.create_dot = create_dot
    interpreter.InterpreterBuilder.create_fma = lambda self, x, y, z: handle(
        _fma(x.data, y.data, z.data), z.dtype.scalar
    )


def hasten_calls():
    """Let the interpreter prepare Triton's language once a launch, not for each call of a function within it."""
    from triton.runtime import interpreter

    prepared = set()

    def call(self, *arguments, **keywords):
        module = self.fn.__module__
        if module.startswith("triton.") and module not in prepared:
            interpreter._patch_lang(self.fn)
            prepared.add(module)
        return self.rewrite()(*arguments, **keywords)

    interpreter.InterpretedFunction.__call__ = call


def _tf32(x):
    """Eleven significant bits, ties away from zero."""
    return _bits((np.ascontiguousarray(x).view(np.uint32) + np.uint32(1 << 12)) & np.uint32(0xFFFFE000))


def _bits(x):
    return x.astype(np.uint32).view(np.float32)


def _matmul(x, y):
    matrices = [np.ascontiguousarray(value).reshape(-1, *value.shape[-2:]) for value in (x, y)]
    out = np.zeros((len(matrices[0]), x.shape[-2], y.shape[-1]), x.dtype)
    _compiled()[0](*matrices, out)
    return out.reshape(*x.shape[:-1], y.shape[-1])


def _fma(x, y, z):
    if x.dtype != np.float64:
        return (x.astype(np.float64) * y + z).astype(x.dtype)
    x, y, z = np.broadcast_arrays(x, y, z)
    out = np.empty(x.shape)
    _compiled()[1](x.ravel(), y.ravel(), z.ravel(), out.reshape(-1))
    return out


@cache
def _compiled():
    from coffea_equitag.compiled import fma, njit

    def matmul_each(x, y, out):
        for matrix in range(len(out)):
            for i in range(x.shape[1]):
                for k in range(x.shape[2]):
                    for j in range(y.shape[2]):
                        out[matrix, i, j] += x[matrix, i, k] * y[matrix, k, j]

    def fma_each(x, y, z, out):
        for k in range(len(out)):
            out[k] = fma(x[k], y[k], z[k])

    matmul_each.__qualname__, fma_each.__qualname__ = "matmul_each", "fma_each"
    return njit(matmul_each), njit(fma_each)


if INTERPRETED and not UNAVAILABLE:
    emulate_precision()
    hasten_calls()
