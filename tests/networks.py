"""Networks prepared for tests."""

from __future__ import annotations

import numpy as np
import torch

#: As many layers of each kind as Particle Transformer has by default, since each other number is compiled for itself.
SMALL_TRANSFORMER = {
    "embed_widths": (24, 40, 32),
    "pair_widths": (8, 24, 6),
    "heads": 4,
    "layers": 2,
    "class_layers": 1,
    "ratio": 2,
}


def enliven(model, gain=1.0):
    """Give a network non-trivial BatchNorm statistics, and LorentzNet's vectors sizeable updates."""
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.5, 0.5)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    for block in getattr(model, "blocks", ()):
        if getattr(block, "phi_x", None) is not None:
            block.phi_x[2].weight.data *= gain
    return model.eval()


def shaken(model):
    """Give a network weights, biases and gains far from those of the beginning."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))
            else:
                weight.mul_(2.0)
    return model


def run(model):
    """A function of jets (and beams) that returns the network's outputs without gradients."""

    def function(jets, beams=None):
        keywords = {} if beams is None else {"beams": torch.from_numpy(np.asarray(beams))}
        with torch.no_grad():
            return model(jets, **keywords)

    return function
