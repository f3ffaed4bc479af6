"""`train`: runs of a configuration, from files to taggers."""

from __future__ import annotations

from typing import Any

import awkward as ak
import torch

from ..jet_model import JetModel
from ..models import build
from ..readers import JetStream, read_jets, stream
from ..tagger import Tagger
from .fitting import fit_options
from .run_config import RunConfig

__all__ = ["train", "untrained"]


def train(config: RunConfig, *, progress: bool = True, resume: bool = True) -> list[Tagger]:
    """Train what a configuration describes: one tagger, or one for each of its seeds.

    The seed also determines the network's first weights.

    Parameters
    ----------
    config : RunConfig
        The configuration; each run's folder keeps it, complete, as ``config.yaml``.
    progress, resume : bool
        As in `fit`.

    Returns
    -------
    list of Tagger
        Of the best epoch of each run.

    Raises
    ------
    JetError
        For files that cannot be read, and jets or labels that cannot be trained on.
    TaggerError
        As `fit`.
    """
    jets, validation = _jets(config, config.data), config.validation
    held_out: Any = validation if isinstance(validation, float) else _jets(config, validation)
    return [_train(one, jets, held_out, progress, resume) for one in config.repeats()]


def _jets(config: RunConfig, files: tuple[str, ...]) -> ak.Array | JetStream:
    """Jets in memory, or a stream of them."""
    if config.shuffle is None:
        return read_jets(list(files), jets=config.jets)
    return stream(files, jets=config.jets, shuffle=config.shuffle, workers=config.workers)


def untrained(config: RunConfig) -> JetModel:
    """The network of a configuration with its first weights.

    Raises
    ------
    TaggerError
        If it has no such options.
    """
    options = dict(config.options)
    if (classes := config.with_classes(config.labels, 0).classes) is not None:
        options.setdefault("n_classes", len(classes))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(config.seed)
        return build(config.model, **options)


def _train(config: RunConfig, jets: Any, validation: Any, progress: bool, resume: bool) -> Tagger:
    return fit_options(
        untrained(config),
        jets,
        config.labels,
        config,
        validation=validation,
        out=config.output,
        device=config.device,
        progress=progress,
        resume=resume,
        save_every=config.save_every,
        data=", ".join(config.data),
        config=config.to_yaml(),
        time_limit=config.time_limit,
        loggers=config.loggers,
        log_every=config.log_every,
    )
