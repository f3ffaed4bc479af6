from __future__ import annotations

import pytest
import torch

from coffea_equitag.training.losses import momentum_loss


def test_momentum_loss_is_the_papers():
    predicted = torch.tensor([[200.0, 0, 0, 60], [5, 0, 3, 0]], dtype=torch.float64)
    target = torch.tensor([[200.0, 0, 0, 120], [5, 4, 0, 0]], dtype=torch.float64)
    masses = abs((200**2 - 60**2) ** 0.5 - 160), abs(4 - 3)
    momenta = 60, 5
    expected = 0.05 * sum(masses) / 2 + 0.01 * sum(momenta) / 2
    assert momentum_loss(predicted, target).item() == pytest.approx(expected, rel=1e-9)
    assert momentum_loss(target, target).item() == 0
    assert momentum_loss(predicted, target, mass_weight=0, momentum_weight=1).item() == pytest.approx(32.5)


def test_momentum_loss_of_a_spacelike_prediction():
    predicted = torch.tensor([[1.0, 3, 0, 0]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[5.0, 3, 0, 0]], dtype=torch.float64)
    loss = momentum_loss(predicted, target)
    assert loss.item() == pytest.approx(0.05 * (4 + 8**0.5))
    loss.backward()
    assert torch.isfinite(predicted.grad).all()


def test_momentum_loss_gradcheck():
    torch.manual_seed(0)
    predicted = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randn(3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: momentum_loss(p, target), (predicted,))
