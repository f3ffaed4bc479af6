"""What sample is asked for, and its shards, whose random numbers do not depend on who makes them."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from .generator import pythia_module
from .provenance import check_software, provenance
from .recipes import Recipe
from .recipes import recipe as recipe_of
from .shards import Made
from .workers import run_shards

__all__ = ["SHARD", "Progress", "Sample", "check_counts", "shard_sizes", "shuffled_shard"]

#: Jets, or events, a shard: the unit of work and of random numbers.
SHARD = 1000

#: Seeds end here: the largest number that every format keeps.
_MAX_SEED = 2**63 - 1

#: Called with how many jets or events have been made and how many will be.
Progress = Callable[[int, int], None]

# Pythia and fastjet keep global state: one shard at a time in a process, however many threads a Dask worker has.
_ALONE = threading.Lock()


@dataclass(frozen=True)
class Sample:
    """A sample that can be made here.

    Attributes
    ----------
    recipe : Recipe
        With or without the underlying event and the detector, as wanted.
    n, seed : int
        Jets or events, and where their random numbers begin.
    workers : int
        Who makes them: see `run_shards`.
    executor : concurrent.futures.Executor, dask.distributed.Client or None
        Likewise.
    """

    recipe: Recipe
    n: int
    seed: int
    workers: int
    executor: Any

    @classmethod
    def asked(
        cls,
        recipe: str | Recipe,
        n: int,
        seed: int,
        *,
        workers: int,
        mpi: bool,
        particle_level: bool,
        executor: Any,
    ) -> Sample:
        """Take the arguments of `simulate`.

        Raises
        ------
        EquitagError
            If the recipe is unknown, or a number cannot be.
        """
        chosen = recipe_of(recipe) if isinstance(recipe, str) else recipe
        check_counts(n, seed, workers)
        return cls(chosen.variant(mpi=mpi, particle_level=particle_level), n, seed, workers, executor)

    def provenance(self) -> dict[str, Any]:
        """How it is made, here and now.

        Raises
        ------
        EquitagError
            If ``pythia8mc`` is missing.
        """
        pythia_module()
        return provenance(self.recipe, self.n, self.seed, SHARD)

    def shards(
        self, make: Callable[[Recipe, int, int, int], Made], facts: dict[str, Any], progress: Progress | None
    ) -> Iterator[Made]:
        """All shards in order, few of them at once."""
        done, tell = 0, progress or (lambda done, n: None)
        tell(done, self.n)
        work = partial(shuffled_shard, make, facts["versions"], self.recipe, self.seed)
        for _, made in run_shards(work, shard_sizes(self.n), self.workers, self.executor, in_order=True):
            done += len(made.array)
            yield made
            tell(done, self.n)


def check_counts(n: int, seed: int, workers: int) -> None:
    """Refuse numbers that no sample can have.

    Raises
    ------
    JetError
        If one is no whole number, or out of its range.
    """
    for name, value, least, most in (("n", n, 1, None), ("seed", seed, 0, _MAX_SEED), ("workers", workers, 1, None)):
        try:
            possible = least <= operator.index(value) and (most is None or value <= most)
        except TypeError:
            possible = False
        if not possible:
            range_ = f"from {least} on" if most is None else f"from {least} to {most}"
            raise JetError(explain(f"{name} = {value}", f"a whole number {range_}", f"give another {name}"))


def shard_sizes(n: int) -> dict[int, int]:
    """How many jets or events each shard of a sample holds."""
    return {shard: min(SHARD, n - shard * SHARD) for shard in range(-(-n // SHARD))}


def shuffled_shard(
    make: Callable[[Recipe, int, int, int], Made],
    versions: dict[str, str],
    recipe: Recipe,
    seed: int,
    shard: int,
    size: int,
) -> Made:
    """Make a shard, on whatever machine, and shuffle it: its processes come one after the other.

    Raises
    ------
    JetError
        If this machine has other ``versions`` of the software.
    """
    pythia_module()
    check_software(versions)
    with _ALONE:
        made = make(recipe, seed, shard, size)
    order = np.random.default_rng([seed, shard]).permutation(size)
    # vector's behavior holds lambdas, which cannot travel between processes; the records keep their names.
    return Made(ak.Array(ak.to_packed(made.array[order]).layout), made.yields)
