"""The authors' LorentzGroupNetwork.

The official code stores each irrep (k, n) in a spherical basis and multiplies with Clebsch-Gordan (CG) coefficients;
ours stores Cartesian tensors and multiplies them in the usual way. Both are linear maps between the same irreps, so by
Schur's lemma each official product is a number times ours, which is absorbed into the weights of its channels.

*The numbers.* CG coefficients are orthonormal: summed over orthonormal bases of both factors, the squared norm of a
product is the dimension of the result. This fixes the magnitude. E.g. for S·v → v', Σ |S_a e_b|² = Σ ‖S_a‖² = 9 with
our basis of 9 matrices of norm 1, and the result has dimension 4: 2/3. For v·w it is √(1/4), and for v∧w = vw − wv,
whose two halves contribute 3 of 12 each, it is ½. The signs follow from the Condon-Shortley phases once the bases are
identified; we identify them through CG products of two vectors, so that these have a plus sign.

*Duality.* (2, 0) and (0, 2) are F± = ½(F ∓ i⋆F), with ⋆F± = ±iF±. A product of (2, 0) or (0, 2) with another tensor is
therefore ½(X ∓ iX_⋆), where X is our product with F and X_⋆ that with ⋆F. If the result is F, weights W± of its two
parts become W F + W' ⋆F with W = ½(W₊ + W₋), W' = −½i(W₊ − W₋).

*Unity.* The official p⁰ is not 1 but 1 + i (ones in both halves of the pair); this is absorbed into the linear layer of
the bells. With ``pmu-in``, the momenta that go in as features have real scalars instead.

*Squares.* The official p² (``max-zf 2``) is √(4/3) times the product of p with itself, hence times our p ⊗ p traceless.

*Order.* Official channels follow the order of a Python set of the irreps' tuples, which CPython has kept since 3.8; the
scalars move to the end after the perceptron of each level, if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import sqrt

import torch
from torch import Tensor

from ..errors import CheckpointError, explain
from ..layers.lgn_level import level_sources
from .lgn_options import (
    INPUT,
    LEVEL,
    NAMES,
    ORDER,
    OUTPUT,
    Irrep,
    dim_of,
    has_perceptrons,
    irrep_of,
    irreps_by_level,
    names_of,
    options,
    perceptron_depth,
)
from .state_dict import StateDict

__all__ = ["translate"]

#: The official square of a momentum relative to ours.
_SQUARE = sqrt(4 / 3)

#: Magnitude and sign of the official product relative to ours, by (left, right, result); 1 if one factor is a scalar.
_FACTOR = {
    ("v", "v", "s"): 1 / 2,
    ("F", "F", "s"): 1 / sqrt(3),
    ("S", "S", "s"): 1 / 3,
    ("F", "v", "v"): -2 / sqrt(3),
    ("v", "F", "v"): 2 / sqrt(3),
    ("S", "v", "v"): 2 / 3,
    ("v", "S", "v"): 2 / 3,
    ("v", "v", "F"): 1 / 2,
    ("F", "F", "F"): -1 / sqrt(2),
    ("S", "S", "F"): 1 / sqrt(6),
    ("S", "F", "F"): -1 / sqrt(3),
    ("F", "S", "F"): -1 / sqrt(3),
    ("v", "v", "S"): 1.0,
    ("F", "F", "S"): 2.0,
    ("S", "S", "S"): 1.0,
    ("S", "F", "S"): -1 / sqrt(2),
    ("F", "S", "S"): -1 / sqrt(2),
}


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours and express the mixing weights for Cartesian products.

    Raises
    ------
    CheckpointError
        If it is not a checkpoint of the official code, or some of its weights are missing.
    """
    try:
        return _translate(state)
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            explain(
                f"a checkpoint that is not LGN's, or only a part of one ({type(error).__name__}: {error})",
                "the state dict of the official LGNTopTag with its perceptrons and linear output",
                "save model.state_dict() of the whole model",
            )
        ) from error


def _translate(state: StateDict) -> StateDict:
    renamed: StateDict = {}
    unused = int(has_perceptrons(state) and perceptron_depth(state) == 0)
    for key, value in state.items():
        if found := re.fullmatch(r"rad_funcs\.rad_funcs\.(\d+)\.([abc])", key):
            renamed[f"levels.{found[1]}.bells.{found[2]}"] = value.flatten()
        elif found := re.fullmatch(r"rad_funcs\.rad_funcs\.(\d+)\.linear\.(\d)\.(\w+)", key):
            power = "svS"[int(found[2])]
            renamed[f"levels.{found[1]}.bells.linear.{power}.{found[3]}"] = (
                _one_plus_i(value) if power == "s" else value
            )
        elif found := re.fullmatch(r"lgn_cg\.mlp_levels\.(\d+)\.linear\.(\d+)\.(\w+)", key):
            layer = int(found[2]) - unused
            if layer >= 0:
                renamed[f"levels.{found[1]}.mlp.{2 * layer}.{found[3]}"] = value
        elif found := re.fullmatch(r"input_func_atom\.lin\.(\w+)", key):
            renamed[f"input.{found[1]}"] = value
        elif key.startswith(INPUT + "weights."):
            name = NAMES[irrep_of(key)]
            renamed[f"input.weight.{name}"] = value * (_SQUARE if name == "S" else 1.0)
        elif found := re.fullmatch(r"output_layer_atom\.mlp([12])\.linear\.([01])\.(\w+)", key):
            renamed[f"head.of_{('nodes', 'jets')[int(found[1]) - 1]}.{2 * int(found[2])}.{found[3]}"] = value
        elif not key.startswith(("lgn_cg.atom_levels.", OUTPUT)):
            renamed[key] = value
    known = options(state)
    history = irreps_by_level(state)
    for level in range(known["levels"]):
        prefix = LEVEL.format(level)
        weights = {irrep_of(key): value for key, value in state.items() if key.startswith(prefix)}
        mixing = _mixing(weights, history[level], known["max_zf"])
        renamed |= {f"levels.{level}.mixing.weight.{k}": v for k, v in mixing.items()}
    if known["top"] == "linear":
        weight = state[f"{OUTPUT}lin.weight"]
        renamed["head.weight"] = _head(weight, history, known["channels"], known["full_scalars"])
        renamed["head.bias"] = state[f"{OUTPUT}lin.bias"]
    return renamed


