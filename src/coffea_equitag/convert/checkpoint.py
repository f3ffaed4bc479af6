"""Conversion of official checkpoints to taggers: reading, checking, building the model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import models
from ..errors import CheckpointError, explain
from ..jet_model import JetModel
from ..reading import reading
from ..tagger import Tagger
from . import (
    lgatr_slim,
    lgn,
    lgn_options,
    lloca_transformer,
    lorentznet,
    particle_transformer,
    particlenet,
    pelican,
    pfn,
    torch_file,
)
from .state_dict import StateDict
from .trainer_options import trainer_options

__all__ = ["official"]


def official(
    kind: str,
    checkpoint: str | os.PathLike[str] | Mapping[str, Any],
    *,
    name: str | None = None,
    classes: tuple[str, ...] = ("background", "signal"),
    **options: Any,
) -> Tagger:
    """Convert a checkpoint of an official code to a tagger.

    Parameters
    ----------
    kind : str
        ``"lorentznet"``, ``"lgn"``, ``"pelican"``, ``"lloca_transformer"`` or ``"lgatr_slim"`` (the authors' codes),
        ``"pfn"``, ``"particlenet"`` or ``"particle_transformer"`` (weaver's).
    checkpoint : path or mapping
        The checkpoint file, read with ``weights_only=True``, or a state dict. The prefixes ``module.``, ``mod.`` and
        ``_orig_mod.`` and an enclosing ``state_dict`` or ``model`` are removed.
    name : str, optional
        Name of the tagger; default ``official-<kind>``.
    classes : tuple of str
        Class names in the order of the logits, the signal last.
    **options
        Options of the model, as trained: ``n_scalar``, ``c_weight``, ``beams``, ``clamp``, ``batch_norm``,
        ``symmetry``, ``method``, ... Options that can be inferred from the shapes of the weights need not be given. For
        LorentzNet the number of scalars per node tells whether it was trained for top tagging (2: with beams) or for
        quark/gluon tagging (8: ``pid=True, beams=False, c_weight=1e-3``); ``use_one_hot=False`` is the official
        quark/gluon code's other choice (2: without beams). Its authors trained with ``clamp=100.0``, and for top
        tagging on the rounding noise of their massless jets, so ``mass_noise`` is on by default where ψ(mass) is the
        only scalar (measured on 1000 jets of the top reference set: accuracy 0.953 with it, 0.935 with exact zeros).
        weaver's ParticleNet has ``phantom_neighbours`` on by default; its number of neighbours k is taken to be that
        of weaver's examples, 16, or 7 with two convolutions. Particle Transformer has ``pair_activation`` and
        ``self_pairs`` on, as in the published configurations. PELICAN's ``symmetry`` has to be given unless it is
        so13, and LGN's ``activation`` and ``scale`` where they are not the official defaults: the weights do not tell,
        but the arguments do that the official trainers keep in their checkpoints, which are read.
        L-GATr-slim's ``inputs`` have to be given if its constituents have scalars, and ``beams``, ``time``,
        ``n_heads``, ``unit`` and the activations where they are not the defaults.
        LLoCa's channels per head (``scalars``, ``vectors``, ``tensors``) have to be given.
        ``inputs`` and ``mirrored`` are those of the data configuration and the data set.

    Raises
    ------
    CheckpointError
        If the file is not a checkpoint, or its weights do not match the model; lists what is missing, left over or
        has the wrong shape.
    """
    if kind not in _CONVERTERS:
        raise CheckpointError(
            explain(f"no converter for {kind!r}", f"one of {', '.join(sorted(_CONVERTERS))}", "check the spelling")
        )
    source = "the state dict" if isinstance(checkpoint, Mapping) else os.fspath(checkpoint)
    with reading(source, f"a checkpoint of the official {kind}", CheckpointError):
        found = _contents(checkpoint)
        model = _converted(kind, _state_dict(found), len(classes), trainer_options(kind, found) | options)
    return Tagger.from_model(
        model, name=name or f"official-{kind}", classes=classes if model.output == "classes" else ()
    )


def _converted(kind: str, given: StateDict, n_classes: int, options: dict[str, Any]) -> JetModel:
    """The network with the weights of a checkpoint."""
    try:
        inferred = _OPTIONS[kind](given, options) if kind in _OPTIONS else {}
        state = _CONVERTERS[kind](given, inferred | options)
    except (KeyError, IndexError, StopIteration) as error:
        raise CheckpointError(
            explain(
                f"a checkpoint with {len(given)} tensors ({', '.join(list(given)[:4])}, ...) but without {error}",
                f"the state dict of the official {kind}",
                "save the state_dict of the whole model, and check the kind",
            )
        ) from error
    model = models.build(kind, **({"n_classes": n_classes} | inferred | _DEFAULTS.get(kind, {}) | options))
    _check(kind, model.state_dict(), state)
    # use the precision of the checkpoint: weights are never rounded
    model.to(next(value.dtype for value in state.values() if value.is_floating_point()))
    model.load_state_dict(state)
    return model


def _contents(checkpoint: str | os.PathLike[str] | Mapping[str, Any]) -> Any:
    if isinstance(checkpoint, Mapping):
        return checkpoint
    path = Path(checkpoint)
    if not path.is_file():
        raise CheckpointError(explain(f"no file {path}", "a checkpoint of the official code", "check the path"))
    return torch_file.load(path)


def _state_dict(found: Any) -> StateDict:
    for wrapper in ("state_dict", "model_state_dict", "model_state", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()) or not found:
        raise CheckpointError(
            explain(
                f"a {type(found).__name__} that does not map names to tensors",
                "a state dict",
                "pass model.state_dict(); if the file holds several models, pass the part of one",
            )
        )
    torch_file.check_storage(found)
    return {_PREFIXES.sub("", str(key)): value for key, value in found.items()}


#: Kind -> translation of the official parameter names to ours, for the options of the model.
_CONVERTERS: dict[str, Callable[[StateDict, Mapping[str, Any]], StateDict]] = {
    "lgatr_slim": lambda state, options: lgatr_slim.translate(state),
    "lgn": lambda state, options: lgn.translate(state),
    "lloca_transformer": lambda state, options: lloca_transformer.translate(state),
    "lorentznet": lambda state, options: lorentznet.translate(state),
    "pfn": lambda state, options: pfn.translate(state),
    "particle_transformer": lambda state, options: particle_transformer.translate(state),
    "particlenet": lambda state, options: particlenet.translate(state),
    "pelican": lambda state, options: pelican.translate(state, options["symmetry"]),
}

#: Kind -> function that infers options from the shapes of the weights and from the options given.
_OPTIONS: dict[str, Callable[[StateDict, Mapping[str, Any]], dict[str, Any]]] = {
    "lgatr_slim": lgatr_slim.infer_options,
    "lgn": lambda state, given: lgn_options.options(state),
    "lloca_transformer": lloca_transformer.infer_options,
    "lorentznet": lorentznet.infer_options,
    "particle_transformer": particle_transformer.infer_options,
    "particlenet": particlenet.infer_options,
    "pelican": pelican.infer_options,
    "pfn": pfn.infer_options,
}

#: What wrappers put before the names: parallel training, weaver's examples, torch.compile.
_PREFIXES = re.compile(r"^((module|mod|_orig_mod)\.)+")

#: Default options for official checkpoints of a kind.
_DEFAULTS: dict[str, dict[str, Any]] = {"pelican": {"diagonal": True}}


def _check(kind: str, expected: Mapping[str, Tensor], given: StateDict) -> None:
    missing = [name for name in expected if name not in given]
    extra = [name for name in given if name not in expected]
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(value.shape)}"
        for name, value in expected.items()
        if name in given and given[name].shape != value.shape
    ]
    problems = [
        f"{len(found)} {what} ({', '.join(found[:4])}{', ...' if len(found) > 4 else ''})"
        for what, found in (("missing", missing), ("left over", extra), ("of the wrong shape", shapes))
        if found
    ]
    if problems:
        raise CheckpointError(
            explain(
                f"a checkpoint that does not match {kind}: {'; '.join(problems)}",
                f"the {len(expected)} tensors of {kind} with these options",
                "pass the options it was trained with (n_scalar, hidden, n_layers, batch_norm, inputs, n_classes, ...)",
            )
        )
