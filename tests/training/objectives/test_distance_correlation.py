"""Distance correlation: against its definition, where it is 0 and 1, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coffea_equitag.training.objectives.distance_correlation import distance_correlation, in_blocks


def by_definition(x, y):
    """dCov²(x, y) / √(dCov²(x, x) dCov²(y, y)), element by element."""
    n = len(x)

    def centred(v):
        d = [[abs(v[i] - v[j]) for j in range(n)] for i in range(n)]
        rows = [sum(row) / n for row in d]
        mean = sum(rows) / n
        return [[d[i][j] - rows[i] - rows[j] + mean for j in range(n)] for i in range(n)]

    def covariance(a, b):
        return sum(a[i][j] * b[i][j] for i in range(n) for j in range(n)) / n**2

    a, b = centred(x), centred(y)
    return covariance(a, b) / np.sqrt(covariance(a, a) * covariance(b, b))


def numbers(n, seed=0):
    return torch.randn(2, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_definition():
    x, y = numbers(12)
    y = y + x**2
    found = distance_correlation(x, y, torch.ones(12))
    assert float(found) == pytest.approx(by_definition(x.tolist(), y.tolist()), rel=1e-12)


def test_weights_are_repetitions():
    x, y = numbers(10)
    times = torch.tensor([0, 1, 2, 3, 1, 0, 2, 1, 1, 4])
    repeated = distance_correlation(*(v.repeat_interleave(times) for v in (x, y)), torch.ones(int(times.sum())))
    for scale in (1, 0.01):
        assert float(distance_correlation(x, y, scale * times)) == pytest.approx(float(repeated), rel=1e-12)


def test_dependent_and_independent():
    x, y = numbers(2000)
    ones = torch.ones(2000)
    assert float(distance_correlation(x, -3 * x + 1, ones)) == pytest.approx(1, rel=1e-12)
    # of independent numbers it is of the order of 1/n; a parabola has no linear correlation, but this one
    assert float(distance_correlation(x, y, ones)) < 10 / 2000
    assert float(distance_correlation(x, x**2, ones)) > 0.1
    assert in_blocks(x.repeat(3), (x**2).repeat(3), ones.repeat(3)) > 0.1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_or_equal_jets(number):
    x = torch.ones(number, requires_grad=True)
    found = distance_correlation(x, torch.arange(float(number)), torch.ones(number))
    assert float(found.detach()) == 0
    found.backward()
    assert torch.isfinite(x.grad).all()
    assert in_blocks(x.detach(), x.detach(), x.detach()) == 0


def test_gradient():
    x, y = numbers(8)
    weights = torch.tensor([1.0, 2, 0, 1, 1, 3, 1, 1], dtype=torch.float64)
    related = y + x  # a property that stays as it is when x varies
    assert torch.autograd.gradcheck(lambda x: distance_correlation(x, related, weights), (x.requires_grad_(),))
