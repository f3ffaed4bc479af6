"""The inputs of weaver's networks, of which the weights show only how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import CheckpointError, explain
from ..invariants.weaver_variables import plain, variables_of

__all__ = ["check_inputs", "weaver_inputs"]

#: What the published configurations compute; whatever else such a name stands for is something else.
_FORMULAS = {
    "part_pt": "np.hypot(part_px,part_py)",
    "part_pt_log": "np.log(part_pt)",
    "part_e_log": "np.log(part_energy)",
    "part_logptrel": "np.log(part_pt/jet_pt)",
    "part_logerel": "np.log(part_energy/jet_energy)",
    "part_deltaR": "np.hypot(part_deta,part_dphi)",
    "part_d0": "np.tanh(part_d0val)",
    "part_dz": "np.tanh(part_dzval)",
    "part_isCHad": "(np.abs(part_pid)==211)+(np.abs(part_pid)==321)*0.5+(np.abs(part_pid)==2212)*0.2",
    "part_isNHad": "(np.abs(part_pid)==130)+(np.abs(part_pid)==2112)*0.2",
}


def weaver_inputs(config: Mapping[str, Any], group: str = "pf_features") -> str | list[list[str | float | None]]:
    """The option ``inputs`` of a network trained with a data configuration of weaver.

    Parameters
    ----------
    config : mapping
        The configuration, as ``yaml.safe_load`` reads it. After automatic standardisation, that of the file
        ``*.auto.yaml`` which weaver wrote beside it.
    group : str
        Which of its inputs the network's features are.

    Returns
    -------
    list
        [name, subtract, multiply, lower, upper] of each variable.

    Raises
    ------
    CheckpointError
        If the configuration has no such group, or numbers that weaver had yet to find, or computes a variable in a way
        of its own.
    TaggerError
        For a variable that is not known.
    """
    try:
        entries = [_entry(entry) for entry in config["inputs"][group]["vars"]]
        preprocess = config.get("preprocess") or {}
        automatic = str(preprocess.get("method", "manual")).lower().startswith("auto")
        found = preprocess.get("params") or {}
    except (AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(
            explain(f"no inputs {group!r} with vars", "a data configuration of weaver", "read it with yaml.safe_load")
        ) from error
    _check_formulas([str(entry[0]) for entry in entries], config.get("new_variables") or {})
    return plain([_standardised(entry, found, automatic) for entry in entries])


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
                'pass inputs="kinpid", "kinpidplus" (13 features) or "full" (17), or weaver_inputs(...) of the '
                "configuration",
            )
        )


def _entry(entry: Any) -> list[Any]:
    return [entry] if isinstance(entry, str) else list(entry)


def _standardised(entry: Sequence[Any], found: Mapping[str, Any], automatic: bool) -> list[Any]:
    """The entry with the numbers that weaver found, if it looked for them."""
    if entry[0] in found:
        numbers = found[entry[0]]
        return [entry[0], *(numbers.get(name) for name in ("center", "scale", "min", "max"))]
    if (automatic and len(entry) == 1) or "auto" in entry[1:2]:
        raise CheckpointError(
            explain(
                f"{entry[0]}, which weaver was to standardise automatically",
                "the numbers that it found",
                "read the file *.auto.yaml which it wrote beside the configuration",
            )
        )
    return list(entry[:5])


def _check_formulas(names: Sequence[str], formulas: Mapping[str, Any]) -> None:
    """Names that the configuration computes must mean what they mean here, and so must those they are made of."""
    for name in dict.fromkeys([*names, "part_pt"]):
        formula = "".join(str(formulas.get(name, "")).split())
        if formula and name in _FORMULAS and formula != _FORMULAS[name]:
            raise CheckpointError(
                explain(
                    f"a configuration with {name} = {formula}",
                    f"{_FORMULAS[name]}, as in the published ones",
                    "compute the features yourself, and call the model's network with them",
                )
            )
