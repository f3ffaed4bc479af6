"""The taggers, one paper a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..option_types import check_names, check_values
from ..plain_numbers import plain
from .lgatr_slim import LGATrSlim
from .lgn import LGN
from .lloca_transformer import LLoCaTransformer
from .lorentznet import LorentzNet
from .lorentznet_base import LorentzNetBase
from .particle_transformer import ParticleTransformer
from .particlenet import ParticleNet
from .pelican import PELICAN
from .pfn import PFN
from .size_limit import SizeLimit, at_most, is_wide
from .tensor_pfn import TensorPFN, VectorPFN

__all__ = [
    "LGN",
    "PELICAN",
    "PFN",
    "JetModel",
    "LGATrSlim",
    "LLoCaTransformer",
    "LorentzNet",
    "LorentzNetBase",
    "ParticleNet",
    "ParticleTransformer",
    "SizeLimit",
    "TensorPFN",
    "VectorPFN",
    "build",
    "build_within",
    "names",
    "stored_options",
]

_MODELS: dict[str, type[JetModel]] = {
    model.kind: model
    for model in (
        LGATrSlim,
        LGN,
        LLoCaTransformer,
        LorentzNet,
        LorentzNetBase,
        ParticleNet,
        ParticleTransformer,
        PELICAN,
        PFN,
        TensorPFN,
        VectorPFN,
    )
}


def names() -> tuple[str, ...]:
    """What `build` can build."""
    return tuple(sorted(_MODELS))


def build(kind: str, **options: Any) -> JetModel:
    """Build a network, with fresh weights.

    Parameters
    ----------
    kind : str
        One of `names()`.
    **options
        The model's own options, e.g. ``n_classes=2``.

    Raises
    ------
    TaggerError
        For a model or an option that does not exist, a value of the wrong type or that the model refuses, or a network
        larger than `SizeLimit` allows.
    """
    return build_within(SizeLimit(), kind, options)


def build_within(limit: SizeLimit, kind: str, options: Mapping[str, Any]) -> JetModel:
    """Build a network that is no larger than the limit; see `build`."""
    if kind not in _MODELS:
        raise TaggerError(
            explain(
                f"no model {kind!r}",
                f"one of {', '.join(names())}",
                "see `equitag models` for what each one is",
            )
        )
    model, options = _MODELS[kind], plain(options)
    check_names(kind, model.__init__, options)
    check_values(kind, model.__init__, options)  # before the constructor computes with them
    given = ", ".join(f"{name} = {value!r}" for name, value in options.items())
    try:
        if any(map(is_wide, options.values())):
            with at_most(limit, f"{kind} with {given}"), torch.device("meta"):
                model(**options)
        with at_most(limit, f"{kind} with {given}"):
            return model(**options)
    except (TaggerError, Warning):
        raise
    except Exception as error:  # torch's own, e.g. of a negative width, and those of arithmetic on huge numbers
        raise TaggerError(
            explain(
                f"{kind} with {given}: {type(error).__name__}: {error}",
                "values the network accepts",
                "correct these options",
            )
        ) from error


def stored_options(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that a card or a run of any version holds, as `build` takes them: see `JetModel.stored_options`."""
    return _MODELS[kind].stored_options(options) if kind in _MODELS else dict(options)
