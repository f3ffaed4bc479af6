"""Time Tensor PFN's inference on one core: the fused kernel, the reference layers, and padded batches in plain torch.

::

    python benchmarks/tensor_pfn.py
    python benchmarks/tensor_pfn.py --mean 20 --spread 10
    python benchmarks/tensor_pfn.py --vectors

All forms run in one process, in turn, with the same weights; a table in Markdown gives medians. Kernel and layers are
timed from jets to logits, the tracks' vectors included. The share of the peak counts the layers before the sum as the
kernel does them. glibc's malloc is tuned, see `common`.
"""

from __future__ import annotations

import common
import numpy as np
import torch
from torch import Tensor

import coffea_equitag as eqt
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.benchmarking.padded.tensor_pfn import padded
from coffea_equitag.models.tensor_pfn import VectorPFN

KERNEL, LAYERS, LARGEST = "fused kernel", "reference layers", "padded to the batch's largest"


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--vectors", action="store_true", help="Vector PFN")
    options = parser.parse_args()
    common.tune(options)
    torch.manual_seed(1)
    model = eqt.models.build("vector_pfn" if options.vectors else "tensor_pfn").train(options.train)
    common.table(
        "Vector PFN" if options.vectors else "Tensor PFN",
        options,
        lambda given: forms(model, given[1]),
        reference=LAYERS,
        slowest=LAYERS,
        flops=lambda given: track_flops(model, given[1]),
    )


def forms(model: VectorPFN, offsets: Tensor) -> dict[str, common.Form]:
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
    charge = rng.integers(-1, 2, total)
    columns = {name: rng.standard_t(2, total) * 0.05 for name in VectorPFN.fields}
    columns |= {"charge": charge, "pdgId": np.where(charge == 0, 22, rng.choice([11, 13, 211], total))}
    return RaggedJets.from_momenta(
        torch.from_numpy(p4),
        offsets,
        mass=torch.zeros(total, dtype=torch.float64),
        columns={name: torch.from_numpy(column) for name, column in columns.items()},
    )


def track_flops(model: VectorPFN, offsets: Tensor) -> float:
    """Multiplications and additions of the linear maps before the sum."""
    features, tensors = int(model.options["features"]), model.has_tensors
    products = (3 if tensors else 2) * features
    depths = [(4, 3, 9)] + [(products,) * 3] * (int(model.options["phi_layers"]) - 1)
    each = sum(2 * features * (s + 5 * v + (17 * t if tensors else 0)) for s, v, t in depths)
    return 2.0 * each * float(offsets[-1])


if __name__ == "__main__":
    main()
