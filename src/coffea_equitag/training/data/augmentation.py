"""Training jets transformed at random: symmetries that hold only on average, and a detector's uncertainties."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ...array_types import F8
from ...errors import TaggerError, explain
from ...jets.ragged import RaggedJets, boundaries
from ...validation import Strict

__all__ = ["Augmentation", "Augmented"]

#: Components of the impact parameter, which turn with the jet.
_IMPACT = ("ip.x", "ip.y", "ip.z")

#: Columns that mean what they say only beside the beam.
_BESIDE_BEAM = ("d0", "dz", "d0Err", "dzErr")


class Augmented(NamedTuple):
    """Jets after an augmentation.

    Attributes
    ----------
    jets : RaggedJets
        J jets.
    transforms : Tensor of float64, shape (J, 4, 4)
        Lorentz transformation of each jet, for its targets: p' = Λ p, components (E, px, py, pz).
    """

    jets: RaggedJets
    transforms: Tensor


class Augmentation(Strict):
    """What is done to training jets, each time anew, in this order; validation jets stay as they are."""

    drop: float = Field(0.0, ge=0, lt=1, description="Probability to drop a constituent; a jet keeps at least one.")
    smear_energy: float = Field(0.0, ge=0, lt=1, description="Relative width of a factor on each |p|, e.g. 0.05.")
    smear_direction: float = Field(
        0.0, ge=0, lt=1, description="Width of a shift of each constituent in η and in φ, e.g. 0.01."
    )
    rotate_beam: bool = Field(False, description="Rotate each jet about the beam axis, by any angle.")
    rotate: bool = Field(False, description="Rotate each jet by any rotation in space.")
    boost_beam: float = Field(0.0, ge=0, le=10, description="Largest rapidity of a boost of each jet along the beam.")
    boost: float = Field(0.0, ge=0, le=10, description="Largest rapidity of a boost of each jet in any direction.")

    def check(self, fields: tuple[str, ...], output: str = "classes") -> None:
        """Refuse what the constituent columns of a network, or its output, do not bear.

        Raises
        ------
        TaggerError
            For impact parameters under transformations that move the beam, and 3-vectors to be learned under boosts.
        """
        if output == "vector" and (self.boost or self.boost_beam):
            raise TaggerError(
                explain(
                    "augmentation by boosts for a network that returns 3-vectors",
                    "rotations, which 3-vectors follow",
                    "leave the boosts out, or learn four-momenta, with output='momentum'",
                )
            )
        turned = {name: getattr(self, name) for name in ("rotate", "boost_beam", "boost")}
        names = [name for name, value in turned.items() if value]
        bound = [name for name in fields if name in _BESIDE_BEAM or (name in _IMPACT and names != ["rotate"])]
        if names and bound:
            raise TaggerError(
                explain(
                    f"augmentation by {', '.join(names)} for a network that sees {', '.join(bound)}",
                    "transformations under which these keep their meaning",
                    "use rotate_beam, smearing or dropping, or a network without impact parameters",
                )
            )

    def __bool__(self) -> bool:
        return any(self.model_dump().values())

    def __call__(self, jets: RaggedJets, generator: np.random.Generator) -> Augmented:
        """Transform jets.

        Parameters
        ----------
        jets : RaggedJets
            J jets, on the CPU.
        generator : numpy.random.Generator
            Of (seed, epoch, batch), so that the result depends on nothing else.
        """
        before = jets
        if self.drop:
            jets = _with_rows(jets, self._kept(jets, generator))
        if self.smear_energy or self.smear_direction:
            jets = self._smeared(jets, generator)
        if jets is not before:
            # the jet's own four-momentum, which may be calibrated, changes by what its constituents changed
            jets = replace(jets, jet_p4=before.jet_p4 + _sums(jets) - _sums(before))
        transforms = torch.from_numpy(self._transforms(jets.num_jets, generator))
        return Augmented(self._moved(jets, transforms), transforms)

    def _kept(self, jets: RaggedJets, generator: np.random.Generator) -> Tensor:
        """Rows of the constituents that stay: the hardest where chance leaves none."""
        kept = torch.from_numpy(generator.random(len(jets.p4)) >= self.drop)
        owner = _owner(jets)
        none = (torch.bincount(owner[kept], minlength=jets.num_jets) == 0) & (jets.counts > 0)
        if none.any():
            rows = torch.nonzero(none[owner]).flatten()
            pt = torch.hypot(jets.p4[rows, 1], jets.p4[rows, 2])
            # of equally hard ones the first
            rows = rows[torch.argsort(pt, descending=True, stable=True)]
            rows = rows[torch.argsort(owner[rows], stable=True)]
            kept[rows[boundaries(jets.counts[none])[:-1]]] = True
        return torch.nonzero(kept).flatten()

    def _smeared(self, jets: RaggedJets, generator: np.random.Generator) -> RaggedJets:
        """Each constituent's momentum scaled and shifted; its mass stays."""
        number = len(jets.p4)
        x, y, z = jets.p4[:, 1:].numpy().T
        pt, phi = np.hypot(x, y), np.arctan2(y, x)
        eta = np.arcsinh(np.divide(z, pt, out=np.zeros(number), where=pt > 0))
        length = np.sqrt(x * x + y * y + z * z)
        if self.smear_energy:
            length = length * np.maximum(1 + self.smear_energy * generator.standard_normal(number), 0.01)
        if self.smear_direction:
            eta = eta + self.smear_direction * generator.standard_normal(number)
            phi = phi + self.smear_direction * generator.standard_normal(number)
        # along the beam there is no η
        unit = np.where(
            pt > 0, [np.cos(phi) / np.cosh(eta), np.sin(phi) / np.cosh(eta), np.tanh(eta)], [x * 0, x * 0, np.sign(z)]
        )
        momentum = torch.from_numpy(length * unit).T
        energy = torch.sqrt(momentum.square().sum(1) + jets.mass.square())
        p4 = torch.cat([energy[:, None], momentum], dim=1)
        return replace(jets, p4=p4, polar=None if jets.polar is None else _polar(p4))

    def _transforms(self, number: int, generator: np.random.Generator) -> F8:
        """A Lorentz transformation for each jet, shape (J, 4, 4)."""
        total = np.tile(np.eye(4), (number, 1, 1))
        if self.rotate_beam:
            angle = generator.uniform(-np.pi, np.pi, number)
            turn = np.tile(np.eye(4), (number, 1, 1))
            turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
            turn[:, 2, 1] = np.sin(angle)
            turn[:, 1, 2] = -turn[:, 2, 1]
            total = turn @ total
        if self.rotate:
            turn = np.tile(np.eye(4), (number, 1, 1))
            turn[:, 1:, 1:] = _rotations(generator.standard_normal((number, 4)))
            total = turn @ total
        if self.boost_beam:
            axis = np.tile([0.0, 0.0, 1.0], (number, 1))
            total = _boosts(generator.uniform(-self.boost_beam, self.boost_beam, number), axis) @ total
        if self.boost:
            axis = generator.standard_normal((number, 3))
            axis /= np.linalg.norm(axis, axis=1, keepdims=True)
            total = _boosts(generator.uniform(0, self.boost, number), axis) @ total
        return total

    def _moved(self, jets: RaggedJets, transforms: Tensor) -> RaggedJets:
        """Jets under their Lorentz transformations."""
        if not (self.rotate_beam or self.rotate or self.boost_beam or self.boost):
            return jets
        of_row = transforms[_owner(jets)]
        p4 = torch.einsum("nij,nj->ni", of_row, jets.p4)
        columns = dict(jets.columns)
        turned = [name for name in _IMPACT if name in columns]
        if turned:
            impact = torch.stack([columns.get(name, torch.zeros(len(p4))).double() for name in _IMPACT], dim=1)
            impact = torch.einsum("nij,nj->ni", of_row[:, 1:, 1:], impact)
            columns |= {name: impact[:, _IMPACT.index(name)].to(columns[name].dtype) for name in turned}
        return replace(
            jets,
            p4=p4,
            jet_p4=torch.einsum("jik,jk->ji", transforms, jets.jet_p4),
            polar=None if jets.polar is None else _polar(p4),
            columns=columns,
        )


