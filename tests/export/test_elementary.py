"""What takes the place of torch's functions in ONNX, against them: in float64 to some units in the last place."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from coffea_equitag.export.elementary import DECOMPOSITIONS
from coffea_equitag.export.interface import Port
from coffea_equitag.export.onnx_file import to_onnx

ATEN = torch.ops.aten
EPS = torch.finfo(torch.float64).eps


def wide(low=-300, high=300, number=2001):
    """Numbers of all sizes and both signs, and 0."""
    sizes = torch.logspace(low, high, number, dtype=torch.float64)
    return torch.cat([-sizes, sizes, torch.zeros(1, dtype=torch.float64)])


@pytest.mark.parametrize(
    ("operation", "function", "values"),
    [
        (ATEN.expm1.default, torch.expm1, wide(high=2.8)),
        (ATEN.log1p.default, torch.log1p, wide()[wide() > -1]),
        (ATEN.leaky_relu.default, functional.leaky_relu, wide()),
    ],
)
def test_relative_to_the_value(operation, function, values):
    # three roundings of the correction and one of each logarithm, exponential and product
    torch.testing.assert_close(DECOMPOSITIONS[operation](values), function(values), rtol=8 * EPS, atol=0)


def test_asinh_of_pseudorapidities():
    """Of pz / pT it is η, of which some units of 1 are enough."""
    values = wide(high=100)
    torch.testing.assert_close(
        DECOMPOSITIONS[ATEN.asinh.default](values), torch.asinh(values), rtol=8 * EPS, atol=8 * EPS
    )


def test_angles():
    x, y = torch.meshgrid(wide(-8, 8, 40), wide(-8, 8, 40), indexing="ij")
    found = DECOMPOSITIONS[ATEN.atan2.default](y, x)
    torch.testing.assert_close(found, torch.atan2(y, x), rtol=8 * EPS, atol=8 * EPS)


def test_cosine():
    quarters = torch.pi / 2 * torch.arange(-4, 5, dtype=torch.float64)
    angles = torch.cat([torch.linspace(-7, 7, 3001, dtype=torch.float64), quarters, quarters + 1e-9])
    found = DECOMPOSITIONS[ATEN.cos.default](angles)
    # π/2 − |x| is rounded, by half a unit of the last place of 7; near ±π/2 it is exact, and so is what is left
    torch.testing.assert_close(found, torch.cos(angles), rtol=2 * EPS, atol=4 * EPS)
    near = angles[(angles.abs() - torch.pi / 2).abs() < 0.5]
    torch.testing.assert_close(DECOMPOSITIONS[ATEN.cos.default](near), torch.cos(near), rtol=4 * EPS, atol=0)
    assert DECOMPOSITIONS[ATEN.cos.default](angles.float()) is NotImplemented


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate):
    values = wide(-20, 2)  # to ±100
    found = DECOMPOSITIONS[ATEN.gelu.default](values, approximate=approximate)
    torch.testing.assert_close(found, functional.gelu(values, approximate=approximate), rtol=0, atol=8 * EPS * 100)
    # onnxruntime's own are exact in float32
    assert DECOMPOSITIONS[ATEN.gelu.default](values.float(), approximate=approximate) is NotImplemented


def test_gelu_near_0_and_in_its_tail():
    values = torch.cat([torch.linspace(-8, 8, 4001, dtype=torch.float64), wide(-300, 0)])
    found = DECOMPOSITIONS[ATEN.gelu.default](values)
    z = values / 2**0.5
    # x Φ(x) by erfc, which does not cancel; exp(−z²) magnifies the rounding of z² ≤ 32
    expected = values * torch.special.erfc(-z) / 2
    torch.testing.assert_close(found, expected, rtol=2 * 32 * EPS, atol=0)


@pytest.mark.parametrize("shape", [(50, 4), (5, 4, 3), (5, 4, 3, 2)])
def test_batch_norm(shape):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, dtype=torch.float64, generator=generator)
    weight, bias, mean = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    var = torch.tensor([1e-7, 1e-5, 1.0, 30.0], dtype=torch.float64)
    operation = ATEN._native_batch_norm_legit_no_training.default
    found = DECOMPOSITIONS[operation](x, weight, bias, mean, var, 0.1, 1e-5)
    expected = operation(x, weight, bias, mean, var, 0.1, 1e-5)[0]
    torch.testing.assert_close(found[0], expected, rtol=0, atol=8 * EPS * float(expected.abs().max()))


def test_layer_norm():
    x = torch.randn(5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x[0] *= 1e-3  # beside which ε counts
    weight, bias = x[1, 0], x[2, 0]
    for options in ((), (weight,), (weight, bias)):
        found = DECOMPOSITIONS[ATEN.layer_norm.default](x, [4], *options)
        torch.testing.assert_close(found, functional.layer_norm(x, (4,), *options), rtol=0, atol=16 * EPS)
    assert DECOMPOSITIONS[ATEN.layer_norm.default](x.float(), [4]) is NotImplemented


class Functions(torch.nn.Module):
    def forward(self, x):
        return torch.stack([torch.cos(x), functional.gelu(x), functional.layer_norm(x, (len(x),), eps=1e-5)], dim=1)


def test_in_a_file():
    """Exporters leave out what is added below 1e-8, and round constants: ε, the rest of π/2, a series' last terms."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    x = torch.cat([torch.linspace(-6, 6, 997, dtype=torch.float64), torch.tensor([torch.pi / 2]).double()])
    ports = [[Port(name, "float64", (len(x), *more), "a number")] for name, more in (("x", ()), ("y", (3,)))]
    model = to_onnx(torch.export.export(Functions(), (x,)), *ports)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(None, {"x": x.numpy()})[0])
    # arguments up to 6 and z² up to 18 are rounded
    torch.testing.assert_close(found, Functions()(x), rtol=0, atol=16 * EPS)
    torch.testing.assert_close(found[-1, 0], torch.cos(x[-1]), rtol=4 * EPS, atol=0)
