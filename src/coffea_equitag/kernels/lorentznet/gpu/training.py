"""LorentzNet with gradients on a GPU: its edges fused, computed again in the backward pass, never stored.

The edges of a block, from node scalars and Gram matrices to sums of messages and S G Sᵀ, are one function of
autograd's; so are they from coordinates of vectors to φ_x. What is left, layers of nodes, is done by the layers
themselves. Between forward and backward pass a block keeps 12 bytes per pair, its Gram matrix and φ_x, whatever the
channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....jet_model import JetModel
from ....jets.ragged import boundaries
from ....layers.lorentz_block import LorentzBlock
from ....layers.segments import segment_mean
from ...common.gpu.arithmetic import precision
from ...common.gpu.device import on_its_device
from ...common.gpu.tiles import RECEIVERS, Tiles
from ...running_statistics import follow
from ..scalar_kinds import (
    NOTHING,
    kind_of,
    of_coordinates,
    of_gram,
    source_of,
    updates_vectors,
    weights_of_scalars,
)
from .backward import PROGRAMS, EdgeGradients, GradSums, edges_backward_kernel
from .backward import TILES as BACKWARD_TILES
from .batch_norm import COLUMNS, Setting, norm_backward, norm_of, normalise, sums_over_pairs
from .clamp_training import clamped
from .edge_scalars import edge_scalars_kernel
from .edge_scalars_gradient import coordinates_backward_kernel, gram_backward_kernel
from .edge_statistics import Normalised, PairSums
from .edge_statistics_gradient import ScalarTerms
from .forward import TILES, EdgeSums, edges_kernel
from .gram_step import Mixing, gram_step, gram_step_backward
from .weights import parts, training_weights

__all__ = ["edges", "logits"]


@on_its_device
def logits(
    model: JetModel, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, gram_Q: Tensor, groups_NG: Tensor | None = None
) -> Tensor:
    """As `inference.logits`, with gradients; each BatchNorm in training mode or not."""
    tiles, counts = Tiles.of(offsets), offsets[1:] - offsets[:-1]
    shares = boundaries(counts * ((counts + RECEIVERS - 1) // RECEIVERS))
    num_shares, how = int(shares[-1]), precision(scalars.device)
    h, gram, x = model.get_submodule("embedding")(scalars), gram_Q, p4_N4
    if groups_NG is not None:
        scalars = torch.cat([scalars, model.get_submodule("node_patch")(groups_NG)], dim=1)
    for block in model.get_submodule("blocks").children():
        assert isinstance(block, LorentzBlock)
        norm = block.phi_e[1]
        assert isinstance(norm, nn.BatchNorm1d)
        setting = Setting(tiles, shares, num_shares, norm, block.c_weight, block.clamp is not None, kind_of(block), how)
        sums, gram, x = edges(block, h, gram, x, setting)
        h = h + block.phi_h(torch.cat([h, sums, scalars], dim=1))
    found: Tensor = model.get_submodule("head")(segment_mean(h, offsets))
    return found


def edges(block: LorentzBlock, h: Tensor, gram: Tensor, x: Tensor, setting: Setting) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of a block's messages, (N, C), and after the block Gram matrices, (Q,), and vectors.

    Vectors move only where something needs them: a clamp, or edge scalars that are not made of Gram matrices, which
    then stay.

    Parameters
    ----------
    block : LorentzBlock
        Of float32; its running statistics follow if it is in training mode.
    h : Tensor of float32, shape (N, C)
        Node scalars.
    gram : Tensor of float64, shape (Q,)
        Gram matrices.
    x : Tensor of float64, shape (N, 4)
        The vectors, for a clamp or for edge scalars made of their components.
    setting : Setting
        The jets, and what else it takes.
    """
    channels, weight = h.shape[1], cast(Tensor, block.phi_e[0].weight)
    # U and V side by side
    first_layer = h @ torch.cat([weight[:, :channels], weight[:, channels : 2 * channels]]).T
    norm, second, phi_m = setting.norm, block.phi_e[3], block.phi_m[0]
    parameters = [second.weight, second.bias, phi_m.weight, phi_m.bias]
    if block.phi_x is not None and updates_vectors(block):
        parameters += [block.phi_x[0].weight, block.phi_x[0].bias, block.phi_x[2].weight]
    source = source_of(setting.kind, gram, x)
    sums, stepped, phi_x = _lorentz_edges(
        setting, first_layer, source, weights_of_scalars(block), norm.weight, norm.bias, *parameters
    )
    if phi_x is None:
        return sums, gram if stepped is None else stepped, x
    clamp, stepped = math.inf if block.clamp is None else block.clamp, x.new_empty(0) if stepped is None else stepped
    clamped_gram, x = clamped(setting.tiles, block.c_weight, clamp, phi_x, x, stepped)
    return sums, clamped_gram if of_gram(setting.kind) else gram, x


