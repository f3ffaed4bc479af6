"""The gate of LorentzNet's messages, m_ij = y_ij φ_m(y_ij): a sigmoid of one number."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import sigmoid

__all__ = ["gate", "gate_log_derivative"]


@triton.jit
def gate(logit: tl.tensor) -> tl.tensor:
    """φ_m from its logit."""
    return sigmoid(logit)


@triton.jit
def gate_log_derivative(value: tl.tensor) -> tl.tensor:
    """(dφ_m / d(logit)) / φ_m from φ_m itself: the backward pass has m = y φ_m at hand, not y. φ_m must not be 0."""
    return 1.0 - value
