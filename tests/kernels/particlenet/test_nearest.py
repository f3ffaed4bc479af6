from __future__ import annotations

import numpy as np
import pytest
import torch

from coffea_equitag.invariants.neighbours import nearest
from coffea_equitag.kernels.particlenet.cpu.nearest import nearest_senders
from gpu import DEVICE, needs_gpu
from kernel_forms import needs_vectors


@needs_vectors
@pytest.mark.parametrize("dimension", [1, 2, 7, 64])
@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("k", [1, 5, 16])
def test_neighbours_are_those_of_the_reference(dimension, grid, k):
    rng = np.random.default_rng(dimension)
    counts = np.array([40, 0, 1, 17, 16, 18, 5, 33])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    points = rng.normal(size=(offsets[-1], dimension)).astype(np.float32)
    if grid:  # many at equal distances, some in one place, some nowhere
        points = np.round(points * 2)
        points[rng.random(len(points)) < 0.1] = np.nan
        points[3] = np.inf
    priority = rng.integers(0, 3, len(points)).astype(np.float64)
    expected = nearest(torch.from_numpy(points), torch.from_numpy(offsets), k, torch.from_numpy(priority))
    edges = expected.offsets.numpy()
    sender = np.full(edges[-1], -1)
    wide = np.hstack([points, np.full((len(points), 3), 9, np.float32)])
    nearest_senders(wide, dimension, priority, offsets, edges, sender, 0, len(counts))
    for i in range(len(points)):
        own = slice(edges[i], edges[i + 1])
        assert sorted(expected.sender[own].tolist()) == sender[own].tolist()


@needs_gpu
@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_on_a_gpu_are_those_of_the_reference(k):
    from coffea_equitag.kernels.common.gpu.tiles import Tiles
    from coffea_equitag.kernels.particlenet.gpu.nearest import nearest as on_device

    rng = np.random.default_rng(1)
    counts = torch.tensor([20, 1, 0, 4, 6])
    offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    points = torch.from_numpy(rng.integers(0, 3, (31, 2)).astype(np.float64))
    points[25] = torch.nan
    priority = torch.from_numpy(rng.integers(0, 2, 31).astype(np.float64))
    tiles = Tiles.of(offsets.to(DEVICE))
    found = on_device(points.to(DEVICE), priority.to(DEVICE), k, 20, tiles).cpu()
    expected = nearest(points, offsets, k, priority)
    start = torch.repeat_interleave(offsets[:-1], counts)
    assert torch.equal((found + start[:, None])[found >= 0], expected.sender)
    assert torch.equal((found >= 0).sum(1), expected.offsets.diff())
