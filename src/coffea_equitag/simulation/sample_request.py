"""A requested sample and its shards, whose random numbers do not depend on where they are made."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..plain_numbers import plain
from .generator import pythia_module
from .provenance import check_software, provenance
from .recipes import SampleRecipe
from .recipes import recipe as recipe_of
from .shards import MakeShard, Shard
from .workers import run_shards

__all__ = ["SHARD", "Progress", "SampleRequest", "check_counts", "shard_sizes", "shuffled_shard"]

#: Jets, or events, per shard: the unit of work and of random numbers.
SHARD = 1000

#: Largest seed: the largest number that every format can store.
_MAX_SEED = 2**63 - 1

#: Called with the number of jets or events made so far, and the total.
Progress = Callable[[int, int], None]

# Pythia and fastjet have global state: one shard at a time per process, however many threads a Dask worker has.
_ALONE = threading.Lock()


@dataclass(frozen=True)
class SampleRequest:
    """A sample to be made.

    Attributes
    ----------
    recipe : SampleRecipe
        With or without the underlying event and the detector, as requested.
    n, seed : int
        Number of jets or events, and seed of their random numbers.
    workers : int
    executor : concurrent.futures.Executor, dask.distributed.Client or None
        What makes them, see `run_shards`.
    """

    recipe: SampleRecipe
    n: int
    seed: int
    workers: int
    executor: Any

    @classmethod
    def of(
        cls,
        recipe: str | SampleRecipe,
        n: int,
        seed: int,
        workers: int,
        executor: Any,
        *,
        mpi: bool,
        particle_level: bool,
    ) -> SampleRequest:
        """Take the arguments of `simulate`.

        Raises
        ------
        EquitagError
            If the recipe is unknown, or a number is impossible.
        """
        chosen = recipe_of(recipe) if isinstance(recipe, str) else recipe
        n, seed, workers = plain([n, seed, workers])
        check_counts(n, seed, workers)
        return cls(chosen.variant(mpi=mpi, particle_level=particle_level), n, seed, workers, executor)

    def provenance(self) -> dict[str, Any]:
        """How it is made, with the software installed here.

        Raises
        ------
        EquitagError
            If ``pythia8mc`` is missing.
        """
        pythia_module()
        return provenance(self.recipe, self.n, self.seed, SHARD)

    def shards(self, make: MakeShard, facts: dict[str, Any], progress: Progress | None) -> Generator[Shard]:
        """All shards in order, few of them in memory at once."""
        done, report = 0, progress or (lambda done, n: None)
        report(done, self.n)
        work = partial(shuffled_shard, make, facts, self.recipe, self.seed)
        # closed, so that its workers end with this call: a traceback would keep them
        with closing(run_shards(work, shard_sizes(self.n), self.workers, self.executor, in_order=True)) as shards:
            for _, made in shards:
                done += len(made.array)
                yield made
                report(done, self.n)


def check_counts(n: int, seed: int, workers: int) -> None:
    """Refuse impossible numbers.

    Raises
    ------
    JetError
        If one is not a whole number, or out of its range.
    """
    for name, value, least, most in (("n", n, 1, None), ("seed", seed, 0, _MAX_SEED), ("workers", workers, 1, None)):
        try:
            possible = least <= operator.index(value) and (most is None or value <= most)
        except TypeError:
            possible = False
        if not possible:
            range_ = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise JetError(explain(f"{name} = {value}", f"a whole number {range_}", f"change {name}"))


def shard_sizes(n: int) -> dict[int, int]:
    """Number of jets or events in each shard of a sample."""
    return {shard: min(SHARD, n - shard * SHARD) for shard in range(-(-n // SHARD))}


def shuffled_shard(
    make: MakeShard,
    facts: dict[str, Any],
    recipe: SampleRecipe,
    seed: int,
    shard: int,
    size: int,
) -> Shard:
    """Make a shard, shuffle it, as its processes come one after the other, and number its events.

    Runs on any machine. The events of a sample are numbered from 1 in their order, over all of its shards.

    Raises
    ------
    JetError
        If the software on this machine has other versions than those in ``facts``.
    """
    pythia_module()
    check_software(facts["versions"])
    with _ALONE:
        made = make(recipe, seed, shard, size)
    order = np.random.default_rng([seed, shard]).permutation(size)
    shuffled = ak.to_packed(made.array[order])
    shuffled["event"] = 1 + facts["shard_size"] * shard + np.arange(size, dtype=np.int64)
    # vector's behavior holds lambdas, which cannot be pickled; the records keep their names
    return Shard(ak.Array(shuffled.layout), made.yields)
