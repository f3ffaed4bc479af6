"""A tagger's folder: ``model.safetensors`` and ``card.json``, tied together by a hash.

The weights of a tagger that replaces another one lie first under a name with their hash, ``.model.<hash>.safetensors``.
The new card then takes the place of the old one, which decides which tagger the folder holds, and at last the weights
get their name. So a reader finds the old or the new tagger, whole, whenever it looks and wherever the writer is killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import pydantic
import safetensors.torch
import torch
from torch import Tensor

from .. import models, zoo
from ..atomic_file import flush, write_atomic
from ..errors import CheckpointError, TaggerError, TaggerWarning, explain
from ..jet_model import AUXILIARY, JetModel
from ..layers.constituent_heads import add_heads
from ..reading import read_bytes, reading
from ..temporary_files import folder_lock, remove_stale, temporary_folder
from ..validation import faults
from .archive import is_archive, unpacked
from .card import Card
from .weights import read_weights

__all__ = ["content_hash", "find", "read", "read_card", "stamp", "verified_card", "write"]

_WEIGHTS, _CARD = "model.safetensors", "card.json"

#: Bytes of the largest card that is read; a usual one has 2000.
_LARGEST_CARD = 1_000_000

_SAVE_AGAIN = "save the tagger again; a copy may be incomplete"

#: How often a folder is read again that was replaced meanwhile.
_TRIES = 20


def find(source: str | os.PathLike[str]) -> Path:
    """The folder of a tagger, given by its path, that of its training run or archive, an address, or a zoo's name.

    A string that is a name from the zoo means the zoo, whatever the current folder holds; a folder of that name is
    given as ``"./name"`` or as a `Path`.

    Raises
    ------
    TaggerError
        If there is none.
    """
    if is_archive(source):
        return unpacked(source)
    path = Path(source)
    if isinstance(source, str) and source in zoo.names():
        if _tagger_in(path) is not None:
            message = f"'{source}' is the tagger from the zoo; the folder {path.resolve()} is './{source}'"
            warnings.warn(message, TaggerWarning, stacklevel=3)
        return zoo.path(source)
    found = _tagger_in(path)
    if found is not None:
        return found
    raise TaggerError(
        explain(
            f"no tagger at {path} ({'a folder without ' + _CARD if path.is_dir() else 'no such folder'})",
            f"a folder with {_CARD} and {_WEIGHTS}, or a name from the zoo: {', '.join(zoo.names()) or '(empty)'}",
            "check the path, or train one with coffea_equitag.fit",
        )
    )


def _tagger_in(path: Path) -> Path | None:
    """A tagger's folder, or that in the folder of a training run."""
    return next((folder for folder in (path, path / "tagger") if (folder / _CARD).is_file()), None)


def read_card(path: Path) -> Card:
    """The card of a tagger's folder.

    Raises
    ------
    TaggerError
        If it is not valid.
    """
    try:
        with reading(path / _CARD, "a card", TaggerError):
            content = read_bytes(path / _CARD, most=_LARGEST_CARD)
        return Card.model_validate_json(content)
    except pydantic.ValidationError as error:
        raise TaggerError(
            explain(
                f"{path / _CARD} is not a valid card: {faults(error)}",
                "a card of this version",
                "save the tagger again",
            )
        ) from error


def stamp(path: Path) -> tuple[tuple[int, ...], ...]:
    """What tells whether the files of a tagger have changed since they were last read."""
    files = [file.stat() for name in (_CARD, _WEIGHTS) if (file := path / name).is_file()]
    return tuple((file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns) for file in files)


def verified_card(path: Path) -> Card:
    """The card of a tagger's folder, after a check that its hash is that of the weights.

    Raises
    ------
    TaggerError, CheckpointError
        As for `read`.
    """
    return _verified(path)[0]


def read(path: Path) -> tuple[Card, JetModel]:
    """Card and network of a tagger's folder, on the CPU, in the precision it was saved in.

    Raises
    ------
    TaggerError
        If the card is not valid.
    CheckpointError
        If the weights do not fit the card.
    """
    card, state = _verified(path)
    with torch.random.fork_rng(devices=[]):  # the initial weights are drawn, then replaced
        size = models.SizeLimit(len(state), sum(value.numel() for value in state.values()))
        with reading(path / _CARD, "a card", TaggerError):
            options = models.stored_options(card.architecture, card.options)
            model = models.build_within(size, card.architecture, options)
    try:
        if card.auxiliary:
            width = state[f"{AUXILIARY}.{next(iter(card.auxiliary))}.0.weight"].numel()
            add_heads(model, {name: len(classes) for name, classes in card.auxiliary.items()}, width)
        model.to(next(value.dtype for value in state.values() if value.is_floating_point()))
        model.load_state_dict(state)
    except (KeyError, RuntimeError, StopIteration) as error:
        raise _damaged(path, card, error) from error
    if card.training is None and model.options.get("pid_times_mass") and "pid_times_mass" not in card.options:
        message = explain(
            f"{path}, saved by version 0.1 with pid=True, multiplies its one-hot by ψ(mass), as version 0.1 did",
            "a network that was trained so: an official checkpoint was not, and scores wrongly",
            "convert an official checkpoint again; a network of your own scores as it was trained",
        )
        warnings.warn(message, TaggerWarning, stacklevel=3)
    return card, model


