"""Perturbations that change the image in one place: what a small thing there would add to the measurement."""

from dataclasses import dataclass

from torch import Tensor

from helpers.attacks.threat import Threat
from helpers.mri.conjugate_gradients import conjugate_gradients
from helpers.mri.sense import Sense


@dataclass(frozen=True)
class RegionThreat(Threat):
    """The rules of `Threat`, with e = A R d only: the measurement of an image d that is zero outside a region.

    sense: A, with the coil maps of the clean measurement, which the perturbation may not move; region: R, (y, x) bool
    on the full grid. Attacks that step keep to it (APGD, PGD, black box, joint), since they move e by `allowed` alone;
    what is known of other rules, as the worst for SENSE, does not.
    """

    sense: Sense
    region: Tensor

    def allowed(self, e: Tensor) -> Tensor:
        """The closest e of that kind, A R d with (R A^H A R) d = R A^H e, by conjugate gradients."""

        def gram(d: Tensor) -> Tensor:
            return self.region * self.sense.gram(self.region * d)

        return self.sense.forward(conjugate_gradients(gram, self.region * self.sense.adjoint(e), tolerance=1e-5))
