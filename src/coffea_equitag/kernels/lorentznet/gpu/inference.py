"""LorentzNet's evaluation on a GPU: pairs live in registers, tile by tile.

Of all pairs only the Gram matrix is in memory, with room for its next step: 20 bytes per pair, whatever the channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ....jet_model import JetModel
from ....layers.psi import psi
from ...common.gpu.arithmetic import precision, precision_of_nodes
from ...common.gpu.dense import dense
from ...common.gpu.device import on_its_device
from ...common.gpu.pool import pool
from ...common.gpu.tiles import RECEIVERS, Tiles
from ..scalar_kinds import NOTHING, kind_of, of_coordinates, of_gram, source_of
from .clamp import clamped_step
from .forward import TILES, EdgeSums, edges_kernel
from .gram_step import Mixing, gram_step
from .weights import parts, weights_of

__all__ = ["logits"]


@on_its_device
def logits(
    model: JetModel, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, gram_Q: Tensor, groups_NG: Tensor | None = None
) -> Tensor:
    """Logits of a float32 network in evaluation mode; arguments as of its ``network``.

    Parameters
    ----------
    model : LorentzNet or LorentzNetBase
        Of classes, with at most 96 channels, see `kernels.lorentznet`.
    p4_N4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz) of the nodes, for the clamp, and for edge scalars made of them.
    scalars : Tensor of float32, shape (N, n_scalar)
        Node scalars.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    gram_Q : Tensor of float64, shape (Q,)
        p_i·p_j, jet after jet, n × n; unused if no edge scalars are made of it.
    groups_NG : Tensor of float64, shape (N, G), optional
        Friend groups' m² or energies, for the node-wise patch.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    weights, how, kind = weights_of(model), precision(gram_Q.device), kind_of(model.get_submodule("blocks.0"))
    exact = precision_of_nodes(how)
    a, b = parts(model.options["hidden"])
    c = a + b
    receivers, senders, warps = TILES[how]
    tiles = Tiles.of(offsets)
    if groups_NG is not None:
        features = psi(groups_NG.detach()).to(scalars.dtype)
        for weight, bias in weights.patch:
            features = dense(features, weight, bias, slope=0.0, precision=exact)
        scalars = torch.cat([scalars, features], dim=1)
    # a node's row: h, then the sum of its messages, then its scalars
    nodes = scalars.new_empty(tiles.num_nodes, 2 * c + scalars.shape[1])
    h = nodes[:, :c]
    nodes[:, 2 * c :] = scalars
    first_layer, hidden = nodes.new_empty(tiles.num_nodes, 2 * c), nodes.new_empty(tiles.num_nodes, c)
    x, clamp = p4_N4.detach().double().contiguous(), model.options.get("clamp")
    settings = x.new_tensor([model.options["c_weight"], math.inf if clamp is None else clamp])
    gram = gram_Q.detach().clone() if of_gram(kind) else x.new_empty(0)
    spare = torch.empty_like(gram)
    sums = EdgeSums(
        messages=nodes[:, c : 2 * c],
        phi_x=gram.new_empty(tiles.num_pairs, dtype=torch.float32),
        phi_x_sums=gram.new_empty(tiles.num_nodes),
    )
    dense(
        nodes[:, 2 * c : 2 * c + len(weights.embedding)],
        weights.embedding,
        weights.embedding_bias,
        out=h,
        precision=exact,
    )
    for layer, block in enumerate(weights.blocks):
        updates_vectors = kind != NOTHING and layer < len(weights.blocks) - 1
        dense(h, block.phi_e_nodes, block.phi_e_nodes_bias, out=first_layer, precision=exact)
        if len(tiles.jet):
            edges_kernel[(len(tiles.jet),)](
                first_layer, source_of(kind, gram, x), tiles.arguments, block.edges,
                sums, nodes.stride(0), KIND=kind,
                UPDATES_VECTORS=updates_vectors, PRECISION=how, A=a, B=b, RECEIVERS=RECEIVERS, BI=receivers,
                BJ=senders, num_warps=warps, num_stages=1,
            )  # fmt: skip
            if updates_vectors:
                if of_gram(kind):
                    gram_step(gram, spare, gram, Mixing(sums.phi_x, sums.phi_x_sums, block.c_weight), tiles)
                if of_coordinates(kind) or clamp is not None:
                    x = clamped_step(sums.phi_x, x, gram, settings, tiles).moved
        dense(nodes, block.phi_h, block.phi_h_bias, out=hidden, slope=0.0, precision=exact)
        dense(hidden, block.phi_h_out, block.phi_h_out_bias, out=h, add=True, precision=exact)
    mean = pool(h, tiles.offsets, mean=True)
    hidden = dense(mean, weights.head, weights.head_bias, slope=0.0, precision=exact)
    return dense(hidden, weights.head_out, weights.head_out_bias, precision=exact)
