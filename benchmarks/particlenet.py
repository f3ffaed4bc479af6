"""Time ParticleNet on one core: the fused kernel, the reference layers, and padded batches in plain torch.

::

    python benchmarks/particlenet.py
    python benchmarks/particlenet.py --mean 20 --spread 10
    python benchmarks/particlenet.py --train

All forms run in one process, in turn, with the same weights and the same features; a table in Markdown gives
medians. The padded forms are the published algorithm as it is usually written: jets padded to a common length
(the batch's largest, 128, 200), graphs by torch.topk on a matrix of distances, edges [x_i, x_j − x_i] in one array,
1 × 1 convolutions; written for this benchmark. glibc's malloc is tuned, see `common`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import common
import torch
from torch import Tensor, nn

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.layers.edge_conv import EdgeConv
from coffea_equitag.models.particlenet import ParticleNet

KERNEL, LAYERS, LARGEST = "fused kernel", "reference layers", "padded to the batch's largest"


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--lite", action="store_true", help="ParticleNet-Lite")
    options = parser.parse_args()
    common.tune(options)
    torch.manual_seed(1)
    model = eqt.models.build("particlenet", lite=options.lite, dropout=0.0)
    common.enliven(model).train(options.train)
    common.table(
        "ParticleNet-Lite" if options.lite else "ParticleNet",
        options,
        lambda jets: forms(model, *jets, options),
        reference=LAYERS,
        slowest=LARGEST,
        flops=lambda jets: edge_flops(model, jets[1]),
    )


def forms(
    model: ParticleNet, features: Tensor, offsets: Tensor, options: argparse.Namespace
) -> dict[str, Callable[[], Tensor]]:
    points = features[:, 5:7].double()

    def ours(mode: str) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with kernels.use(mode):
                return model.network(features, points, offsets)

        return run

    found = {KERNEL: ours("cpu"), LAYERS: ours("reference")}
    largest = int(offsets.diff().max())
    for name, length in {LARGEST: largest, "padded to 128": 128, "padded to 200": 200}.items():
        # a form that would cut jets is not the same network
        if length >= largest:
            found[name] = padded(model, *common.pad(features, offsets, length))
    return found


def padded(model: ParticleNet, features_BCP: Tensor, mask_B1P: Tensor) -> Callable[[], Tensor]:
    """The network on padded jets; the mask keeps padding out of the graphs and of the means."""
    k = min(model.options["k"], features_BCP.shape[2] - 1)

    def run() -> Tensor:
        x, points = normalised(model.input_norm, features_BCP) * mask_B1P, features_BCP[:, 5:7]
        for block in model.blocks:
            neighbours, real = graph(points, mask_B1P, k)
            x = convolution(block, x, neighbours, real) * mask_B1P
            points = x
        return model.head(x.sum(2) / mask_B1P.sum(2).clamp(min=1))

    return run


def graph(points_BDP: Tensor, mask_B1P: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Neighbours (B, P, k) of each place, and which of them are real (B, 1, P, k)."""
    square = points_BDP.square().sum(1)
    distance = square[:, :, None] + square[:, None, :] - 2 * points_BDP.transpose(1, 2) @ points_BDP
    distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    found = distance.masked_fill(mask_B1P == 0, torch.inf).topk(k, dim=2, largest=False)
    return found.indices, found.values.isfinite()[:, None]


def convolution(block: EdgeConv, x_BCP: Tensor, neighbours: Tensor, real: Tensor) -> Tensor:
    batch, channels, places = x_BCP.shape
    k = neighbours.shape[2]
    index = neighbours.reshape(batch, 1, places * k).expand(-1, channels, -1)
    others = x_BCP.gather(2, index).view(batch, channels, places, k)
    own = x_BCP[:, :, :, None].expand(-1, -1, -1, k)
    edges = torch.cat([own, others - own], dim=1)
    for linear, norm in zip(block.linears, block.norms, strict=True):
        edges = nn.functional.conv2d(edges, linear.weight[:, :, None, None])
        edges = torch.relu(normalised(norm, edges))
    mean = (edges * real).sum(3) / real.sum(3).clamp(min=1)
    short = nn.functional.conv1d(x_BCP, block.shortcut[0].weight[:, :, None])
    return torch.relu(normalised(block.shortcut[1], short) + mean)


def normalised(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    return nn.functional.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training, norm.momentum, norm.eps
    )


def edge_flops(model: ParticleNet, offsets: Tensor) -> float:
    """Multiplications and additions of the edges' layers after the first, which is one of constituents."""
    n = offsets.diff().double()
    edges = float((n * (n - 1).clamp(min=0, max=model.options["k"])).sum())
    return edges * sum(2 * linear.weight.numel() for block in model.blocks for linear in block.linears[1:])


if __name__ == "__main__":
    main()