def _one_plus_i(value: Tensor) -> Tensor:
    """Multiply rows (Re, Im, Re, Im, ...) by 1 + i."""
    pairs = torch.unflatten(value, 0, (-1, 2))
    return torch.stack([pairs[:, 0] - pairs[:, 1], pairs[:, 0] + pairs[:, 1]], dim=1).flatten(0, 1)


def _mixing(weights: dict[Irrep, Tensor], order: list[Irrep], max_zf: int) -> StateDict:
    """Mixing weights (2, out, in) of the Cartesian tensors from those of the irreps."""
    keep = names_of(weights)
    blocks = {irrep: list(_blocks(irrep, order, dim_of(weights), max_zf)) for irrep in weights}
    channels = weights[0, 0].shape[2] // len(blocks[0, 0])
    sources = level_sources(names_of(order), keep, max_zf)
    ours = {}
    for name in keep:
        for key in ("F", "dual") if name == "F" else (name,):
            shape = (weights[0, 0].shape[1], channels * len(sources[name]))
            ours[key] = torch.zeros(shape, dtype=torch.complex128)
    for irrep, weight in weights.items():
        name = NAMES[irrep]
        pieces = torch.split(torch.complex(*weight.double()), channels, dim=1)
        for (stage, left, right), piece in zip(blocks[irrep], pieces, strict=True):
            for product, number in _terms(stage, left, right, irrep):
                at = channels * sources[name].index(f"{stage} {product}")
                chosen = slice(at, at + channels)
                if name == "F":
                    ours["F"][:, chosen] += 0.5 * number * piece
                    ours["dual"][:, chosen] += -0.5j * _chirality(irrep) * number * piece
                else:
                    ours[name][:, chosen] += number * piece
    like = weights[0, 0]
    return {key: torch.stack([value.real, value.imag]).to(like) for key, value in ours.items()}


def _blocks(out: Irrep, order: list[Irrep], dim: int, max_zf: int) -> Iterator[tuple[str, Irrep, Irrep | None]]:
    """Blocks of channels of one irrep in the official order: (stage, left, right)."""
    for left in order:
        for right in ((power, power) for power in range(max_zf + 1)):
            if out in _results(left, right, dim):
                yield "pair", left, right
    if out in order:
        yield "own", out, None
    for left in order:
        for right in order:
            if out in _results(left, right, dim):
                yield "square", left, right


def _results(left: Irrep, right: Irrep, dim: int) -> set[Irrep]:
    """The irreps contained in a product; none if a factor is itself beyond `dim`."""
    if max(*left, *right) >= dim:
        return set()
    ranges = [range(abs(a - b), min(a + b, dim - 1) + 1, 2) for a, b in zip(left, right, strict=True)]
    return {(k, n) for k in ranges[0] for n in ranges[1]}


def _chirality(irrep: Irrep) -> int:
    """+1 for (2, 0), −1 for (0, 2), 0 for the others."""
    return (irrep[0] - irrep[1]) // 2


def _terms(stage: str, left: Irrep, right: Irrep | None, out: Irrep) -> list[tuple[str, complex]]:
    """An official block as a sum of ours: names and coefficients."""
    if right is None or (stage == "pair" and right == (0, 0)):
        return [(NAMES[left], 1.0)]
    a, b, c = NAMES[left], NAMES[right], NAMES[out]
    factor = 1.0 if "s" in (a, b) else _FACTOR[a, b, c]
    if stage == "pair" and b == "S":
        factor *= _SQUARE
    if c == "F" or "F" not in (a, b) or "s" in (a, b):
        return [(a + b, factor)]
    starred, sign = (f"{a}*{b}", _chirality(right)) if b == "F" else (f"*{a}{b}", _chirality(left))
    return [(a + b, 0.5 * factor), (starred, -0.5j * sign * factor)]


def _head(weight: Tensor, history: list[list[Irrep]], channels: Sequence[int], full_scalars: bool) -> Tensor:
    """Columns (Re, Im) of the classifier, level by level: scalars, v·v, F:F, F:⋆F, S:S."""
    columns = list(torch.unflatten(weight, 1, (-1, 2)).unbind(1))
    found: dict[tuple[int, Irrep], list[Tensor]] = {}
    for irrep in ORDER[-1:] + ORDER[:-1] * full_scalars:
        for level, order in enumerate(history):
            if irrep in order:
                found[level, irrep] = [columns.pop(0) for _ in range(channels[level])]
    ours: list[Tensor] = []
    for level in range(len(history)):
        ours += found[level, (0, 0)]
        ours += found.get((level, (1, 1)), [])
        plus, minus = found.get((level, (2, 0)), []), found.get((level, (0, 2)), [])
        # Re and Im of ½(A ∓ iB), A = F:F and B = F:⋆F
        ours += [0.5 * (p + m) for p, m in zip(plus, minus, strict=True)]
        ours += [0.5 * torch.stack([m[:, 1] - p[:, 1], p[:, 0] - m[:, 0]], 1) for p, m in zip(plus, minus, strict=True)]
        ours += found.get((level, (2, 2)), [])
    return torch.stack(ours, dim=1).flatten(1)
