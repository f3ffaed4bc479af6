"""The order of an epoch of a stream: a function of seed, epoch and the sizes of the row groups alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...array_types import I8, AnyArray

__all__ = ["Block", "StreamOrder"]


@dataclass(frozen=True)
class Block:
    """Jets that are shuffled together.

    Attributes
    ----------
    number : int
        Of the block in its epoch.
    first : int
        Jets of the epoch before it.
    size : int
        Jets in it.
    pieces : ndarray of int
        Its pieces of row groups, in the order in which they are read.
    """

    number: int
    first: int
    size: int
    pieces: I8


class StreamOrder:
    """Row groups in random order, cut into blocks of about `shuffle` jets, each of them in random order.

    Parameters
    ----------
    groups : ndarray of int, shape (P,)
        The row group of each piece, not decreasing: pieces of the same group are read one after the other.
    shuffle : int
        A block has no more jets, unless a single piece has.
    seed : int
        The seed.
    """

    def __init__(self, groups: AnyArray, shuffle: int, seed: int) -> None:
        self._firsts = np.flatnonzero(np.diff(groups, prepend=-1)).astype(np.int64)
        self._ends = np.append(self._firsts[1:], len(groups))
        self._shuffle, self._seed = shuffle, seed

    def blocks(self, epoch: int, sizes: I8) -> list[Block]:
        """The blocks of an epoch in which the pieces have these numbers of jets; those without jets are left out."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._firsts))
        pieces = [k for group in order.tolist() for k in range(self._firsts[group], self._ends[group])]
        found: list[Block] = []
        taken: list[int] = []
        first = size = 0
        for piece in pieces:
            number = int(sizes[piece])
            if taken and size + number > self._shuffle:
                found.append(Block(len(found), first, size, np.asarray(taken)))
                first, size, taken = first + size, 0, []
            if number:
                taken.append(piece)
                size += number
        return [*found, Block(len(found), first, size, np.asarray(taken))] if taken else found

    def shuffled(self, epoch: int, block: Block) -> I8:
        """Order of the jets of a block."""
        return np.random.default_rng([self._seed, epoch, block.number]).permutation(block.size)
