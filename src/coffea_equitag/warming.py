"""Networks compiled beforehand: for batch workers, and in images that others use without writing to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

from . import kernels, models
from .benchmarking.workloads import Workload, random_jets
from .code_cache import cached_files
from .jet_model import JetModel
from .tagger import load
from .worker_processes import processes

__all__ = ["Warmed", "warmup"]

#: Few jets with few constituents: what they are does not matter.
_JETS = Workload("small", 6, 1), 2


@dataclass(frozen=True)
class Warmed:
    """A network that has been called.

    Attributes
    ----------
    model : str
        As it was given.
    seconds : float
        What compiling and the self-check took.
    kernel : str
        What runs on this machine, and why.
    files : tuple of Path
        All compiled code that this process knows of.
    """

    model: str
    seconds: float
    kernel: str
    files: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(path.stat().st_size for path in self.files if path.exists())


def warmup(taggers: Sequence[str] = (), *, training: bool = False, workers: int = 1) -> Iterator[Warmed]:
    """Compile networks, and check their kernels, so that the next process finds it done.

    Parameters
    ----------
    taggers : sequence of str, optional
        Models, folders of trained taggers or names in the zoo; default all models.
    training : bool
        Also for training.
    workers : int
        Networks at a time, each in a process of its own.

    Yields
    ------
    Warmed
        Each network, in the order given.

    Raises
    ------
    TaggerError
        If there is no such model or tagger.
    """
    wanted = list(taggers) or list(models.names())
    if workers <= 1 or len(wanted) == 1:
        yield from (_warm(name, training) for name in wanted)
        return
    with processes(min(workers, len(wanted)), threads=1) as pool:
        yield from pool.map(_warm, wanted, [training] * len(wanted))


def _warm(name: str, training: bool) -> Warmed:
    model: JetModel = models.build(name) if name in models.names() else load(name).model
    jets, begun = random_jets(*_JETS, model.fields), perf_counter()
    for _ in range(2):  # the second call also finds the weights to be those of the first
        with torch.inference_mode():
            model.eval()(jets)
        if training:
            torch.autograd.backward(model.train()(jets).sum())
    choice = kernels.last_choice(model.kind)
    return Warmed(name, perf_counter() - begun, str(choice or "its layers"), tuple(cached_files()))
