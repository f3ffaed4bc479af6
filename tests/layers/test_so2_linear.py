from __future__ import annotations

import pytest
import torch

from coffea_equitag.layers.so2_linear import SO2LinearTensor, SO2LinearVector, axis_frames

ONE = torch.eye(3, dtype=torch.float64)


def cross_matrix(axis):
    x, y, z = axis
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)


def pair_matrices(maps, axis):
    """A_ij of each pair of features as in the paper: (a ĵĵᵀ + b (1 − ĵĵᵀ)) R_ĵ(φ)."""
    along = torch.outer(axis, axis)
    matrices = torch.empty(*maps.a.shape, 3, 3, dtype=torch.float64)
    for i, j in torch.cartesian_prod(*(torch.arange(k) for k in maps.a.shape)).tolist():
        turn = torch.linalg.matrix_exp(maps.phi[i, j] * cross_matrix(axis))
        matrices[i, j] = (maps.a[i, j] * along + maps.b[i, j] * (ONE - along)) @ turn
    return matrices.detach()


@pytest.fixture
def axis():
    torch.manual_seed(0)
    direction = torch.randn(3, dtype=torch.float64)
    return direction / direction.norm()


def test_vectors_as_the_paper_writes_it(axis):
    layer, frame = SO2LinearVector(4, 5).double(), axis_frames(axis[None])[0]
    v = torch.randn(3, 3, 4, dtype=torch.float64)
    found = frame.T @ layer(frame @ v)
    torch.testing.assert_close(found, torch.einsum("oiab,nbi->nao", pair_matrices(layer, axis), v))


def test_vectors_as_a_sum_of_three_terms(axis):
    layer, frame = SO2LinearVector(4, 5).double(), axis_frames(axis[None])[0]
    v = torch.randn(3, 3, 4, dtype=torch.float64)
    beta, gamma = layer.b * layer.phi.cos(), layer.b * layer.phi.sin()
    alpha = layer.a - beta
    expected = (
        axis[:, None] * torch.einsum("oi,a,nai->no", alpha, axis, v)[:, None]
        + torch.einsum("oi,nai->nao", beta, v)
        + torch.einsum("oi,ab,nbi->nao", gamma, cross_matrix(axis), v)
    )
    torch.testing.assert_close(frame.T @ layer(frame @ v), expected)


def test_tensors_as_the_paper_writes_it(axis):
    layer, frame = SO2LinearTensor(4, 5).double(), axis_frames(axis[None])[0]
    layer.bias.data.normal_()
    t = torch.randn(3, 3, 3, 4, dtype=torch.float64)
    left, right = pair_matrices(layer.left, axis), pair_matrices(layer.right, axis)
    expected = torch.einsum("oiab,nbci,oidc->nado", left, t, right) + ONE[:, :, None] * layer.bias
    in_frame = torch.einsum("ab,nbci,dc->nadi", frame, t, frame)
    torch.testing.assert_close(torch.einsum("ba,nbco,cd->nado", frame, layer(in_frame), frame), expected)


def test_commutes_with_rotations_about_the_axis_only():
    vectors, tensors = SO2LinearVector(4, 5).double(), SO2LinearTensor(4, 5).double()
    v, t = torch.randn(3, 3, 4, dtype=torch.float64), torch.randn(3, 3, 3, 4, dtype=torch.float64)
    for axis, same in (((0.0, 0.0, 1.0), True), ((1.0, 0.0, 0.0), False)):
        turn = torch.linalg.matrix_exp(1.1 * cross_matrix(axis))
        difference = (vectors(turn @ v) - turn @ vectors(v)).abs().max()
        turned = torch.einsum("ab,nbci,dc->nadi", turn, t, turn)
        expected = torch.einsum("ab,nbci,dc->nadi", turn, tensors(t), turn)
        difference_of_tensors = (tensors(turned) - expected).abs().max()
        assert (difference < 1e-13) == same
        assert (difference_of_tensors < 1e-13) == same


def test_gradcheck():
    vectors, tensors = SO2LinearVector(2, 3).double(), SO2LinearTensor(2, 3).double()
    for layer, shape in ((vectors, (2, 3, 2)), (tensors, (2, 3, 3, 2))):
        weights = dict(layer.named_parameters())

        def run(x, *values, layer=layer, names=tuple(weights)):
            return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(run, (x, *weights.values()))


def test_variances_are_kept_at_the_start():
    torch.manual_seed(0)
    v, t = torch.randn(500, 3, 64), torch.randn(500, 3, 3, 64)
    assert SO2LinearVector(64, 64)(v).var().item() == pytest.approx(1, rel=0.1)
    assert SO2LinearTensor(64, 64)(t).var().item() == pytest.approx(1, rel=0.1)


def test_frames():
    torch.manual_seed(0)
    axes = torch.cat([torch.randn(5, 3, dtype=torch.float64) * 300, ONE, -ONE, torch.zeros(1, 3, dtype=torch.float64)])
    towards = torch.randn(len(axes), 3, dtype=torch.float64)
    towards[0] = 0  # determines no direction
    towards[1] = 2 * axes[1]  # nor does a vector along the axis
    for frames in (axis_frames(axes), axis_frames(axes, towards)):
        torch.testing.assert_close(frames @ frames.mT, ONE.expand_as(frames))
        torch.testing.assert_close(torch.linalg.det(frames), torch.ones(len(axes), dtype=torch.float64))
        torch.testing.assert_close(frames[:, 2] * axes.norm(dim=1, keepdim=True), axes)
    frames = axis_frames(axes, towards)
    torch.testing.assert_close((frames[2:, 1] * towards[2:]).sum(1), torch.zeros(len(axes) - 2, dtype=torch.float64))
    assert ((frames[2:, 0] * towards[2:]).sum(1) > 0).all()
    assert axis_frames(axes[:0]).shape == (0, 3, 3)