def _owner(jets: RaggedJets) -> Tensor:
    """Jet of each constituent, shape (N,)."""
    return torch.repeat_interleave(torch.arange(jets.num_jets), jets.counts)


def _sums(jets: RaggedJets) -> Tensor:
    return torch.zeros(jets.num_jets, 4, dtype=jets.p4.dtype).index_add_(0, _owner(jets), jets.p4)


def _with_rows(jets: RaggedJets, rows: Tensor) -> RaggedJets:
    counts = torch.bincount(_owner(jets)[rows], minlength=jets.num_jets)
    return replace(
        jets,
        p4=jets.p4[rows],
        mass=jets.mass[rows],
        offsets=boundaries(counts),
        polar=None if jets.polar is None else jets.polar[rows],
        columns={name: column[rows] for name, column in jets.columns.items()},
    )


def _polar(p4: Tensor) -> Tensor:
    """(pT, η, φ) of four-momenta; along the beam, where η is infinite, that of pT = 10⁻³⁰⁰ GeV."""
    pt = torch.hypot(p4[:, 1], p4[:, 2])
    eta = torch.asinh(p4[:, 3] / pt.clamp_min(1e-300))
    return torch.stack([pt, eta, torch.atan2(p4[:, 2], p4[:, 1])], dim=1)


def _rotations(quaternions: F8) -> F8:
    """Rotations of unit quaternions in these directions: uniform if the components are normal; shape (J, 3, 3)."""
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _boosts(rapidity: F8, axis: F8) -> F8:
    """Boosts of these rapidities along unit vectors (J, 3); shape (J, 4, 4)."""
    cosh, sinh = np.cosh(rapidity), np.sinh(rapidity)
    boost = np.tile(np.eye(4), (len(rapidity), 1, 1))
    boost[:, 0, 0] = cosh
    boost[:, 0, 1:] = boost[:, 1:, 0] = sinh[:, None] * axis
    boost[:, 1:, 1:] += (cosh - 1)[:, None, None] * axis[:, :, None] * axis[:, None, :]
    return boost
