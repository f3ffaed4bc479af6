"""The gate of LorentzNet's messages, m_ij = y_ij φ_m(y_ij): a sigmoid of one number."""

from __future__ import annotations

from typing import Any

from ....compiled import inner
from ...common.cpu.elementary import sigmoid

__all__ = ["gate", "gate_derivative"]


@inner
def gate(logit: Any) -> Any:
    """φ_m from its logit, float32."""
    return sigmoid(logit)


@inner
def gate_derivative(value: Any) -> Any:
    """dφ_m / d(logit) from φ_m itself, float64."""
    return value * (1 - value)
