"""LorentzNet with gradients on the CPU: its edges fused, recomputed on the way back, never stored.

The edges of a block, from node scalars and Gram matrices to sums of messages and moved Gram matrices, are one
function of autograd's. What is left, layers of nodes, is done by the layers themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....array_types import F4, F8
from ....jet_model import JetModel
from ....layers.lorentz_block import LorentzBlock
from ....layers.segments import segment_mean
from ...common.cpu.aligned import aligned
from ...common.cpu.jet_groups import JetGroups
from .batch_norm import Statistics
from .edge_statistics import back_to_gram, back_to_nodes, slope_sums
from .edge_sweep import EdgeSlopes, EdgeWeights, Jets, sweep_back, sweep_forth

__all__ = ["edges", "logits"]


def logits(model: JetModel, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, gram_Q: Tensor) -> Tensor:
    """As `inference.logits`, with gradients, without a clamp; each BatchNorm in training mode or not."""
    layout, gram = JetGroups.of(offsets), gram_Q
    h = model.get_submodule("embedding")(scalars)
    for block in model.get_submodule("blocks").children():
        assert isinstance(block, LorentzBlock)
        channels, weight = h.shape[1], cast(Tensor, block.phi_e[0].weight)
        u, v = h @ weight[:, :channels].T, h @ weight[:, channels : 2 * channels].T
        total, gram = edges(block, u, v, gram, layout)
        h = h + block.phi_h(torch.cat([h, total, scalars], dim=1))
    found: Tensor = model.get_submodule("head")(segment_mean(h, offsets))
    return found


def edges(block: LorentzBlock, u: Tensor, v: Tensor, gram: Tensor, layout: JetGroups) -> tuple[Tensor, Tensor]:
    """Sums of a block's messages, (N, C), and its moved Gram matrices, (Q,).

    Parameters
    ----------
    block : LorentzBlock
        Of float32; its running statistics follow if it is in training mode.
    u, v : Tensor of float32, shape (N, C)
        What the first edge layer makes of h_i and of h_j.
    gram : Tensor of float64, shape (Q,)
        Gram matrices.
    layout : JetGroups
        The jets.
    """
    first, norm, _, second, _ = block.phi_e
    assert isinstance(norm, nn.BatchNorm1d)
    gate = block.phi_m[0]
    parameters = [second.weight, second.bias, gate.weight, gate.bias]
    if block.phi_x is not None:
        parameters += [block.phi_x[0].weight, block.phi_x[0].bias, block.phi_x[2].weight]
    setting, seen = _Setting(layout, norm, block.c_weight), cast(Tensor, first.weight)[:, 2 * u.shape[1] :]
    total, moved = _lorentz_edges(setting, u, v, gram, seen, norm.weight, norm.bias, *parameters)
    return total, gram if moved is None else moved


@dataclass(frozen=True)
class _Setting:
    """What a block's edges depend on besides tensors with gradients."""

    layout: JetGroups
    norm: nn.BatchNorm1d
    c_weight: float


