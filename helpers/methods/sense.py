"""SENSE: least squares with coil maps, the linear reconstruction."""

from torch import Tensor

from helpers.mri.conjugate_gradients import conjugate_gradients
from helpers.mri.noise import expected_rss, scale
from helpers.mri.sense import Sense

MU = 0.01  # weight of ||x||^2 / 2, in units of `noise.scale`


def reconstruct(kspace: Tensor, mask: Tensor, mu: float = MU, tolerance: float = 1e-4) -> Tensor:
    """min_x 1/2 ||M F S x - y||^2 + mu/2 ||x||^2 with ESPIRiT maps S.

    The maps have unit norm over the coils, so that |x| is the root of the sum of squares of the coil images S x,
    and `noise.expected_rss` of x, which is returned, that of noisy ones. mu counts in units of `noise.scale` and
    is small beside the operator's norm of 1: it holds back the noise that the inverse amplifies. Gradients reach
    kspace through the solver, with the maps as constants.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool; tolerance:
    see `conjugate_gradients`. Returns (..., y, x) real, in kspace's units. Source: Pruessmann et al., MRM 2001.
    """
    unit = scale(kspace)
    model = Sense.estimated(kspace, mask)
    kspace = kspace / unit[..., None]
    x = conjugate_gradients(lambda x: model.gram(x) + mu * x, model.adjoint(kspace), tolerance)
    return expected_rss(x, kspace, mask) * unit
