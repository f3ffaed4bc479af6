"""Jets from ntuples of any layout, described by a mapping: TreeMaker, private flat ntuples, one-hot labels."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets import make_jets
from ..jets.collection import validate as validate_jets
from ..jets.coordinates import coordinates_of
from ..jets.nesting import with_long_offsets
from .checked_parquet import from_parquet
from .flat import is_particle
from .index_links import linked
from .mapping import Column, JetMapping, load_mapping
from .one_hot import class_number
from .parquet import num_rows
from .particle_masses import charge_of
from .polar_energy import with_cartesian
from .ranges import Paths, checked, expand, read_range
from .root import num_entries, open_tree, read_array
from .track_conventions import D0_SIGNS, MILLIMETRES
from .units import in_gev

__all__ = ["mapped"]

#: Columns that are lengths.
_LENGTHS = ("d0", "dz", "d0Err", "dzErr")


def mapped(
    source: ak.Array | Mapping[str, Any] | Paths,
    mapping: JetMapping | Mapping[str, Any] | str | os.PathLike[str],
    *,
    entry_start: int | None = None,
    entry_stop: int | None = None,
    validate: bool = True,
) -> ak.Array:
    """Read jets from an ntuple whose columns are described by a mapping.

    For instance the AK8 jets of TreeMaker, of a TTree or an RNTuple::

        treemaker = {
            "tree": "PreSelection",
            "jets": {"pt": "JetsAK8.fCoordinates.fPt", "eta": "JetsAK8.fCoordinates.fEta",
                     "phi": "JetsAK8.fCoordinates.fPhi", "E": "JetsAK8.fCoordinates.fE"},
            "constituents": {"pt": "JetsConstituents.fCoordinates.fPt", ..., "pdgId": "JetsConstituents_PdgId",
                             "d0": "JetsConstituents_dxy", "dz": "JetsConstituents_dz"},
            "links": {"index": "JetsAK8_constituentsIndex", "counts": "JetsAK8_constituentsIndexCounts"},
            "d0_sign": "cms", "lengths": "cm",
        }
        jets = eqt.readers.mapped("ntuple.root", treemaker)

    and of a flat ntuple, a row per jet, with one-hot labels::

        flat = {"constituents": {"px": "pfcand_px", "py": "pfcand_py", "pz": "pfcand_pz", "E": "pfcand_e"},
                "labels": {"QCD": "label_QCD", "top": ["label_Tbqq", "label_Tbl"]}, "units": "MeV"}

    In a processor: ``attach(events, taggers, reader=lambda events, collection: mapped(events, treemaker))``.

    Parameters
    ----------
    source : ak.Array, mapping of arrays, path, or several paths
        Events (of coffea or not, virtual, eager or traced), columns by name, or ROOT (TTree, RNTuple) and Parquet
        files. A name such as ``"JetsAK8.pt"`` or ``"JetsAK8_pt"`` also finds the field of a record.
    mapping : JetMapping, dict, or path
        As described in `readers.JetMapping`; a TOML, JSON or YAML file.
    entry_start, entry_stop : int, optional
        Rows to read of files, as in `read_jets`.
    validate : bool
        Check the jets; not those of traced events.

    Returns
    -------
    ak.Array
        ``[jet]`` if the file has a row per jet, else ``[event][jet]``: momenta in GeV, lengths in mm, d0 with the sign
        of Delphes, ``charge`` from pdgId where it is not given, ``label`` as the number of the class in the order of
        `labels`. Constituents without momentum (padding) are dropped, and those of weight 0.

    Raises
    ------
    JetError
        If the mapping is not valid, a column is missing, columns do not fit together, or a jet belongs to none or
        several of the classes.
    """
    mapping = load_mapping(mapping)
    if isinstance(source, ak.Array | Mapping):
        jets = _jets(mapping, lambda name: _from_memory(source, name), "the events")
        return validate_jets(jets) if validate else jets
    files = expand(source)
    jets = read_range(
        files,
        lambda file: num_entries(file, mapping.tree) if _is_root(file) else num_rows(file),
        lambda file, start, stop: _from_file(file, mapping, start, stop),
        entry_start,
        entry_stop,
    )
    return checked(jets, files) if validate else jets


def _from_file(file: Path, mapping: JetMapping, start: int, stop: int) -> ak.Array:
    if not _is_root(file):
        rows = with_long_offsets(from_parquet(file)[start:stop])
        return _jets(mapping, lambda name: _complete(_from_memory(rows, name), name, file), str(file))
    with open_tree(file, mapping.tree) as tree:

        def read(name: str) -> ak.Array:
            try:
                branch = tree[name]
            except KeyError:
                names = [key.split("/")[-1] for key in tree.keys(recursive=not hasattr(tree, "to_akform"))]
                raise _no_column(name, names) from None
            return read_array(branch, start, stop)

        return _jets(mapping, read, str(file))


def _jets(mapping: JetMapping, read: Callable[[str], ak.Array], source: str) -> ak.Array:
    """Jets of columns that `read` gives by name."""
    given = {name: _column(column, read) for name, column in mapping.constituents.items() if not _is_number(column)}
    constants = {name: column for name, column in mapping.constituents.items() if _is_number(column)}
    if not given:
        raise JetError(explain("constituents that are all numbers", "columns of the file", "name at least one column"))
    like = next(iter(given.values()))
    columns = {
        name: given[name] if name in given else ak.full_like(like, constants[name], dtype=np.float64)
        for name in mapping.constituents
    }
    fields = {name: _column(column, read) for name, column in mapping.jets.items() if not _is_number(column)}
    if "pdgId" in columns and "charge" not in columns:
        columns["charge"] = charge_of(columns["pdgId"])
    columns = with_cartesian({name: _in_millimetres(name, column, mapping) for name, column in columns.items()})
    constituents = _nested(mapping, columns, read, next(iter(fields.values()), None), source)
    if mapping.labels:
        fields["label"] = class_number(mapping.labels, read, source)
    fields = with_cartesian(fields)
    numbers = {name: column for name, column in mapping.jets.items() if _is_number(column)}
    return in_gev(make_jets(_weighted(constituents, mapping.weight), **fields, **numbers), mapping.units)


def _nested(
    mapping: JetMapping,
    columns: dict[str, ak.Array],
    read: Callable[[str], ak.Array],
    jets: ak.Array | None,
    source: str,
) -> ak.Array:
    """One list of constituents per jet, without padding."""
    depth = next(iter(columns.values())).ndim
    for name, column in columns.items():
        if column.ndim != depth or depth < 2:
            raise JetError(
                explain(
                    f"'{name}' of the constituents in {source} of type {column.type}",
                    "a list for each jet, or for each event with links to the jets; the same for all columns",
                    "correct constituents of the mapping",
                )
            )
    if mapping.links is not None and not _per_row(mapping, read):
        if depth != 2:
            raise JetError(
                explain(
                    f"links to constituents of type {next(iter(columns.values())).type} in {source}",
                    "one list of constituents per event",
                    "leave links out: the constituents are nested in the jets already",
                )
            )
        return linked(mapping.links, columns, read, jets)
    if jets is not None and jets.ndim != depth - 1:
        raise JetError(
            explain(
                f"jets of type {jets.type} and constituents of type {next(iter(columns.values())).type} in {source}",
                "one list of constituents per jet, or links",
                "name the columns that link them in links of the mapping",
            )
        )
    constituents = _zipped(columns, source)
    if mapping.links is not None:
        assert mapping.links.counts is not None
        constituents = constituents[ak.local_index(constituents, axis=1) < read(mapping.links.counts)]
    names = coordinates_of(constituents.fields) or {}
    return constituents[is_particle({name: constituents[field] for name, field in names.items()})]


def _per_row(mapping: JetMapping, read: Callable[[str], ak.Array]) -> bool:
    """Whether the counts are those of rows that are jets: how many entries of their arrays are filled."""
    links = mapping.links
    return (
        links is not None
        and links.counts is not None
        and not (links.index or links.first)
        and (read(links.counts).ndim == 1)
    )


def _zipped(columns: dict[str, ak.Array], source: str) -> ak.Array:
    try:
        return ak.zip(columns)
    except ValueError as error:
        raise JetError(
            explain(
                f"constituents in {source} of which some columns are longer than others: {', '.join(columns)}",
                "as many values in each column of a jet",
                "correct constituents of the mapping: all must be from the same particles",
            )
        ) from error


def _weighted(constituents: ak.Array, weight: str | None) -> ak.Array:
    if weight is None:
        return constituents
    for name, field in (coordinates_of(constituents.fields) or {}).items():
        if name not in ("eta", "phi"):
            constituents = ak.with_field(constituents, constituents[field] * constituents[weight], field)
    return constituents[constituents[weight] != 0]


def _column(column: str | float | Column, read: Callable[[str], ak.Array]) -> ak.Array:
    if isinstance(column, Column):
        return ak.from_regular(read(column.branch), axis=None) * column.factor
    assert isinstance(column, str)
    return ak.from_regular(read(column), axis=None)


def _is_number(column: str | float | Column) -> bool:
    return not isinstance(column, str | Column)


def _in_millimetres(name: str, column: ak.Array, mapping: JetMapping) -> ak.Array:
    if name not in _LENGTHS:
        return column
    factor = MILLIMETRES[mapping.lengths] * (D0_SIGNS[mapping.d0_sign or ""] if name == "d0" else 1.0)
    return column if factor == 1 else column * factor


def _complete(column: ak.Array, name: str, file: Path) -> ak.Array:
    """Remove the option types that Parquet files often declare; nothing may be missing."""
    for axis in range(column.ndim - 1, -1, -1):
        if ak.any(ak.is_none(column, axis=axis), axis=None):
            raise JetError(
                explain(
                    f"missing values in '{name}' of {file}",
                    "a value for each jet and constituent",
                    "fill them or drop these jets before writing the file",
                )
            )
        column = ak.drop_none(column, axis=axis)
    return column


def _is_root(file: Path) -> bool:
    return file.suffix.lower() == ".root"


def _from_memory(source: ak.Array | Mapping[str, Any], name: str) -> ak.Array:
    """A column by its name, or the field of a record that its parts name."""
    names = source.fields if isinstance(source, ak.Array) else list(source)
    if name in names:
        return ak.Array(source[name]) if not isinstance(source[name], ak.Array) else source[name]
    for separator in (".", "_"):
        parts = name.split(separator)
        for k in range(1, len(parts)):
            head, rest = separator.join(parts[:k]), separator.join(parts[k:])
            if head in names and isinstance(source[head], ak.Array) and source[head].fields:
                return _from_memory(source[head], rest)
    raise _no_column(name, names)


def _no_column(name: str, names: Iterable[str]) -> JetError:
    known = list(names)
    near = difflib.get_close_matches(name, known, n=8, cutoff=0.5)
    shown = near or known[:20]
    return JetError(
        explain(
            f"no column '{name}' (of {len(known)})",
            f"a column of the file, for instance {', '.join(shown) or 'none'}",
            "correct the mapping",
        )
    )
