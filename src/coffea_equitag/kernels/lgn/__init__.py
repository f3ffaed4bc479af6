"""LGN's kernels: what they support. Equations and names: ``README.md`` beside this file."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...jet_model import JetModel
from ...layers.bell_functions import BellFunctions
from ...layers.complex_mixing import ComplexMixing
from ...layers.lgn_level import LGNLevel
from ...layers.tensor_product import TensorProduct
from ..module_tree import records
from ..support import Support, unsupported_layer

__all__ = ["support"]

_LAYERS = {
    LGNLevel,
    BellFunctions,
    ComplexMixing,
    TensorProduct,
    nn.ModuleDict,
    nn.ModuleList,
    nn.ParameterDict,
    nn.Sequential,
    nn.Linear,
    nn.LeakyReLU,
}


def support(
    model: JetModel,
    target: str,
    p4_N4: Tensor,
    scalars: Tensor,
    offsets: Tensor,
    products_Q: Tensor,
    scale2: float | None = None,
) -> Support:
    """What the kernels for `target` ("cpu" or "gpu") can do about a call.

    `products_Q` are the scaled (p_i − p_j)² of ``LGN.network``, or with `scale2` p_i·p_j before they are scaled.
    """
    reason = _unsupported_option(model) or unsupported_layer(model, _LAYERS)
    if reason is None and torch.is_grad_enabled() and (p4_N4.requires_grad or products_Q.requires_grad):
        reason = "gradients of momenta are recorded"
    # no layer of this network knows a training mode
    return Support(reason, records(model, scalars), trains=target == "cpu" and not model.options["pmu_in"])


def _unsupported_option(model: JetModel) -> str | None:
    """The first option that the kernels do not know."""
    options = model.options
    reasons = {
        "it gives momenta": model.output == "momentum",
        "pairs have squares of momenta (max_zf = 2)": options["max_zf"] > 1,
        "its levels have no perceptrons (mlp = False)": not options["mlp"],
        f"its activation is {options['activation']}": options["activation"] != "leakyrelu",
        "it reads out scalars only (full_scalars = False)": not options["full_scalars"],
        "its readout is perceptrons (top = 'pmlp')": options["top"] != "linear",
    }
    return next((reason for reason, holds in reasons.items() if holds), None)
