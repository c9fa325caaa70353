"""The gradient of a loss through a finished fit, by the implicit function theorem: no step of the fit is kept."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.mri.conjugate_gradients import conjugate_gradients
from helpers.mri.fourier import fft2c, ifft2c
from helpers.untrained.fit import Fitting

DAMPING = 1e-3  # of the largest eigenvalue: what descent learns slower than that, it has not learned when it stops
STEPS = 10  # of the linear solve
POWER = 5  # iterations that find the largest eigenvalue
TOLERANCE = 0.01  # of the preconditioner, relative; the last step, which has small eigenvalues, has a thousandth


def implicit_gradient(
    fitting: Fitting,
    generated: Tensor,
    loss: Callable[[Tensor], Tensor],
    late: float = 0.0,
    damping: float = DAMPING,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
) -> Tensor:
    """The slope in y of a loss L of the image that a fit to y gives, less `late` times its held-out loss.

    The last step x = (A^H A + w)^-1 (A^H y + w G) is differentiated exactly, with G the image that was fitted:

        g_x = dL/dx,   q = (A^H A + w)^-1 g_x,   directly: d = A q,   through G: u = w q.

    Weights at which the fit stands still, but for a spring to where they were, have J^T P (A^H A G - A^H y) = 0, with
    J = dG / d theta and P = (A^H A + mu)^-1, if the curvature of G is left out (Gauss-Newton). Differentiated,

        (J^T N J + damping tau D) v = J^T u,   N = P A^H A,   p = A P J v,   dL/dy = d + p,

    in the metric D of Adam; tau: largest eigenvalue of D^-1 J^T N J. Solved by so many steps of conjugate gradients,
    preconditioned by D^-1. A fit ends where its held-out loss h = ||B G - y||^2 / ||y||^2, of the lines of B, is
    lowest, and hides what it would do later; where that is in the way, L - late h is climbed instead:

        r = 2 (B G - y) / ||y||^2,   u = w q - late B^H r,   d = A q + late r.

    fitting: at the step that was kept, of the SENSE form with w > 0, one measurement; generated: G, (y, x) complex, as
    averaged; loss: of the reconstruction, (y, x) real on the full grid, to (). Maps, noise level, scale and step count
    as constants. Returns (coil, ky, kx) complex, zero off the mask. BadInput for a fit of another form.
    """
    problem, G = fitting.problem, generated.detach()
    if not problem.settings.maps or problem.w.numel() != 1 or not problem.w > 0:
        raise BadInput("a gradient needs one fit in the SENSE form, with data consistency of a weight above 0")
    mask, w, gram = problem.mask, problem.w, problem.all.sense.gram

    x = problem.regularized(problem.all.b + w * G, tolerance / 1000)
    g_x = _slope(lambda x: loss(problem.magnitude(x)), x)
    q = problem.regularized(g_x, tolerance / 1000)
    d = mask * fft2c(problem.images(q))
    u = w * q
    if late:
        held, energy = problem.held, problem.held.energy.to(w.dtype)
        measured = problem.whole(ifft2c(held.kspace))
        r = 2 * held.sense.mask * fft2c(problem.images(G) - measured) / energy
        u = u - late * 2 * (held.sense.gram(G) - held.b) / energy
        d = d + late * r

    def P(image: Tensor) -> Tensor:
        return problem.preconditioned(image, problem.all, tolerance)

    J, J_transposed = derivative(fitting)
    root = fitting.metric().rsqrt()

    def curvature(z: Tensor) -> Tensor:
        return root * J_transposed(P(gram(J(root * z))))

    right = root * J_transposed(u)
    z = right
    for _ in range(POWER):
        z = curvature(z / z.norm())
    stiffness = damping * z.norm()
    # conjugate gradients take what has two axes
    z = conjugate_gradients(lambda z: curvature(z[0])[None] + stiffness * z, right[None], 0.0, steps)[0]
    p = mask * fft2c(problem.images(P(J(root * z))))
    return d + p


def derivative(fitting: Fitting) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """J = dG / d theta at the weights of a fit, (weight,) to (y, x) complex, and its transpose, real-linear both.

    Batch norm takes the statistics at hand and no running ones, and all is computed in the precision of the weights.
    """
    network = torch.func.replace_all_batch_norm_modules_(copy.deepcopy(fitting.generator))
    names, parts = zip(*network.named_parameters(), strict=True)
    sizes = [part.numel() for part in parts]
    weights = torch.cat([part.detach().flatten() for part in parts])

    def image(theta: Tensor) -> Tensor:
        pieces = zip(names, theta.split(sizes), parts, strict=True)
        state = {name: piece.view(part.shape) for name, piece, part in pieces}
        return fitting.problem.image(torch.func.functional_call(network, state, ()), fitting.scale)

    _, pullback = torch.func.vjp(image, weights)
    return lambda v: torch.func.jvp(image, (weights,), (v,))[1], lambda u: pullback(u)[0]


def _slope(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(function(x), x)
    return slope
