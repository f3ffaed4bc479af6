from __future__ import annotations

import pytest
import torch

from coffea_equitag.layers import RowBatchNorm


def test_is_batch_norm_where_rows_suffice():
    rows = torch.randn(7, 3)
    ours, theirs = RowBatchNorm(3), torch.nn.BatchNorm1d(3)
    assert torch.equal(ours(rows), theirs(rows))
    assert torch.equal(ours.running_var, theirs.running_var)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_use_and_keep_the_running_statistics(rows):
    norm = RowBatchNorm(3)
    out = norm(torch.full((rows, 3), 2.0))
    assert out.shape == (rows, 3)
    assert torch.isfinite(out).all()
    assert norm.running_mean.tolist() == [0, 0, 0]
    assert int(norm.num_batches_tracked) == 0
