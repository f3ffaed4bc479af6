"""``equitag warmup``: compile beforehand, for workers and container images."""

from __future__ import annotations

import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="models, folders of trained taggers or names in the zoo (default: all models)",
    )
    parser.add_argument("--training", action="store_true", help="also what training needs")
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="networks compiled at a time (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compile, and print where the code is and how large."""
    import os

    from ..warming import warmup

    files = set()
    for found in warmup(arguments.models, training=arguments.training, workers=arguments.threads):
        print(f"{found.model}: {found.seconds:.1f} s, {found.kernel}", flush=True)
        files |= set(found.files)
    if not files:
        print("compiled code cannot be kept here: set NUMBA_CACHE_DIR to a folder that can be written")
        return 1
    size = sum(path.stat().st_size for path in files)
    folder = os.path.commonpath([path.parent for path in files])
    print(f"{len(files)} files of compiled code, {size / 1e6:.0f} MB, in {folder}")
    return 0
