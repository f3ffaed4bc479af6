"""Awkward jets as the arrays that exported files take."""

from __future__ import annotations

from collections.abc import Iterable

import awkward as ak
import numpy as np

from ..array_types import F8, AnyArray
from ..jets import flatten
from ..jets.collection import FlatJets
from .four_momenta import Coordinates
from .interface import Form

__all__ = ["jet_arrays"]


def jet_arrays(
    jets: ak.Array,
    fields: Iterable[str] = (),
    *,
    form: Form = "ragged",
    coordinates: Coordinates = "polar",
    own_momenta: bool = False,
) -> dict[str, AnyArray]:
    """The inputs of an exported file, by their names; checked and cleaned by the rules of `coffea_equitag.jets`.

    Parameters
    ----------
    jets : ak.Array
        Canonical jets, any outer nesting; missing jets are left out.
    fields : iterable of str
        The further columns that the file takes.
    form : {"ragged", "padded", "cms"}
        For ``m.onnx`` and ``m.pt2``; for Triton Inference Server; for the ONNX files of CMS's software.
    coordinates : {"polar", "cartesian"}
        As the file was exported.
    own_momenta : bool
        As the file was exported.

    Returns
    -------
    dict of str to ndarray
        N constituents or (J, W) places of J jets, the widest of which has W.

    Raises
    ------
    JetError
        If the jets are not canonical, hold invalid numbers, or lack a column.
    """
    fields = tuple(fields)
    flat = flatten(jets, fields)
    columns = {name: np.asarray(flat.columns[name], np.float64) for name in fields}
    if form == "cms":
        return _cms(flat, columns)
    momenta = _coordinates(flat.momenta.p4, flat.momenta.mass, flat.momenta.polar, coordinates)
    own = {"jets": _coordinates(flat.jet_p4, _mass(flat.jet_p4), None, coordinates)} if own_momenta else {}
    if form == "ragged":
        return {"constituents": momenta, "offsets": flat.offsets, **columns, **own}
    return {name: _padded(values, flat) for name, values in {"constituents": momenta, **columns}.items()} | own


def _coordinates(p4: F8, mass: F8, polar: F8 | None, coordinates: Coordinates) -> F8:
    """Rows (pT, η, φ, m) or (px, py, pz, m)."""
    if coordinates == "cartesian":
        return np.column_stack([p4[:, 1:], mass])
    if polar is None:
        pt = np.hypot(p4[:, 1], p4[:, 2])
        # along the beam there is no η; such a constituent is padding to a file that takes polar coordinates
        eta = np.arcsinh(np.divide(p4[:, 3], pt, out=np.zeros_like(pt), where=pt > 0))
        polar = np.column_stack([pt, eta, np.arctan2(p4[:, 2], p4[:, 1])])
    return np.column_stack([polar, mass])


def _mass(p4: F8) -> F8:
    found: F8 = np.sqrt(np.maximum(p4[:, 0] ** 2 - (p4[:, 1:] ** 2).sum(axis=1), 0.0))
    return found


def _padded(values: AnyArray, flat: FlatJets) -> AnyArray:
    """Rows (N, ...) of constituents as (J, W, ...), with zeros behind."""
    counts = np.diff(flat.offsets)
    real = np.arange(counts.max(initial=0)) < counts[:, None]
    padded = np.zeros((*real.shape, *values.shape[1:]), values.dtype)
    padded[real] = values
    return padded


def _cms(flat: FlatJets, columns: dict[str, F8]) -> dict[str, AnyArray]:
    """Variables before places, in single precision."""
    energy, px, py, pz = flat.momenta.p4.T
    given = {
        "pf_vectors": np.column_stack([px, py, pz, energy]),
        "pf_mask": np.ones((len(energy), 1)),
    }
    if columns:
        given["pf_features"] = np.column_stack(list(columns.values()))
    return {name: _padded(values, flat).transpose(0, 2, 1).astype(np.float32) for name, values in given.items()}
