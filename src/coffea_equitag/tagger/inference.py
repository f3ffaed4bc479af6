"""Run a network on any number of jets: in pieces of bounded memory, on all threads; scores depend on neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import awkward as ak
import numpy as np
import torch
import vector
from torch import Tensor

from ..array_types import F8, Floats
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..kernels import last_choice, modules_of

__all__ = [
    "CONSTITUENT_BUDGET",
    "PAIR_BUDGET",
    "VECTORS",
    "default_budget",
    "is_out_of_memory",
    "outputs",
    "pieces",
    "rows",
    "vectors",
]

#: Pairs that layers process at once: few enough for the caches of a core, enough to fill a GPU.
PAIR_BUDGET = {"cpu": 16_384, "cuda": 4_000_000}

#: The same in constituents, for networks that do not see pairs.
CONSTITUENT_BUDGET = {"cpu": 16_384, "cuda": 1_000_000}

#: A CPU kernel works in the caches whatever the piece: so many times more make its calls, Python, count for little.
_KERNEL_FACTOR = 16

#: The same for several threads, at least: in pieces of so many pairs, or constituents, which take longer.
_LEAST_SHARE = {True: 16_384, False: 4_096}

#: As many pieces per thread keep all threads busy to the end.
_PIECES_PER_THREAD = 4

#: The part of a budget that shows whether a kernel runs, while other threads wait.
_FIRST = 1 / 64

#: Output of a network that is not classes -> its components, and vector's name for them.
VECTORS = {"momentum": (("E", "px", "py", "pz"), "Momentum4D"), "vector": (("x", "y", "z"), "Vector3D")}

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


def outputs(model: JetModel, jets: RaggedJets, pair_budget: int | None = None) -> F8:
    """Run a network without gradients, in evaluation mode; see `rows`.

    Returns
    -------
    ndarray of float64, shape (J, K)
        Logits, or components of vectors, one row per jet.
    """
    if jets.num_jets == 0:
        return np.empty((0, {"momentum": 4, "vector": 3}.get(model.output, model.n_classes)))
    return rows(model, model, jets, pair_budget).astype(np.float64, copy=False)


def rows(
    function: Callable[[RaggedJets], Tensor], model: JetModel, jets: RaggedJets, pair_budget: int | None = None
) -> Floats:
    """Run a network, or a part of it, without gradients, in evaluation mode.

    On a CPU each piece is computed by one thread, with as many pieces in parallel as torch may use threads: the outputs
    do not depend on that number. Where the memory, of a GPU or of the machine, does not suffice for a piece, the budget
    is halved.

    Parameters
    ----------
    function : callable
        The network, or a method of it with one row per jet.
    model : JetModel
        The network; its training mode is restored.
    jets : RaggedJets
        The jets, on any device.
    pair_budget : int, optional
        Pairs Σ(n + references)² per piece, default `PAIR_BUDGET`; for networks that do not see pairs, constituents Σn,
        default `CONSTITUENT_BUDGET`. By default kernels of the CPU get larger pieces than layers, as many as keep all
        threads busy.

    Returns
    -------
    ndarray, shape (J, K)
        In the precision of the function's.
    """
    device = model.device
    # set only where it differs: setting it on every layer costs as much as scoring a few jets
    trained = [module for module in modules_of(model) if module.training]
    for module in trained:
        module.training = False

    def of_piece(piece: RaggedJets) -> Floats:
        with torch.inference_mode():
            found: Floats = function(piece.to(device)).cpu().numpy()
        return found

    def within_memory(piece: RaggedJets) -> Floats:
        return np.concatenate(_halving(of_piece, model, piece, budget))

    budget = pair_budget or default_budget(model)
    try:
        if jets.num_jets == 0:
            return of_piece(jets)
        if device.type == "cpu":
            first = next(pieces(model, jets, budget if pair_budget else _first_budget(model, jets, budget)))
            found = _one_thread_each(within_memory, [first])
            if first.num_jets < jets.num_jets:
                rest = jets.slice(first.num_jets, jets.num_jets)
                choice = last_choice(model.kind)
                if pair_budget is None and choice is not None and choice.kernel == "cpu":
                    budget = _kernel_budget(model, rest, budget)
                found += _one_thread_each(within_memory, list(pieces(model, rest, budget)))
        else:
            found = _halving(of_piece, model, jets, budget)
    finally:
        for module in trained:
            module.training = True
    return np.concatenate(found)


def default_budget(model: JetModel) -> int:
    """`PAIR_BUDGET` or `CONSTITUENT_BUDGET` for the network's device."""
    defaults = PAIR_BUDGET if model.sees_pairs else CONSTITUENT_BUDGET
    return defaults.get(model.device.type, defaults["cpu"])