def _verified(path: Path) -> tuple[Card, dict[str, Tensor]]:
    """Card and weights that belong together; if the tagger is replaced in between, the new ones."""
    for _ in range(_TRIES):
        before = stamp(path)
        card = read_card(path)
        try:
            return card, _weights(path, card)
        except TaggerError:
            # not the content: the card may have been replaced twice, and be the same again
            if stamp(path) == before:
                raise
    return card, _weights(path, card)


def _weights(path: Path, card: Card) -> dict[str, Tensor]:
    with reading(path / _WEIGHTS, f"the weights of {card.architecture}", CheckpointError, _SAVE_AGAIN):
        try:
            state = read_weights(_pending(path, card), card)
        except FileNotFoundError:
            state = read_weights(path / _WEIGHTS, card)
    found = _digest(state, card)
    if card.content_hash != found:
        raise CheckpointError(
            explain(
                f"{path}: weights and card do not belong together (hash {found[:12]})",
                f"content hash {str(card.content_hash)[:12]}, as in the card",
                "restore the folder from its original; do not edit cards by hand",
            )
        )
    return state


def _damaged(path: Path, card: Card, error: Exception) -> CheckpointError:
    return CheckpointError(
        explain(
            f"{path / _WEIGHTS}: {error}",
            f"the weights of {card.architecture} with options {card.options}",
            _SAVE_AGAIN,
        )
    )


def _pending(path: Path, card: Card) -> Path:
    """Name of the weights of a card until they replace the former ones."""
    return path / f".model.{str(card.content_hash)[:16]}.safetensors"


def write(path: Path, model: JetModel, card: Card, overwrite: bool) -> Card:
    """Write a tagger's folder, which appears only when complete; returns the card with its content hash.

    Raises
    ------
    TaggerError
        If the path exists.
    OSError
        If the disk is full; a former tagger stays as it was.
    """
    if path.exists() and not overwrite:
        raise _exists(path)
    if path.exists() and not (path / _CARD).is_file():
        raise TaggerError(explain(f"{path} is not a tagger", "a folder written by Tagger.save", "choose another"))
    try:
        card = Card.model_validate(card.model_dump())  # copies of cards are not checked
    except pydantic.ValidationError as error:
        raise TaggerError(explain(f"a card with {faults(error)}", "a valid card", "correct these fields")) from error
    card = card.model_copy(update={"content_hash": content_hash(model, card)})
    state = {name: value.detach().cpu().contiguous() for name, value in _state(model, card).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path.parent)
    if path.exists():
        with folder_lock(path):
            _replace(path, state, card)
    else:
        with temporary_folder(path) as made:
            _save(state, made / _WEIGHTS)
            write_atomic(made / _CARD, _text(card))
            try:
                made.rename(path)
            except OSError as error:
                raise (_exists(path) if path.exists() else error) from error
        flush(path.parent)
    return card


def _exists(path: Path) -> TaggerError:
    remedy = "choose another, or give overwrite=True (--overwrite)"
    return TaggerError(explain(f"{path} already exists", "a new folder", remedy))


def _replace(path: Path, state: Mapping[str, Tensor], card: Card) -> None:
    """Write a tagger in place of another one; see the head of this file."""
    pending = _pending(path, card)
    remove_stale(path)
    _save(state, pending)
    write_atomic(path / _CARD, _text(card))
    os.replace(pending, path / _WEIGHTS)
    flush(path)
    for former in path.glob(".model.*.safetensors"):
        former.unlink(missing_ok=True)


def _save(state: Mapping[str, Tensor], path: Path) -> None:
    # safetensors' own files can be read by their owner alone, whatever the umask
    write_atomic(path, safetensors.torch.save(dict(state)))


def _text(card: Card) -> bytes:
    return (card.model_dump_json(indent=2) + "\n").encode()


def content_hash(model: JetModel, card: Card) -> str:
    """SHA-256 of the weights (bytes in name order) and of the parts of the card that determine the scores."""
    return _digest(_state(model, card), card)


def _state(model: JetModel, card: Card) -> dict[str, Tensor]:
    """The weights, those of auxiliary heads only if the card names them."""
    state: dict[str, Tensor] = model.state_dict()
    prefix = f"{AUXILIARY}."
    return {name: value for name, value in state.items() if card.auxiliary or not name.startswith(prefix)}


def _digest(state: Mapping[str, Tensor], card: Card) -> str:
    digest = hashlib.sha256()
    fixed = card.model_dump(include={"architecture", "options", "classes", "signal", "contract"})
    # cards that were written before there were these keep their hash
    if card.temperature != 1:
        fixed["temperature"] = card.temperature
    if card.contract.max_constituents is None:
        del fixed["contract"]["max_constituents"]
    digest.update(json.dumps(fixed, sort_keys=True, allow_nan=False).encode())
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        # bytes, because NumPy lacks some of torch's types
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
