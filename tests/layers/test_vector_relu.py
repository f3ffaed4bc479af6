from __future__ import annotations

import torch

from coffea_equitag.layers.tensor_features import TensorFeatures
from coffea_equitag.layers.vector_relu import log_relu, tensor_relu, vector_relu


def test_short_vectors_stay_and_long_ones_become_unit():
    v = torch.tensor([[0.3, 30.0, 0.0], [0.0, 40.0, 0.0], [0.4, 0.0, 0.0]])[None]
    expected = torch.tensor([[0.3, 0.6, 0.0], [0.0, 0.8, 0.0], [0.4, 0.0, 0.0]])[None]
    torch.testing.assert_close(vector_relu(v), expected)


def test_each_representation_has_its_own():
    x = TensorFeatures(torch.tensor([[-2.0, 3.0]]), torch.full((1, 3, 1), 5.0), torch.full((1, 3, 3, 1), -7.0))
    out = tensor_relu(x)
    assert out.scalars.tolist() == [[0.0, 3.0]]
    torch.testing.assert_close(out.vectors, torch.full((1, 3, 1), 3**-0.5))
    torch.testing.assert_close(out.tensors, torch.full((1, 3, 3, 1), -1 / 3))
    assert tensor_relu(TensorFeatures(x.scalars, x.vectors)).tensors is None


def test_log_relu():
    values = torch.tensor([-1.0, 0.5, 1.0, 100.0])
    torch.testing.assert_close(log_relu(values), torch.tensor([0.0, 0.5, 1.0, 1 + torch.tensor(100.0).log()]))


def test_gradcheck_and_slope_at_zero():
    torch.manual_seed(0)
    parts = [torch.randn(2, 3), torch.randn(2, 3, 3), torch.randn(2, 3, 3, 3) / 3]
    parts = [part.double().requires_grad_() for part in parts]

    def run(*parts):
        out = tensor_relu(TensorFeatures(*parts), log_relu)
        return out.scalars, out.vectors, out.tensors

    assert torch.autograd.gradcheck(run, parts)
    zero = torch.zeros(1, 3, 1, requires_grad=True)
    vector_relu(zero).sum().backward()
    assert zero.grad.tolist() == [[[1.0], [1.0], [1.0]]]