def _first_budget(model: JetModel, jets: RaggedJets, budget: int) -> int:
    """What one thread processes before the others begin: little, if there is anything for them to do."""
    if torch.get_num_threads() == 1 or _cost(model, jets) <= min(budget, _LEAST_SHARE[model.sees_pairs]):
        return budget
    return max(int(_FIRST * budget), 1)


def _kernel_budget(model: JetModel, jets: RaggedJets, layers: int) -> int:
    """What a kernel processes at once, where layers have their budget: an equal share of all jets, within bounds."""
    threads = torch.get_num_threads()
    least = layers if threads == 1 else min(layers, _LEAST_SHARE[model.sees_pairs])
    costs = _costs(model, jets)
    # a piece ends with a whole jet: with room for it in each nothing is left for one more
    share = int(costs.sum()) // (_PIECES_PER_THREAD * threads) + int(costs.max())
    return min(max(share, least), _KERNEL_FACTOR * layers)


def _cost(model: JetModel, jets: RaggedJets) -> int:
    """Pairs or constituents of all jets, of which a budget is a number."""
    return int(_costs(model, jets).sum())


def _costs(model: JetModel, jets: RaggedJets) -> Tensor:
    """Pairs or constituents of each jet."""
    nodes = jets.counts + model.extra_nodes
    return nodes.square() if model.sees_pairs else nodes


def pieces(model: JetModel, jets: RaggedJets, budget: int) -> Iterator[RaggedJets]:
    """Split jets by what the network's cost is proportional to: pairs or constituents."""
    return jets.split(budget, model.extra_nodes, pairs=model.sees_pairs)


def _halving(function: Callable[[RaggedJets], Floats], model: JetModel, jets: RaggedJets, budget: int) -> list[Floats]:
    """Map over pieces of the budget, and halve it whenever the memory does not suffice."""
    found: list[Floats] = []
    done = 0
    while done < jets.num_jets:
        for piece in pieces(model, jets.slice(done, jets.num_jets) if done else jets, budget):
            try:
                found.append(function(piece))
            except (MemoryError, RuntimeError) as error:
                if piece.num_jets == 1 or not is_out_of_memory(error):
                    raise
                budget = _cost(model, piece) // 2
                break
            done += piece.num_jets
        # outside the handler, where the failed attempt's memory is free again
        if model.device.type == "cuda":
            torch.cuda.empty_cache()
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short: of a GPU, or of the machine, for which torch has no class of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error) for words in ("can't allocate memory", "not enough memory", "Unable to allocate")
    )


def _one_thread_each(function: Callable[[_Piece], _Result], pieces: Sequence[_Piece]) -> list[_Result]:
    """Map over pieces with torch.get_num_threads() threads, one piece per thread."""
    threads = torch.get_num_threads()
    if threads == 1:
        return [function(piece) for piece in pieces]
    torch.set_num_threads(1)  # the default of new threads
    try:
        if len(pieces) <= 1:
            return [function(piece) for piece in pieces]
        with ThreadPoolExecutor(min(threads, len(pieces)), thread_name_prefix="equitag") as pool:
            return list(pool.map(function, pieces))
    finally:
        torch.set_num_threads(threads)


def vectors(components: F8, output: str) -> ak.Array:
    """Rows (E, px, py, pz) or (x, y, z) as vector's records."""
    names, kind = VECTORS[output]
    columns = {name: components[:, k].copy() for k, name in enumerate(names)}
    return ak.zip(columns, with_name=kind, behavior=vector.backends.awkward.behavior)
