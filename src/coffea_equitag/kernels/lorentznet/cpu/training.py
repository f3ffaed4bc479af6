"""LorentzNet with gradients on the CPU: its edges fused, computed again in the backward pass, never stored.

The edges of a block, from node scalars and Gram matrices (or vectors) to sums of messages and S G Sᵀ (or φ_x), are one
function of autograd's. What is left, layers of nodes, is done by the layers themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....array_types import F8
from ....jet_model import JetModel
from ....layers.lorentz_block import LorentzBlock
from ....layers.segments import segment_mean
from ...common.cpu.jet_groups import JetGroups
from ..scalar_kinds import (
    NOTHING,
    kind_of,
    of_coordinates,
    of_gram,
    source_of,
    updates_vectors,
    weights_of_scalars,
)
from .backward import backward
from .batch_norm import Statistics
from .buffers import EdgeGradients, Jets, Saved
from .clamp_training import clamped
from .edge_statistics_gradient import NormGradient, coordinates_backward, gradient_sums, gram_backward, nodes_backward
from .forward import forward
from .weights import WORD, TrainingWeights, training_weights

__all__ = ["edges", "logits"]

_NO_GRAM, _NO_COORDINATES = np.empty(0), np.empty((0, 3))


def logits(
    model: JetModel, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, gram_Q: Tensor, groups_NG: Tensor | None = None
) -> Tensor:
    """As `inference.logits`, with gradients; each BatchNorm in training mode or not."""
    groups, gram, x = JetGroups.of(offsets), gram_Q, p4_N4
    h = model.get_submodule("embedding")(scalars)
    if groups_NG is not None:
        scalars = torch.cat([scalars, model.get_submodule("node_patch")(groups_NG)], dim=1)
    for block in model.get_submodule("blocks").children():
        assert isinstance(block, LorentzBlock)
        channels, weight = h.shape[1], cast(Tensor, block.phi_e[0].weight)
        u, v = h @ weight[:, :channels].T, h @ weight[:, channels : 2 * channels].T
        sums, gram, x = edges(block, u, v, gram, x, groups)
        h = h + block.phi_h(torch.cat([h, sums, scalars], dim=1))
    found: Tensor = model.get_submodule("head")(segment_mean(h, offsets))
    return found


def edges(
    block: LorentzBlock, u: Tensor, v: Tensor, gram: Tensor, x: Tensor, groups: JetGroups
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of a block's messages, (N, C), and after the block Gram matrices, (Q,), and vectors.

    Vectors move only where something needs them: a clamp, or edge scalars that are not made of Gram matrices, which
    then stay.

    Parameters
    ----------
    block : LorentzBlock
        Of float32; its running statistics follow if it is in training mode.
    u, v : Tensor of float32, shape (N, C)
        What the first edge layer makes of h_i and of h_j.
    gram : Tensor of float64, shape (Q,)
        Gram matrices.
    x : Tensor of float64, shape (N, 4)
        The vectors, for a clamp or for edge scalars made of their components.
    groups : JetGroups
        The jets.
    """
    _, norm, _, second, _ = block.phi_e
    assert isinstance(norm, nn.BatchNorm1d)
    phi_m = block.phi_m[0]
    parameters = [second.weight, second.bias, phi_m.weight, phi_m.bias]
    if block.phi_x is not None and updates_vectors(block):
        parameters += [block.phi_x[0].weight, block.phi_x[0].bias, block.phi_x[2].weight]
    setting = _Setting(groups, norm, block.c_weight, block.clamp is not None, kind_of(block))
    vectors = source_of(setting.kind, gram, x)
    sums, stepped, phi_x = _lorentz_edges(
        setting, u, v, vectors, weights_of_scalars(block), norm.weight, norm.bias, *parameters
    )
    if phi_x is None:
        return sums, gram if stepped is None else stepped, x
    clamp, stepped = math.inf if block.clamp is None else block.clamp, gram.new_empty(0) if stepped is None else stepped
    clamped_gram, x = clamped(groups, block.c_weight, clamp, phi_x, x, stepped)
    return sums, clamped_gram if of_gram(setting.kind) else gram, x


