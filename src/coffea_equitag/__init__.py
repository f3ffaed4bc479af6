"""coffea-equitag: symmetry-equivariant jet taggers in coffea analyses.

Public names are imported on first use: ``import coffea_equitag`` stays fast, and torch is loaded only when
something needs it::

    import coffea_equitag as eqt

    jets = eqt.read_jets("top.parquet")
    tagger = eqt.load("top-lorentznet")
    scores = tagger(jets)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        convert,
        evaluation,
        export,
        invariants,
        models,
        readers,
        simulation,
        testing,
        training,
        variations,
        zoo,
    )
    from .errors import (
        CacheWarning,
        CheckpointError,
        CollectionWarning,
        ConstituentsWarning,
        EquitagError,
        ExportError,
        JetError,
        JetRangeWarning,
        KernelWarning,
        TaggerError,
        TaggerWarning,
        TimeLimitError,
        UnitWarning,
    )
    from .evaluation.audit import audit
    from .jets import make_jets, validate
    from .jets.ragged import RaggedJets
    from .processor import TaggerProcessor
    from .processor.attach import attach
    from .processor.scale_factors import ScaleFactors
    from .readers import read_jets
    from .scoring import score_file, score_files
    from .tagger import Tagger, TaggerReference, load
    from .training import fit
    from .warming import warmup

#: Public name -> the module that defines it ("" where the name is itself a module).
_PUBLIC = {
    "CacheWarning": "errors",
    "CheckpointError": "errors",
    "CollectionWarning": "errors",
    "EquitagError": "errors",
    "ExportError": "errors",
    "JetError": "errors",
    "ConstituentsWarning": "errors",
    "JetRangeWarning": "errors",
    "KernelWarning": "errors",
    "RaggedJets": "jets.ragged",
    "Tagger": "tagger",
    "TaggerError": "errors",
    "TimeLimitError": "errors",
    "UnitWarning": "errors",
    "ScaleFactors": "processor",
    "TaggerProcessor": "processor",
    "TaggerReference": "tagger",
    "TaggerWarning": "errors",
    "attach": "processor",
    "audit": "evaluation.audit",
    "convert": "",
    "evaluation": "",
    "export": "",
    "fit": "training",
    "invariants": "",
    "load": "tagger",
    "make_jets": "jets",
    "models": "",
    "read_jets": "readers",
    "readers": "",
    "score_file": "scoring",
    "score_files": "scoring",
    "simulation": "",
    "testing": "",
    "training": "",
    "validate": "jets",
    "variations": "",
    "warmup": "warming",
    "zoo": "",
}

__all__ = [
    "CacheWarning",
    "CheckpointError",
    "CollectionWarning",
    "ConstituentsWarning",
    "EquitagError",
    "ExportError",
    "JetError",
    "JetRangeWarning",
    "KernelWarning",
    "RaggedJets",
    "ScaleFactors",
    "Tagger",
    "TaggerError",
    "TaggerProcessor",
    "TaggerReference",
    "TaggerWarning",
    "TimeLimitError",
    "UnitWarning",
    "__version__",
    "attach",
    "audit",
    "convert",
    "evaluation",
    "export",
    "fit",
    "invariants",
    "load",
    "make_jets",
    "models",
    "read_jets",
    "readers",
    "score_file",
    "score_files",
    "simulation",
    "testing",
    "training",
    "validate",
    "variations",
    "warmup",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("coffea-equitag")
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _PUBLIC[name]
    if home == "":
        return importlib.import_module(f".{name}", __name__)
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
