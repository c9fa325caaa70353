"""SENSE in closed form: row by row the inverse of its normal equations, by which every feature's image is known."""

import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.methods.sense import MU
from helpers.mri.sense import Sense


class ClosedForm:
    """|x| with x = (A^H A + mu)^-1 A^H y, for the maps of one measurement: y (coil, ky, kx) to (y, x).

    Under a mask along kx A^H A mixes the pixels of a row alone. The coil images are weighted by the maps and convolved
    along the row: with c the inverse Fourier transform of the mask, row r of A^H A is
    G_r[i, j] = c[i - j] sum_coils conj(S)[r, i] S[r, j], and is inverted as it is. The image is linear in y but for its
    magnitude, and features in different rows do not see each other. BadInput for a mask of points.
    """

    def __init__(self, sense: Sense, mu: float = MU):
        if not sense.columns:
            raise BadInput("SENSE has a closed form where whole columns are measured, not under a mask of points")
        self.sense = sense
        columns = sense.maps.shape[-1]
        place = torch.arange(columns, device=sense.maps.device)
        c = torch.fft.ifft(sense.shifted_mask.flatten())[(place[:, None] - place) % columns]
        coils = torch.einsum("cri,crj->rij", sense.maps.conj(), sense.maps)
        self.inverse = torch.linalg.inv((c * coils).to(torch.cdouble) + mu * torch.eye(columns, device=place.device))

    @classmethod
    def of(cls, kspace: Tensor, mask: Tensor) -> "ClosedForm":
        """With the maps that method `sense` takes for this measurement."""
        return cls(Sense.estimated(kspace, mask))

    def __call__(self, kspace: Tensor, mask: Tensor | None = None) -> Tensor:
        right = self.sense.adjoint(kspace)
        return torch.einsum("rij,rj->ri", self.inverse, right.to(self.inverse)).to(right).abs()
