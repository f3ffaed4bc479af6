"""LorentzNet with gradients on a GPU: its edges fused, recomputed on the way back, never stored.

The edges of a block, from node scalars and Gram matrices to sums of messages and moved Gram matrices, are one
function of autograd's. What is left, layers of nodes, is done by the layers themselves. Between the way forth and the
way back a block keeps 12 bytes a pair, its Gram matrix and φ_x, whatever the channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
import triton
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
from .backward import PROGRAMS, edge_slopes_kernel
from .backward import TILES as TILES_BACK
from .edge_statistics import jet_sums_kernel, normalise_kernel, scalar_sums_kernel, scalars_kernel
from .edge_statistics_gradient import back_to_gram_kernel, back_to_nodes_kernel, slope_sums_kernel
from .forward import TILES, edges_kernel
from .gram_step import mix, move_back
from .inference import parts
from .weights import pack

__all__ = ["edges", "logits"]

#: Nodes and channels, or receivers and senders, that the kernels of the statistics work on at once.
_ROWS, _WIDTH, _COLUMNS = 16, 32, 32
_FEW_ROWS, _MANY_ROWS = 8, 64


@dataclass(frozen=True)
class Setting:
    """What a block's edges depend on besides tensors with gradients.

    Attributes
    ----------
    tiles : Tiles
        The jets.
    shares : Tensor of int64, shape (J + 1,)
        n times its tiles, before each jet.
    num_shares : int
        That of all jets.
    norm : BatchNorm1d
        Of the edges.
    c_weight : float
        The vectors' step.
    precision : str
        Of the products.
    """

    tiles: Tiles
    shares: Tensor
    num_shares: int
    norm: nn.BatchNorm1d
    c_weight: float
    precision: str

    @property
    def num_pairs(self) -> int:
        """Pairs i ≠ j."""
        return self.tiles.num_pairs - self.tiles.num_nodes


@on_its_device
def logits(model: JetModel, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, gram_Q: Tensor) -> Tensor:
    """As `inference.logits`, with gradients; each BatchNorm in training mode or not."""
    tiles, counts = Tiles.of(offsets), offsets[1:] - offsets[:-1]
    shares = boundaries(counts * ((counts + RECEIVERS - 1) // RECEIVERS))
    num_shares, how = int(shares[-1]), precision(scalars.device)
    h, gram = model.get_submodule("embedding")(scalars), gram_Q
    for block in model.get_submodule("blocks").children():
        assert isinstance(block, LorentzBlock)
        norm = block.phi_e[1]
        assert isinstance(norm, nn.BatchNorm1d)
        total, gram = edges(block, h, gram, Setting(tiles, shares, num_shares, norm, block.c_weight, how))
        h = h + block.phi_h(torch.cat([h, total, scalars], dim=1))
    found: Tensor = model.get_submodule("head")(segment_mean(h, offsets))
    return found


def edges(block: LorentzBlock, h: Tensor, gram: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
    """Sums of a block's messages, (N, C), and its moved Gram matrices, (Q,).

    Parameters
    ----------
    block : LorentzBlock
        Of float32; its running statistics follow if it is in training mode.
    h : Tensor of float32, shape (N, C)
        Node scalars.
    gram : Tensor of float64, shape (Q,)
        Gram matrices.
    setting : Setting
        The jets, and what else it takes.
    """
    channels, weight = h.shape[1], cast(Tensor, block.phi_e[0].weight)
    of_nodes, seen = torch.split(weight, [2 * channels, 2], dim=1)
    # U and V side by side
    first_layer = h @ torch.cat([of_nodes[:, :channels], of_nodes[:, channels:]]).T
    norm, second, gate = setting.norm, block.phi_e[3], block.phi_m[0]
    parameters = [second.weight, second.bias, gate.weight, gate.bias]
    if block.phi_x is not None:
        parameters += [block.phi_x[0].weight, block.phi_x[0].bias, block.phi_x[2].weight]
    total, moved = _lorentz_edges(setting, first_layer, gram, seen, norm.weight, norm.bias, *parameters)
    return total, gram if moved is None else moved


class _LorentzEdges(torch.autograd.Function):
    """From U, V, G and the parameters of φ_e, φ_m and φ_x to sums of messages and S G Sᵀ (None without φ_x)."""

    @staticmethod
    def forward(
        ctx: Any, setting: Setting, first_layer: Tensor, gram: Tensor, seen: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        tiles, norm = setting.tiles, setting.norm
        norm_weight, norm_bias, edge, edge_bias, gate, gate_bias, *phi_x = parameters
        hidden, moves = len(edge_bias), bool(phi_x)
        a, b = parts(hidden + 1)
        channels, programs = a + b, (len(tiles.jet),)
        first_layer, gram = first_layer.contiguous(), gram.contiguous()
        of_batch = norm.training and setting.num_pairs >= 2
        rows, sums, scalars = _sums(setting, first_layer, gram, hidden, of_batch)
        normalised = first_layer.new_empty(tiles.num_nodes, 2 * channels)
        slopes = first_layer.new_empty(2, channels)
        statistics, eps = gram.new_empty(2, hidden), gram.new_full((1,), norm.eps)
        weights = pack(channels, edge, edge_bias, gate, *phi_x)
        totals = first_layer.new_empty(tiles.num_nodes, channels)
        steps = gram.new_empty(tiles.num_pairs if moves else 0, dtype=torch.float32)
        pushed, c_weight = gram.new_empty(tiles.num_nodes), gram.new_full((1,), setting.c_weight)
        if tiles.num_nodes:
            normalise_kernel[(triton.cdiv(tiles.num_nodes, _MANY_ROWS), triton.cdiv(channels, _WIDTH))](
                first_layer, tiles.num_nodes, hidden, sums, scalars, setting.num_pairs, seen, seen.stride(0),
                norm_weight, norm_bias, norm.running_mean, norm.running_var, eps, normalised, slopes, statistics,
                OF_BATCH=of_batch, CHANNELS=channels, ROWS=_MANY_ROWS, WIDTH=_WIDTH,
            )  # fmt: skip
            receivers, senders, warps = TILES[setting.precision]
            edges_kernel[programs](
                normalised, gram, tiles.offsets, tiles.pairs, tiles.jet, tiles.first, slopes, weights.edge,
                weights.edge_bias, weights.gate, gate_bias, weights.step, weights.step_bias, weights.step_out, totals,
                channels, steps, pushed, MOVES=moves, PRECISION=setting.precision, A=a, B=b, RECEIVERS=RECEIVERS,
                BI=receivers, BJ=senders, num_warps=warps, num_stages=1,
            )  # fmt: skip
        if of_batch:
            pairs, (mean, var) = setting.num_pairs, statistics
            follow(norm, mean, var * (pairs / (pairs - 1)))
        moved = None
        if moves:
            moved, spare = torch.empty_like(gram), torch.empty_like(gram)
            if tiles.num_nodes:
                mix(gram, spare, steps, pushed, c_weight, tiles)
                mix(spare, moved, steps, pushed, c_weight, tiles, right=True)
        ctx.save_for_backward(
            rows, sums, scalars, normalised, slopes, statistics, eps, steps, pushed, c_weight,
            first_layer, gram, seen, *parameters,
        )  # fmt: skip
        ctx.setting, ctx.of_batch = setting, of_batch
        return totals[:, :hidden], moved

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor, moved_slopes: Tensor | None) -> tuple[Tensor | None, ...]:
        rows, sums, scalars, normalised, slopes, statistics, eps, steps, pushed, c_weight, *given = ctx.saved_tensors
        first_layer, gram, seen, *parameters = given
        setting, of_batch, tiles, through = ctx.setting, ctx.of_batch, ctx.setting.tiles, ctx.needs_input_grad[2]
        norm_weight, _, edge, edge_bias, gate, gate_bias, *phi_x = parameters
        if not tiles.num_nodes:
            return None, *(torch.zeros_like(tensor) for tensor in given)
        hidden, moves = len(edge_bias), bool(phi_x)
        a, b = parts(hidden + 1)
        channels = a + b
        weights = pack(channels, edge, edge_bias, gate, *phi_x)
        gram_slopes = None
        if moves:
            assert moved_slopes is not None
            steps_slopes, gram_slopes = move_back(
                moved_slopes.contiguous(), gram, steps, pushed, c_weight, tiles, through=through
            )
        else:
            steps_slopes = steps
        programs = min(len(tiles.jet), PROGRAMS)
        own_slopes = first_layer.new_empty(tiles.num_nodes, channels)
        shared_slopes = first_layer.new_empty(setting.num_shares, channels)
        scalars_slopes = first_layer.new_empty(tiles.num_pairs if through else 0, 2)
        scalars_seen = first_layer.new_empty(tiles.num_pairs, 2)
        scalars_kernel[(len(tiles.jet),)](
            gram, tiles.offsets, tiles.pairs, tiles.jet, tiles.first, scalars_seen, ROWS=RECEIVERS, COLUMNS=_COLUMNS
        )
        matrices = first_layer.new_empty(programs, 2 * channels + 3, channels)
        if above.stride(1) != 1:
            above = above.contiguous()
        receivers, senders, kinds, warps = TILES_BACK[setting.precision]
        edge_slopes_kernel[(programs,)](
            normalised, scalars_seen, tiles.offsets, tiles.pairs, setting.shares, tiles.jet, tiles.first,
            len(tiles.jet), slopes, weights.edge, weights.edge_bias, weights.edge_back, weights.gate, gate_bias,
            weights.step, weights.step_bias, weights.step_back, above, above.stride(0), hidden, steps_slopes,
            own_slopes, shared_slopes, scalars_slopes, matrices, MOVES=moves, SCALARS=through,
            PRECISION=setting.precision, A=a, B=b, RECEIVERS=RECEIVERS, BI=receivers, BJ=senders, SUMS=kinds,
            num_warps=warps, num_stages=1,
        )  # fmt: skip
        found = matrices.sum(dim=0, dtype=torch.float64)
        vectors = found[2 * channels :]
        other_slopes = first_layer.new_empty(tiles.num_nodes, hidden)
        by_jet = gram.new_empty(tiles.num_jets, 2, hidden)
        slope_sums_kernel[(tiles.num_jets, triton.cdiv(hidden, _WIDTH))](
            first_layer, own_slopes, shared_slopes, tiles.offsets, setting.shares, sums, max(setting.num_pairs, 1),
            other_slopes, by_jet, hidden, CHANNELS=channels, RECEIVERS=RECEIVERS, ROWS=_ROWS, WIDTH=_WIDTH,
        )  # fmt: skip
        layer_slopes, seen_slopes = torch.empty_like(first_layer), first_layer.new_empty(hidden, 2)
        norm_slopes, from_nodes = first_layer.new_empty(2, hidden), gram.new_empty(tiles.num_nodes, 4)
        from_pairs = gram.new_empty(3)
        back_to_nodes_kernel[(tiles.num_jets,)](
            first_layer, rows, tiles.offsets, sums, scalars, max(setting.num_pairs, 1), statistics, seen,
            seen.stride(0), norm_weight, eps, own_slopes, other_slopes, by_jet.sum(0), vectors, hidden, layer_slopes,
            norm_slopes, seen_slopes, from_nodes, from_pairs, OF_BATCH=of_batch, CHANNELS=channels, ROWS=_FEW_ROWS,
            WIDTH=max(triton.next_power_of_2(hidden), _WIDTH),
        )  # fmt: skip
        if through:
            adds = gram_slopes is not None
            gram_slopes = torch.empty_like(gram) if gram_slopes is None else gram_slopes
            back_to_gram_kernel[(len(tiles.jet),)](
                gram, scalars_slopes, from_nodes, from_pairs, tiles.offsets, tiles.pairs, tiles.jet, tiles.first,
                gram_slopes, OF_BATCH=of_batch, ADD=adds, ROWS=RECEIVERS, COLUMNS=_COLUMNS,
            )  # fmt: skip
        of_edge, plain, others = torch.split(found.float(), [channels, channels, 3])
        gradients = [
            of_edge[:hidden, :hidden].T, of_edge[hidden, :hidden], plain[:hidden, hidden][None], others[2, :1],
        ]  # fmt: skip
        if moves:
            matrix, bias, out = phi_x
            inner, of_bias = plain[:hidden, :hidden].T, plain[hidden, :hidden]
            gradients += [out.T * inner, out[0] * of_bias, ((matrix * inner).sum(1) + bias * of_bias)[None]]
        return None, layer_slopes, gram_slopes, seen_slopes, norm_slopes[0], norm_slopes[1], *gradients


_lorentz_edges: Callable[..., tuple[Tensor, Tensor | None]] = _LorentzEdges.apply


def _sums(
    setting: Setting, first_layer: Tensor, gram: Tensor, hidden: int, of_batch: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Row sums (N, 5), sums over the batch's pairs (5, hidden) and of their scalars (5,); zeros if not wanted."""
    tiles = setting.tiles
    if not of_batch:
        return gram.new_empty(0, 5), gram.new_zeros(5, hidden), gram.new_zeros(5)
    rows, by_jet = gram.new_empty(tiles.num_nodes, 5), gram.new_empty(tiles.num_jets, 5, hidden)
    scalar_sums_kernel[(len(tiles.jet),)](
        gram, tiles.offsets, tiles.pairs, tiles.jet, tiles.first, rows, ROWS=RECEIVERS, COLUMNS=_COLUMNS
    )
    jet_sums_kernel[(tiles.num_jets, triton.cdiv(hidden, _WIDTH))](
        first_layer, rows, tiles.offsets, by_jet, hidden, ROWS=_ROWS, WIDTH=_WIDTH
    )
    return rows, by_jet.sum(0), rows.sum(0)
