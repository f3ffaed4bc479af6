"""Dense layers and normalisations of many rows, by register tiles, against torch in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit
from torch.nn import functional

from arithmetic import deviation, rounding
from coffea_equitag.kernels.common.cpu import activations, row_layers
from coffea_equitag.kernels.common.cpu.row_layers import (
    GELU,
    GELU_TANH,
    LINEAR,
    RELU,
    pack,
    row_layer,
    row_layer_add,
)
from coffea_equitag.kernels.common.cpu.row_norms import layer_norm_rows
from kernel_forms import needs_vectors, with_avx2

pytestmark = needs_vectors

ACTIVATIONS = {
    LINEAR: lambda x: x,
    RELU: torch.relu,
    GELU: functional.gelu,
    GELU_TANH: lambda x: functional.gelu(x, approximate="tanh"),
}
#: (K, M): whole blocks of every shape of tile, and some that are none.
SHAPES = [(32, 128), (32, 96), (20, 32), (7, 16), (64, 8), (128, 1), (5, 70), (1, 129)]


def given(depth, width, rows=29):
    rng = np.random.default_rng(depth + width)
    x = rng.normal(0, 1, (rows + 4, depth)).astype(np.float32)
    return x, rng.normal(0, depth**-0.5, (width, depth)), rng.normal(0, 1, width)


@pytest.mark.parametrize(("depth", "width"), SHAPES)
def test_agrees(depth, width):
    x, matrix, bias = given(depth, width)
    layer = pack(matrix, bias)
    inputs = [torch.from_numpy(values) for values in (x[2:-2], matrix, bias)]
    for kind, activation in ACTIVATIONS.items():
        out = np.full((len(x), width), 7, np.float32)
        row_layer(x, 2, layer, kind, out, 3, 29)
        assert (out[:3] == 7).all()
        assert (out[32:] == 7).all()

        def reference(*tensors, activation=activation):
            return activation(functional.linear(*tensors))

        allowed = rounding(reference, *(values.float() for values in inputs))
        assert deviation(torch.from_numpy(out[3:32]), reference(*(values.double() for values in inputs))) <= allowed
    row_layer_add(x, 2, layer, out, 3, 29)
    expected = sum(ACTIVATIONS[kind](functional.linear(*(v.double() for v in inputs))) for kind in (LINEAR, GELU_TANH))
    assert deviation(torch.from_numpy(out[3:32]), expected) <= 2 * allowed
    assert (out[:3] == 7).all()
    assert (out[32:] == 7).all()


@pytest.mark.parametrize(("depth", "width"), SHAPES)
def test_a_row_has_its_own_bits(depth, width):
    x, matrix, bias = given(depth, width)
    layer = pack(matrix, bias)
    for kind in ACTIVATIONS:
        together, alone, slice_of = (np.zeros((len(x), size), np.float32) for size in (width, width, width + 3))
        row_layer(x, 0, layer, kind, together, 0, len(x))
        for row in range(len(x)):
            row_layer(x, row, layer, kind, alone, row, 1)
        np.testing.assert_array_equal(together, alone)
        row_layer(np.pad(x, ((0, 0), (2, 1)))[:, 2:-1], 0, layer, kind, slice_of[:, 1:-2], 0, len(x))
        np.testing.assert_array_equal(together, slice_of[:, 1:-2])
        assert not slice_of[:, [0, -2, -1]].any()


def test_nan_stays_in_its_row():
    x, matrix, bias = given(20, 70)
    x[4, 3] = np.nan
    layer, ones = pack(matrix, bias), np.ones(70, np.float32)
    for kind in ACTIVATIONS:
        out = np.zeros((len(x), 70), np.float32)
        row_layer(x, 0, layer, kind, out, 0, len(x))
        assert (np.isnan(out).all(1) == (np.arange(len(x)) == 4)).all()
        layer_norm_rows(out, 0, len(x), ones, ones, 1e-5, out, 0)
        assert (np.isnan(out).all(1) == (np.arange(len(x)) == 4)).all()


def test_no_rows_and_no_bias():
    x, matrix, _ = given(20, 70)
    out = np.zeros((0, 70), np.float32)
    row_layer(x, 0, pack(matrix), GELU, out, 0, 0)
    row_layer_add(x, 0, pack(matrix), out, 0, 0)
    layer_norm_rows(out, 0, 0, out[:, 0], out[:, 0], 1e-5, out, 0)
    out = np.zeros((len(x), 70), np.float32)
    row_layer(x, 0, pack(matrix), LINEAR, out, 0, len(x))
    np.testing.assert_allclose(out, x @ matrix.T, atol=1e-5)


@pytest.mark.parametrize("width", [1, 7, 16, 96, 128, 200])
@pytest.mark.parametrize("affine", [False, True])
def test_layer_norm(width, affine):
    x, _, bias = given(width, width)
    x += 3 * bias.astype(np.float32)
    scale, shift = (1 + bias.astype(np.float32), bias.astype(np.float32)) if affine else np.zeros((2, 0), np.float32)
    out = np.zeros_like(x)
    layer_norm_rows(x, 1, 20, scale, shift, 0.01, out, 2)
    parameters = [torch.from_numpy(values) if affine else None for values in (scale, shift)]

    def reference(x):
        return functional.layer_norm(x, (width,), *(p if p is None else p.to(x.dtype) for p in parameters), 0.01)

    rows = torch.from_numpy(x[1:21])
    if width > 1:
        assert deviation(torch.from_numpy(out[2:22]), reference(rows.double())) <= rounding(reference, rows)
    assert not out[[0, 1, *range(22, len(x))]].any()
    layer_norm_rows(x, 4, 1, scale, shift, 0.01, out, 0)
    np.testing.assert_array_equal(out[0], out[5])


def apply(function):
    @njit
    def run(x, out):
        for k in range(len(x)):
            out[k] = function(x[k])

    x = np.concatenate([np.linspace(-12, 12, 20_001), [-1e30, 1e30, np.nan, 3e38, -0.0]]).astype(np.float32)
    out = np.empty_like(x)
    run(x, out)
    return torch.from_numpy(x).double(), torch.from_numpy(out).double()


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_and_its_slope(approximate):
    value, slope = {
        "none": (activations.gelu_number, activations.gelu_slope_number),
        "tanh": (activations.gelu_tanh_number, activations.gelu_tanh_slope_number),
    }[approximate]
    (x, found), (_, found_slope) = apply(value), apply(slope)
    x.requires_grad_()
    expected = functional.gelu(x, approximate=approximate)
    (expected_slope,) = torch.autograd.grad(expected.sum(), x)
    epsilon = torch.finfo(torch.float32).eps
    near = x.detach().abs() < 20
    # Φ to 3 ε, and the slope's two parts; the latter's argument is off by ε x²
    assert ((found - expected).abs() <= 3 * epsilon * x.abs())[near].all()
    assert ((found_slope - expected_slope).abs() <= 8 * epsilon * (1 + x.abs()))[near].all()
    far = ~near & ~x.isnan()
    torch.testing.assert_close(found[far], expected.detach()[far], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found_slope[far], (x[far] > 0).double(), rtol=0, atol=1e-6)
    assert found[x.isnan()].isnan().all()
    assert found_slope[x.isnan()].isnan().all()


def test_exp():
    x, found = apply(activations.exp_number)
    near = x.abs() < 80
    torch.testing.assert_close(found[near], x[near].exp(), rtol=3e-7, atol=0)
    assert (found[x < -80] < 1e-34).all()
    assert found[x.isnan()].isnan().all()


def test_avx2_tiles():
    with_avx2(
        "import sys; sys.path[:0] = ['tests', 'tests/kernels/common']\n"
        "import test_row_layers as t\n"
        "for shape in ((32, 96), (5, 70), (7, 8)):\n"
        "    t.test_agrees(*shape); t.test_a_row_has_its_own_bits(*shape)\n"
        "t.test_layer_norm(200, True)\n"
    )


def test_tiles_of_different_shapes_have_different_names():
    """Machine code from the disk is linked by names, and functions made by one factory would share theirs."""
    assert len({compute.__qualname__ for compute in row_layers._computes}) == len(row_layers._computes)
