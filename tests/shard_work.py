"""Work for the workers in tests: an importable module, so that other processes find it."""

import os

from coffea_equitag.errors import JetError


def size(shard, size):
    return shard, size


def die(shard, size):
    os._exit(3)


def refuse(shard, size):
    raise JetError(f"shard {shard} refused")


def fail(shard, size):
    raise ZeroDivisionError("worker's own")
