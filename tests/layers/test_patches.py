from __future__ import annotations

import pytest
import torch

from coffea_equitag.layers.patches import Patch


def test_gradcheck():
    torch.manual_seed(0)
    patch = Patch(2, 3).double()
    scalars = torch.rand(5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s, *_: patch(s), (scalars, *patch.parameters()))


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_huge_invariants_in_single_precision(rows):
    # 1e39 overflows float32: ψ is applied before the conversion
    out = Patch(3, 8)(torch.full((rows, 3), 1e39, dtype=torch.float64))
    assert out.shape == (rows, 8)
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
