from __future__ import annotations

import pytest
import torch

from coffea_equitag.layers.so3_affine import SO3Affine
from coffea_equitag.layers.tensor_features import TensorFeatures


def features(n=4, widths=(3, 2, 5)):
    s, v = torch.randn(n, widths[0]), torch.randn(n, 3, widths[1])
    return TensorFeatures(s, v, torch.randn(n, 3, 3, widths[2]) if len(widths) > 2 else None).map(torch.Tensor.double)


def random_rotations(n):
    q, r = torch.linalg.qr(torch.randn(n, 3, 3, dtype=torch.float64))
    q = q * torch.sign(torch.diagonal(r, dim1=1, dim2=2))[:, None]
    return q * torch.linalg.det(q)[:, None, None]


@pytest.mark.parametrize("widths", [(3, 2), (3, 2, 5)])
def test_commutes_with_rotations(widths):
    torch.manual_seed(0)
    layer, x = SO3Affine(widths, 6).double(), features(widths=widths)
    if len(widths) > 2:
        layer.tensors.bias.data.normal_()
    turn = random_rotations(4)
    found, expected = layer(x.rotate(turn)), layer(x).rotate(turn)
    torch.testing.assert_close(found.scalars, expected.scalars)
    torch.testing.assert_close(found.vectors, expected.vectors)
    if len(widths) > 2:
        torch.testing.assert_close(found.tensors, expected.tensors)
    else:
        assert found.tensors is None


def test_rotation_of_tensors_is_on_both_sides():
    x, turn = features(), random_rotations(4)
    expected = torch.einsum("nik,nklf,njl->nijf", turn, x.tensors, turn)
    torch.testing.assert_close(x.rotate(turn).tensors, expected)
    torch.testing.assert_close(x.rotate(turn).invariants(), x.invariants())


def test_sums_over_segments():
    x = features()
    total = x.sum(torch.tensor([0, 0, 3, 4]))
    assert total.tensors.shape == (3, 3, 3, 5)
    assert not total.vectors[0].any()
    torch.testing.assert_close(total.tensors[1], x.tensors[:3].sum(0))
    torch.testing.assert_close(total.scalars[2], x.scalars[3])


def test_gradcheck():
    layer, x = SO3Affine((3, 2, 5), 2).double(), features(2).map(torch.Tensor.requires_grad_)
    weights = dict(layer.named_parameters())

    def run(s, v, t, *values):
        swapped = dict(zip(weights, values, strict=True))
        out = torch.func.functional_call(layer, swapped, (TensorFeatures(s, v, t),))
        return out.scalars, out.vectors, out.tensors

    assert torch.autograd.gradcheck(run, (x.scalars, x.vectors, x.tensors, *weights.values()))
