"""The constituents' variables of weaver's data configurations, standardised as given there.

An entry is a name or [name, subtract, multiply, lower, upper], as in the ``vars`` of a configuration: (x − subtract) ×
multiply, clipped; without `subtract`, the variable as it is. The names are those of the published configurations
(JetClass, top and quark/gluon tagging; repositories hqucms/weaver-core and jet-universe/particle_transformer).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import TaggerError, explain
from ..jets.ragged import RaggedJets
from .kinematic import kinematic_variables
from .kinematic_rows import VARIABLES, are_compiled, standardised

__all__ = ["Inputs", "Variable", "columns_of", "kinematic_features", "plain", "variables_of", "weaver_features"]

#: Option of a model: the seven kinematic features, those of another published configuration, or entries as in one.
Inputs = Literal["kinematic", "kinpid", "kinpidplus", "full"] | Sequence[str | Sequence[str | float | None]]


class Variable(NamedTuple):
    """A variable and its standardisation; weaver clips to ±5 unless told otherwise."""

    name: str
    subtract: float | None = None
    multiply: float = 1.0
    lower: float = -5.0
    upper: float = 5.0

    def standardise(self, values: Tensor) -> Tensor:
        """Shifted, scaled and clipped; as they are without `subtract`."""
        if self.subtract is None:
            return values
        return ((values - self.subtract) * self.multiply).clamp(self.lower, self.upper)


_LOGARITHMS = (
    Variable("part_pt_log", 1.7, 0.7),
    Variable("part_e_log", 2.0, 0.7),
    Variable("part_logptrel", -4.7, 0.7),
    Variable("part_logerel", -4.7, 0.7),
    Variable("part_deltaR", 0.2, 4.0),
)
_LEPTONS = (Variable("part_isPhoton"), Variable("part_isElectron"), Variable("part_isMuon"))
_KINDS_OF_PARTICLES = (
    Variable("part_charge"),
    Variable("part_isChargedHadron"),
    Variable("part_isNeutralHadron"),
    *_LEPTONS,
)
_IMPACT = (
    Variable("part_d0"),
    Variable("part_d0err", 0.0, 1.0, 0.0, 1.0),
    Variable("part_dz"),
    Variable("part_dzerr", 0.0, 1.0, 0.0, 1.0),
)
_ANGLES = (Variable("part_deta"), Variable("part_dphi"))
#: Ending of a published configuration's name -> its variables.
_PUBLISHED = {
    "kinematic": (*_LOGARITHMS, *_ANGLES),
    "kinpid": (*_LOGARITHMS, *_KINDS_OF_PARTICLES, *_ANGLES),
    "kinpidplus": (
        *_LOGARITHMS,
        Variable("part_charge"),
        Variable("part_isCHad"),
        Variable("part_isNHad"),
        *_LEPTONS,
        *_ANGLES,
    ),
    "full": (*_LOGARITHMS, *_KINDS_OF_PARTICLES, *_IMPACT, *_ANGLES),
}

_IDENTITY = ("charge", "pdgId")
_KINDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "part_charge": lambda charge, kind: charge,
    "part_isChargedHadron": lambda charge, kind: (charge != 0) & (kind != 11) & (kind != 13),
    "part_isNeutralHadron": lambda charge, kind: (charge == 0) & (kind != 22),
    "part_isPhoton": lambda charge, kind: kind == 22,
    "part_isElectron": lambda charge, kind: kind == 11,
    "part_isMuon": lambda charge, kind: kind == 13,
    "part_isCHad": lambda charge, kind: (kind == 211) + 0.5 * (kind == 321) + 0.2 * (kind == 2212),
    "part_isNHad": lambda charge, kind: (kind == 130) + 0.2 * (kind == 2112),
}
#: Name -> column (mm), and whether weaver takes its hyperbolic tangent.
_TRACKS = {
    "part_d0val": ("d0", False),
    "part_dzval": ("dz", False),
    "part_d0": ("d0", True),
    "part_dz": ("dz", True),
    "part_d0err": ("d0Err", False),
    "part_dzerr": ("dzErr", False),
}
_MOMENTA: dict[str, Callable[[Tensor], Tensor]] = {
    "part_pt": lambda p4: torch.hypot(p4[:, 1], p4[:, 2]),
    "part_energy": lambda p4: p4[:, 0],
}
_NAMES = {*(variable.name for variable in (*_LOGARITHMS, *_ANGLES)), *_MOMENTA, *_KINDS, *_TRACKS}


def variables_of(inputs: Inputs) -> tuple[Variable, ...]:
    """The variables of an option, in their order.

    Raises
    ------
    TaggerError
        For an entry that is none, an unknown name, bounds the wrong way round, or no entry at all.
    """
    if isinstance(inputs, str) and inputs in _PUBLISHED:
        return _PUBLISHED[inputs]
    if isinstance(inputs, str) or not inputs:
        raise TaggerError(
            explain(
                f"inputs = {inputs!r}",
                f"one variable or more, or one of {', '.join(map(repr, _PUBLISHED))}",
                'leave it out for the seven "kinematic"',
            )
        )
    return tuple(_variable(entry) for entry in inputs)


def plain(inputs: Inputs) -> str | list[list[str | float | None]]:
    """The option as it is kept: a name, or complete entries as JSON has them."""
    return inputs if isinstance(inputs, str) else [list(variable) for variable in variables_of(inputs)]


def columns_of(inputs: Inputs) -> tuple[str, ...]:
    """The constituents' columns that they are made of, besides the four-momenta."""
    found: list[str] = []
    for variable in variables_of(inputs):
        if variable.name in _KINDS:
            found += ["charge"] if variable.name == "part_charge" else _IDENTITY
        elif variable.name in _TRACKS:
            found += ["charge", _TRACKS[variable.name][0]]
    return tuple(dict.fromkeys(found))