class _LorentzEdges(torch.autograd.Function):
    """From U, V, G (or coordinates) and the parameters of φ_e, φ_m and φ_x to Σ_j m_ij, S G Sᵀ and φ_x.

    Without φ_x, or without G, there is no S G Sᵀ; φ_x only where the vectors themselves take a step.
    """

    @staticmethod
    def forward(
        ctx: Any, setting: Setting, first_layer: Tensor, source: Tensor, scalar_weights: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        tiles, hidden, updates_vectors = setting.tiles, len(parameters[3]), len(parameters) == 9
        a, b = parts(hidden + 1)
        first_layer, source, kind = first_layer.contiguous(), source.contiguous(), setting.kind
        of_batch = setting.norm.training and setting.num_pairs >= 2
        norm = norm_of(setting.norm, source, *parameters[:2])
        pair_sums = sums_over_pairs(setting, first_layer, source, hidden, of_batch)
        normalised = normalise(setting, first_layer, scalar_weights, norm, pair_sums, a + b, of_batch)
        weights, _ = training_weights(a + b, normalised.scalar_weights, parameters[2:])
        sums = EdgeSums(
            messages=first_layer.new_empty(tiles.num_nodes, a + b),
            phi_x=source.new_empty(tiles.num_pairs if updates_vectors else 0, dtype=torch.float32),
            phi_x_sums=source.new_empty(tiles.num_nodes),
        )
        if tiles.num_nodes:
            receivers, senders, warps = TILES[setting.precision]
            edges_kernel[(len(tiles.jet),)](
                normalised.first_layer, source, tiles.arguments, weights, sums, a + b, KIND=kind,
                UPDATES_VECTORS=updates_vectors, PRECISION=setting.precision, A=a, B=b, RECEIVERS=RECEIVERS,
                BI=receivers, BJ=senders, num_warps=warps, num_stages=1,
            )  # fmt: skip
        if of_batch:
            pairs, (mean, var) = setting.num_pairs, normalised.statistics
            follow(setting.norm, mean, var * (pairs / (pairs - 1)))
        mixing = Mixing(sums.phi_x, sums.phi_x_sums, source.new_full((1,), setting.c_weight))
        stepped = torch.empty_like(source) if updates_vectors and of_gram(kind) else None
        if stepped is not None and tiles.num_nodes:
            gram_step(source, torch.empty_like(source), stepped, mixing, tiles)
        ctx.save_for_backward(
            *pair_sums, *normalised, norm.eps, *mixing, first_layer, source, scalar_weights, *parameters
        )
        ctx.setting, ctx.of_batch = setting, of_batch
        moves = updates_vectors and (setting.clamps or of_coordinates(kind))
        return sums.messages[:, :hidden], stepped, sums.phi_x if moves else None

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, above: Tensor, grad_stepped: Tensor | None, grad_phi_x: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        saved, setting, of_batch = list(ctx.saved_tensors), ctx.setting, ctx.of_batch
        pair_sums, normalised, eps, mixing = (
            PairSums(*saved[:3]),
            Normalised(*saved[3:6]),
            saved[6],
            Mixing(*saved[7:10]),
        )
        given, tiles, through = saved[10:], setting.tiles, ctx.needs_input_grad[2]
        first_layer, source, scalar_weights, norm_weight, norm_bias, *parameters = given
        if not tiles.num_nodes:
            return None, *(torch.zeros_like(tensor) for tensor in given)
        hidden, grad_gram, of_vectors = len(parameters[1]), None, grad_phi_x
        if grad_stepped is not None:
            grad_phi_x, grad_gram = gram_step_backward(
                grad_stepped.contiguous(), source, mixing, tiles, through=through
            )
            if of_vectors is not None:
                grad_phi_x += of_vectors
        grad_phi_x = mixing.phi_x if grad_phi_x is None else grad_phi_x.contiguous()
        grad_sums = GradSums(above if above.stride(1) == 1 else above.contiguous(), grad_phi_x)
        grads = _edges_backward(setting, source, normalised, tuple(parameters), grad_sums, through)
        found = grads.parameters.sum(dim=0, dtype=torch.float64)
        channels = found.shape[1]
        norm = norm_of(setting.norm, source, norm_weight, norm_bias, eps)
        behind = norm_backward(
            setting, first_layer, pair_sums, normalised.statistics, scalar_weights, norm, grads,
            found[2 * channels :], of_batch,
        )  # fmt: skip
        grad_source = (
            grad_gram
            if not through
            else _through_scalars(setting, source, grads.edge_scalars, behind.terms, grad_gram, of_batch)
        )
        gradients = _parameter_gradients(found.float(), hidden, parameters[4:])
        return None, behind.first_layer, grad_source, behind.scalar_weights, *behind.norm, *gradients


_lorentz_edges: Callable[..., tuple[Tensor, Tensor | None, Tensor | None]] = _LorentzEdges.apply


def _through_scalars(
    setting: Setting,
    source: Tensor,
    grad_scalars: Tensor,
    terms: ScalarTerms,
    grad_gram: Tensor | None,
    of_batch: bool,
) -> Tensor:
    """Gradients of G, added to what comes from S G Sᵀ if anything does, or of coordinates."""
    tiles, shape = setting.tiles, {"KIND": setting.kind, "OF_BATCH": of_batch, "ROWS": RECEIVERS, "COLUMNS": COLUMNS}
    out = torch.empty_like(source) if grad_gram is None else grad_gram
    given = source, grad_scalars, terms, tiles.arguments, out
    if of_gram(setting.kind):
        gram_backward_kernel[(len(tiles.jet),)](*given, ADD=grad_gram is not None, **shape)
    elif of_coordinates(setting.kind):
        coordinates_backward_kernel[(len(tiles.jet),)](*given, **shape)
    return out


def _edges_backward(
    setting: Setting,
    source: Tensor,
    normalised: Normalised,
    parameters: tuple[Tensor, ...],
    above: GradSums,
    through: bool,
) -> EdgeGradients:
    """Gradients of what the edges are made of, and of their parameters in each program's part."""
    tiles, hidden = setting.tiles, len(parameters[1])
    a, b = parts(hidden + 1)
    channels, programs, empty = a + b, min(len(tiles.jet), PROGRAMS), normalised.first_layer.new_empty
    weights, transposed = training_weights(channels, normalised.scalar_weights, parameters)
    out = EdgeGradients(
        u=empty(tiles.num_nodes, channels),
        shared_v=empty(setting.num_shares, channels),
        edge_scalars=empty(tiles.num_pairs if through else 0, 2),
        parameters=empty(programs, 2 * channels + 3, channels),
    )
    edge_scalars = empty(0 if setting.kind == NOTHING else tiles.num_pairs, 2)
    if setting.kind != NOTHING:
        edge_scalars_kernel[(len(tiles.jet),)](
            source, tiles.arguments, edge_scalars, KIND=setting.kind, ROWS=RECEIVERS, COLUMNS=COLUMNS
        )
    receivers, senders, sums, warps = BACKWARD_TILES[setting.precision]
    edges_backward_kernel[(programs,)](
        normalised.first_layer, edge_scalars, tiles.arguments, len(tiles.jet), setting.shares, weights, transposed,
        above, above.messages.stride(0), hidden, out, KIND=setting.kind, UPDATES_VECTORS=len(parameters) == 7,
        SCALARS=through, PRECISION=setting.precision, A=a, B=b, RECEIVERS=RECEIVERS, BI=receivers, BJ=senders,
        SUMS=sums, num_warps=warps, num_stages=1,
    )  # fmt: skip
    return out


def _parameter_gradients(found: Tensor, hidden: int, phi_x: list[Tensor]) -> list[Tensor]:
    """Those of φ_e's second layer, of φ_m and of φ_x, from what `EdgeGradients.parameters` add up to."""
    channels = found.shape[1]
    of_phi_e, plain, others = torch.split(found, [channels, channels, 3])
    gradients = [
        of_phi_e[:hidden, :hidden].T, of_phi_e[hidden, :hidden], plain[:hidden, hidden][None], others[2, :1],
    ]  # fmt: skip
    if phi_x:
        weight, bias, out = phi_x
        inner, of_bias = plain[:hidden, :hidden].T, plain[hidden, :hidden]
        gradients += [out.T * inner, out[0] * of_bias, ((weight * inner).sum(1) + bias * of_bias)[None]]
    return gradients
