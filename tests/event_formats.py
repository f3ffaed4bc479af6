"""Real files of the event formats, opened by coffea, and what a reader has to find in them."""

import importlib
import warnings

MAPS = {"iteritems_options": {"filter_name": "/^(?!.*(PARAMETERS|_.*Map))/"}}

#: Format -> file, tree, schema, options of coffea, jets, number of jets, of missing ones and of constituents.
REAL = {
    "physlite": ("PHYSLITE_example.root", "CollectionTree", "PHYSLITE", {}, "Jets", 881, 313, 1126),
    "edm4hep": ("p8_ee_WW_ecm240_edm4hep.root", "events", "latest", {}, "Jet", 26, 0, 617),
    "older edm4hep": ("test_FCC_Winter2023.root", "events", "pre-edm4hep1", MAPS, "Jet", 268, 0, 5938),
}


def open_real(folder, name, mode="virtual", **options):
    """Event records of a real file, and the name of its jets."""
    file, tree, schema, more, jets, *_ = REAL[name]
    nanoevents = importlib.import_module("coffea.nanoevents")
    chosen = nanoevents.PHYSLITESchema if schema == "PHYSLITE" else nanoevents.FCC.get_schema(schema)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        factory = nanoevents.NanoEventsFactory.from_root(
            {str(folder / file): tree}, schemaclass=chosen, mode=mode, **more, **options
        )
        return factory.events(), jets