@dataclass(frozen=True)
class _Setting:
    """What a block's edges depend on besides tensors with gradients."""

    groups: JetGroups
    norm: nn.BatchNorm1d
    c_weight: float
    clamps: bool
    kind: int

    def jets(self, u: Tensor, v: Tensor, vectors: Tensor) -> Jets:
        """For the kernels; vectors as `source_of`."""
        groups, given = self.groups, _array(vectors)
        gram, coordinates = (given, _NO_COORDINATES) if given.ndim == 1 else (_NO_GRAM, given)
        return Jets(_array(u), _array(v), self.kind, gram, coordinates, groups.offsets, groups.squares, groups.groups)


class _LorentzEdges(torch.autograd.Function):
    """From U, V, G (or coordinates) and the parameters of φ_e, φ_m and φ_x to Σ_j m_ij, S G Sᵀ and φ_x.

    Without φ_x, or without G, there is no S G Sᵀ; φ_x only where the vectors themselves take a step.
    """

    @staticmethod
    def forward(
        ctx: Any, setting: _Setting, u: Tensor, v: Tensor, vectors: Tensor, scalar_weights: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        groups, jets = setting.groups, setting.jets(u, v, vectors)
        a_b = _array(scalar_weights).astype(np.float64).T
        statistics = Statistics.of(setting.norm, jets, a_b, groups)
        weights = training_weights(statistics, a_b, [_array(p) for p in parameters], setting.c_weight)
        pairs, words = groups.num_pairs * weights.updates_vectors, len(weights.zeros) // WORD
        size = int(groups.squares[-1]) if weights.updates_vectors else 0
        saved = Saved(np.empty(size, np.float32), np.zeros(pairs * words + (4 if size else 0), np.uint16))
        sums, stepped = np.empty(jets.u.shape, np.float32), np.empty(size if of_gram(setting.kind) else 0)
        groups.over_groups(lambda first, last: forward(weights, jets, saved, sums, stepped, first, last))
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(u, v, vectors, scalar_weights, *parameters)
            ctx.kept = setting, statistics, weights, saved
        if not weights.updates_vectors:
            return torch.from_numpy(sums), None, None
        moves = setting.clamps or of_coordinates(setting.kind)
        return (
            torch.from_numpy(sums),
            torch.from_numpy(stepped) if of_gram(setting.kind) else None,
            torch.from_numpy(saved.phi_x) if moves else None,
        )

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_sums: Tensor, grad_stepped: Tensor | None, grad_phi_x: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        setting, statistics, weights, saved = ctx.kept
        u, v, vectors, scalar_weights, *parameters = ctx.saved_tensors
        jets, through = setting.jets(u, v, vectors), ctx.needs_input_grad[3]
        found = _edge_gradients(weights, jets, setting.groups, grad_stepped, grad_phi_x)
        grads = _array(grad_sums)
        setting.groups.over_groups(lambda first, last: backward(weights, jets, saved, grads, found, first, last))
        a_b = _array(scalar_weights).astype(np.float64).T
        of_norm = _norm_backward(statistics, weights, jets, setting.groups, a_b, found, through)
        gradients = [*of_norm, *_parameter_gradients(found, [_array(p).astype(np.float64) for p in parameters[2:]])]
        return (
            None,
            torch.from_numpy(found.u),
            torch.from_numpy(found.v),
            torch.from_numpy(found.gram if vectors.ndim == 1 else found.coordinates) if through else None,
            *(torch.from_numpy(np.ascontiguousarray(value, np.float32)) for value in gradients),
        )


_lorentz_edges: Callable[..., tuple[Tensor, Tensor | None, Tensor | None]] = _LorentzEdges.apply


def _edge_gradients(
    weights: TrainingWeights, jets: Jets, groups: JetGroups, grad_stepped: Tensor | None, grad_phi_x: Tensor | None
) -> EdgeGradients:
    """Room for the backward pass, and what comes from S G Sᵀ and from the vectors' step."""
    number, channels = groups.num_groups, len(weights.zeros)
    pairs = 0 if jets.kind == NOTHING else int(groups.squares[-1])
    return EdgeGradients(
        u=np.empty(jets.u.shape, np.float32),
        v=np.empty(jets.v.shape, np.float32),
        edge_scalars=np.empty((pairs, 2), np.float32),
        gram=np.zeros(len(jets.gram)) if grad_stepped is None else _array(grad_stepped).copy(),
        coordinates=np.zeros_like(jets.coordinates),
        phi_x=np.empty(0, np.float32) if grad_phi_x is None else _array(grad_phi_x),
        phi_e=np.zeros((number, channels, channels)),
        phi_x_weight=np.zeros((number, channels, channels)),
        vectors=np.zeros((number, 5, channels)),
        phi_m_bias=np.zeros(number),
    )


def _norm_backward(
    statistics: Statistics,
    weights: TrainingWeights,
    jets: Jets,
    groups: JetGroups,
    a_b: F8,
    found: EdgeGradients,
    through: bool,
) -> list[F8]:
    """Through BatchNorm, in place, and if wanted to G or the coordinates.

    Returns the gradients of a and b (C, 2), and of BatchNorm's weight and bias.
    """
    means, hidden, pairs = statistics.means, jets.u.shape[1], groups.num_pairs
    vectors = found.vectors.sum(axis=0)[:2, :hidden]
    # Σ dL/dẑ, and Σ dL/dẑ (z − mean)
    grad_bias, grad_spread = groups.sums((2, hidden), lambda out, a, b: gradient_sums(jets, found, means, out, a, b))
    for s in range(2):
        grad_spread += a_b[s] * (vectors[s] - means.scalars[s] * grad_bias)
    grad_spread -= (statistics.mean - means.nodes.sum(axis=0) - means.scalars @ a_b) * grad_bias
    scale, zeros = weights.scale, np.zeros(hidden)
    norm = NormGradient(
        scalar_weights=a_b,
        scale=scale,
        shift=scale * grad_bias / pairs if statistics.of_batch else zeros,
        spread=-scale * grad_spread * statistics.inverse**2 / pairs if statistics.of_batch else zeros,
    )
    grad_a_b = [
        scale * vectors[s] - norm.shift * (pairs * means.scalars[s]) + norm.spread * statistics.scalar_sums[s]
        for s in range(2)
    ]
    groups.over_jets(lambda first, last: nodes_backward(jets, means, norm, found, first, last))
    if through and of_gram(jets.kind):
        groups.over_jets(lambda first, last: gram_backward(jets, means, norm, found, first, last))
    elif through and of_coordinates(jets.kind):
        groups.over_jets(lambda first, last: coordinates_backward(jets, means, norm, found, first, last))
    return [np.stack(grad_a_b, axis=1), grad_spread * statistics.inverse, grad_bias]


def _parameter_gradients(found: EdgeGradients, parameters: list[F8]) -> list[F8]:
    """Those of φ_e's second layer, of φ_m and of φ_x, in the order of the parameters."""
    phi_e, _, _, _, *phi_x = parameters
    hidden, vectors = len(phi_e), found.vectors.sum(axis=0)[:, : len(phi_e)]
    gradients = [
        found.phi_e.sum(axis=0)[:hidden, :hidden], vectors[2], vectors[3][None], found.phi_m_bias.sum()[None],
    ]  # fmt: skip
    if phi_x:
        weight, bias, out = phi_x
        plain = found.phi_x_weight.sum(axis=0)[:hidden, :hidden].T
        gradients += [out.T * plain, out[0] * vectors[4], ((weight * plain).sum(axis=1) + bias * vectors[4])[None]]
    return gradients


def _array(tensor: Tensor) -> Any:
    return np.ascontiguousarray(tensor.detach().numpy())
