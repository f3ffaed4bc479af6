"""Backward pass of LGN's levels, jet after jet, from what forward stored of nodes.

Bells are symmetric in the two nodes, so that gradients of features are the same sums over pairs as in the forward
pass, with gradients in the place of features. What passes from level to level is in float64, gradients of bells, which
end in those of a level's weights, in float32.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F8, I8
from ....compiled import njit
from .adjoint import LevelAdjoint
from .bells import set_own_bells, sum_pairs, weigh_falloffs
from .bells_gradient import (
    CHUNK,
    FALLOFF_STRIDE,
    BellWorkspace,
    add_sums,
    bell_weights_backward,
    bells_backward,
    evaluate_falloffs,
    make_bell_workspace,
    to_single,
)
from .jets import Jets
from .nodes import load_inputs, perceptron, square_features, times_momentum
from .nodes_gradient import (
    GradWorkspace,
    features_backward,
    make_grad_workspace,
    mixing_backward,
    norms_backward,
    perceptron_backward,
    scalars_backward,
    sources_backward,
)
from .stored import Stored, load_features, load_sums, place_of
from .tiles import LANES, NODES
from .tuple_table import member
from .weights import LevelWeights
from .workspace import CHANNEL, WIDE, Workspace, make_workspace, scalar_at, stride_of

__all__ = ["Gradients", "Spaces", "backward", "make_spaces"]


class Gradients(NamedTuple):
    """Gradients that arrive, and those that leave."""

    sums: F8  # (J, K), of the sums over each jet
    scalars: F8  # (N, 2 C), of `Jets.scalars`
    weights: F8  # (groups of jets, sums): what `adjoint.gradients_of` takes
    groups: I8  # (groups + 1,): the first jet of each group


class Spaces(NamedTuple):
    """All that is worked in; `hidden` of the first holds the inputs of all layers of all levels' perceptrons."""

    work: Workspace
    features: tuple[F8, ...]  # before the first level and after each
    grad: GradWorkspace
    bells: BellWorkspace


def make_spaces(largest: int, levels: tuple[LevelWeights, ...]) -> Spaces:
    """Space for jets of up to `largest` nodes."""
    work, layers = make_workspace(largest, levels), max(len(level.layers) for level in levels)
    work = work._replace(hidden=np.zeros(len(levels) * layers * len(work.activated)))
    features = tuple(np.zeros_like(work.features) for _ in range(len(levels) + 1))
    return Spaces(work, features, make_grad_workspace(levels, work), make_bell_workspace(largest, levels))


@njit
def backward(
    level_0: LevelWeights,
    levels: I8,
    adjoint_0: LevelAdjoint,
    adjoints: I8,
    jets: Jets,
    stored: Stored,
    work: Workspace,
    features: tuple[F8, ...],
    grad: GradWorkspace,
    bells: BellWorkspace,
    grads: Gradients,
    first: int,
    last: int,
) -> None:
    """Gradients from those of the sums, for groups `first` to `last` of jets.

    `levels` and `adjoints` are each the `table_of` all levels; `Spaces` come one by one, nested tuples compile longer.
    """
    hidden_size, step = len(work.hidden) // len(levels), len(work.activated)
    scalars, offsets, values = jets.scalars.shape[1], jets.offsets, stored.values
    grad_scalars, grad_weights, groups = grads.scalars, grads.weights, grads.groups
    sums = np.empty(grad_weights.shape[1] * LANES)
    for group in range(first, last):
        for k in range(len(sums)):
            sums[k] = 0.0
        for jet in range(groups[group], groups[group + 1]):
            n = offsets[jet + 1] - offsets[jet]
            if n == 0:
                continue
            stride = stride_of(n)
            load_inputs(jets, jet, n, stride, work.momenta, features[0])
            for level in range(len(levels)):
                weights, stored_at = member(level_0, levels, level), place_of(stored, jet, level, n)
                load_features(weights, features[level + 1], n, stride, values, stored_at)
                perceptron(weights, features[level + 1], n, stride, work, level * hidden_size, step)
            grad_out, grad_x = grad.features, grad.others
            for k in range(member(level_0, levels, len(levels) - 1).channels[1] * CHANNEL * stride):
                grad_out[k] = 0.0
            grad_sums, at = grads.sums[jet], grads.sums.shape[1]
            for level in range(len(levels) - 1, -1, -1):
                weights, adjoint = member(level_0, levels, level), member(adjoint_0, adjoints, level)
                x, channels = features[level], weights.channels[1]
                at -= 2 * channels * len(weights.norms.component)
                norms_backward(weights, adjoint, grad_sums, at, n, stride, features[level + 1], grad_out, grad)
                at -= 2 * channels
                scalars_backward(grad_sums, at, channels, n, stride, grad_out)
                perceptron_backward(
                    weights, adjoint, n, stride, grad_out, work.hidden, level * hidden_size, step, grad, sums
                )
                stored_at = place_of(stored, jet, level, n)
                for i in range(0, n, NODES):
                    load_sums(weights, values, stored_at, n, stride, x, i, work)
                    square_features(weights, x, stride, i, work)
                    mixing_backward(weights, adjoint, stride, grad_out, i, work.sources, grad.sources, sums)
                    sources_backward(weights, adjoint, stride, x, grad_x, i, work.momenta, grad)
                times_momentum(weights, x, n, stride, work)
                to_single(weights, n, stride, x, work, grad, bells)
                for i in range(0, n, WIDE):
                    for sender in range(0, n, CHUNK):
                        evaluate_falloffs(weights.falloff, jets.sizes, jets.pair_offsets[jet], n, sender, i, bells)
                        senders = min(CHUNK, n - sender)
                        weigh_falloffs(weights, bells.falloff, WIDE, FALLOFF_STRIDE, n, sender, senders, work.bells)
                        bells_backward(weights, n, sender, i, bells)
                        bell_weights_backward(weights, adjoint, n, sender, i, bells, sums)
                    set_own_bells(weights, n, i, work.bells)
                    sum_pairs(
                        weights, n, stride, i, work.bells, grad.f0_sums, grad.f1_sums, grad.f1_p_sums,
                        grad.pair_features, grad.pair_features, grad.features_p, True,
                    )  # fmt: skip
                add_sums(adjoint, 4 * weights.channels[0], bells, sums)
                features_backward(weights, adjoint, n, stride, work.momenta, grad_x, grad)
                grad_out, grad_x = grad_x, grad_out
            scalars_backward(grad_sums, 0, scalars // 2, n, stride, grad_out)
            for row in range(scalars):
                sign = 1.0 if row % 2 == 0 else -1.0
                for i in range(n):
                    grad_scalars[offsets[jet] + i, row] = sign * grad_out[scalar_at(row, stride) + i]
        for k in range(grad_weights.shape[1]):
            total = 0.0
            for lane in range(LANES):
                total += sums[k * LANES + lane]
            grad_weights[group, k] = total
