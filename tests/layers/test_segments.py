from __future__ import annotations

import pytest
import torch

from coffea_equitag.layers import psi, segment_mean, segment_sum


def test_sum_and_mean_by_hand():
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    offsets = torch.tensor([0, 2, 2, 3])
    assert segment_sum(values, offsets).tolist() == [[4, 6], [0, 0], [5, 6]]
    assert segment_mean(values, offsets).tolist() == [[2, 3], [0, 0], [5, 6]]


@pytest.mark.parametrize("offsets", [[0], [0, 0, 0]])
def test_nothing_to_sum(offsets):
    values = torch.zeros((0, 3), requires_grad=True)
    out = segment_mean(values, torch.tensor(offsets))
    assert out.shape == (len(offsets) - 1, 3)
    assert not out.any()
    out.sum().backward()
    assert values.grad is not None


def test_gradients():
    values = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    offsets = torch.tensor([0, 2, 2, 5])
    assert torch.autograd.gradcheck(lambda v: segment_sum(v, offsets), values)
    assert torch.autograd.gradcheck(lambda v: segment_mean(v, offsets), values)
    assert torch.autograd.gradcheck(psi, values)