def weaver_features(
    jets: RaggedJets, inputs: Inputs, mirrored: bool = False, dtype: torch.dtype = torch.float64
) -> Tensor:
    """What a network sees of each constituent.

    Parameters
    ----------
    jets : RaggedJets
        With the columns of `columns_of`: charge, pdgId, and d0, dz and their errors in mm. Those of neutral
        constituents are 0.
    inputs : "kinematic", "kinpid", "kinpidplus", "full", or sequence
        The seven features of ParticleNet's paper, those of another published configuration, or entries of one.
    mirrored : bool
        Whether Δη has the sign of the jet's η, as in weaver's data sets.
    dtype : torch.dtype
        To which the features are rounded; they are computed in float64.

    Returns
    -------
    Tensor, shape (N, F)
    """
    variables = variables_of(inputs)
    if are_compiled(jets):
        features = standardised(jets, variables, mirrored, dtype)
        for k, variable in enumerate(variables):
            if variable.name not in VARIABLES:
                features[:, k] = variable.standardise(_values(variable.name, jets))
        return features
    momenta = kinematic_variables(jets, mirrored)
    columns = [v.standardise(momenta[v.name] if v.name in momenta else _values(v.name, jets)) for v in variables]
    return torch.stack(columns, dim=1).to(dtype)


def kinematic_features(jets: RaggedJets) -> Tensor:
    """Seven inputs per constituent.

    (log pT − 1.7)·0.7, (log E − 2)·0.7, (log pT/pT_jet + 4.7)·0.7, (log E/E_jet + 4.7)·0.7, (ΔR − 0.2)·4, each
    clipped to ±5, then Δη and Δφ relative to the jet axis; GeV (Qu, Gouskos, arXiv:1902.08570, Table 1).

    Returns
    -------
    Tensor of float64, shape (N, 7)
    """
    return weaver_features(jets, "kinematic")


def _variable(entry: str | Sequence[str | float | None]) -> Variable:
    # the sixth value of weaver's is for padding, of which there is none
    name, *numbers = [entry] if isinstance(entry, str) else list(entry)[:5] or [""]
    if name not in _NAMES or not all(value is None or _finite(value) for value in numbers):
        raise TaggerError(
            explain(
                f"inputs with the entry {entry!r}",
                "[name, subtract, multiply, lower, upper] with finite numbers, subtract none for the variable as it is,"
                f" and a name among {', '.join(sorted(_NAMES))}",
                "copy the vars of the training's data configuration, with the numbers it found if it was automatic",
            )
        )
    given = {
        field: float(value) for field, value in zip(Variable._fields[1:], numbers, strict=False) if value is not None
    }
    found = Variable(str(name), **given)
    if found.lower > found.upper:
        raise TaggerError(explain(f"inputs with the entry {entry!r}", "lower ≤ upper", "exchange the two"))
    return found


def _finite(value: str | float) -> bool:
    return not isinstance(value, str) and math.isfinite(value)


def _values(name: str, jets: RaggedJets) -> Tensor:
    """A variable besides the kinematic ones."""
    if name in _MOMENTA:
        return _MOMENTA[name](jets.p4)
    charge = jets.columns["charge"].to(jets.p4)
    if name in _TRACKS:
        column, compressed = _TRACKS[name]
        values = torch.where(charge != 0, jets.columns[column].to(jets.p4), 0.0)
        return torch.tanh(values) if compressed else values
    kind = charge if name == "part_charge" else jets.columns["pdgId"].abs()
    return _KINDS[name](charge, kind).to(jets.p4)
