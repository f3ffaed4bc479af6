"""Time LGN's inference on one core: the fused kernel, the reference layers, and padded batches in plain torch.

::

    python benchmarks/lgn.py
    python benchmarks/lgn.py --mean 20 --spread 10

All forms run in one process, in turn, with the same weights; a table in Markdown gives medians. The kernel and the
layers are timed from jets to logits, invariants and rest frames included; the padded form, in float32 and with a
tensor on every pair of places as in the official code, is given its momenta for free. The share of the peak counts
the sums over pairs only, in float64, of which a peak half as high is possible. glibc's malloc is tuned, see `common`.
"""

from __future__ import annotations

import common
import numpy as np
import torch
from torch import Tensor

import coffea_equitag as eqt
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.benchmarking.padded.lgn import padded
from coffea_equitag.kernels.cpu.lgn_weights import weights_of
from coffea_equitag.models.lgn import Lgn

KERNEL, LAYERS, LARGEST = "fused kernel", "reference layers", "padded to the batch's largest"


def main() -> None:
    options = common.arguments(__doc__).parse_args()
    common.tune(options)
    torch.manual_seed(1)
    model = eqt.models.build("lgn").train(options.train)
    common.table(
        "LGN",
        options,
        lambda given: forms(model, given[1]),
        reference=LAYERS,
        slowest=LARGEST,
        flops=lambda given: pair_flops(model, given[1]),
    )


def forms(model: Lgn, offsets: Tensor) -> dict[str, common.Form]:
    jets = random_jets(offsets)

    def ours(mode: str) -> common.Form:
        def run() -> Tensor:
            with kernels.use(mode):
                return model(jets)

        return run

    largest = int(offsets.diff().max())
    return {KERNEL: ours("auto"), LAYERS: ours("reference"), LARGEST: padded(model, jets, largest)}


def random_jets(offsets: Tensor) -> RaggedJets:
    rng, total = np.random.default_rng(2), int(offsets[-1])
    three = rng.normal(0, 4.0, (total, 3)) + np.array([30.0, 0.0, 0.0])
    p4 = np.concatenate([np.linalg.norm(three, axis=1, keepdims=True), three], axis=1)
    return RaggedJets.from_momenta(torch.from_numpy(p4), offsets, mass=torch.zeros(total, dtype=torch.float64))


def pair_flops(model: Lgn, offsets: Tensor) -> float:
    """Multiplications and additions of Σ_j f_ij F_j and Σ_j f_ij F_j ⊗ p_j."""
    pairs = float(((offsets.diff() + model.extra_nodes).double() ** 2).sum())
    numbers = [
        level.channels[0] * (2 * level.channels[2] + len(level.moments.component)) for level in weights_of(model).levels
    ]
    return pairs * 8 * sum(map(int, numbers))


if __name__ == "__main__":
    main()
