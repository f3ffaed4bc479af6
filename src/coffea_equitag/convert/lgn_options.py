"""Options of the authors' LorentzGroupNetwork, from the names and shapes of its weights.

The activation and the scale leave no trace there: see `trainer_options`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from ..errors import CheckpointError, explain
from ..layers.lgn_level import level_sources
from ..layers.lorentz_tensors import IRREPS
from .state_dict import StateDict

__all__ = [
    "INPUT",
    "LEVEL",
    "NAMES",
    "ORDER",
    "OUTPUT",
    "Irrep",
    "dim_of",
    "has_perceptrons",
    "irrep_of",
    "irreps_by_level",
    "names_of",
    "options",
    "perceptron_depth",
]

Irrep = tuple[int, int]

NAMES: dict[Irrep, str] = {(0, 0): "s", (1, 1): "v", (2, 0): "F", (0, 2): "F", (2, 2): "S"}

#: The order of the irreps in the official code; without perceptrons (0, 0) is the first if there are all five.
ORDER: tuple[Irrep, ...] = ((1, 1), (2, 0), (0, 2), (2, 2), (0, 0))

INPUT, OUTPUT = "input_func_atom.", "output_layer_atom."
PERCEPTRON = "lgn_cg.mlp_levels."
#: To be formatted with the number of a level.
LEVEL = "lgn_cg.atom_levels.{}.cat_mix.mix_reps.weights."


def options(state: StateDict) -> dict[str, Any]:
    """Options of `LGN` for an official checkpoint, inferred from the shapes of its weights.

    Raises
    ------
    CheckpointError
        If it is not a checkpoint of the official code, or holds tensors of rank 3.
    """
    try:
        return _infer(state)
    except KeyError as error:
        raise CheckpointError(
            explain(
                f"a checkpoint without {error}",
                "the state dict of the official LGNTopTag",
                "save model.state_dict() of the whole model",
            )
        ) from error


def _infer(state: StateDict) -> dict[str, Any]:
    levels, history = _levels(state), irreps_by_level(state)
    _check_rank(history)
    max_zf = sum(bool(re.fullmatch(r"rad_funcs\.rad_funcs\.0\.linear\.\d\.bias", key)) for key in state) - 1
    mixing = [state[f"{LEVEL.format(level)}(0, 0)"] for level in range(levels)]
    found: dict[str, Any] = {
        "levels": levels,
        "channels": (_input_channels(state), *(weight.shape[1] for weight in mixing)),
        "maxdim": _maxdim(history, max_zf),
        "n_bells": state["rad_funcs.rad_funcs.0.a"].numel() // 2,
        "beams": _scalar_inputs(state).shape[-1] == 2,
        "max_zf": max_zf,
        "pmu_in": f"{INPUT}lin.weight" not in state,
        "mlp": has_perceptrons(state),
    }
    return found | _perceptron_options(state) | _readout_options(state, history, found["channels"])


def _check_rank(history: Sequence[Sequence[Irrep]]) -> None:
    beyond = sorted({irrep for irreps in history for irrep in irreps} - set(ORDER))
    if beyond:
        raise CheckpointError(
            explain(
                f"a checkpoint with irreps {', '.join(map(str, beyond))}",
                "irreps (k, n) with k, n ≤ 2, as with --maxdim up to 3 and --max-zf up to 2",
                "train with --maxdim 3: tensors of higher rank are not implemented",
            )
        )


def _maxdim(history: Sequence[Sequence[Irrep]], max_zf: int) -> int | list[int]:
    """The smallest `maxdim` of all levels, or one for each if that would let more tensors through."""
    dims = [dim_of(irreps) for irreps in history[1:]]
    for before, after in itertools.pairwise(history):
        if set(level_sources(names_of(before), _names_below(max(dims)), max_zf)) != set(names_of(after)):
            return dims
    return max(dims)


def _perceptron_options(state: StateDict) -> dict[str, Any]:
    if not has_perceptrons(state):
        return {}
    first = state[f"{PERCEPTRON}0.linear.0.weight"]
    return {"mlp_depth": perceptron_depth(state), "mlp_width": first.shape[0] // first.shape[1]}


def has_perceptrons(state: StateDict) -> bool:
    """Whether the scalars go through a perceptron after each level."""
    return f"{PERCEPTRON}0.linear.0.weight" in state


def perceptron_depth(state: StateDict) -> int:
    """Hidden layers of the perceptrons; without any, the official code keeps a first layer that it does not use."""
    biases = sum(bool(re.fullmatch(re.escape(PERCEPTRON) + r"0\.linear\.\d+\.bias", key)) for key in state)
    first, second = (state[f"{PERCEPTRON}0.linear.{layer}.weight"] for layer in (0, 1))
    return 0 if second.shape[1] != first.shape[0] else biases - 1


def _readout_options(state: StateDict, history: Sequence[Sequence[Irrep]], channels: Sequence[int]) -> dict[str, Any]:
    every = sum(width * len(irreps) for width, irreps in zip(channels, history, strict=True))
    if f"{OUTPUT}lin.weight" in state:
        weight = state[f"{OUTPUT}lin.weight"]
        return {"n_classes": len(weight), "top": "linear", "full_scalars": weight.shape[1] == 2 * every}
    inputs, summed = state[f"{OUTPUT}mlp1.linear.0.weight"].shape[1], state[f"{OUTPUT}mlp1.linear.1.bias"].shape[0]
    return {
        "n_classes": state[f"{OUTPUT}mlp2.linear.1.bias"].shape[0],
        "top": "pmlp",
        "interleaved": True,
        "full_scalars": inputs == 2 * every,
        "mlp_width": 2 * summed // inputs,
    }


def _levels(state: StateDict) -> int:
    found = {match[1] for key in state if (match := re.match(r"lgn_cg\.atom_levels\.(\d+)\.", key))}
    if not found:
        raise KeyError("lgn_cg.atom_levels")
    return len(found)


def irreps_by_level(state: StateDict) -> list[list[Irrep]]:
    """Irreps before the first level and after each, in the official order."""
    found = [_irreps(state, INPUT + "weights.") or [(0, 0)]]
    return found + [_irreps(state, LEVEL.format(level)) for level in range(_levels(state))]


def _irreps(state: StateDict, prefix: str) -> list[Irrep]:
    given = {irrep_of(key) for key in state if key.startswith(prefix)}
    order = [irrep for irrep in (*ORDER, *sorted(given - set(ORDER))) if irrep in given]
    if len(given) == len(ORDER) and not has_perceptrons(state):
        order = order[-1:] + order[:-1]
    return order


def _input_channels(state: StateDict) -> int:
    weight = _scalar_inputs(state)
    return weight.shape[0] // 2 if weight.ndim == 2 else weight.shape[1]


def _scalar_inputs(state: StateDict) -> Tensor:
    """Weights of the scalars that go in, (2 C, scalars), or (2, C, scalars) with ``pmu-in``."""
    linear = f"{INPUT}lin.weight"
    return state[linear] if linear in state else state[f"{INPUT}weights.(0, 0)"]


def irrep_of(key: str) -> Irrep:
    """(k, n) at the end of a weight's name."""
    k, n = re.findall(r"\d+", key.rsplit("(", 1)[-1])
    return int(k), int(n)


def dim_of(irreps: Iterable[Irrep]) -> int:
    """The smallest `maxdim` that lets these irreps through."""
    return 1 + max(max(irrep) for irrep in irreps)


def names_of(irreps: Iterable[Irrep]) -> list[str]:
    """Our names of these irreps, in our order."""
    found = {NAMES[irrep] for irrep in irreps}
    return [name for name in IRREPS if name in found]


def _names_below(dim: int) -> list[str]:
    return names_of(irrep for irrep in ORDER if max(irrep) < dim)
