"""PELICAN's parameters as its CPU kernel wants them: BatchNorm folded in, columns in blocks of a tile."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import nn

from ....array_types import F4, F8
from ....jet_model import JetModel
from ...common.cpu.aligned import aligned
from ...common.cpu.folding import double, folded
from .pair_shapes import HALF, Columns, columns_for

__all__ = ["PelicanWeights", "blocked", "padded", "weights_of"]


_EPSILON = nn.BatchNorm1d(1).eps


class PelicanWeights(NamedTuple):
    """Parameters; D and S are the channels of messages and of layers, N and W the same padded, L blocks.

    Matrices of pairs are float32, (..., N or W / B, K, B): for each block of B columns, one row a summed index k. What
    acts on nodes and jets is float64.
    """

    narrow: Columns
    wide: Columns
    encoded: Columns
    embedding: F4  # (R, W)
    embedding_bias: F4  # (W,)
    power: F4  # the encoder's a, (W,)
    inverse: F4  # 1/a; 0 in channels that are not its own
    scalar: F8  # 1→2: x_i, x_j, δ x_i, mean, δ mean: (5, scalars, W)
    scalar_exponent: F8  # (5, scalars)
    scalar_bias: F8  # (W,)
    message: F4  # (L + 1, N / B, S, B)
    message_bias: F4  # (L + 1, N)
    scale: F8  # of BatchNorm, (L + 1, N)
    shift: F8
    even: F4  # of X_ij + X_ji, (W₁ + W₂)/2 with the message's scale in it, (L, W / B, D, B)
    odd: F4  # of X_ij − X_ji
    node: F4  # (L, 3, W / B, 3 D, B): into u, v, d from diagonal, column, row
    node_exponent: F8  # (L, 3, 3, D)
    whole: F4  # (L, 2, W / B, 2 D, B): trace and total into u, then into d
    whole_exponent: F8  # (L, 4, D)
    bias: F4  # (L, 2, W): of all pairs, the message's shift in it, and of the diagonal
    readout: F8  # total, trace: (2, D, S)
    readout_exponent: F8  # (2, D)
    readout_bias: F8  # (S,)
    head: F8  # (n_classes, S)
    head_bias: F8


def weights_of(model: JetModel) -> PelicanWeights:
    """Fold a `PELICAN` in evaluation mode; the result is kept until a parameter or statistic changes."""
    diagonal = bool(model.options["diagonal"])
    return folded(
        model,
        lambda model: _fold({name: double(tensor) for name, tensor in model.state_dict().items()}, diagonal=diagonal),
    )


def _fold(state: dict[str, F8], *, diagonal: bool) -> PelicanWeights:
    depth, channels = state["messages.0.linear.weight"].shape
    narrow, wide = columns_for(depth), columns_for(channels)
    layers = sum(name.startswith("blocks.") and name.endswith(".diagonal_bias") for name in state)

    norms = [_batch_norm(state, f"messages.{k}.norm") for k in range(layers + 1)]
    scale, shift = (np.stack([norm[side] for norm in norms]) for side in (0, 1))
    parts: list[dict[str, F8]] = []
    for k in range(layers):
        part = {name.removeprefix(f"blocks.{k}."): value for name, value in state.items()}
        parts.append(_fold_block(part, scale[k], shift[k], diagonal))
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    node = stacked.pop("node").reshape(layers, 3, 3 * depth, channels)
    whole = stacked.pop("whole").reshape(layers, 2, 2 * depth, channels)
    even, odd = (blocked(stacked.pop(name), wide) for name in ("even", "odd"))
    inputs: dict[str, Any] = _fold_inputs(state, channels, wide, diagonal)
    return PelicanWeights(
        narrow=narrow,
        wide=wide,
        message=aligned(blocked(_stack(state, "messages.{}.linear.weight", layers + 1).transpose(0, 2, 1), narrow)),
        message_bias=aligned(padded(_stack(state, "messages.{}.linear.bias", layers + 1), narrow)),
        scale=padded(scale, narrow),
        shift=padded(shift, narrow),
        even=aligned(even),
        odd=aligned(odd),
        node=aligned(blocked(node, wide)),
        whole=aligned(blocked(whole, wide)),
        bias=aligned(padded(stacked.pop("bias"), wide)),
        readout=np.ascontiguousarray(state["readout.mixing.coefficients"].transpose(2, 0, 1)),
        readout_exponent=_exponent(state, "readout.", 2, depth),
        readout_bias=state["readout.bias"],
        head=state["head.1.weight"],
        head_bias=state["head.1.bias"],
        **inputs,
        node_exponent=stacked["node_exponent"],
        whole_exponent=stacked["whole_exponent"],
    )


def _fold_inputs(state: dict[str, F8], channels: int, wide: Columns, diagonal: bool) -> dict[str, Any]:
    own = len(state["embedding.bias"])
    power = 1e-6 + state["encoder.alpha"] ** 2
    prefix = "scalars_to_pairs."
    coefficients = state.get(prefix + "mixing.coefficients", np.zeros((0, channels - own, 5)))
    scalars = len(coefficients)
    order = [2, 1, 0, 4, 3]
    scalar = np.zeros((5, scalars, channels))
    scalar[:, :, own:] = coefficients.transpose(2, 0, 1)[order]
    if not diagonal:
        scalar[[2, 4]] = 0
    bias = np.zeros(channels)
    bias[own:] = state.get(prefix + "bias", np.zeros(channels - own))
    return {
        "encoded": columns_for(own),
        "embedding": aligned(padded(state["embedding.weight"].T, wide)),
        "embedding_bias": aligned(padded(state["embedding.bias"], wide)),
        "power": aligned(padded(power, wide)),
        "inverse": aligned(padded(1 / power, wide)),
        "scalar": padded(scalar, wide),
        "scalar_exponent": np.ascontiguousarray(_exponent(state, prefix, 5, scalars)[order]),
        "scalar_bias": padded(bias, wide),
    }


def _fold_block(part: dict[str, F8], scale: F8, shift: F8, diagonal: bool) -> dict[str, F8]:
    w = mixing_of(part)
    exponent = _exponent(part, "", 10, len(scale))
    zero = np.zeros_like(exponent[0])
    # operations 3 to 15 are w[2:]; 6 to 15 have exponents
    into_u, into_v, into_d = (4, 7, 10), (3, 6, 9), (2, 5, 8)
    whole = (11, 13, 12, 14)
    if not diagonal:
        w[[2, 5, 8, 12, 14]] = 0
    bias = np.stack([part["bias"] + shift @ (w[0] + w[1]), part["diagonal_bias"] * diagonal])
    return {
        "even": scale[:, None] * (w[0] + w[1]) / 2,
        "odd": scale[:, None] * (w[0] - w[1]) / 2,
        "node": np.stack([w[list(which)] for which in (into_u, into_v, into_d)]),
        "node_exponent": np.stack(
            [np.stack([zero, *exponent[[k - 5 for k in which[1:]]]]) for which in (into_u, into_v, into_d)]
        ),
        "whole": w[list(whole)],
        "whole_exponent": exponent[[k - 5 for k in whole]],
        "bias": bias,
    }


def mixing_of(part: dict[str, F8]) -> F8:
    """Coefficients, operation first, as of `layers.channel_mixing`."""
    if "mixing.coefficients" in part:
        return np.ascontiguousarray(part["mixing.coefficients"].transpose(2, 0, 1))
    by_input = part["mixing.operation_of_input"].T[:, :, None] * part["mixing.channels_by_input"]
    by_output = part["mixing.operation_of_output"].T[:, None, :] * part["mixing.channels_by_output"]
    return np.asarray(by_input + by_output)


def _exponent(state: dict[str, F8], prefix: str, operations: int, channels: int) -> F8:
    """Exponents, operation first; without any, zeros."""
    found = state.get(f"{prefix}power.exponent")
    return np.zeros((operations, channels)) if found is None else np.ascontiguousarray(found.T)


def _batch_norm(state: dict[str, F8], name: str) -> tuple[F8, F8]:
    """The scale and shift that running statistics make of a BatchNorm."""
    scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + _EPSILON)
    return scale, state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale


def _stack(state: dict[str, F8], name: str, times: int) -> F8:
    return np.stack([state[name.format(k)] for k in range(times)])


def _block(columns: Columns) -> int:
    return len(columns[0]) * HALF


def padded(values: Any, columns: Columns) -> Any:
    """The last axis, channels, padded with zeros to so many columns."""
    # np.pad takes ten times as long
    out = np.zeros((*values.shape[:-1], _block(columns) * len(columns)))
    out[..., : values.shape[-1]] = values
    return out


def blocked(matrix: F8, columns: Columns) -> F8:
    """Matrices (..., in, out) as (..., blocks of columns, in, block), padded with zeros."""
    rows = padded(matrix, columns)
    *batch, depth, _ = rows.shape
    return np.moveaxis(rows.reshape(*batch, depth, len(columns), _block(columns)), -2, -3)
