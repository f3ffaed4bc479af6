from __future__ import annotations

import pytest
import torch

from coffea_equitag.layers.lorentz_tensors import (
    DIMENSION,
    ETA,
    IRREPS,
    LorentzTensors,
    basis,
    dual,
    dual_components,
)


@pytest.mark.parametrize("irrep", IRREPS)
def test_bases_are_orthonormal_and_complete(irrep):
    vectors = basis(irrep).reshape(DIMENSION[irrep], -1)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(DIMENSION[irrep], dtype=torch.float64))


def test_bases_have_the_symmetries_of_their_tensors():
    antisymmetric, symmetric = basis("F"), basis("S")
    assert torch.equal(antisymmetric, -antisymmetric.transpose(1, 2))
    assert torch.equal(symmetric, symmetric.transpose(1, 2))
    torch.testing.assert_close((symmetric * ETA).sum((1, 2)), torch.zeros(9, dtype=torch.float64))


def test_dual_of_an_electric_field_is_magnetic_and_twice_is_minus_one():
    field = torch.zeros(4, 4, dtype=torch.float64)
    field[0, 1], field[1, 0] = 1.0, -1.0
    starred = dual(field)
    assert abs(starred[2, 3]) == 1.0
    torch.testing.assert_close(dual(starred), -field)
    torch.testing.assert_close(dual_components() @ dual_components(), -torch.eye(6, dtype=torch.float64))


def test_components_and_matrices():
    tensors = LorentzTensors(**{name: torch.randn(3, 2, d, dtype=torch.float64) for name, d in DIMENSION.items()})
    matrices = tensors.matrices()
    assert {name: tuple(m.shape) for name, m in matrices.items()} == {
        "s": (3, 2),
        "v": (3, 2, 4),
        "F": (3, 2, 4, 4),
        "S": (3, 2, 4, 4),
    }
    torch.testing.assert_close(matrices["F"].square().sum((-1, -2)), tensors.F.square().sum(-1))


def test_channels_side_by_side():
    first = LorentzTensors(s=torch.zeros(5, 2, 1), v=torch.zeros(5, 2, 4))
    both = LorentzTensors.cat([first, LorentzTensors(s=torch.ones(5, 3, 1))])
    assert both.s.shape == (5, 5, 1)
    assert both.v.shape == (5, 2, 4)
    assert both.F is None
    assert LorentzTensors.cat([]).parts() == {}
