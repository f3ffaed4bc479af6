"""Events as coffea's `DelphesSchema` makes them of the columns of a file that Delphes wrote.

How faithful: names and types of branches and columns are those of Delphes' ``Jet``, ``Track``, ``Tower`` and
``GenParticle`` classes as uproot reads them (``Jet_size``; ``Jet/Jet.PT``; ``Jet/Jet.Constituents``, a TRefArray with
fName, fSize and refs), and identifiers are Delphes': counted anew in each event over all objects, generated particles
first, whichever branches they are written to. No ROOT file holds them: uproot writes neither split TClonesArrays nor
TRefArrays. The columns are a subset, and the kinematics are made up.
"""

import importlib
import uuid
import warnings

import awkward as ak
import numpy as np

#: Constituents of each jet of each event: from which branch, (pt, eta, phi, mass, charge).
EVENTS = [
    [
        [("EFlowTrack", 50, 0.1, 0.2, 0.14, 1), ("EFlowPhoton", 20, 0.15, 0.1, 0, 0)],
        [("EFlowNeutralHadron", 30, -1.0, 2.0, 0, 0), ("EFlowTrack", 10, -1.1, 2.1, 0.000511, -1)],
    ],
    [],
    [[("EFlowPhoton", 40, 2.0, -3.1, 0, 0)], [], [("EFlowTrack", 25, 0.5, 3.1, 0.14, -1)]],
]

SOURCES = ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron")


def delphes_events(lost=(), without=()):
    """Events of `EVENTS`; constituents in `lost` (by pT) have no object, branches in `without` are not written."""
    columns = {}
    objects = {name: [] for name in SOURCES}
    jets = []
    for event in EVENTS:
        identifier = 1001  # generated particles come first
        found = {name: [] for name in SOURCES}
        made = []
        for number, constituents in enumerate(event):
            references = []
            for source, *values in constituents:
                identifier += 3  # objects of branches that are not written are counted, too
                references.append(identifier)
                if values[0] not in lost:
                    found[source].insert(0, (identifier, *values))
            made.append((100 + number, references))
        for name in SOURCES:
            objects[name].append(found[name])
        jets.append([(i, refs, constituents) for (i, refs), constituents in zip(made, event, strict=True)])
    for name in SOURCES:
        columns |= _objects(name, objects[name])
    columns |= _objects("Particle", [[(i + 1, 5.0, 0.0, 0.0, 0.14, 1) for i in range(4)] for _ in EVENTS])
    columns |= _jets("Jet", jets)
    columns |= _jets("GenJet", [[(200, [2, 3], [])] for _ in EVENTS])
    columns = {key: column for key, column in columns.items() if key.split("/")[0].removesuffix("_size") not in without}
    return _open(columns)


def _objects(name, events):
    flat = [one for event in events for one in event]
    number = [len(event) for event in events]
    identifier, pt, eta, phi, mass, charge = (
        np.array(column) for column in (zip(*flat, strict=True) if flat else [[]] * 6)
    )
    d0 = np.where(charge != 0, -0.25, 0)
    columns = {"fUniqueID": (identifier, np.uint32), "Eta": (eta, np.float32), "Phi": (phi, np.float32)}
    if name in ("EFlowTrack", "Particle"):
        pid = np.where(mass < 0.1, -11, 211) * charge
        columns |= {"PT": (pt, np.float32), "Mass": (mass, np.float32), "Charge": (charge, np.int32)}
        columns |= {"PID": (pid, np.int32)}
    if name == "EFlowTrack":
        columns |= {"D0": (d0, np.float32), "DZ": (2 * d0, np.float32)}
        columns |= {"ErrorD0": (abs(d0) / 10, np.float32), "ErrorDZ": (abs(d0) / 5, np.float32)}
    if name not in ("EFlowTrack", "Particle"):
        columns |= {"ET": (pt, np.float32), "E": (pt * np.cosh(eta), np.float32)}
    return _branches(name, {key: ak.Array(values.astype(kind)) for key, (values, kind) in columns.items()}, number)


def _jets(name, events):
    flat = [jet for event in events for jet in event]
    number = [len(event) for event in events]
    references = ak.values_astype(ak.Array([refs for _, refs, _ in flat]), np.int32)
    sums = [_sum(constituents) for *_, constituents in flat]
    pt, eta, phi, mass = (np.array(column, np.float32) for column in zip(*sums, strict=True))
    columns = {
        "fUniqueID": np.array([identifier for identifier, *_ in flat], np.uint32),
        "PT": pt,
        "Eta": eta,
        "Phi": phi,
        "Mass": mass,
        "Flavor": np.where(pt > 50, 5, 0).astype(np.uint32),
    }
    columns = {key: ak.Array(values) for key, values in columns.items()}
    columns["Constituents"] = ak.zip(
        {
            "fName": ak.Array(["" for _ in flat]),
            "fSize": ak.values_astype(ak.num(references, axis=1), np.int32),
            "refs": references,
        },
        depth_limit=1,
        with_name="TRefArray",
    )
    return _branches(name, columns, number)


def _sum(constituents):
    vector = importlib.import_module("vector")
    total = vector.obj(px=0.0, py=0.0, pz=0.0, E=0.0)
    for _, pt, eta, phi, mass, _ in constituents:
        total = total + vector.obj(pt=pt, eta=eta, phi=phi, mass=mass)
    return total.pt, total.eta if total.pt > 0 else 0.0, total.phi, max(total.mass, 0.0)


def _branches(name, columns, number):
    branches = {f"{name}/{name}.{key}": ak.unflatten(column, number) for key, column in columns.items()}
    return {f"{name}_size": ak.Array(np.array(number, np.int32)), **branches}


def _open(columns):
    nanoevents = importlib.import_module("coffea.nanoevents")
    mapping = importlib.import_module("coffea.nanoevents.mapping")

    class Titled(nanoevents.DelphesSchema):
        """The schema, given columns without the titles that branches of files have."""

        def __init__(self, base_form, *args, **kwargs):
            for name, content in zip(base_form["fields"], base_form["contents"], strict=True):
                content.setdefault("parameters", {}).setdefault("__doc__", name)
            super().__init__(base_form, *args, **kwargs)

    source = mapping.SimplePreloadedColumnSource(columns, uuid.uuid4(), len(EVENTS), object_path="/Delphes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        factory = nanoevents.NanoEventsFactory.from_preloaded(source, schemaclass=Titled, metadata={"dataset": "test"})
        return factory.events()
