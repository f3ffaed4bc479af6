"""PFN's evaluation, fused: Φ on a few constituents at a time, their sum, then F on a few jets at a time.

A jet's sum runs over its constituents in their order, so its logits are the same to the last bit whatever jets stand
beside it and however many threads there are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ....array_types import F4, F8, I8
from ....compiled import njit, over_jets
from ....jet_model import JetModel
from ...common.cpu.folding import batch_norm_of, blocks, double, folded, padded
from ...common.cpu.sparse_layer import bits_for, sparse_layer
from ...common.cpu.wide_dense import LINEAR, MARGIN, RELU, add_rows, layer

__all__ = ["logits"]


#: Rows worked on at once: whole tiles of 6 or 12, and small enough for the first cache.
_CHUNK = 24
#: What a constituent costs, in pairs.
_PAIRS = 32


class _Weights(NamedTuple):
    """Each layer of Φ and F: its matrix in blocks, its bias, and the channels that really come in."""

    phi: tuple[F4, ...]
    phi_bias: tuple[F4, ...]
    phi_inputs: tuple[int, ...]
    f: tuple[F4, ...]
    f_bias: tuple[F4, ...]
    f_inputs: tuple[int, ...]


def logits(model: JetModel, features_NF: Tensor, offsets: Tensor, nodes_NE: Tensor | None) -> Tensor:
    """Logits of a float32 `PFN` in evaluation mode.

    Parameters
    ----------
    model : PFN
        Of Linear, BatchNorm and ReLU.
    features_NF : Tensor of float32, shape (N, F)
        What Φ sees of each constituent, before its input normalisation.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    nodes_NE : Tensor of float32, shape (N, E), or None
        The patch's features, which enter every layer of Φ.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    weights = folded(model, _fold)
    features = np.ascontiguousarray(features_NF.detach().numpy(), np.float32)
    nodes = np.empty((len(features), 0), np.float32) if nodes_NE is None else nodes_NE.detach().contiguous().numpy()
    bounds = np.ascontiguousarray(offsets.numpy())
    logits = np.empty((len(bounds) - 1, model.n_classes), np.float32)

    def run(first: int, last: int) -> None:
        _score(weights, features, nodes, bounds, logits, first, last)

    over_jets(run, bounds * _PAIRS, torch.get_num_threads())
    return torch.from_numpy(logits)


@njit
def _score(weights: _Weights, features: F4, nodes: F4, offsets: I8, logits: F4, first: int, last: int) -> None:
    inputs, extra = features.shape[1], nodes.shape[1]
    latent = len(weights.phi_bias[-1])
    totals = np.zeros((last - first + MARGIN, latent), np.float32)
    # two buffers take turns; the patch's features stand behind a layer's outputs
    width = inputs + extra
    for bias in weights.phi_bias:
        width = max(width, len(bias) + extra)
    for bias in weights.f_bias:
        width = max(width, len(bias))
    here, there = np.zeros((_CHUNK, width), np.float32), np.zeros((_CHUNK, width), np.float32)
    bits = bits_for(_CHUNK, width)
    jet = first
    for start in range(offsets[first], offsets[last], _CHUNK):
        count = min(_CHUNK, offsets[last] - start)
        for row in range(count):
            for c in range(inputs):
                here[row, c] = features[start + row, c]
        for level in range(len(weights.phi)):
            depth = weights.phi_inputs[level]
            for row in range(count):
                for c in range(extra):
                    here[row, depth + c] = nodes[start + row, c]
            matrix, bias = weights.phi[level], weights.phi_bias[level]
            if level > 0 and extra == 0:
                sparse_layer(here, depth, matrix, bias, RELU, there, count, bits)
            else:
                layer(here, 0, depth + extra, matrix, bias, RELU, there, 0, count)
            here, there = there, here
        row = 0
        while row < count:
            while offsets[jet + 1] <= start + row:
                jet += 1
            rows = min(offsets[jet + 1] - start, count) - row
            add_rows(here, row, rows, totals, jet - first)
            row += rows
    for start in range(0, last - first, _CHUNK):
        count = min(_CHUNK, last - first - start)
        for row in range(count):
            for c in range(latent):
                here[row, c] = totals[start + row, c]
        for level in range(len(weights.f)):
            floor = RELU if level < len(weights.f) - 1 else LINEAR
            layer(here, 0, weights.f_inputs[level], weights.f[level], weights.f_bias[level], floor, there, 0, count)
            here, there = there, here
        for row in range(count):
            for c in range(logits.shape[1]):
                logits[first + start + row, c] = here[row, c]


def _fold(model: Any) -> _Weights:
    phi: list[tuple[F8, F8, int]] = []
    before_scale, before_shift = batch_norm_of(model.input_norm)
    modules = list(model.phi)
    for linear, norm in zip(modules[::3], modules[1::3], strict=True):
        scale, shift = batch_norm_of(norm)
        matrix, bias = double(linear.weight) * np.reshape(scale, (-1, 1)), double(linear.bias) * scale + shift
        extra = 0 if model.node_patch is None else model.options["patch_width"]
        own = matrix.shape[1] - extra
        bias = bias + matrix[:, :own] @ np.broadcast_to(before_shift, own)
        matrix[:, :own] *= before_scale
        phi.append((matrix, bias, own))
        before_scale, before_shift = np.ones(1), np.zeros(1)
    linears = [module for module in model.f if isinstance(module, nn.Linear)]
    f = [(double(linear.weight), double(linear.bias), linear.in_features) for linear in linears]
    return _Weights(*_laid_out(phi), *_laid_out(f))


def _laid_out(layers: list[tuple[F8, F8, int]]) -> tuple[tuple[F4, ...], tuple[F4, ...], tuple[int, ...]]:
    return (
        tuple(blocks(matrix) for matrix, _, _ in layers),
        tuple(padded(bias) for _, bias, _ in layers),
        tuple(inputs for _, _, inputs in layers),
    )
