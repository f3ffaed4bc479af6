"""How many pairs fit into the free memory."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import TaggerError, explain
from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ..data import LabelledJets
from .batch_statistics import has_batch_norm

__all__ = ["bytes_per_pair", "fitting_budget", "free_memory", "halved", "warn_of_memory"]

#: Most bytes that a forward pass may keep: on a CPU larger tensors are outside malloc's heap, and page faults double
#: the time.
_MOST_KEPT = {"cpu": 1.0e9}

#: Peak memory of the backward pass, in units of what the forward pass keeps.
_PEAK = 2.0

#: Share of the free memory that is used.
_SHARE = 0.5

#: Pairs in the jets that are tried.
_PROBED = 5_000


def fitting_budget(model: JetModel, sample: LabelledJets, device: torch.device, precision: str = "32") -> int | None:
    """Pairs Σ(n + references)² for which forward and backward pass have enough memory: a power of two.

    They use half of the free memory, on a CPU at most 2 GB, judged by what the network keeps for the backward pass
    of a few of the jets. As a power of two, the budget is the same again unless the memory is very different.

    The gradients of pieces add up to that of the batch, so that the result does not depend on the budget, except with
    batch normalisation: its statistics would be those of the pieces. Such a network gets no budget.

    Parameters
    ----------
    model : JetModel
        The network, on the device.
    sample : LabelledJets
        The training jets.
    device : torch.device
        Where it will be trained.
    precision : str
        Precision of the training, as in `fit`.

    Returns
    -------
    int or None
        None for networks that do not see pairs, and for those with batch normalisation: whole batches.
    """
    if not model.sees_pairs or has_batch_norm(model):
        return None
    kept = _SHARE * free_memory(device) / _PEAK
    pairs = min(kept, _MOST_KEPT.get(device.type, kept)) / max(1.0, bytes_per_pair(model, sample, precision))
    return 1 << max(0, int(pairs).bit_length() - 1)


def bytes_per_pair(model: JetModel, sample: LabelledJets, precision: str = "32") -> float:
    """Bytes per pair that a forward pass in training mode keeps for the backward pass; 0 without jets.

    The network is left unchanged.
    """
    jets = sample.select(torch.linspace(0, len(sample.labels) - 1, min(16, len(sample.labels))).long().numpy()).jets
    jets = next(jets.split(_PROBED, model.extra_nodes), jets).to(model.device)
    pairs = int((jets.counts + model.extra_nodes).square().sum())
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # otherwise a later tensor may reuse the address of an earlier one

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    was_training, buffers = model.training, {name: value.clone() for name, value in model.named_buffers()}
    devices = [model.device.index or 0] if model.device.type == "cuda" else []
    try:
        with (
            torch.random.fork_rng(devices=devices),
            torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
            torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=precision != "32"),
        ):
            model.train()(jets)
    finally:
        with torch.no_grad():
            for name, value in model.named_buffers():
                value.copy_(buffers[name])
        model.train(was_training)
    return sum(kept.values()) / pairs if pairs else 0.0


def warn_of_memory(
    model: JetModel, sample: LabelledJets, batch_size: int, device: torch.device, precision: str = "32"
) -> None:
    """Warn where a batch of jets like those of the sample, processed at once, is likely not to fit into the memory."""
    number = len(sample.labels)
    if number == 0 or not model.sees_pairs:
        return
    pairs = float((sample.jets.counts + model.extra_nodes).square().sum()) * batch_size / number
    needed, free = _PEAK * pairs * bytes_per_pair(model, sample, precision), free_memory(device)
    if needed > free:
        warnings.warn(
            explain(
                f"a batch of {batch_size} jets takes about {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free",
                "memory for a batch: batch normalisation takes its statistics from all of it",
                "give all runs that are to be compared the same smaller batch_size or pair_budget",
            ),
            RuntimeWarning,
            stacklevel=2,
        )


def halved(model: JetModel, piece: RaggedJets, budget: int | None, *, alone: bool = True) -> int:
    """A budget for a GPU whose memory did not suffice for a piece: half of it, or half of the piece, with a warning.

    Raises
    ------
    TaggerError
        If the piece is one jet; with batch normalisation, whose statistics would become others; if the process is not
        `alone`, since all have to agree on the pieces.
    """
    pairs = int((piece.counts + model.extra_nodes).square().sum())
    smaller = max(1, min(budget or pairs, pairs) // 2)
    if piece.num_jets == 1:
        raise TaggerError(
            explain(
                f"the GPU's memory does not suffice to train on one jet of {int(piece.counts[0])} constituents",
                "more free memory, or smaller jets",
                "end other programs on the GPU, keep only the hardest constituents of each jet (max_constituents=...), "
                "or train with device='cpu'",
            )
        )
    if has_batch_norm(model) or not alone:
        raise TaggerError(
            explain(
                f"the GPU's memory does not suffice for {pairs} pairs at once",
                "memory for a piece of a batch, whose size must stay the same: batch normalisation takes its "
                "statistics from all of it, and processes that train together have to agree on it",
                f"end other programs on the GPU, or begin again with pair_budget={smaller}, the same for all runs that "
                "are to be compared",
            )
        )
    warnings.warn(
        f"the GPU's memory does not suffice for {pairs} pairs: continuing with {smaller}", RuntimeWarning, stacklevel=3
    )
    if piece.device.type == "cuda":
        torch.cuda.empty_cache()
    return smaller


def free_memory(device: torch.device) -> float:
    """Free bytes on a device: as the GPU reports, or the lesser of the system's and the batch system's limit."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    free = min((value for value in (_available(), *_group_limits()) if value is not None), default=None)
    if free is not None:
        return free
    names: Any = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in names else "SC_PHYS_PAGES"
    return float(os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")) if pages in names else 4.0e9


def _available() -> float | None:
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE)
    return None if found is None else 1024.0 * int(found.group(1))


def _group_limits(root: Path = Path("/sys/fs/cgroup")) -> list[float]:
    """Free bytes under the limits of control groups, as batch systems and containers set them."""
    found = []
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            found.append(max(0.0, float((root / limit).read_text()) - float((root / used).read_text())))
        except (OSError, ValueError):  # none, or "max"
            continue
    return found
