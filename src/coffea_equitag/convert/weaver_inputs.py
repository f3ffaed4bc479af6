"""The inputs of weaver's networks, of which the weights show only how many there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import CheckpointError, explain
from ..invariants.weaver_variables import variables_of

__all__ = ["check_inputs"]


def check_inputs(network: str, features: int, given: Mapping[str, Any]) -> None:
    """Reject a checkpoint of `features` features per constituent if the options given name another number.

    Raises
    ------
    CheckpointError
        With the way to give them.
    """
    number = len(variables_of(given.get("inputs", "kinematic")))
    if features != number:
        raise CheckpointError(
            explain(
                f"a {network} with {features} features per constituent, and inputs with {number}",
                "the variables of the data configuration that it was trained with, in their order",
                'pass inputs="kinpid", "kinpidplus" (13 features) or "full" (17), or the list pf_features itself',
            )
        )
