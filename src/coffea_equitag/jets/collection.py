"""What a jet is: the canonical awkward collection, its coordinates and its validation.

A jet collection is an ``ak.Array`` of records with any outer nesting (``[jet]`` or ``[event][jet]``). Each record
has ``constituents``: four-momenta in GeV in one of the coordinate sets of `coordinates.COORDINATES`, and any further
columns (``charge``, ``pdgId``, ``d0``, ``dz`` in mm, ...). The jet's own four-momentum (``pt, eta, phi, mass`` or
Cartesian) is optional; without it, the sum of the constituents is used.

Rules for numbers, applied wherever jets enter a network:

* NaN and infinite momenta and masses are rejected;
* a negative mass is set to 0 (CMS stores a few of about -1e-3 GeV, from the rounding of its storage format);
* a given mass is used as is; a mass derived from E and p is set to 0 if its digits cannot carry it
  (`mass_resolution`: integers and float32 values in float64 columns are recognised);
* E < |p| within a relative 1e-3 is taken as rounding, with mass 0; anything beyond that is rejected;
* missing constituents, and those with all components 0 (padding), are dropped;
* a missing jet stays missing: it has no score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import vector
from awkward.contents import Content

from ..array_types import F8, I8, AnyArray, Bools
from ..errors import JetError, explain
from .coordinates import check_coordinates, coordinates_of, listed, no_coordinates
from .impact_parameter import IMPACT_COLUMNS, columns_to_read, impact_columns
from .kinematics import FourMomenta, four_momenta
from .nesting import Nesting, columns_of, columns_of_records, descend, with_long_offsets
from .tracing import is_traced, touch_jets

__all__ = ["FlatJets", "flatten", "make_jets", "validate"]

#: No collider reaches this jet pT (GeV); momenta in MeV read as GeV do.
PT_LIMIT = 1e5


def make_jets(constituents: ak.Array, **fields: Any) -> ak.Array:
    """Build a canonical jet collection.

    Parameters
    ----------
    constituents : ak.Array
        ``[...][jet][constituent]`` records with one coordinate set of
        `coordinates.COORDINATES` (GeV) and any extra columns.
    **fields : array-like
        Jet fields, ``[...][jet]``: ``label``, ``pt, eta, phi, mass``, ...; a single number applies to every jet.

    Returns
    -------
    ak.Array
        ``[...][jet]`` records with ``constituents`` (vector ``Momentum4D``) and the given fields.

    Raises
    ------
    JetError
        If constituents have no complete coordinate set or more than one, are not nested by jet, or a field does not
        match the jets.
    """
    constituents = constituents if isinstance(constituents, ak.Array) else ak.Array(constituents)
    check_coordinates("constituents", constituents.fields)
    if has_momentum := coordinates_of(fields) is not None:
        check_coordinates("jets", fields)
    if constituents.ndim < 2:
        raise JetError(
            explain(
                f"constituents nested {constituents.ndim} deep: {constituents.type}",
                "[jet][constituent] or [event][jet][constituent]",
                "group them by jet with ak.unflatten(constituents, counts)",
            )
        )
    behavior = vector.backends.awkward.behavior
    named = ak.with_name(constituents, "Momentum4D", behavior=behavior)
    for name, values in fields.items():
        # awkward would broadcast a single jet or a single value to the length of the other
        if not np.isscalar(values) and not is_traced(constituents) and len(values) != len(constituents):
            raise _mismatch(name, f"{len(values)} entries", constituents)
    try:
        jets = ak.zip(
            {**fields, "constituents": named},
            depth_limit=constituents.ndim - 1,
            with_name="Momentum4D" if has_momentum else None,
            behavior=behavior,
        )
    except ValueError as error:
        raise _mismatch(", ".join(fields), "a different nesting", constituents) from error
    return ak.Array(jets, behavior=behavior)


def _mismatch(name: str, given: str, constituents: ak.Array) -> JetError:
    return JetError(
        explain(
            f"field {name} with {given}, for constituents of type {constituents.type}",
            "one value per jet, nested like the jets",
            "apply the same selection to both",
        )
    )


@dataclass(frozen=True)
class FlatJets:
    """Flattened jets: one row per constituent, with offsets, ready for buffers and tensors.

    Attributes
    ----------
    momenta : FourMomenta
        Four-momenta of the constituents, N rows, checked and cleaned.
    offsets : ndarray of int64, shape (J + 1,)
        Where each jet's constituents begin and end.
    jet_p4 : ndarray of float64, shape (J, 4)
        (E, px, py, pz) of the jets, GeV.
    columns : dict of str to ndarray
        The further constituent columns requested, N rows each.
    nesting : Nesting
        The original outer structure, which takes one value per jet back into it.
    """

    momenta: FourMomenta
    offsets: I8
    jet_p4: F8
    columns: Mapping[str, AnyArray]
    nesting: Nesting


def flatten(jets: ak.Array, fields: Iterable[str] = ()) -> FlatJets:
    """Check jets and flatten them, without copies where their layout allows.

    Parameters
    ----------
    jets : ak.Array
        Canonical jets, any outer nesting, virtual or eager, sliced or not.
    fields : iterable of str
        Further constituent columns to include; a missing column is an error. "ip.x", "ip.y" and "ip.z" are the
        impact parameter (mm), computed from d0, dz and charge where there is no ``ip``; 0 for charge 0.

    Raises
    ------
    JetError
        If the jets are not canonical, or hold numbers that the rules of this module reject.
    """
    fields = tuple(fields)
    check_structure(jets, fields)
    if is_traced(jets):
        raise JetError(
            explain(
                "jets that have a type but no values (typetracers)",
                "jets with values",
                "call this on the events themselves; under coffea's trace, taggers, eqt.attach and eqt.validate work",
            )
        )
    # masked jets are copied, and with them every column that is not left out before
    own = [*(coordinates_of(jets.layout.fields) or {}).values(), "constituents"]
    records, rebuild = descend(jets.layout[own])
    nesting, lists = Nesting(records.length, rebuild), _constituent_lists(records)
    names = coordinates_of(lists.fields)
    assert names is not None  # guaranteed by check_structure
    read = columns_to_read(fields, lambda name: _has(lists, name))
    offsets, columns = columns_of(lists, [*names.values(), *read])

    def locate(row: int) -> str:
        jet = int(np.searchsorted(offsets, row, side="right")) - 1
        return f"jet {jet}, constituent {row - int(offsets[jet])}"

    coordinates = {name: columns[field] for name, field in names.items()}
    padding = _all_zero(coordinates)
    if padding is not None:
        counts = np.diff(np.concatenate([[0], np.cumsum(~padding)])[offsets])
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        coordinates = {name: values[~padding] for name, values in coordinates.items()}
        columns = {name: values[~padding] for name, values in columns.items()}
    momenta = four_momenta(coordinates, locate, "constituent")
    if any(name in IMPACT_COLUMNS for name in fields):
        columns = columns | impact_columns(columns, momenta.p4, locate)
    return FlatJets(
        momenta=momenta,
        offsets=offsets,
        jet_p4=_jet_momenta(records, momenta, offsets),
        columns={name: columns[name] for name in fields},
        nesting=nesting,
    )


def validate(jets: ak.Array, require: Iterable[str] = ()) -> ak.Array:
    """Check that jets are canonical, physical and in GeV; return them unchanged.

    Parameters
    ----------
    jets : ak.Array
        Jets, any outer nesting. Of traced jets (typetracers) only the structure is checked.
    require : iterable of str
        Constituent columns that must be present (``"pdgId"``, ``"charge"``, ...).

    Raises
    ------
    JetError
        Naming the field, the first offending jet and the fix.
    """
    if isinstance(jets, ak.Array) and is_traced(jets):
        check_structure(jets, tuple(require))
        touch_jets(jets, tuple(require))
        return jets
    flat = flatten(jets, tuple(require))
    pt = np.hypot(flat.jet_p4[:, 1], flat.jet_p4[:, 2])
    if (pt > PT_LIMIT).any():
        jet = int(np.argmax(pt > PT_LIMIT))
        raise JetError(
            explain(
                f"jet {jet} has pT = {pt[jet]:.6g} GeV, more than any collider can produce",
                f"momenta in GeV, jets below pT = {PT_LIMIT:g} GeV",
                "if the file is in MeV, read it with units='MeV' or divide momenta and masses by 1000",
            )
        )
    return jets


def check_structure(jets: ak.Array, require: Iterable[str] = ()) -> None:
    """Reject anything that is not a jet collection, judging by its type alone (virtual arrays stay virtual)."""
    if isinstance(jets, ak.Record):
        raise JetError(
            explain("one jet (ak.Record)", "an array of jets", "slice instead of indexing: jets[:1], not jets[0]")
        )
    if not isinstance(jets, ak.Array):
        raise JetError(
            explain(
                f"an object of type {type(jets).__name__}",
                "an awkward array of jets (ak.Array)",
                "build it with coffea_equitag.make_jets or one of coffea_equitag.readers",
            )
        )
    layout = jets.layout
    if "constituents" not in layout.fields:
        raise JetError(
            explain(
                f"records without 'constituents'; they have {listed(layout.fields)}",
                "jets with a field 'constituents'",
                "for NanoEvents use coffea_equitag.readers.nanoaod(events, 'FatJet'); "
                "otherwise coffea_equitag.make_jets(constituents, ...)",
            )
        )
    constituents = layout["constituents"]
    if coordinates_of(constituents.fields) is None:
        raise JetError(no_coordinates("constituents", constituents.fields))
    if constituents.purelist_depth != layout.purelist_depth + 1:
        raise JetError(
            explain(
                f"constituents nested {constituents.purelist_depth} deep in jets nested {layout.purelist_depth} deep",
                "one list of constituents per jet",
                "build the jets with coffea_equitag.make_jets",
            )
        )
    for name in columns_to_read(require, lambda name: _has(constituents, name)):
        if not _has(constituents, name):
            raise JetError(
                explain(
                    f"constituents without '{name}'; they have {listed(constituents.fields)}",
                    f"a column '{name}' for each constituent",
                    "add it when reading the jets, or choose a tagger that does not need it",
                )
            )


def _has(constituents: ak.Array | Content, name: str) -> bool:
    """Whether constituents have a column; "ip.x" is the field x of the record ip."""
    if name in constituents.fields or "." not in name:
        return name in constituents.fields
    record, _, component = name.partition(".")
    return record in constituents.fields and _has(constituents[record], component)


def _constituent_lists(records: Content) -> ak.Array:
    """The lists of constituents, one per jet, without missing entries."""
    layout = records["constituents"]
    if layout.is_option:
        missing = ak.to_numpy(ak.is_none(ak.Array(layout)))
        if missing.any():
            raise JetError(
                explain(
                    f"the list of constituents of jet {int(np.argmax(missing))} (missing jets not counted) is missing",
                    "a list for each jet, possibly empty",
                    "set it to [] with ak.fill_none(jets.constituents, [], axis=-2), or mask the whole jet",
                )
            )
        layout = layout.project()
    if layout.is_indexed:
        layout = layout.project()
    lists = ak.Array(layout)
    return ak.drop_none(with_long_offsets(lists), axis=1) if layout.content.is_option else lists


def _jet_momenta(records: Content, momenta: FourMomenta, offsets: I8) -> F8:
    """The jets' own four-momenta, or the sums over their constituents."""
    names = coordinates_of(records.fields)
    if names is None:
        sums = np.zeros((len(offsets) - 1, 4))
        filled = offsets[1:] > offsets[:-1]
        # reduceat sums each jet separately: a sum never depends on the jets before it
        if filled.any():
            sums[filled] = np.add.reduceat(momenta.p4, offsets[:-1][filled], axis=0)
        return sums
    columns = columns_of_records(records, list(names.values()))
    coordinates = {name: columns[field] for name, field in names.items()}
    return four_momenta(coordinates, lambda row: f"jet {row}", "jet").p4


def _all_zero(coordinates: Mapping[str, AnyArray]) -> Bools | None:
    """Mask of rows without any momentum (padding), or None if there are none."""
    momentum = [values for name, values in coordinates.items() if name not in ("eta", "phi", "mass")]
    zero = np.logical_and.reduce([values == 0 for values in momentum])
    return zero if zero.any() else None