class _LorentzEdges(torch.autograd.Function):
    """From U, V, G and the parameters of φ_e, φ_m and φ_x to sums of messages and S G Sᵀ (None without φ_x)."""

    @staticmethod
    def forward(
        ctx: Any, setting: _Setting, u: Tensor, v: Tensor, gram: Tensor, seen: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        layout, norm = setting.layout, setting.norm
        moves, keeps = len(parameters) == 9, any(ctx.needs_input_grad)
        u_, v_, gram_ = _array(u), _array(v), _array(gram)
        slopes = _array(seen).astype(np.float64).T
        if norm.training and layout.num_pairs >= 2:
            statistics = Statistics.of_pairs(norm, u_, v_, slopes, gram_, layout)
            statistics.follow(norm, layout.num_pairs)
        else:
            statistics = Statistics.running(norm, len(u_))
        weights = _weights(statistics, slopes, [_array(p) for p in parameters])
        jets = Jets(
            layout.offsets,
            layout.squares,
            layout.groups,
            u_,
            v_,
            gram_,
            steps=np.empty(len(gram_) if moves else 0, np.float32),
            bits=np.zeros(layout.num_pairs * len(weights.zeros) // 16 + 4 if moves else 0, np.uint16),
        )
        totals = np.empty(u_.shape, np.float32)
        moved = np.empty(len(gram_) if moves else 0)
        c_weight = float(setting.c_weight)
        layout.over_groups(lambda first, last: sweep_forth(weights, jets, moves, c_weight, totals, moved, first, last))
        if keeps:
            ctx.save_for_backward(u, v, gram, seen, *parameters)
            ctx.kept = setting, statistics, weights, jets.steps, jets.bits
        return torch.from_numpy(totals), torch.from_numpy(moved) if moves else None

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, totals_slopes: Tensor, moved_slopes: Tensor | None) -> tuple[Tensor | None, ...]:
        setting, statistics, weights, steps, bits = ctx.kept
        layout: JetGroups = setting.layout
        u, v, gram, *parameters = (_array(tensor) for tensor in ctx.saved_tensors)
        seen, norm_weight, _, _, _, _, _, *phi_x = (p.astype(np.float64) for p in parameters)
        moves, groups, channels = bool(phi_x), layout.num_groups, len(weights.zeros)
        hidden, slopes, pairs = u.shape[1], seen.T, layout.num_pairs
        jets = Jets(layout.offsets, layout.squares, layout.groups, u, v, gram, steps, bits)
        found = EdgeSlopes(
            u=np.empty(u.shape, np.float32),
            v=np.empty(v.shape, np.float32),
            scalars=np.empty((len(gram), 2), np.float32),
            gram=_array(moved_slopes).copy() if moved_slopes is not None else np.zeros(len(gram)),
            edge=np.zeros((groups, channels, channels)),
            step=np.zeros((groups, channels, channels)),
            vectors=np.zeros((groups, 5, channels)),
            gate_bias=np.zeros(groups),
        )
        above = _array(totals_slopes)
        layout.over_groups(
            lambda first, last: sweep_back(weights, jets, moves, setting.c_weight, above, found, first, last)
        )
        vectors = found.vectors.sum(axis=0)[:, :hidden]
        # the BatchNorm: `sums` are Σ dz and Σ dz (z − mean)
        means, scalar_means, offsets = statistics.means, statistics.scalar_means, layout.offsets
        bias_slope, spread_slope = layout.sums(
            (2, hidden), lambda out, a, b: slope_sums(found.u, found.v, u, v, offsets, means, out, a, b)
        )
        for s in range(2):
            spread_slope += slopes[s] * (vectors[s] - scalar_means[s] * bias_slope)
        spread_slope -= (statistics.mean - means.sum(axis=0) - scalar_means @ slopes) * bias_slope
        scale = norm_weight * statistics.inverse
        shift = scale * bias_slope / pairs if statistics.of_batch else np.zeros(hidden)
        spread = -scale * spread_slope * statistics.inverse**2 / pairs if statistics.of_batch else np.zeros(hidden)
        seen_slopes = [
            scale * vectors[s] - shift * (pairs * scalar_means[s]) + spread * statistics.scalar_slopes[s]
            for s in range(2)
        ]
        rows = statistics.rows
        layout.over_jets(
            lambda first, last: back_to_nodes(
                u, v, offsets, rows, means, scalar_means, slopes, scale, shift, spread, found.u, found.v, first, last
            )
        )
        if ctx.needs_input_grad[3]:
            given = gram, u, v, offsets, layout.squares, means, scalar_means, slopes, shift, spread, found.scalars
            layout.over_jets(lambda first, last: back_to_gram(*given, found.gram, first, last))
        gradients = [
            np.stack(seen_slopes, axis=1),
            spread_slope * statistics.inverse,
            bias_slope,
            found.edge.sum(axis=0)[:hidden, :hidden],
            vectors[2],
            vectors[3][None],
            found.gate_bias.sum()[None],
        ]
        if moves:
            matrix, bias, out = phi_x
            plain = found.step.sum(axis=0)[:hidden, :hidden].T
            gradients += [out.T * plain, out[0] * vectors[4], ((matrix * plain).sum(axis=1) + bias * vectors[4])[None]]
        return (
            None,
            torch.from_numpy(found.u),
            torch.from_numpy(found.v),
            torch.from_numpy(found.gram) if ctx.needs_input_grad[3] else None,
            *(torch.from_numpy(np.ascontiguousarray(value, np.float32)) for value in gradients),
        )


_lorentz_edges: Callable[..., tuple[Tensor, Tensor | None]] = _LorentzEdges.apply


def _array(tensor: Tensor) -> Any:
    return np.ascontiguousarray(tensor.detach().numpy())


def _weights(statistics: Statistics, slopes: F8, parameters: list[F4]) -> EdgeWeights:
    norm_weight, norm_bias, edge, edge_bias, gate, gate_bias, *phi_x = (p.astype(np.float64) for p in parameters)
    hidden = len(edge)
    channels = -(-hidden // 16) * 16
    step, step_bias, step_out = phi_x or (np.zeros((hidden, hidden)), np.zeros(hidden), np.zeros((1, hidden)))
    scale = norm_weight * statistics.inverse
    return EdgeWeights(
        scale=scale,
        shift=statistics.mean,
        bias=norm_bias,
        slopes=_wide(slopes * scale, channels),
        edge=_square(edge.T, channels),
        edge_bias=_wide(edge_bias, channels),
        edge_back=_square(edge, channels),
        gate=_wide(gate[0], channels),
        gate_bias=np.float32(gate_bias[0]),
        step=_square(step.T, channels),
        step_bias=_wide(step_bias, channels),
        step_out=_wide(step_out[0], channels),
        step_back=_square(step_out.T * step, channels),
        zeros=_wide(np.zeros(hidden), channels),
    )


def _wide(values: F8, channels: int) -> F4:
    """The last axis padded to so many channels."""
    return aligned(np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, channels - values.shape[-1])]))


def _square(matrix: F8, channels: int) -> F4:
    return aligned(np.pad(matrix, (0, channels - len(matrix))))
