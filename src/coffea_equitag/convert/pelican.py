"""The authors' PELICAN: classifier and regression."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from ..errors import CheckpointError, explain
from ..layers.broken_symmetry import SYMMETRIES
from ..models.pelican import SIZES
from .state_dict import StateDict

__all__ = ["infer_options", "translate"]

_NAMES = (
    (r"^linear\.", "embedding."),
    (r"^input_encoder\.rank2_alphas$", "encoder.alpha"),
    (r"^net2to2\.message_layers\.", "messages."),
    (r"^net2to2\.eq_layers\.", "blocks."),
    (r"^msg_2to[01]\.", "messages.{last}."),
    (r"^agg_2to[01]\.", "readout."),
    (r"^mlp_out(?:_1)?\.linear\.0\.", "head.1."),
    (r"^eq1to2\.", "scalars_to_pairs."),
    (r"\.normlayer\.", ".norm."),
    (r"^(messages\..*)\.linear\.0\.", r"\1.linear."),
    (r"\.alphas\.0$", ".power.exponent"),
    (r"\.coefs$", ".mixing.coefficients"),
    (r"\.coefs00$", ".mixing.operation_of_input"),
    (r"\.coefs01$", ".mixing.operation_of_output"),
    (r"\.coefs10$", ".mixing.channels_by_input"),
    (r"\.coefs11$", ".mixing.channels_by_output"),
    (r"\.diag_bias$", ".diagonal_bias"),
)


def translate(state: StateDict, symmetry: str = "1") -> StateDict:
    """Rename the official parameters to ours.

    With all four components as inputs, symmetry "1", the official code uses E_i E_j and the product of each momentum
    component; ours uses p_i·p_j instead of the first, which is equivalent up to a change of basis of the embedding.
    """
    last = _layers(state)
    renamed = {}
    for name, value in state.items():
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours.replace("{last}", str(last)), name)
        if name.endswith(".power.exponent"):
            value = value.reshape(value.shape[1], value.shape[2])
        elif name == "readout.bias":
            value = value.reshape(-1)
        elif name == "embedding.weight" and value.ndim == 2 and value.shape[1] == 4 and symmetry == "1":
            value = torch.cat([value[:, 1:] + value[:, :1], value[:, :1]], dim=1)
        renamed[name] = value
    return renamed


def infer_options(state: StateDict, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Options that can be inferred from the shapes of an official checkpoint; others are left out.

    The symmetry can be inferred only if it is "so13": the others share their shapes with at least one more. n̄,
    `irc_safe` and dropout leave no trace in the weights.

    Raises
    ------
    CheckpointError
        If the symmetry is not known, nor among the options `given` (not without these); or if the official code's
        momenta are not covariant.
    """
    wide, narrow = state[
        "msg_2to0.linear.0.weight" if "mlp_out.linear.0.weight" in state else "msg_2to1.linear.0.weight"
    ].T.shape
    options: dict[str, Any] = {
        "factorize": "net2to2.eq_layers.0.coefs00" in state,
        "output": "classes" if "mlp_out.linear.0.weight" in state else "momentum",
        "aggregation": "mean" if "net2to2.eq_layers.0.alphas.0" in state else "sum",
    }
    embedded = state["eq1to2.bias"].shape[0] if "eq1to2.bias" in state else 10
    channels = (wide, narrow, embedded)
    options["size"] = next((name for name, known in SIZES.items() if known[:2] == channels[:2]), list(channels))
    if options["output"] == "classes":
        options["n_classes"] = state["mlp_out.linear.0.weight"].shape[0]
    inputs, labelled = state["linear.weight"].shape[1], "eq1to2.bias" in state
    options["method"] = "spurions" if labelled and inputs == 1 else "input"
    if inputs == 1 and not labelled:
        options["symmetry"] = "so13"
    elif given is not None and "symmetry" not in given:
        raise _ambiguous(state, options["method"])
    chosen = options | dict(given or {})
    if (chosen["output"], chosen["method"], chosen.get("symmetry")) == ("momentum", "input", "se2"):
        raise _not_covariant()
    return options


def _not_covariant() -> CheckpointError:
    # the official matrices give pz (1, 0, 0, 1) and (E − pz, px, py, −E): no sums of (q·p) q and p
    return CheckpointError(
        explain(
            "a PELICAN checkpoint for momenta with symmetry 'se2' and method 'input'",
            "a covariant output: the official code's is not, so that its weights mean nothing to a network that is",
            "train PELICAN anew with these options, or with method='spurions'",
        )
    )


def _ambiguous(state: StateDict, method: str) -> CheckpointError:
    """The error of a checkpoint whose symmetry has to be given, with those that fit its shapes."""
    if method == "spurions":
        count = state["eq1to2.coefs"].shape[0]
        what, fits = f"{count} labels", [name for name, of in SYMMETRIES.items() if len(of.spurions) + 1 == count]
    else:
        count = state["linear.weight"].shape[1]
        what, fits = (
            f"{count} pair channels",
            [name for name, of in SYMMETRIES.items() if len(of.first_weights) == count],
        )
    return CheckpointError(
        explain(
            f"a PELICAN checkpoint with {what}, by method = {method!r}, without its symmetry",
            f"symmetry = {' or '.join(map(repr, fits)) or 'the one it was trained with'}",
            "pass the --stabilizer that it was trained with (the official default is so2): the weights do not tell",
        )
    )


def _layers(state: StateDict) -> int:
    found = (re.match(r"net2to2\.message_layers\.(\d+)\.", name) for name in state)
    return 1 + max((int(match[1]) for match in found if match), default=-1)
