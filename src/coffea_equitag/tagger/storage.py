"""A tagger's folder: ``model.safetensors`` and ``card.json``, tied together by a hash."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pydantic
import safetensors
import safetensors.torch
import torch

from .. import models, zoo
from ..errors import CheckpointError, TaggerError, explain
from ..jet_model import JetModel
from ..validation import faults
from .card import Card

__all__ = ["content_hash", "find", "read_card", "read_model", "write"]

_WEIGHTS, _CARD = "model.safetensors", "card.json"


def find(source: str | os.PathLike[str]) -> Path:
    """The folder of a tagger, given by its path, by that of its training run, or by a name from the zoo.

    Raises
    ------
    TaggerError
        If there is none.
    """
    path = Path(source)
    for candidate in (path, path / "tagger"):
        if (candidate / _CARD).is_file():
            return candidate
    if str(source) in zoo.names():
        return zoo.path(str(source))
    raise TaggerError(
        explain(
            f"no tagger at {path} ({'a folder without ' + _CARD if path.is_dir() else 'no such folder'})",
            f"a folder with {_CARD} and {_WEIGHTS}, or a name from the zoo: {', '.join(zoo.names()) or '(empty)'}",
            "check the path, or train one with coffea_equitag.fit",
        )
    )


def read_card(path: Path) -> Card:
    """The card of a tagger's folder.

    Raises
    ------
    TaggerError
        If it is not valid.
    """
    try:
        return Card.model_validate_json((path / _CARD).read_bytes())
    except pydantic.ValidationError as error:
        raise TaggerError(
            explain(
                f"{path / _CARD} is not a valid card: {faults(error)}",
                "a card of this version",
                "save the tagger again",
            )
        ) from error


def read_model(path: Path, card: Card) -> JetModel:
    """The network in a tagger's folder, on the CPU, in the precision it was saved in.

    Raises
    ------
    CheckpointError
        If the weights do not fit the card.
    """
    with torch.random.fork_rng(devices=[]):  # the initial weights are drawn, then replaced
        model = models.build(card.architecture, **models.stored_options(card.architecture, card.options))
    try:
        state = safetensors.torch.load_file(path / _WEIGHTS)
        model.to(next(value.dtype for value in state.values() if value.is_floating_point()))
        model.load_state_dict(state)
    except (OSError, RuntimeError, StopIteration, safetensors.SafetensorError) as error:
        raise CheckpointError(
            explain(
                f"{path / _WEIGHTS}: {error}",
                f"the weights of {card.architecture} with options {card.options}",
                "save the tagger again; a copy may be incomplete",
            )
        ) from error
    if card.content_hash != content_hash(model, card):
        raise CheckpointError(
            explain(
                f"{path}: weights and card do not belong together (hash {content_hash(model, card)[:12]})",
                f"content hash {str(card.content_hash)[:12]}, as in the card",
                "restore the folder from its original; do not edit cards by hand",
            )
        )
    return model


def write(path: Path, model: JetModel, card: Card, overwrite: bool) -> Card:
    """Write a tagger's folder, which appears only when complete; returns the card with its content hash.

    Raises
    ------
    TaggerError
        If the path exists.
    """
    if path.exists() and not overwrite:
        remedy = "choose another, or give overwrite=True (--overwrite)"
        raise TaggerError(explain(f"{path} already exists", "a new folder", remedy))
    if path.exists() and not (path / _CARD).is_file():
        raise TaggerError(explain(f"{path} is not a tagger", "a folder written by Tagger.save", "choose another"))
    card = card.model_copy(update={"content_hash": content_hash(model, card)})
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        made.chmod(0o755)
        state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        safetensors.torch.save_file(state, made / _WEIGHTS)
        (made / _WEIGHTS).chmod(0o644)
        (made / _CARD).write_text(card.model_dump_json(indent=2) + "\n")
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
            path.replace(old)
            made.replace(path)
            shutil.rmtree(old)
        else:
            made.replace(path)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return card


def content_hash(model: JetModel, card: Card) -> str:
    """SHA-256 of the weights (bytes in name order) and of the parts of the card that determine the scores."""
    digest = hashlib.sha256()
    fixed = card.model_dump(mode="json", include={"architecture", "options", "classes", "signal", "contract"})
    digest.update(json.dumps(fixed, sort_keys=True).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
