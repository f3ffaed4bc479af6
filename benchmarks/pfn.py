"""Time PFN on one core: the fused kernel, the reference layers, and padded batches in plain torch.

::

    python benchmarks/pfn.py
    python benchmarks/pfn.py --mean 20 --spread 10
    python benchmarks/pfn.py --train

All forms run in one process, in turn, with the same weights and the same features; a table in Markdown gives
medians. The padded forms are the published network as it is usually written: jets padded to a common length (the
batch's largest, 128, 200), convolutions of width 1, a masked sum; written for this benchmark. glibc's malloc is tuned,
see `common`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import common
import torch
from torch import Tensor, nn

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.models.pfn import PFN

KERNEL, LAYERS, LARGEST = "fused kernel", "reference layers", "padded to the batch's largest"


def main() -> None:
    parser = common.arguments(__doc__)
    options = parser.parse_args()
    common.tune(options)
    torch.manual_seed(1)
    model = eqt.models.build("pfn").train(options.train)
    common.table(
        "PFN",
        options,
        lambda jets: forms(model, *jets, options),
        reference=LAYERS,
        slowest=LARGEST,
        flops=lambda jets: flops(model, jets[1]),
    )


def forms(
    model: PFN, features: Tensor, offsets: Tensor, options: argparse.Namespace
) -> dict[str, Callable[[], Tensor]]:
    def ours(mode: str) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with kernels.use(mode):
                return model.network(features, offsets)

        return run

    found = {} if options.train else {KERNEL: ours("cpu")}
    found[LAYERS] = ours("reference")
    largest = int(offsets.diff().max())
    for name, length in {LARGEST: largest, "padded to 128": 128, "padded to 200": 200}.items():
        # a form that would cut jets is not the same network
        if length >= largest:
            found[name] = padded(model, *common.pad(features, offsets, length))
    return found


def padded(model: PFN, features_BCP: Tensor, mask_B1P: Tensor) -> Callable[[], Tensor]:
    """The network on padded jets; the mask keeps padding out of the sums."""

    def run() -> Tensor:
        x = features_BCP
        for linear in model.phi[::3]:
            x = torch.relu(nn.functional.conv1d(x, linear.weight[:, :, None], linear.bias))
        return model.f((x * mask_B1P).sum(2))

    return run


def flops(model: PFN, offsets: Tensor) -> float:
    """Multiplications and additions of Φ on constituents and F on jets."""
    phi, f = (sum(2 * p.numel() for p in part.parameters() if p.ndim == 2) for part in (model.phi, model.f))
    return phi * float(offsets[-1]) + f * (len(offsets) - 1)


if __name__ == "__main__":
    main()
