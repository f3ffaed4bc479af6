from __future__ import annotations

import pytest
import torch

from coffea_equitag.layers.bilinear import bilinear
from coffea_equitag.layers.tensor_features import TensorFeatures


def features(n=3, f=2, tensors=True):
    torch.manual_seed(0)
    s, v = torch.randn(n, 2 * f, dtype=torch.float64), torch.randn(n, 3, 2 * f, dtype=torch.float64)
    return TensorFeatures(s, v, torch.randn(n, 3, 3, 2 * f, dtype=torch.float64) if tensors else None)


def test_products_feature_by_feature():
    x, f = features(), 2
    out = bilinear(x)
    assert (out.scalars.shape, out.vectors.shape, out.tensors.shape) == ((3, 6), (3, 3, 6), (3, 3, 3, 6))
    for n in range(3):
        for k in range(f):
            (s_a, v_a, t_a), (s_b, v_b, t_b) = (
                (x.scalars[n, m], x.vectors[n, :, m], x.tensors[n, :, :, m]) for m in (k, f + k)
            )
            for found, expected in (
                (out.scalars[n, k::f], [s_a * s_b, v_a @ v_b, torch.trace(t_a.T @ t_b)]),
                (out.vectors[n, :, k::f].T, [s_a * v_b, torch.linalg.cross(v_a, v_b), t_a @ v_b]),
                (out.tensors[n, :, :, k::f].permute(2, 0, 1), [s_a * t_b, torch.outer(v_a, v_b), t_a @ t_b]),
            ):
                torch.testing.assert_close(found, torch.stack(expected))


def test_without_tensors():
    x = features()
    whole, part = bilinear(x), bilinear(features(tensors=False))
    assert part.tensors is None
    assert torch.equal(part.scalars, whole.scalars[:, :4])
    assert torch.equal(part.vectors, whole.vectors[:, :, :4])


@pytest.mark.parametrize("tensors", [False, True])
def test_gradcheck(tensors):
    x = features(2, 1, tensors).map(torch.Tensor.requires_grad_)

    def run(*parts):
        out = bilinear(TensorFeatures(*parts))
        return [part for part in (out.scalars, out.vectors, out.tensors) if part is not None]

    assert torch.autograd.gradcheck(run, [part for part in (x.scalars, x.vectors, x.tensors) if part is not None])


def test_no_rows():
    assert bilinear(features(0)).tensors.shape == (0, 3, 3, 6)
